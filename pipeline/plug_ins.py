"""Plug-ins: installed packages that add signals by an entry point in the group `benben.signals`.

The driver and each executor find them in the metadata of the packages installed on their machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

from benben.pipeline.errors import UserError

GROUP = "benben.signals"


class PlugInError(UserError):
    """A plug-in that cannot be loaded. The message says which one and why."""


def load() -> dict[str, tuple[Any, ...]]:
    """Load the signals of each entry point. Keys: `PACKAGE (ENTRY POINT)`. Raises PlugInError."""
    found = {}
    for entry in _entries():
        name = f"{_package(entry)} ({entry.name})"
        try:
            found[name] = tuple(entry.load())
        except (ImportError, AttributeError, TypeError) as error:
            raise PlugInError(f"{name}: cannot load {entry.value}: {error}") from error
    return found


def source_code() -> Iterator[bytes]:
    """Yield the name, version and source files of each plug-in, on which its signals depend."""
    for entry in _entries():
        version = entry.dist.version if entry.dist else ""
        yield f"{_package(entry)} {version} {entry.name} {entry.value}".encode()
        for file in _sources(entry.module):
            yield file.name.encode() + b"\0" + file.read_bytes()


def _entries() -> list[metadata.EntryPoint]:
    return sorted(
        metadata.entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name)
    )


def _package(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _sources(module: str) -> list[Path]:
    """Return the source files of the package a module belongs to, or of a top-level module."""
    spec = util.find_spec(module.partition(".")[0])
    folders = list(spec.submodule_search_locations or []) if spec else []
    if folders:
        return sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    return [Path(spec.origin)] if spec and spec.origin else []
