"""Distributions of a run's records, and the drift between two runs.

There is a histogram for each signal and for each fact about images and shipped documents, and a
count of each name (languages, hosts, domains, image formats).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.report.histogram import Histogram
from benben.analysis.tables import RunTables
from benben.filters.columns import Nested, evaluate, paragraph_count
from benben.filters.signal import CATALOGUE, Scope, Signal
from benben.filters.sums import Sums
from benben.pipeline import storage
from benben.pipeline.url import domain

BATCH_DOCUMENTS = 2_000
NESTED: dict[Scope, str] = {"text_node": "paragraphs", "image_node": "images"}
IMAGE_FACTS = (
    ("width", "px", "width of the fetched image"),
    ("height", "px", "height of the fetched image"),
    ("num_bytes", "bytes", "size of the fetched image"),
)
ROW_FACTS = (
    ("num_words", "count", "words of a shipped document"),
    ("num_images", "count", "images of a shipped document"),
    ("num_tokens", "count", "tokens of a shipped document's text, estimated"),
    ("language_score", "share", "how sure the language of a shipped document is"),
    ("perplexity", "ratio", "of a shipped document's text, by a language model"),
    ("quality", "share", "of a shipped document, by a classifier"),
    ("nsfw", "share", "highest score for adult content of a shipped document's images"),
)


@dataclass
class Distributions:
    """Histograms by group, and how often each name occurs."""

    groups: dict[str, list[Histogram]] = field(default_factory=dict)
    names: dict[str, Counter[str]] = field(default_factory=dict)


def distributions(tables: RunTables) -> Distributions:
    """Gather everything in one pass over each table."""
    found = Distributions()
    if tables.find("signals"):
        _signals(tables, found)
    _facts(tables, found, "images", "fetched images", IMAGE_FACTS)
    _facts(tables, found, "dataset/data", "shipped documents", ROW_FACTS)
    _names(tables, found)
    return found


def _signals(tables: RunTables, found: Distributions) -> None:
    verdicts = tables.find(tables.verdicts)
    rules = verdicts.config.get("rules", {}) if verdicts else {}
    groups = {scope: _histograms(scope, rules.get(scope, {})) for scope in CATALOGUE}
    for batch, kept in _judged(tables):
        paragraphs, images = (Nested(batch.column(name)) for name in NESTED.values())
        everything = np.ones(len(paragraphs), bool), np.ones(len(images), bool)
        sums = Sums(batch, paragraphs, images, *everything, np.zeros(len(images), bool))
        extracted = batch["reason"].is_null().to_numpy(zero_copy_only=False)
        counts = partial(paragraph_count, paragraphs)
        for histogram in groups["text_node"]:
            values = evaluate("text_node", histogram.name, counts)
            histogram.add(values, kept[paragraphs.document])
        for histogram in groups["image_node"]:
            values = evaluate("image_node", histogram.name, images)
            histogram.add(values, kept[images.document])
        for histogram in groups["document"]:
            values = evaluate("document", histogram.name, sums)
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
    """Numbers that the table of signals has; what is known after the fetch is drawn from there."""
    return not (signal.names or signal.after_fetch or signal.name == "nsfw_images")


def _bounds(rule: Mapping[str, Any] | None) -> tuple[float, ...]:
    bounds = [rule.get(end) for end in ("min", "max", "below")] if rule else []
    return tuple(float(bound) for bound in bounds if bound is not None)


def _judged(tables: RunTables) -> Iterator[tuple[pa.RecordBatch, Any]]:
    """Batches of signals, each with which of its documents the rules keep."""
    if tables.find(tables.verdicts) is None:
        for batch in tables.batches("signals"):
            yield batch, np.ones(batch.num_rows, bool)
        return
    for paths in tables.aligned("signals", tables.verdicts):
        for batch, verdicts in storage.iter_aligned(paths, [None, ["kept"]], BATCH_DOCUMENTS):
            yield batch, verdicts["kept"].to_numpy(zero_copy_only=False)


def _facts(
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


def _names(tables: RunTables, found: Distributions) -> None:
    for title, table, column in (
        ("languages of all documents", "signals", "language"),
        ("languages shipped", "dataset/data", "lang"),
        ("hosts of all documents", "documents", "host"),
        ("hosts shipped", "dataset/data", "host"),
        ("image formats", "images", "format"),
    ):
        counter: Counter[str] = Counter()
        for batch in tables.batches(table, [column]):
            for entry in pc.value_counts(batch.column(column).drop_null()).to_pylist():
                counter[entry["values"]] += entry["counts"]
        if counter:
            found.names[title] = counter
    if "hosts shipped" in found.names:
        domains = found.names["domains shipped"] = Counter()
        for host, number in found.names["hosts shipped"].items():
            domains[domain(host)] += number


@dataclass(frozen=True)
class Shift:
    """One signal in two runs."""

    group: str
    name: str
    distance: float  # 0 the same .. 1 nothing in common
    before: float | None = None  # means, for numbers
    after: float | None = None


def compare(before: Distributions, after: Distributions) -> list[Shift]:
    """Signals and names that both runs have, the most shifted first."""
    shifts = []
    for group, histograms in before.groups.items():
        others = {other.name: other for other in after.groups.get(group, [])}
        for one in histograms:
            other = others.get(one.name)
            if other is not None and one.number and other.number:
                distance = kolmogorov(one, other)
                shifts.append(Shift(group, one.name, distance, one.mean, other.mean))
    for name, counts in before.names.items():
        if name in after.names:
            shifts.append(Shift("names", name, total_variation(counts, after.names[name])))
    return sorted(shifts, key=lambda shift: (-shift.distance, shift.group, shift.name))


def kolmogorov(one: Histogram, other: Histogram) -> float:
    """Largest gap between the two cumulative distributions (Kolmogorov-Smirnov), by bins."""
    left, right = (np.cumsum(each.kept + each.dropped) / each.number for each in (one, other))
    return float(np.abs(left - right).max())


def total_variation(one: Counter[str], other: Counter[str]) -> float:
    """Half the summed difference of the shares of each name."""
    names = one.keys() | other.keys()
    left, right = one.total(), other.total()
    return sum(abs(one[name] / left - other[name] / right) for name in names) / 2
