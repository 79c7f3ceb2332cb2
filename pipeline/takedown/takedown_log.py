"""What a run records about its takedowns, in its folder `takedown`.

- `tombstones.jsonl`: what was taken down, for later runs (`tombstones.py`).
- `pending.json`: a takedown that is not finished. It holds everything that was found, so that the
  takedown can be resumed until all of it is gone.
- `log.jsonl`: the finished takedowns, one JSON object a line. The lines form a hash chain: each
  holds the hash of the one before. An entry that was changed, removed or inserted breaks the chain.
  The dataset's manifest holds a hash of each entry, so a missing end is noticed too.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from benben.common.text import lines
from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError
from benben.pipeline.takedown.dataset_rows import Removal
from benben.pipeline.takedown.tombstones import Tombstone, Tombstones

_FOLDER = "takedown"
_KEY = "takedown/"
_NO_PREVIOUS = "0" * 64  # stands for the hash before the first entry


def log_path(output: str) -> str:
    """Return where a run keeps the log of its takedowns."""
    return storage.join(output, _FOLDER, "log.jsonl")


def tombstones_path(output: str) -> str:
    """Return where a run keeps the tombstones of all its takedowns."""
    return storage.join(output, _FOLDER, "tombstones.jsonl")


# The takedown that is not finished


class PendingTakedown(BaseModel):
    """What a takedown removes. It is looked up only once, however often the takedown is resumed."""

    model_config = ConfigDict(extra="forbid")

    number: int  # position in the log, counted from 1
    started: str  # ISO 8601 UTC
    note: str
    tombstones: list[Tombstone]
    documents: dict[str, str] = {}  # doc_id -> reason, for documents in and outside the dataset
    nodes: dict[str, dict[int, str]] = {}  # doc_id -> index of an image node -> reason
    sha256: list[str] = []  # images that are removed from every document
    unused: list[str] = []  # images that no document shows after the takedown
    unmatched: list[Tombstone] = []  # what was asked for and matches nothing in the run

    @property
    def id(self) -> str:
        """Hash of the position in the log, the note and the tombstones."""
        key = self.model_dump_json(include={"number", "note", "tombstones"})
        return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    @property
    def removal(self) -> Removal:
        """What to remove from the rows of the dataset."""
        return Removal(Tombstones(self.tombstones), self.documents, frozenset(self.sha256))

    @property
    def images(self) -> list[str]:
        """SHA-256 of the images to delete from the image stores."""
        return sorted({*self.sha256, *self.unused})

    @property
    def removes_nothing(self) -> bool:
        """Whether nothing in the run matches what was asked for."""
        return set(self.tombstones) <= set(self.unmatched)

    @property
    def key(self) -> str:
        """Name of the takedown in the dataset's manifest, beside the digest of its log entry."""
        return f"{_KEY}{self.number}"

    def includes(self, tombstones: Sequence[Tombstone]) -> bool:
        """Return whether this takedown removes everything that these tombstones name."""
        return set(tombstones) <= set(self.tombstones)

    def log_entry(self, dataset_files: list[str]) -> dict[str, Any]:
        """Return what the log records. `dataset_files`: names of the dataset's files afterwards."""
        return {
            "number": self.number,
            "id": self.id,
            "time": self.started,
            "note": self.note,
            "tombstones": [tombstone.model_dump() for tombstone in self.tombstones],
            "documents": dict(Counter(self.documents.values())),
            "images": len(self.images),
            "dataset": dataset_files,
        }


def _pending_path(output: str) -> str:
    return storage.join(output, _FOLDER, "pending.json")


def read_pending(output: str) -> PendingTakedown | None:
    """Read a run's unfinished takedown; None if there is none."""
    path = _pending_path(output)
    if not storage.exists(path):
        return None
    return PendingTakedown.model_validate_json(storage.read_bytes(path))


def write_pending(output: str, takedown: PendingTakedown) -> None:
    """Record that a takedown has begun: from now on it can be resumed."""
    storage.write_bytes(_pending_path(output), takedown.model_dump_json(indent=1).encode())


def delete_pending(output: str) -> None:
    """Record that the takedown is finished."""
    storage.delete_file(_pending_path(output))


# The log of finished takedowns


def read_log(path: str) -> list[dict[str, Any]]:
    """Read the entries, oldest first. Raises InputError where the hash chain is broken."""
    if not storage.exists(path):
        return []
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines(storage.read_bytes(path)), 1):
        try:
            entry = json.loads(line)
            recorded = entry.pop("hash")
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{path}, line {number}: not an entry of a takedown log") from None
        previous = entries[-1]["hash"] if entries else _NO_PREVIOUS
        if entry.get("previous") != previous or recorded != _hash(entry):
            raise InputError(
                f"{path}, line {number}: the hash chain is broken: this entry or the one before "
                f"it was changed, or an entry is missing"
            )
        entries.append(entry | {"hash": recorded})
    return entries


def check(output: str, pending: PendingTakedown | None = None) -> list[dict[str, Any]]:
    """Read a run's log and compare its entries with the dataset's manifest.

    Raises InputError where the chain is broken, or lacks a takedown that the manifest names. The
    entry of a `pending` takedown is not in the log yet.
    """
    path = log_path(output)
    entries = read_log(path)
    digests = {f"{_KEY}{entry['number']}": digest(entry) for entry in entries}
    found = manifest.read(storage.join(output, "dataset"))
    for name, recorded in (found.inputs if found else {}).items():
        logged = name.startswith(_KEY) and not (pending and name == pending.key)
        if logged and digests.get(name) != recorded:
            raise InputError(
                f"{path}: the entry of {name}, which the dataset's manifest names, is missing or "
                f"was changed; restore the log"
            )
    return entries


def append_to_log(path: str, entry: dict[str, Any]) -> str:
    """Append an entry unless it is the last one already, and return its hash.

    Raises InputError if the log's hash chain is broken.
    """
    entries = read_log(path)
    last = {**entries[-1]} if entries else {}
    if last and all(last.get(name) == value for name, value in entry.items()):
        return str(last["hash"])
    entry = {**entry, "previous": last.get("hash", _NO_PREVIOUS)}
    entries.append({**entry, "hash": _hash(entry)})
    written = (json.dumps(each, ensure_ascii=False) for each in entries)
    storage.write_bytes(path, "".join(f"{line}\n" for line in written).encode())
    return str(entries[-1]["hash"])


def digest(entry: dict[str, Any]) -> str:
    """Return the hash of what an entry says, which is equal when a takedown is done again."""
    return _hash({name: entry[name] for name in entry.keys() - {"time", "previous", "hash"}})


def _hash(entry: dict[str, Any]) -> str:
    data = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(data.encode()).hexdigest()
