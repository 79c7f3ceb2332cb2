"""Distributions of a run's records, and the drift between two runs.

There is a histogram for each signal and for each fact about images and shipped documents, and a
count of each name (languages, hosts, domains, image formats).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.report.histogram import Histogram
from benben.analysis.tables import RunTables
from benben.filters.declaration import KeptNodes, Nested, Scope, Signal, node_counts
from benben.filters.signal_table import CATALOGUE
from benben.pipeline import storage
from benben.pipeline.url import domain

BATCH_DOCUMENTS = 2_000
NESTED: dict[Scope, str] = {"text_node": "paragraphs", "image_node": "images"}  # list columns
# (column, unit, meaning)
IMAGE_FACTS = (
    ("width", "px", "width of the fetched image"),
    ("height", "px", "height of the fetched image"),
    ("num_bytes", "bytes", "size of the fetched image"),
)
DOCUMENT_FACTS = (
    ("num_words", "count", "words of the document"),
    ("num_images", "count", "images of the document"),
    ("num_tokens", "count", "estimated tokens of the document's text"),
    ("language_score", "share", "confidence in the document's language"),
    ("perplexity", "ratio", "perplexity of the document's text under a language model"),
    ("quality", "share", "quality of the document by a classifier"),
    ("nsfw", "share", "highest adult-content score of the document's images"),
)
SHIPPED_HOSTS, SHIPPED_DOMAINS = "hosts of shipped documents", "domains of shipped documents"
# (title, table, column)
NAMES = (
    ("languages of all documents", "signals", "language"),
    ("languages of shipped documents", "dataset/data", "lang"),
    ("hosts of all documents", "documents", "host"),
    (SHIPPED_HOSTS, "dataset/data", "host"),
    ("formats of fetched images", "images", "format"),
)


@dataclass
class Distributions:
    """Histograms by group, and counts of names (languages, hosts, ...) by title."""

    groups: dict[str, list[Histogram]] = field(default_factory=dict)
    names: dict[str, Counter[str]] = field(default_factory=dict)


def distributions(tables: RunTables) -> Distributions:
    """Collect all distributions of a run; reads each table once per group."""
    found = Distributions()
    if tables.find("signals"):
        _add_signals(tables, found)
    _add_facts(tables, found, "images", "fetched images", IMAGE_FACTS)
    _add_facts(tables, found, "dataset/data", "shipped documents", DOCUMENT_FACTS)
    _add_names(tables, found)
    return found


@dataclass(frozen=True)
class Shift:
    """How far one signal, fact or kind of name differs between two runs."""

    group: str
    name: str
    distance: float  # from 0 (equal) to 1 (nothing in common)
    before: float | None = None  # mean in the first run, for numbers
    after: float | None = None  # mean in the second run


def compare(before: Distributions, after: Distributions) -> list[Shift]:
    """The drift between two runs: everything that both have, largest distance first."""
    shifts = []
    for group, histograms in before.groups.items():
        others = {other.name: other for other in after.groups.get(group, [])}
        for one in histograms:
            other = others.get(one.name)
            if other is not None and one.number and other.number:
                distance = _kolmogorov_smirnov(one, other)
                shifts.append(Shift(group, one.name, distance, one.mean, other.mean))
    for title, counts in before.names.items():
        if title in after.names:
            shifts.append(Shift("names", title, _total_variation(counts, after.names[title])))
    return sorted(shifts, key=lambda shift: (-shift.distance, shift.group, shift.name))


def _kolmogorov_smirnov(one: Histogram, other: Histogram) -> float:
    """Largest difference of the cumulative distributions, to the width of a bin."""
    left, right = (np.cumsum(each.kept + each.dropped) / each.number for each in (one, other))
    return float(np.abs(left - right).max())


def _total_variation(one: Counter[str], other: Counter[str]) -> float:
    """Half the sum of the differences between the shares of each name."""
    names = one.keys() | other.keys()
    left, right = one.total(), other.total()
    return sum(abs(one[name] / left - other[name] / right) for name in names) / 2


def _add_signals(tables: RunTables, found: Distributions) -> None:
    verdicts = tables.find(tables.verdicts)
    rules = verdicts.config.get("rules", {}) if verdicts else {}
    groups = {scope: _histograms(scope, rules.get(scope, {})) for scope in CATALOGUE}
    for batch, kept in _batches_with_kept(tables):
        paragraphs, images = (Nested(batch.column(name)) for name in NESTED.values())
        everything = np.ones(len(paragraphs), bool), np.ones(len(images), bool)
        kept_nodes = KeptNodes(batch, paragraphs, images, *everything, np.zeros(len(images), bool))
        extracted = batch["reason"].is_null().to_numpy(zero_copy_only=False)
        for histogram in groups["text_node"]:
            values = CATALOGUE["text_node"][histogram.name].values(node_counts(paragraphs))
            histogram.add(values, kept[paragraphs.document])
        for histogram in groups["image_node"]:
            values = CATALOGUE["image_node"][histogram.name].values(node_counts(images))
            histogram.add(values, kept[images.document])
        for histogram in groups["document"]:
            values = CATALOGUE["document"][histogram.name].values(kept_nodes)
            histogram.add(values[extracted], kept[extracted])
    for scope, histograms in groups.items():
        found.groups[f"{scope.replace('_', ' ')} signals"] = [h for h in histograms if h.number]


def _histograms(scope: Scope, rules: Mapping[str, Any]) -> list[Histogram]:
    return [
        Histogram(signal.name, signal.unit, signal.meaning, _bounds(rules.get(signal.name)))
        for signal in CATALOGUE[scope].values()
        if _measured(signal)
    ]


def _measured(signal: Signal) -> bool:
    """Whether the table of signals holds the signal as a number.

    Signals that are known only after the fetch are covered by the facts about images.
    """
    return not (signal.names or signal.after_fetch or signal.name == "nsfw_images")


def _bounds(rule: Mapping[str, Any] | None) -> tuple[float, ...]:
    bounds = [rule.get(end) for end in ("min", "max", "below")] if rule else []
    return tuple(float(bound) for bound in bounds if bound is not None)


def _batches_with_kept(tables: RunTables) -> Iterator[tuple[pa.RecordBatch, Any]]:
    """Batches of signals, each with a mask of the documents that the rules keep."""
    if tables.find(tables.verdicts) is None:
        for batch in tables.batches("signals"):
            yield batch, np.ones(batch.num_rows, bool)
        return
    for paths in tables.aligned("signals", tables.verdicts):
        for batch, verdicts in storage.iter_aligned(paths, [None, ["kept"]], BATCH_DOCUMENTS):
            yield batch, verdicts["kept"].to_numpy(zero_copy_only=False)


def _add_facts(
    tables: RunTables,
    found: Distributions,
    table: str,
    group: str,
    facts: tuple[tuple[str, str, str], ...],
) -> None:
    histograms = [Histogram(*fact) for fact in facts]
    for batch in tables.batches(table, [name for name, _, _ in facts]):
        for histogram in histograms:
            column = batch.column(histogram.name).drop_null()
            histogram.add(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
    known = [histogram for histogram in histograms if histogram.number]
    if known:
        found.groups[group] = known


def _add_names(tables: RunTables, found: Distributions) -> None:
    for title, table, column in NAMES:
        counter: Counter[str] = Counter()
        for batch in tables.batches(table, [column]):
            for entry in pc.value_counts(batch.column(column).drop_null()).to_pylist():
                counter[entry["values"]] += entry["counts"]
        if counter:
            found.names[title] = counter
    if SHIPPED_HOSTS in found.names:
        domains = found.names[SHIPPED_DOMAINS] = Counter()
        for host, number in found.names[SHIPPED_HOSTS].items():
            domains[domain(host)] += number
