"""The rules of the house: who imports whom, how long a file and a function may be."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("pipeline", "filters", "jobs", "analysis", "trainer", "sample", "deploy", "benchmarks")
WHEEL = ("pipeline", "filters", "jobs", "analysis", "configs", "sample", "trainer")  # in benben/
MAY_IMPORT = {
    "pipeline": {"pipeline"},
    "filters": {"pipeline", "filters"},
    "jobs": {"pipeline", "filters", "jobs", "analysis", "sample"},
    "analysis": {"pipeline", "filters", "analysis"},
    "trainer": {"trainer"},
    "sample": {"sample", "pipeline"},
    "deploy": {"deploy", "pipeline"},
    "benchmarks": {
        *("benchmarks", "pipeline", "filters", "jobs", "analysis", "trainer", "sample"),
    },
}
FENCED = {
    "pyspark": {"jobs", "deploy", "benchmarks"},
    "torch": {"trainer", "benchmarks"},
    "matplotlib": {"analysis"},
    "fsspec": {"pipeline", "trainer"},
}
FILE_LINES, FUNCTION_LINES, FOLDER_FILES = 500, 60, 15
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_follow_the_design(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        top = module.removeprefix("benben.").split(".")[0]
        assert module == top or not module.startswith(tuple(f"{name}." for name in WHEEL))
        if top in PACKAGES:
            assert top in MAY_IMPORT[package], f"{package} may not import {module}"
        assert package in FENCED.get(top, {package}), f"{top} is fenced out of {package}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES, "a file this long holds two ideas"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines"


def test_job_files_do_not_import_each_other_nor_shadow_the_standard_library() -> None:
    stages = {path.stem for path in (ROOT / "jobs").glob("*.py")}
    for path in (ROOT / "jobs").glob("*.py"):
        assert path.stem not in sys.stdlib_module_names, path
        if path.stem in stages - {"__init__"}:
            others = {f"benben.jobs.{stage}" for stage in stages - {"__init__"}}
            assert not imports(path) & others, f"{path.stem} imports another stage"


def test_folders_are_small() -> None:
    folders = Counter(path.parent for path in FILES)
    assert not {name(folder): n for folder, n in folders.items() if n > FOLDER_FILES}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_data_files_are_found_inside_a_zip_too(path: Path) -> None:
    if path.relative_to(ROOT).parts[0] in ("pipeline", "filters", "jobs", "analysis") and (
        path.name != "build.py"  # makes data files, in a checkout
    ):
        assert "(__file__)" not in path.read_text(), (
            "use importlib.resources: the code may be zipped"
        )
