"""The log of takedowns: JSON lines, each with the hash of the one before, so none can be changed,
taken out or put in between without notice."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from benben.pipeline import storage
from benben.pipeline.errors import InputError

FIRST = "0" * 64  # what the first entry follows


def read(path: str) -> list[dict[str, Any]]:
    """Entries of a log, oldest first. Raises InputError where the chain is broken."""
    if not storage.exists(path):
        return []
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(storage.read_bytes(path).decode().splitlines(), 1):
        try:
            entry = json.loads(line)
            said = entry.pop("hash")
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{path}, line {number}: no entry of a takedown log") from None
        previous = entries[-1]["hash"] if entries else FIRST
        if entry.get("previous") != previous or said != _hash(entry):
            raise InputError(
                f"{path}, line {number}: the chain is broken here: this entry or the one before "
                f"is not as it was written"
            )
        entries.append(entry | {"hash": said})
    return entries


def append(path: str, entry: dict[str, Any]) -> str:
    """Add an entry, unless the last one is it already; returns its hash. Raises InputError."""
    entries = read(path)
    last = {**entries[-1]} if entries else {}
    if last and all(last.get(name) == value for name, value in entry.items()):
        return str(last["hash"])
    entry = {**entry, "previous": last.get("hash", FIRST)}
    entries.append({**entry, "hash": _hash(entry)})
    lines = (json.dumps(one, ensure_ascii=False) for one in entries)
    storage.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
    return str(entries[-1]["hash"])


def _hash(entry: dict[str, Any]) -> str:
    data = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(data.encode()).hexdigest()
