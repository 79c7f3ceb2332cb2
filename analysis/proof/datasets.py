"""Writes the datasets of a proof: parquet of OBELICS's schema for `benben-train prove`.

The folder gets `arms/NAME`, what each set of rules keeps (row n is the same document in all of
them, so they are trained on in one order); `rules/NAME`, the documents of which the base would keep
another text if it lacked one rule; `gold`, the texts that are scored; `interleaved`, if images were
fetched, what the base keeps of held-out sites; and, last, `proof.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benben.analysis.proof import arms as sets
from benben.analysis.proof import gold
from benben.analysis.proof.replay import Replayed, replay
from benben.analysis.tables import RunTables
from benben.pipeline import storage
from benben.pipeline.dataset.obelics import to_row
from benben.pipeline.errors import InputError

FILE = "proof.json"
VERSION = 1
SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("host", pa.string()),  # the registered domain
        ("lang", pa.string()),
        ("texts", pa.list_(pa.string())),
        ("images", pa.list_(pa.string())),
        ("image_sha256", pa.list_(pa.string())),
    ]
)
OtherText = Callable[[dict[str, Any]], str | None]  # main text of a document by another extractor


@dataclass(frozen=True)
class Request:
    """What to write: the base's name, the language, the gold's files, the share held out."""

    base: str
    language: str
    gold: tuple[str, ...]
    held_out: float
    fetched: bool


@dataclass
class Dataset:
    """Rows of one dataset, and what they hold."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    documents: int = 0  # with text
    bytes: int = 0  # of text
    images: int = 0

    def add(self, row: dict[str, Any], hold_place: bool = False) -> None:
        """Add a row; one without text is left out, or to `hold_place` added without contents."""
        size = _size(text for text in row["texts"] if text)
        if not size:
            row = row | {name: [] for name in ("texts", "images", "image_sha256")}
        if size or hold_place:
            self.rows.append(row)
            self.documents += size > 0
            self.bytes += size
            self.images += sum(one is not None for one in row["images"])

    def write(self, folder: str, split: str) -> dict[str, Any]:
        """Write the rows as a file of a split; return what they hold."""
        table = pa.Table.from_pylist(self.rows, schema=SCHEMA)
        with storage.new_file(storage.join(folder, f"{split}-00000-of-00001.parquet")) as stream:
            pq.write_table(table, stream, row_group_size=1000)
        return {"documents": self.documents, "bytes": self.bytes, "images": self.images}


@dataclass
class Change:
    """The documents of which the base keeps another text without one of its rules."""

    documents: Dataset = field(default_factory=Dataset)  # their text without the rule
    added_bytes: int = 0
    lost_bytes: int = 0

    def add(self, found: Replayed, base: str, name: str) -> None:
        """Compare what the base keeps of a document with what it keeps without the rule."""
        if found.drops.get(base) == found.drops.get(name):
            return
        before, after = found.paragraphs(base), found.paragraphs(name)
        added = [text for place, text in after.items() if place not in before]
        lost = [text for place, text in before.items() if place not in after]
        if added or lost:
            self.documents.add(_row_of_nodes(found, name), hold_place=True)
            self.added_bytes += _size(added)
            self.lost_bytes += _size(lost)

    def write(self, folder: str) -> dict[str, Any]:
        """Write the documents, if there are any; return what differs."""
        if self.documents.rows:
            self.documents.write(folder, "train")
        changed = len(self.documents.rows)
        return {"documents": changed, "added": self.added_bytes, "lost": self.lost_bytes}


def write(
    tables: RunTables, folder: str, request: Request, others: dict[str, OtherText]
) -> dict[str, Any]:
    """Write the datasets and return the contents of `proof.json`.

    `others`: extractors by name; for each, an arm has their text of the documents that the base
    keeps. Raises InputError when no gold text or no document is left.
    """
    scored = gold.held_out(gold.read(request.gold, request.language), request.held_out)
    if not scored:
        raise InputError(f"no gold text of language '{request.language}' is held out")
    arms = sets.shipped(request.base)
    rules = sets.without_each(arms[request.base])
    domains = {text.domain for text in scored}
    kept = {name: Dataset() for name in (*arms, *(f"{request.base}-{one}" for one in others))}
    changes = {name: Change() for name in rules}
    interleaved = Dataset()
    for found in replay(tables, {**arms, **rules}, request.fetched):
        if found.language != request.language:
            continue
        if found.row["domain"] in domains:
            interleaved.add(_row_of_nodes(found, request.base))
            continue
        for name in arms:
            kept[name].add(_row_of_nodes(found, name), hold_place=True)
        for name, change in changes.items():
            change.add(found, request.base, name)
        for name, extract in others.items():
            text = extract(found.row) if request.base in found.drops else None
            row = _row(found, [text] if text else [])
            kept[f"{request.base}-{name}"].add(row, hold_place=True)
    if not kept[request.base].documents:
        raise InputError(f"{tables.output}: '{request.base}' keeps no document to train on")
    _begin(folder)
    made = _write_training(folder, request, kept, changes)
    return _commit(folder, made, scored, interleaved)


def _begin(folder: str) -> None:
    """Empty the folder. Raises InputError if it holds anything but such datasets."""
    if storage.is_folder(folder) and storage.list_files(folder):
        if not storage.exists(storage.join(folder, FILE)):
            raise InputError(f"{folder}: holds other files; name a new folder")
        storage.delete_folder(folder)


def _write_training(
    folder: str, request: Request, kept: dict[str, Dataset], changes: dict[str, Change]
) -> dict[str, Any]:
    made: dict[str, Any] = {"version": VERSION, "base": request.base, "language": request.language}
    made["arms"] = {
        name: data.write(storage.join(folder, "arms", name), "train") for name, data in kept.items()
    }
    made["rules"] = {}
    for name, change in changes.items():
        made["rules"][name] = change.write(storage.join(folder, "rules", name))
    return made


def _commit(
    folder: str, made: dict[str, Any], scored: Iterable[gold.GoldText], interleaved: Dataset
) -> dict[str, Any]:
    texts = Dataset()
    for text in scored:
        texts.add(_plain_row(text.name, text.domain, made["language"], [text.text]))
    domains = len({row["host"] for row in texts.rows})
    made["gold"] = texts.write(storage.join(folder, "gold"), "test") | {"domains": domains}
    if interleaved.images:
        made["interleaved"] = interleaved.write(storage.join(folder, "interleaved"), "test")
    data = json.dumps(made, indent=1).encode()
    storage.write_bytes(storage.join(folder, FILE), data + b"\n")
    return made


def _row_of_nodes(found: Replayed, arm: str) -> dict[str, Any]:
    row = to_row(found.nodes(arm), found.row["url"], found.facts)
    return _row(found, row.texts) | {"images": row.images, "image_sha256": row.sha256}


def _row(found: Replayed, texts: list[Any]) -> dict[str, Any]:
    return _plain_row(found.row["doc_id"], found.row["domain"], found.language, texts)


def _plain_row(name: str, domain: str, language: str, texts: list[Any]) -> dict[str, Any]:
    nothing = [None] * len(texts)
    return {
        "doc_id": name,
        "host": domain,
        "lang": language,
        "texts": texts,
        "images": nothing,
        "image_sha256": nothing,
    }


def _size(texts: Iterable[str]) -> int:
    return sum(len(text.encode("utf-8", "replace")) for text in texts)
