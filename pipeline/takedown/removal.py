"""Rows of a dataset without what is taken down: whole documents, or single images of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from benben.pipeline.takedown.tombstones import REASON, Tombstones

NO_IMAGE = f"{REASON}no_image"  # a document whose last image went
LISTS = ("texts", "images", "image_sha256")


@dataclass
class Removed:
    """What went from some rows, and why."""

    documents: dict[str, str] = field(default_factory=dict)  # doc_id -> reason
    slots: Counter[str] = field(default_factory=Counter)  # reason -> image slots, of all rows
    sha256: set[str] = field(default_factory=set)  # of images that a removed slot showed

    def add(self, other: Removed) -> None:
        """Add what went from other rows."""
        self.documents |= other.documents
        self.slots += other.slots
        self.sha256 |= other.sha256

    def __bool__(self) -> bool:
        return bool(self.documents or self.slots)


@dataclass(frozen=True)
class Request:
    """What has to go: tombstones, and what they meant when they were looked up in the run."""

    tombstones: Tombstones
    documents: Mapping[str, str]  # doc_id -> reason
    sha256: Set[str]  # contents

    def page(self, row: Mapping[str, Any]) -> str | None:
        """Why a whole row of the dataset has to go."""
        if row["doc_id"] in self.documents:
            return self.documents[row["doc_id"]]
        general = json.loads(row["general_metadata"])
        kind: str | None = self.tombstones.page(general["url"], row["doc_id"])
        kind = kind or self.tombstones.text(row["texts"]) or self._said(row["metadata"])
        return f"{REASON}{kind}" if kind else None

    def _said(self, metadata: str) -> str | None:
        entries = [entry for entry in json.loads(metadata) if entry]
        names = ("alt_text", "caption", "formatted_filename")
        return self.tombstones.text(entry.get(name) for name in names for entry in entries)

    def image(self, address: str, sha256: str | None) -> str | None:
        """Why an image slot has to go."""
        if sha256 is not None and sha256 in self.sha256:
            return f"{REASON}sha256"
        kind = self.tombstones.address(address)
        return f"{REASON}{kind}" if kind else None


def take_down(rows: pa.RecordBatch, request: Request) -> tuple[pa.RecordBatch, Removed]:
    """Rows that are left, in their order, and what went; the same batch when nothing did.

    A document that loses its last image goes as a whole.
    """
    removed, kept, changed = Removed(), [], False
    for row in rows.to_pylist():
        reason = request.page(row)
        shown = zip(row["images"], row["image_sha256"], strict=True)
        slots = [
            request.image(one, sha256) if one and not reason else None for one, sha256 in shown
        ]
        lost = [place for place, why in enumerate(slots) if why]
        if lost and len(lost) == row["num_images"]:
            reason = NO_IMAGE
        if reason:
            removed.documents[row["doc_id"]] = reason
            removed.slots[reason] += row["num_images"]
            removed.sha256.update(filter(None, row["image_sha256"]))
        else:
            if lost:
                removed.slots.update(slots[place] or "" for place in lost)
                removed.sha256.update(row["image_sha256"][place] or "" for place in lost)
                row = without(row, set(lost))
            kept.append(row)
        changed |= bool(reason or lost)
    removed.sha256.discard("")
    return (pa.RecordBatch.from_pylist(kept, rows.schema) if changed else rows), removed


def without(row: dict[str, Any], lost: Set[int]) -> dict[str, Any]:
    """A row without the slots at some positions."""
    left = [place for place in range(len(row["texts"])) if place not in lost]
    entries = json.loads(row["metadata"])
    return {
        **row,
        **{name: [row[name][place] for place in left] for name in LISTS},
        "metadata": json.dumps([entries[place] for place in left], ensure_ascii=False),
        "num_images": row["num_images"] - len(lost),
    }


def still_shown(rows: pa.RecordBatch, sha256: Set[str]) -> set[str]:
    """Those of some images that rows show."""
    return set(rows["image_sha256"].flatten().drop_null().to_pylist()) & sha256
