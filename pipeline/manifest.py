"""A table's manifest: what a stage read, wrote and counted. Readers ignore a table without one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from benben import __version__ as VERSION
from benben.pipeline import plug_ins, storage

NAME = "manifest.json"
CODE_FOLDERS = ("pipeline", "filters", "jobs")


class ConservationError(Exception):
    """A stage's counts do not add up: something was lost or counted twice."""


class Count(BaseModel):
    """How many units entered, were kept, and were rejected for each reason."""

    model_config = ConfigDict(extra="forbid")

    entered: int = 0
    kept: int = 0
    rejected: dict[str, int] = {}

    def reject(self, reason: str, number: int = 1) -> None:
        """Count units rejected for a reason."""
        self.rejected[reason] = self.rejected.get(reason, 0) + number

    def add(self, other: Count) -> None:
        """Add another part's counts."""
        self.entered += other.entered
        self.kept += other.kept
        for reason, number in other.rejected.items():
            self.reject(reason, number)

    def check(self, where: str) -> None:
        """Raise ConservationError unless entered = kept + rejected."""
        gone = sum(self.rejected.values())
        if self.entered != self.kept + gone:
            raise ConservationError(
                f"{where}: {self.entered} entered, but {self.kept} kept + {gone} rejected "
                f"= {self.kept + gone}; rejected by reason: {self.rejected}"
            )


Counts = dict[str, Count]  # by unit: documents, nodes, images, captures


def add_counts(total: Counts, more: Mapping[str, Count]) -> None:
    """Add counts to `total` in place, unit by unit."""
    for unit, count in more.items():
        total.setdefault(unit, Count()).add(count)


class PartFile(BaseModel):
    """One file of a table. Files of several tables with the same `part` belong together."""

    model_config = ConfigDict(extra="forbid")

    part: int
    name: str  # relative to the table's folder
    rows: int
    bytes: int


def part_name(part: int) -> str:
    """Return the file name of a part."""
    return f"part-{part:05d}.parquet"


def write_part(
    folder: str,
    part: int,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch | pa.Table],
    row_group_rows: int = 10_000,
) -> PartFile:
    """Write one part's batches to a table's folder, and return the file's entry."""
    name = part_name(part)
    with storage.ParquetWriter(storage.join(folder, name), schema, row_group_rows) as writer:
        for batch in batches:
            writer.write(batch)
    return PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes)


class Manifest(BaseModel):
    """A table that a stage has committed."""

    model_config = ConfigDict(extra="forbid")

    table: str
    id: str  # hash of the stage, the code, its config and its inputs
    stage: str
    version: str
    config: dict[str, Any]
    inputs: dict[str, str]  # table or source -> its id or fingerprint
    files: list[PartFile]
    counts: Counts = {}
    metrics: dict[str, float] = {}
    seconds: float = 0.0

    def paths(self, folder: str) -> list[str]:
        """Return the full paths of the table's files, ordered by part."""
        return [storage.join(folder, file.name) for file in sorted(self.files, key=_by_part)]

    @property
    def rows(self) -> int:
        """Number of rows in all files."""
        return sum(file.rows for file in self.files)


def _by_part(file: PartFile) -> tuple[int, str]:
    return file.part, file.name


def read(folder: str) -> Manifest | None:
    """Read a table's manifest; return None if the table does not exist."""
    path = storage.join(folder, NAME)
    if not storage.exists(path):
        return None
    return Manifest.model_validate_json(storage.read_bytes(path))


def write(folder: str, manifest: Manifest) -> None:
    """Commit a table; a stage does this last."""
    data = manifest.model_dump_json(indent=1).encode()
    storage.write_bytes(storage.join(folder, NAME), data)


def stage_id(stage: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return a hash that is equal for equal stage, code, config and inputs."""
    key = json.dumps([stage, code_version(), config, inputs], sort_keys=True, default=str)
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def is_id(name: str) -> bool:
    """Tell whether a folder's name is a stage's id."""
    return bool(re.fullmatch("[0-9a-f]{16}", name))


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the version and a hash of the code that makes tables.

    So a stage runs again after a change of its code. A checkout, a wheel and a zip of the same code
    give the same value. The code of installed packages that add signals counts too.
    """
    digest = hashlib.blake2b(digest_size=6)
    for folder in CODE_FOLDERS:
        for name, file in sorted(_code_files(resources.files(f"benben.{folder}"), folder)):
            digest.update(name.encode() + b"\0" + file.read_bytes())
    for part in plug_ins.source_code():
        digest.update(part)
    return f"{VERSION}+{digest.hexdigest()}"


def _code_files(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _code_files(entry, f"{name}/{entry.name}")
        elif entry.is_file():
            yield f"{name}/{entry.name}", entry
