"""Every declared dependency is imported, and every imported one is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import lru_cache
from importlib.metadata import distributions as installed
from importlib.metadata import packages_distributions

import pytest

from tests.import_graph import FOLDERS, imported, python_files
from tests.shared import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Needed without an import: what PySpark and pandas ask for, a Java runtime, fallbacks by name.
UNIMPORTED = {
    "pandas": "PySpark asks for it before it runs mapInArrow",
    "wordfreq": "its lists are read, it is slow to import",
}
# Imported, and installed by the declared dependency beside them.
COMPANIONS = {
    "botocore": "boto3",
    "llvmlite": "numba",
    "markupsafe": "jinja2",
    "msgpack": "wordfreq",
    "multidict": "aiohttp",
    "py4j": "pyspark",
    "pydantic_core": "pydantic",
    "typing_extensions": "pydantic",
    "yarl": "aiohttp",
}
OPTIONAL = {"lmms_eval"}  # named by docs/trainer.md; brings other versions of what we pin
INSTALLED = ("benben", "pipeline", "filters", "jobs", "analysis", "sample")
OURS = {*FOLDERS, "benben", "tests"}


def plain(requirement: str) -> str:
    """The normalised name in a requirement."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


DECLARED = {plain(line) for line in PROJECT["dependencies"]}
EXTRAS = {plain(line) for some in PROJECT["optional-dependencies"].values() for line in some}


@lru_cache
def distributions() -> dict[str, set[str]]:
    """Distributions by the top-level modules that they install."""
    return {
        name: {plain(found) for found in all_found}
        for name, all_found in packages_distributions().items()
    }


@lru_cache
def trees(folders: tuple[str, ...] = ("",)) -> list[ast.Module]:
    """The project's files in some of its folders, parsed."""
    files = [path for path in python_files() if str(path.relative_to(ROOT)).startswith(folders)]
    return [ast.parse(path.read_text(encoding="utf-8")) for path in files]


@lru_cache
def imported_modules() -> set[str]:
    """Top-level modules that import statements of the project name."""
    return {name.partition(".")[0] for tree in trees() for name in imported(tree)}


@lru_cache
def modules_at_run_time() -> set[str]:
    """Top-level modules that what is installed imports, by statement or by name."""
    return {
        name.partition(".")[0] for tree in trees(INSTALLED) for name in imported(tree)
    } | named_modules()


@lru_cache
def named_modules() -> set[str]:
    """What strings of the project may name as a module, to import it or its files by name."""
    names: set[str] = set()
    for tree in trees(INSTALLED):
        strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        names |= {value.partition(".")[0] for value in strings if is_name(value)}
    return names


def is_name(value: object) -> bool:
    """Tell whether a constant may be the name of a module that is imported by its name."""
    return isinstance(value, str) and all(part.isidentifier() for part in value.split("."))


@pytest.mark.parametrize("name", sorted(DECLARED - set(UNIMPORTED)))
def test_a_declared_dependency_is_imported(name: str) -> None:
    modules = {module for module, found in distributions().items() if name in found}
    assert modules & modules_at_run_time(), f"{name} is declared and imported nowhere"


def test_an_imported_module_is_declared() -> None:
    known = distributions()
    foreign = imported_modules() - OURS - set(sys.stdlib_module_names) - set(COMPANIONS) - OPTIONAL
    assert not {name for name in foreign if not known.get(name, set()) & (DECLARED | EXTRAS)}


def test_no_two_packages_install_the_same_module() -> None:
    """Else it depends on the order of installation which of them is imported."""
    owners: dict[str, set[str]] = {}
    for found in installed():
        name = plain(found.metadata["Name"])
        for file in found.files or ():
            if file.suffix in {".py", ".so"} and file.parts[0] not in {"tests", "..", "test"}:
                owners.setdefault(str(file), set()).add(name)
    assert {file: names for file, names in owners.items() if len(names) > 1} == {}
