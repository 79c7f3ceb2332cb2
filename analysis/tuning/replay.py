"""Decide again in memory: a run's signals under moved rules, exactly as the stage `decide` would.

All that the rules read is held in memory. When rules of nodes move, only the documents are judged
again in which a verdict on a node changes; when rules of documents move, none is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.analysis.tables import RunTables
from benben.analysis.tuning.what_if import SignalTable, WhatIf
from benben.filters.decide import Judged, Judgement, decide_batch, groups_of, judge_batch
from benben.filters.declaration import SCOPES, Integers, Mask, Nested, Scope
from benben.filters.signal_table import CATALOGUE, required_columns
from benben.pipeline import storage
from benben.pipeline.deduplication.duplicates import TABLES, Duplicates
from benben.pipeline.errors import InputError
from benben.pipeline.images.image_facts import ImageFacts
from benben.pipeline.settings.signals import Group, Rule, RuleSettings

COLUMNS: dict[Scope, str] = {"text_node": "paragraphs", "image_node": "images"}
NODES: tuple[Scope, ...] = ("text_node", "image_node")
CHUNK_ROWS = 50_000  # paragraphs and images that are judged at once
THREADS = 2
_BATCH = 1_000
_FIRST = ["reasons", "dropped"]  # of verdicts


@dataclass(frozen=True)
class Stored:
    """Documents of a run: their signals, and what was decided before the rules were applied."""

    signals: pa.RecordBatch  # without the documents that extraction rejected
    removed: tuple[pa.ListArray, ...] = ()  # nodes that were dropped before (NODE_VERDICTs)
    facts: pa.ListArray | None = None  # about the fetched images: see `decide_batch`
    repeated: tuple[pa.ListArray, ...] = ()  # nodes that deduplication dropped, with `facts`
    refused: Mask | None = None  # documents that other stages refused, whatever the rules say
    page_types: list[str] | None = None

    def __len__(self) -> int:
        return int(self.signals.num_rows)


def read(tables: RunTables, rules: RuleSettings, fetched: bool = False) -> Stored:
    """Read the signals that rules need, and which documents and nodes were taken down before.

    `fetched`: read what is known about fetched images, and duplicates, too.
    Raises InputError when the run has no verdicts, or no document that was extracted.
    """
    if fetched and not has_fetched(tables):
        raise InputError(f"{tables.output}: no images were fetched, or redecide has not run")
    parts = [
        _read_batch(batch, verdicts, documents, _AfterFetch.of(tables, part) if fetched else None)
        for part, (batch, verdicts, documents) in _aligned(tables, required_columns(rules), fetched)
    ]
    if not sum(len(part) for part in parts):
        what = "no documents that have signals and verdicts"
        raise InputError(f"{tables.output}: {what}; run decide first")
    refused = np.concatenate([one.refused for one in parts if one.refused is not None])
    types = [name for one in parts for name in one.page_types or []]
    signals = pa.concat_batches([one.signals for one in parts])
    removed = _joined([one.removed for one in parts])
    if not any(len(one.flatten()) for one in removed):
        removed = ()
    facts = pa.concat_arrays([one.facts for one in parts]) if fetched else None
    repeated = _joined([one.repeated for one in parts])
    return Stored(signals, removed, facts, repeated, refused, types)


def has_fetched(tables: RunTables) -> bool:
    """Tell whether a run has judged with images that it fetched."""
    final = tables.find("final_verdicts")
    used = tables.find("image_uses") is not None and final is not None
    return used and bool(final and final.config.get("fetch", {}).get("enabled"))


def _joined(columns: list[tuple[pa.ListArray, ...]]) -> tuple[pa.ListArray, ...]:
    return tuple(pa.concat_arrays(list(some)) for some in zip(*columns, strict=True))


@dataclass(frozen=True)
class _AfterFetch:
    """What stages after `decide` know of a part."""

    images: ImageFacts
    duplicates: list[Duplicates]

    @classmethod
    @lru_cache(maxsize=1)
    def of(cls, tables: RunTables, part: int) -> _AfterFetch:
        """Read the tables of a part."""

        def path(table: str) -> str | None:
            return next(iter(tables.paths(table).get(part, [])), None)

        duplicates = [Duplicates.read(path(name)) for name in TABLES]
        return cls(ImageFacts.read(path("image_uses"), path("image_worth")), duplicates)


def _read_batch(
    batch: pa.RecordBatch,
    verdicts: pa.RecordBatch,
    documents: pa.RecordBatch,
    after: _AfterFetch | None,
) -> Stored:
    extracted = batch.column("reason").is_null()
    own, known = verdicts.filter(extracted), documents.filter(extracted)
    first = [next(iter(names or ()), "") for names in own.column("reasons").to_pylist()]
    refused = np.array([bool(one) and not _of_a_rule(one) for one in first], np.bool_)
    types = [name or "" for name in known.column("page_type").to_pylist()]
    removed = (_before_rules(own.column("dropped")),)
    if after is None:
        return Stored(batch.filter(extracted), removed, None, (), refused, types)
    repeated = tuple(one.dropped_nodes(known) for one in after.duplicates)
    for one in after.duplicates:
        refused |= one.is_dropped(known)
    facts = after.images.of_images(known)
    return Stored(batch.filter(extracted), removed, facts, repeated, refused, types)


def _aligned(
    tables: RunTables, columns: list[str], fetched: bool
) -> Iterator[tuple[int, tuple[pa.RecordBatch, ...]]]:
    names = ("signals", "verdicts", "documents")
    parts = sorted(set.intersection(*(set(tables.paths(name)) for name in names)))
    own = ["doc_id", "page_type", *(["nodes"] if fetched else [])]
    wanted: list[list[str] | None] = [columns, _FIRST, own]
    for part, paths in zip(parts, tables.aligned(*names), strict=True):
        for batches in storage.iter_aligned(paths, wanted, _BATCH):
            yield part, batches


def _of_a_rule(reason: str) -> bool:
    scope, _, rest = reason.partition(".")
    return rest.rpartition(".")[0] in CATALOGUE.get(scope, {})  # type: ignore[call-overload]


def _before_rules(dropped: pa.ListArray) -> pa.ListArray:
    """The entries of a column `dropped` whose reason is not that of a rule."""
    entries = Nested(dropped)
    names, code = entries("reason")
    other = np.array([not _of_a_rule(name) for name in names], np.bool_)
    chosen = other[code] if len(names) else np.zeros(len(entries), np.bool_)
    counts = np.bincount(entries.document[chosen], minlength=len(dropped))
    offsets = pa.array(np.append(0, np.cumsum(counts)).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, entries.entries.filter(pa.array(chosen)))


class Replay:
    """The documents of a run, judged by rules that move.

    `tables`: what the rules of each scope judge; `kept`: which rows of each are kept in the end.
    """

    def __init__(self, stored: Stored, rules: RuleSettings) -> None:
        self.stored, self.rules = stored, rules
        self.ids: list[str] = stored.signals.column("doc_id").to_pylist()
        nested = {scope: Nested(stored.signals.column(COLUMNS[scope])) for scope in NODES}
        self.first = {scope: one.first for scope, one in nested.items()}
        codes = stored.signals.column("language").fill_null("").dictionary_encode()
        self.languages: list[str] = codes.dictionary.to_pylist()
        language = codes.indices.to_numpy().astype(np.int16)
        self.tables: dict[Scope, SignalTable] = {}
        self.kept: dict[Scope, Mask] = {}
        everything = np.arange(len(stored))
        for scope in SCOPES:
            document = nested[scope].document if scope in nested else everything
            index = (
                nested[scope].integers("index").astype(np.int32)
                if scope in nested
                else np.full(len(document), -1, np.int32)
            )
            self.tables[scope] = SignalTable(
                scope, {}, self.languages, language[document], document, index, self.ids
            )
            self.kept[scope] = np.ones(len(document), np.bool_)
        # How often what a rule sees was written.
        self.versions: dict[tuple[Scope, str], int] = {}
        self._group(rules)
        rows = max(1, sum(int(first[-1]) for first in self.first.values()))
        self.chunk = max(1, CHUNK_ROWS * len(stored) // rows)  # documents that are judged at once
        self._stale = np.zeros(len(stored), np.bool_)  # documents that must be judged again
        self._fixed: dict[Scope, set[str]] = {}  # rules whose values do not depend on other rules
        self.what_if = {scope: WhatIf(table) for scope, table in self.tables.items()}
        self._judge_all()

    def __len__(self) -> int:
        return len(self.stored)

    def _group(self, rules: RuleSettings) -> None:
        """Find the groups of each row that rules have bounds for."""
        wanted = {scope: {by for rule in getattr(rules, scope).values() for by in rule.by}
                  for scope in SCOPES}  # fmt: skip
        for scope, names in wanted.items():
            groupings = self.tables[scope].groupings
            missing = sorted(names - groupings.keys())
            found = groups_of(self.stored.signals, scope, missing, self.stored.facts)
            for by, (known, code) in zip(missing, found, strict=True):
                groupings[by] = known, code.astype(np.int16)

    def move(self, rules: RuleSettings, later: bool = False) -> int:
        """Apply other rules; returns how many documents must be judged again.

        With `later`, `settle` does that.
        """
        before, self.rules = self.rules, rules
        self._group(rules)
        if _shape(before) != _shape(rules):
            self._judge_all()
            return len(self)
        found = self._changed(before)
        self._stale[found] = True
        if not later:
            self.settle()
        return len(found)

    def settle(self, seconds: float | None = None) -> int:
        """Judge again what moved; returns how many documents are left, 0 once all counts hold.

        `seconds`: begin no further part of them after this time. None: all.
        """
        begin = time.monotonic()
        waiting = np.flatnonzero(self._stale)
        size = self.chunk * THREADS
        for start in range(0, len(waiting), size):
            if start and seconds is not None and time.monotonic() - begin > seconds:
                break
            self._judge(waiting[start : start + size])
        self._keep_documents()
        return int(np.count_nonzero(self._stale))

    def ships(self, scope: Scope) -> Mask:
        """Rows that are kept, in documents that are kept."""
        kept = self.kept[scope]
        if scope == "document":
            return kept
        return kept & self.kept["document"][self.tables[scope].document]

    def _changed(self, before: RuleSettings) -> Integers:
        """The documents in which a verdict on a node may have changed."""
        changed = np.zeros(len(self), np.bool_)
        for scope in NODES:
            table, what_if = self.tables[scope], self.what_if[scope]
            for name, rule in getattr(self.rules, scope).items():
                old = getattr(before, scope)[name]
                twice = rule.over != "paragraph" or _grouped_later(scope, rule)
                if rule != old and twice and self.stored.facts is not None:
                    return np.arange(len(self))  # judged twice, on different rows or bounds
                if rule != old and name in table:
                    differs = what_if.failing(name, old) ^ what_if.failing(name, rule)
                    rows = np.flatnonzero(np.unpackbits(differs, count=len(table)))
                    changed[table.document[rows]] = True
        return np.flatnonzero(changed)

    def _keep_documents(self) -> None:
        kept = self.what_if["document"].kept(self.rules.document)
        if self.stored.refused is not None:
            kept &= ~self.stored.refused
        self.kept["document"] = kept

    def _judge(self, documents: Integers) -> None:
        """Judge some documents, and write down what their rules saw."""
        parts = [
            documents[start : start + self.chunk] for start in range(0, len(documents), self.chunk)
        ]
        with ThreadPoolExecutor(THREADS) as pool:
            for part, judged in zip(parts, pool.map(self._judged, parts), strict=True):
                self._write(part, judged)
        self._stale[documents] = False

    def _judged(self, documents: Integers) -> Judged:
        place = pa.array(documents)
        stored = self.stored
        removed = [one.take(place) for one in stored.removed]
        whole = len(documents) == len(self)
        signals = stored.signals if whole else stored.signals.take(place)
        if stored.facts is None:
            return judge_batch(signals, self.rules, None, removed)
        # as the stages do: before the fetch, and again with what it found
        first = decide_batch(signals, self.rules, None, removed)["dropped"]
        gone = [first, *(one.take(place) for one in stored.repeated)]
        return judge_batch(signals, self.rules, stored.facts.take(place), gone)

    def _write(self, documents: Integers, judged: Judged) -> None:
        for scope in SCOPES:
            rows = documents if scope == "document" else _rows(self.first[scope], documents)
            for name, seen in judged.seen[scope].items():
                if name not in self._fixed[scope]:
                    self._write_rule(scope, name, seen.judged, rows)
            if scope != "document":
                self.kept[scope][rows] = judged.kept[scope]

    def _write_rule(self, scope: Scope, name: str, judged: Judgement, rows: Integers) -> None:
        table = self.tables[scope]
        if CATALOGUE[scope][name].names:
            changes = _set(table.refused, name, len(table), rows, judged.failed)
        else:
            changes = _set_numbers(table.values, name, len(table), rows, judged.values)
            if judged.applies is None:
                table.applies.pop(name, None)
            else:
                changes |= _set(table.applies, name, len(table), rows, judged.applies)
            if scope == "document" and self.stored.facts is None:
                trend = CATALOGUE[scope][name].trend
                table.pending[name] = PENDING.get(trend or "", frozenset())
        if changes:
            self.what_if[scope].renew(name, rows)
            self.versions[scope, name] = self.versions.get((scope, name), 0) + 1

    def _judge_all(self) -> None:
        """Judge every document; what a rule on single nodes sees does not change after that."""
        self._fixed = {scope: set() for scope in SCOPES}
        everything = np.arange(len(self))
        self._stale[:] = True
        for start in range(0, len(self), self.chunk * THREADS):
            self._judge(everything[start : start + self.chunk * THREADS])
        for scope in NODES:
            rules: dict[str, Rule] = getattr(self.rules, scope)
            self._fixed[scope] = {name for name, one in rules.items() if one.over == "paragraph"}
        self._keep_documents()


PENDING = {
    "falls": frozenset({"max", "below"}),
    "rises": frozenset({"min"}),
    "either": frozenset({"min", "max", "below"}),
}  # ends that documents are not judged by before the fetch, by the trend of the signal


def _shape(rules: RuleSettings) -> object:
    """What decides which values rules judge, apart from their bounds."""
    return rules.inherit, [
        (scope, name, rule.over, rule.when, rule.one_of, _names(rule))
        for scope in SCOPES
        for name, rule in getattr(rules, scope).items()
    ]


def _names(rule: Rule) -> dict[Group, list[str] | None]:
    return {group: bounds.one_of for group, bounds in rule.groups().items()}


def _grouped_later(scope: Scope, rule: Rule) -> bool:
    """Whether a row may have another group once images are fetched."""
    return any(by in CATALOGUE[scope] and CATALOGUE[scope][by].after_fetch for by in rule.by)


def _rows(first: Integers, documents: Integers) -> Integers:
    """The rows of documents in a table of nodes."""
    lengths = first[documents + 1] - first[documents]
    starts = np.repeat(first[documents] - np.append(0, np.cumsum(lengths)[:-1]), lengths)
    return starts + np.arange(len(starts))


def _set(columns: dict[str, Mask], name: str, size: int, rows: Integers, values: Mask) -> bool:
    """Write values into a column; tells whether it is new or they differ from what was there."""
    new = name not in columns
    if new:
        columns[name] = np.zeros(size, np.bool_)
    same = np.array_equal(columns[name][rows], values)
    columns[name][rows] = values
    return new or not same


def _set_numbers(
    columns: dict[str, NDArray[np.floating]], name: str, size: int, rows: Integers,
    values: NDArray[np.float64],
) -> bool:  # fmt: skip
    """As `_set`, into a column which is made wider when it cannot hold them exactly."""
    new = name not in columns
    if new:
        columns[name] = np.full(size, np.nan, np.float32)
    column = columns[name]
    if column.dtype == np.float32 and not _is_narrow(values):
        column = columns[name] = column.astype(np.float64)
    same = np.array_equal(column[rows], values, equal_nan=True)
    column[rows] = values
    return new or not same


def _is_narrow(values: NDArray[np.float64]) -> bool:
    """Whether 32 bits hold the values exactly."""
    with np.errstate(over="ignore"):
        return bool(np.array_equal(values.astype(np.float32), values, equal_nan=True))


def page_types(stored: Stored) -> Mapping[str, int]:
    """Number of documents of each page type."""
    found: dict[str, int] = {}
    for name in stored.page_types or []:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
