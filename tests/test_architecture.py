"""The rules of the house: who imports whom, how long a file and a function may be."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.import_graph import WHEEL, circles, graph, module, python_files
from tests.shared import ROOT

MAY_IMPORT = {
    "common": {"common"},  # of benben/: what all others may use
    "loading": {"loading", "pipeline"},  # of benben/: reads a finished dataset
    "pipeline": {"pipeline"},
    "filters": {"pipeline", "filters"},
    "jobs": {"pipeline", "filters", "jobs", "analysis", "sample"},
    "analysis": {"pipeline", "filters", "analysis"},
    "trainer": {"trainer"},
    "sample": {"sample", "pipeline"},
    "deploy": {"deploy", "pipeline"},
    "benchmarks": {
        *("benchmarks", "pipeline", "filters", "jobs", "analysis", "trainer", "sample", "loading"),
    },
}
FENCED = {
    "pyspark": {"jobs", "deploy", "benchmarks"},
    "torch": {"trainer", "benchmarks", "loading"},
    "matplotlib": {"analysis"},
    "fsspec": {"pipeline", "trainer"},
}
FILE_LINES, FUNCTION_LINES, FOLDER_FILES = 500, 60, 15
FILES = [path for path in python_files() if path.parent.name != "benben"]  # the public module


def package(path: Path) -> str:
    """The top-level folder of a file; `common` and `loading` for those of benben/."""
    return module(path).removeprefix("benben.").split(".")[0]


def imports(path: Path) -> set[str]:
    """Names of the modules that a file imports, and of what it imports from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def name(path: Path) -> str:
    """A path as tests name it."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_follow_the_design(path: Path) -> None:
    mine = package(path)
    for imported in imports(path):
        top = imported.removeprefix("benben.").split(".")[0]
        assert not imported.startswith(tuple(f"{folder}." for folder in WHEEL)), (
            f"{imported} is imported as benben.{imported}"
        )
        if top in MAY_IMPORT:
            assert top in {*MAY_IMPORT[mine], "common"}, f"{mine} may not import {imported}"
        assert mine in FENCED.get(top, {mine}), f"{top} is fenced out of {mine}"


def test_no_modules_import_each_other() -> None:
    """Imports inside functions and by name count too."""
    assert circles(graph()) == []


def test_a_circle_of_hidden_imports_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
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
def test_files_are_cut_into_lines_in_one_way(path: Path) -> None:
    if package(path) in ("common", "loading", "pipeline", "filters", "jobs", "analysis"):
        assert ".splitlines(" not in path.read_text(encoding="utf-8"), (
            "use benben.common.text.lines: splitlines also breaks inside JSON strings"
        )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_data_files_are_found_inside_a_zip_too(path: Path) -> None:
    if package(path) in ("common", "loading", "pipeline", "filters", "jobs", "analysis") and (
        path.name != "build.py"  # makes data files, in a checkout
    ):
        assert "(__file__)" not in path.read_text(encoding="utf-8"), (
            "use importlib.resources: the code may be zipped"
        )
