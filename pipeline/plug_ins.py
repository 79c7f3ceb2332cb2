"""Packages that add signals: any installed one with an entry point in the group `benben.signals`.

The driver and the executors find them by the metadata of what is installed on each machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

from benben.pipeline.errors import UserError

GROUP = "benben.signals"


class PlugInError(UserError):
    """An installed package that cannot be loaded; the message says which and why."""


def load() -> dict[str, tuple[Any, ...]]:
    """Load what each entry point names, by package and entry point. Raises PlugInError."""
    found = {}
    for entry in _entries():
        name = f"{_package(entry)} ({entry.name})"
        try:
            found[name] = tuple(entry.load())
        except (ImportError, AttributeError, TypeError) as error:
            raise PlugInError(f"{name}: {entry.value} does not load: {error}") from error
    return found


def code() -> Iterator[bytes]:
    """Yield name, version and source of each package: what its signals depend on."""
    for entry in _entries():
        version = entry.dist.version if entry.dist else ""
        yield f"{_package(entry)} {version} {entry.name} {entry.value}".encode()
        for file in _sources(entry.module):
            yield file.name.encode() + b"\0" + file.read_bytes()


def _entries() -> list[metadata.EntryPoint]:
    return sorted(metadata.entry_points(group=GROUP), key=lambda one: (_package(one), one.name))


def _package(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _sources(module: str) -> list[Path]:
    """Source files of a module; of a package, all below its folder."""
    spec = util.find_spec(module.partition(".")[0])
    folders = list(spec.submodule_search_locations or []) if spec else []
    if folders:
        return sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    return [Path(spec.origin)] if spec and spec.origin else []
