"""Which files of the project a piece of work passes: those whose functions ran, compiled ones too.

Python functions are seen by a profile hook. Compiled code is not: a module whose compiled function
was called counts with all compiled functions that it calls in turn, found by their names.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from tests.shared import ROOT

FOLDERS = ("pipeline", "filters", "jobs", "analysis", "trainer", "benben")
# Not passed but asked: settings and errors are plain declarations, `compiled` wraps functions,
# `references` is asked by the compiler.
ASIDE = (
    *("pipeline/settings/", "pipeline/errors.py", "trainer/settings.py"),
    *("pipeline/compiled.py", "pipeline/references.py"),
)


def passed(work: Callable[[], Any]) -> list[str]:
    """Run something and return the files whose functions ran, relative to the checkout, sorted."""
    seen: set[str] = set()
    called: set[str] = set()

    def hook(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            file = ours(frame.f_code.co_filename)
            if file:
                seen.add(file)
                called.add(frame.f_globals.get("__name__", ""))

    threading.setprofile(hook)
    sys.setprofile(hook)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    modules = [sys.modules[name] for name in called if name in sys.modules]
    seen |= {file for file in map(ours, compiled_files(modules)) if file}
    return sorted(file for file in seen if not file.startswith(ASIDE))


@cache
def ours(path: str) -> str | None:
    """A path relative to the checkout, links resolved; None for a file of others."""
    try:
        file = Path(path).resolve().relative_to(ROOT.resolve()).as_posix()
    except ValueError:
        return None
    return file if file.startswith(FOLDERS) and not file.endswith("__init__.py") else None


def compiled_files(modules: list[ModuleType]) -> set[str]:
    """Files of the compiled functions that functions of these modules name, and so on."""
    files: set[str] = set()
    waiting = [
        function for module in modules for function in named_in(module) if is_compiled(function)
    ]
    done: set[int] = set()
    while waiting:
        function = waiting.pop()
        if id(function) in done:
            continue
        done.add(id(function))
        plain = function.py_func
        files.add(plain.__code__.co_filename)
        names = [plain.__globals__.get(name) for name in plain.__code__.co_names]
        waiting += [other for other in names if is_compiled(other)]
    return files


def named_in(module: ModuleType) -> list[Any]:
    """What a module's namespace holds."""
    return list(vars(module).values())


def is_compiled(value: Any) -> bool:
    """Tell whether a value is a function that numba compiles."""
    return hasattr(value, "py_func") and hasattr(value, "inspect_llvm")
