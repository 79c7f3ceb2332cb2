"""Which module of the project imports which, imports inside functions and by name included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.shared import ROOT

WHEEL = ("pipeline", "filters", "jobs", "analysis", "configs", "sample", "trainer")  # in benben/
FOLDERS = (*WHEEL, "deploy", "benchmarks")
OWN = ("*.py", "common/*.py", "loading/*.py")  # files that lie in benben/ itself
Graph = dict[str, set[str]]


def python_files() -> list[Path]:
    """The project's Python files, tests aside."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    own = [path for pattern in OWN for path in (ROOT / "benben").glob(pattern)]
    return found + sorted(own)


def module(path: Path) -> str:
    """The name a file is imported by."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(["benben", *parts] if parts[0] in WHEEL else parts)


def imported(tree: ast.Module) -> Iterator[str]:
    """Names that a module may import: statements anywhere, and names of modules in strings."""
    for node in ast.walk(without_type_checking(tree)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.JoinedStr) and is_module_pattern(node):
            yield f"{node.values[0].value!s}*"  # type: ignore[attr-defined]
        elif isinstance(node, ast.Constant) and str(node.value).startswith("benben."):
            yield str(node.value).split()[0]


def is_module_pattern(node: ast.JoinedStr) -> bool:
    """Tell whether an f-string names modules of ours, as in f"benben.jobs.{name}"."""
    first = node.values[0] if node.values else None
    return isinstance(first, ast.Constant) and str(first.value).startswith("benben.")


def without_type_checking(tree: ast.Module) -> ast.Module:
    """The module without what only type checkers import."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            is_typing = "TYPE_CHECKING" in ast.dump(node.test)
            return None if is_typing else self.generic_visit(node)

    return Drop().visit(tree)  # type: ignore[no-any-return]


def graph() -> Graph:
    """The modules that each module imports."""
    files = {module(path): path for path in python_files()}
    edges: Graph = {}
    for name, path in files.items():
        wanted = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
        edges[name] = {found for want in wanted for found in resolved(want, files)} - {name}
    return edges


def resolved(want: str, files: dict[str, Path]) -> Iterator[str]:
    """Modules that an imported name stands for: itself, or the module that holds it."""
    if want.endswith(".*"):
        folder = want[:-2]
        yield from (name for name in files if name.rpartition(".")[0] == folder)
        return
    while want:
        if want in files:
            if files[want].name != "__init__.py":  # a package's face hands names on
                yield want
            return
        want = want.rpartition(".")[0]


def circles(edges: Graph) -> list[list[str]]:
    """Groups of modules that import each other in a loop (Tarjan's strongly connected parts)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            group, stack[place:] = stack[place:], []
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(edges):
        if name not in index:
            visit(name)
    return found
