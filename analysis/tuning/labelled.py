"""The labelled documents of a run: what each paragraph, image and document holds that is wanted.

Labels are the main text that people marked (`gold_text`, matched to paragraphs) or verdicts of
people on documents and nodes (keep or drop).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.tables import RunTables
from benben.analysis.tuning import exchange
from benben.analysis.tuning.gold import align, records
from benben.analysis.tuning.labels import Key
from benben.filters.declaration import Floats, Integers, Nested, Scope
from benben.pipeline import storage
from benben.pipeline.errors import InputError
from benben.pipeline.url import domain

FOLDS = 5
DOCUMENT = -1  # index that stands for the document itself
_BATCH = 500  # documents whose text is read at once


@dataclass(frozen=True)
class Labels:
    """What a file of labels says."""

    gold: dict[str, str] = field(default_factory=dict)  # URL or document id -> main text
    verdicts: dict[Key, bool] = field(default_factory=dict)  # whether to keep a document or node


@dataclass(frozen=True)
class Weights:
    """How much of each row of a scope is wanted and unwanted: tokens of gold text, else rows."""

    gold: Floats
    other: Floats

    def __len__(self) -> int:
        return len(self.gold)


@dataclass(frozen=True)
class Labelled:
    """Labelled documents of a run, with the weights of each scope that has labels."""

    signals: pa.RecordBatch
    fold: Integers  # of each document; documents of one domain share theirs
    domains: int
    weights: dict[Scope, Weights]
    gold_pages: int = 0


def read(path: str) -> Labels:
    """Read labels: JSON lines of `url` and `gold_text`, or any format of `exchange`; also gzipped.

    Raises InputError when there is no such file, or it holds no labels.
    """
    if not storage.exists(path):
        raise InputError(f"{path}: no such file of labels")
    data = storage.read_plain(path)
    gold = _gold(data, path)
    found = Labels(gold) if gold else Labels(verdicts=exchange.read(data, path))
    if not (found.gold or found.verdicts):
        raise InputError(f"{path}: no labels in it")
    return found


def _gold(data: bytes, path: str) -> dict[str, str]:
    """Main texts by URL or document id; nothing unless the lines are such records."""
    if b'"gold_text"' not in data:
        return {}
    found: dict[str, str] = {}
    for row in records(data, path):
        key = row.get("doc_id") or row.get("url")
        if key and row.get("gold_text"):
            found.setdefault(key, row["gold_text"])
    return found


def collect(tables: RunTables, labels: Labels, columns: list[str]) -> Labelled:
    """Find the labelled documents of a run, with `columns` of their signals.

    Raises InputError when the run has none of them.
    """
    signals, hosts = [], []
    gold = {"text_node": list[Floats](), "image_node": list[Floats](), "document": list[Floats]()}
    other = {name: list[Floats]() for name in gold}
    matched = 0
    for measured, documents in _pairs(tables, columns):
        wanted = np.array([_has_label(row, labels) for row in documents], np.bool_)
        wanted &= measured.column("reason").is_null().to_numpy(zero_copy_only=False)
        if not wanted.any():
            continue
        chosen = measured.filter(pa.array(wanted))
        rows = [row for row, mine in zip(documents, wanted, strict=True) if mine]
        signals.append(chosen)
        hosts += [row["host"] or row["url"] for row in rows]
        matched += sum(bool(_text(row, labels)) for row in rows)
        for scope, (good, bad) in _weigh(chosen, rows, labels).items():
            gold[scope].append(good)
            other[scope].append(bad)
    if not signals:
        raise InputError(f"{tables.output}: none of its documents has a label")
    weights: dict[Scope, Weights] = {}
    for scope in ("text_node", "image_node", "document"):
        good, bad = np.concatenate(gold[scope]), np.concatenate(other[scope])
        if good.any() or bad.any():
            weights[scope] = Weights(good, bad)  # type: ignore[index]
    domains = [domain(host) or host for host in hosts]
    fold = np.array([fold_of(name) for name in domains])
    return Labelled(pa.concat_batches(signals), fold, len(set(domains)), weights, matched)


def fold_of(name: str) -> int:
    """The part of a cross-validation that a domain belongs to."""
    return hashlib.blake2b(name.encode(), digest_size=4).digest()[0] % FOLDS


def _pairs(
    tables: RunTables, columns: list[str]
) -> Iterator[tuple[pa.RecordBatch, list[dict[str, Any]]]]:
    """Batches of signals, each with its documents' id, URL, host and text nodes."""
    for signals, documents in tables.aligned("signals", "documents"):
        wanted = ["doc_id", "url", "host", "nodes"]
        for measured, rows in storage.iter_aligned([signals, documents], [columns, wanted], _BATCH):
            yield measured, rows.to_pylist()


def _text(row: Mapping[str, Any], labels: Labels) -> str:
    return labels.gold.get(row["doc_id"]) or labels.gold.get(row["url"]) or ""


def _has_label(row: Mapping[str, Any], labels: Labels) -> bool:
    if _text(row, labels):
        return True
    nodes = row["nodes"] or []
    indices = [DOCUMENT, *(node["index"] for node in nodes)] if labels.verdicts else []
    return any((row["doc_id"], index) in labels.verdicts for index in indices)


def _weigh(
    signals: pa.RecordBatch, rows: list[dict[str, Any]], labels: Labels
) -> dict[str, tuple[Floats, Floats]]:
    """Wanted and unwanted parts of each paragraph, image and document of some documents."""
    texts = Nested(signals.column("paragraphs"))
    images = Nested(signals.column("images"))
    verdicts = labels.verdicts
    found = {
        "text_node": _by_verdict(_keys(texts, rows), verdicts),
        "image_node": _by_verdict(_keys(images, rows), verdicts),
        "document": _by_verdict([(row["doc_id"], DOCUMENT) for row in rows], verdicts),
    }
    for number, row in enumerate(rows):
        if text := _text(row, labels):
            nodes = [(one["index"], one["text"]) for one in row["nodes"] or [] if one["text"]]
            parts = align(nodes, text)
            begin, end = texts.first[number], texts.first[number + 1]
            if len(parts) != end - begin:
                raise InputError(f"{row['doc_id']}: its texts and its signals differ")
            found["text_node"][0][begin:end] = [part.gold for part in parts]
            found["text_node"][1][begin:end] = [part.other for part in parts]
    return found


def _keys(nodes: Nested, rows: list[dict[str, Any]]) -> list[Key]:
    index = nodes.integers("index").tolist()
    return [(rows[row]["doc_id"], at) for row, at in zip(nodes.document, index, strict=True)]


def _by_verdict(keys: list[Key], verdicts: Mapping[Key, bool]) -> tuple[Floats, Floats]:
    given = [verdicts.get(key) for key in keys]
    return (
        np.array([one is True for one in given], np.float64),
        np.array([one is False for one in given], np.float64),
    )


def subset(labelled: Labelled, chosen: Any) -> Labelled:
    """The labelled documents of a mask."""
    signals = labelled.signals.filter(pa.array(chosen))
    weights: dict[Scope, Weights] = {}
    for scope, one in labelled.weights.items():
        rows = chosen
        if scope != "document":
            column = "paragraphs" if scope == "text_node" else "images"
            rows = chosen[Nested(labelled.signals.column(column)).document]
        weights[scope] = Weights(one.gold[rows], one.other[rows])
    return Labelled(signals, labelled.fold[chosen], labelled.domains, weights)


def languages(labelled: Labelled) -> dict[str, int]:
    """Number of labelled documents of each language that was identified."""
    counted = pc.value_counts(labelled.signals.column("language")).to_pylist()
    return {one["values"]: one["counts"] for one in counted if one["values"]}
