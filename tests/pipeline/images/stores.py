"""Folders that tests let a fetch write to, and what it stored there."""

from __future__ import annotations

from pathlib import Path

from benben.pipeline import storage
from benben.pipeline.images.fetch.journal import SLOTS, FetchFolders, SlotRange
from benben.pipeline.images.fetch.plan import stored_places
from benben.pipeline.images.store import tar_shards
from benben.pipeline.images.store.tar_shards import Place


def store(folder: Path) -> FetchFolders:
    """The folders of a fetch within a folder."""
    return FetchFolders(str(folder / "journal"), str(folder / "shards"))


def pictures(folder: Path) -> dict[str, tuple[str, bytes]]:
    """SHA-256 -> format and bytes of what a fetch stored, each once."""
    found: dict[str, tuple[str, bytes]] = {}
    for batch in stored_places(store(folder), SlotRange(0, SLOTS)):
        for row in batch.to_pylist():
            place = Place(row["shard"], row["offset"], row["num_bytes"])
            path = storage.join(store(folder).shards, place.shard)
            assert row["sha256"] not in found
            found[row["sha256"]] = row["format"], next(tar_shards.read(path, [place]))
    return found
