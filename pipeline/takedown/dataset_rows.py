"""Remove whole documents, or single images of documents, from rows of the dataset."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from benben.pipeline.dataset.markdown import to_plain
from benben.pipeline.takedown.tombstones import REASON_PREFIX, Tombstones, reason_of

NO_IMAGE = f"{REASON_PREFIX}no_image"  # reason of a document that has no image left
_PARALLEL_LISTS = ("texts", "images", "image_sha256")


@dataclass
class Removed:
    """What was removed from some rows, and why."""

    documents: dict[str, str] = field(default_factory=dict)  # doc_id -> reason
    slots: Counter[str] = field(default_factory=Counter)  # reason -> number of image slots
    sha256: set[str] = field(default_factory=set)  # images that were shown in these slots

    def add(self, other: Removed) -> None:
        """Add what was removed from other rows."""
        self.documents |= other.documents
        self.slots += other.slots
        self.sha256 |= other.sha256

    def __bool__(self) -> bool:
        return bool(self.documents or self.slots)


@dataclass(frozen=True)
class Removal:
    """What to remove: the tombstones, and the documents and images they matched in the run."""

    tombstones: Tombstones
    documents: Mapping[str, str]  # doc_id -> reason
    sha256: Set[str]  # images

    def document_reason(self, row: Mapping[str, Any]) -> str | None:
        """Return why to remove a whole row; None to keep it."""
        if row["doc_id"] in self.documents:
            return self.documents[row["doc_id"]]
        url = json.loads(row["general_metadata"])["url"]
        return reason_of(
            self.tombstones.match_page(url, row["doc_id"])
            or self.tombstones.match_text(row["texts"])
            or self.tombstones.match_text([text and to_plain(text) for text in row["texts"]])
            or self.tombstones.match_text(_image_texts(row["metadata"]))
        )

    def image_reason(self, url: str, sha256: str | None) -> str | None:
        """Return why to remove an image slot; None to keep it."""
        if sha256 is not None and sha256 in self.sha256:
            return reason_of("sha256")
        return reason_of(self.tombstones.match_url(url))


def _image_texts(metadata: str) -> list[str | None]:
    """Texts that describe the images, grouped by kind."""
    entries = [entry for entry in json.loads(metadata) if entry]
    names = ("alt_text", "caption", "formatted_filename")
    return [entry.get(name) for name in names for entry in entries]


def remove(rows: pa.RecordBatch, removal: Removal) -> tuple[pa.RecordBatch, Removed]:
    """Return the rows that are left, in the same order, and what was removed.

    A document that loses its last image is removed as a whole. If nothing is removed, the batch is
    returned as it is.
    """
    removed, kept, changed = Removed(), [], False
    for row in rows.to_pylist():
        reason = removal.document_reason(row)
        shown = zip(row["images"], row["image_sha256"], strict=True)
        slots = [
            removal.image_reason(url, sha256) if url and not reason else None
            for url, sha256 in shown
        ]
        lost = [position for position, why in enumerate(slots) if why]
        if lost and len(lost) == row["num_images"]:
            reason = NO_IMAGE
        if reason:
            removed.documents[row["doc_id"]] = reason
            removed.slots[reason] += row["num_images"]
            removed.sha256.update(filter(None, row["image_sha256"]))
        else:
            if lost:
                removed.slots.update(slots[position] or "" for position in lost)
                removed.sha256.update(row["image_sha256"][position] or "" for position in lost)
                row = _without_slots(row, set(lost))
            kept.append(row)
        changed |= bool(reason or lost)
    removed.sha256.discard("")
    return (pa.RecordBatch.from_pylist(kept, rows.schema) if changed else rows), removed


def _without_slots(row: dict[str, Any], lost: Set[int]) -> dict[str, Any]:
    """Return a row without the slots at these positions."""
    left = [position for position in range(len(row["texts"])) if position not in lost]
    entries = json.loads(row["metadata"])
    nodes = json.loads(row.get("text_metadata") or "null")  # of a dataset made before: none
    return {
        **row,
        **{name: [row[name][position] for position in left] for name in _PARALLEL_LISTS},
        "metadata": json.dumps([entries[position] for position in left], ensure_ascii=False),
        "text_metadata": nodes
        and json.dumps([nodes[position] for position in left], separators=(",", ":")),
        "num_images": row["num_images"] - len(lost),
    }


def still_shown(rows: pa.RecordBatch, sha256: Set[str]) -> set[str]:
    """Return which of these images the rows show."""
    return set(rows["image_sha256"].flatten().drop_null().to_pylist()) & sha256
