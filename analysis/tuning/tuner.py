"""Tuning as the notebook does it: a run's signals, thresholds that move, documents at the margin.

tuner = Tuner("runs/mine", "default")  # or with scope="text_node": its paragraphs
tuner.ask()                          # kept, dropped, marginal, overlap: no text is read
tuner.move("words", "min", 80)       # the same with another threshold
tuner.margin("words", 5)             # documents nearest the bound, as HTML with images
tuner.label(doc_id, keep=False)
tuner.scores(); tuner.propose("words", "min", precision=0.9)
tuner.write("configs/mine.yaml")
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import yaml

from benben.analysis.provenance import explain
from benben.analysis.provenance.history import trace
from benben.analysis.tables import RunTables
from benben.analysis.tuning import labels
from benben.analysis.tuning.labels import End, Proposal, Scores
from benben.analysis.tuning.what_if import Questions, Sheet, WhatIf, load
from benben.filters.required_columns import columns
from benben.filters.rule import read
from benben.filters.signal import Scope
from benben.pipeline import config, storage

LABELS = "labels.jsonl"


class Tuner:
    """One scope's rules over one run."""

    def __init__(self, output: str, rules: str = "default", scope: Scope = "document") -> None:
        """`rules` is a config's name or path. Raises InputError, ConfigError."""
        self.tables, self.scope = RunTables(output), scope
        self.source = config.find(rules)
        self.rules = read(rules)
        self.sheet: Sheet = load(self._signals(), self.rules, scope)
        self.labels = labels.read(storage.join(output, LABELS))
        self._questions = Questions(self.sheet)

    def ask(self) -> WhatIf:
        """What the rules, as they stand, do."""
        return self._questions.ask(getattr(self.rules, self.scope))

    def move(self, signal: str, end: End, bound: float) -> WhatIf:
        """Set a bound and ask again. Raises KeyError for a signal without a rule."""
        rules = dict(getattr(self.rules, self.scope))
        rules[signal] = labels.with_bound(rules[signal], end, bound)
        self.rules = self.rules.model_copy(update={self.scope: rules})
        return self.ask()

    def nearest(self, signal: str, number: int) -> list[labels.Key]:
        """Rows with a value nearest the signal's bounds, on either side of each bound."""
        rule, values = getattr(self.rules, self.scope)[signal], self.sheet.values[signal]
        chosen: list[labels.Key] = []
        for bound in labels.bounds_of(rule).values():
            distance = np.abs(values - bound)
            for side in (values < bound, values >= bound):
                rows = np.flatnonzero(side & ~np.isnan(values))
                for row in rows[np.argsort(distance[rows], kind="stable")[:number]].tolist():
                    chosen.append((self.sheet.ids[self.sheet.document[row]],
                                   int(self.sheet.index[row])))  # fmt: skip
        return list(dict.fromkeys(chosen))

    def margin(self, signal: str, number: int = 3) -> dict[labels.Key, str]:
        """Rows at the margin as HTML, with the images the run has: the page's story, or a node."""
        pages: dict[labels.Key, str] = {}
        for doc_id, index in self.nearest(signal, number):
            found = trace(self.tables, doc_id)
            if found is not None:
                only = None if self.scope == "document" else index
                pages[doc_id, index] = explain.as_html(found, only)
        return pages

    def label(self, doc_id: str, keep: bool, index: int = -1) -> None:
        """Label a document (or one of its nodes) and save all labels beside the run."""
        self.labels[doc_id, index] = keep
        labels.save(storage.join(self.tables.output, LABELS), self.labels)

    def scores(self, seed: int = 0) -> dict[str, Scores]:
        """Precision, recall and F1 of each rule and of the chain on the labelled rows."""
        return labels.evaluate(self.sheet, getattr(self.rules, self.scope), self.labels, seed)

    def propose(
        self,
        signal: str,
        end: Literal["min", "max"],
        precision: float | None = None,
        recall: float | None = None,
    ) -> Proposal | None:
        """Best bound by the labels: see `labels.propose`."""
        rows, keep = labels.align(self.sheet, self.labels)
        return labels.propose(self.sheet.values[signal][rows], keep, end, precision, recall)

    def write(self, path: str) -> None:
        """Write a config that is based on the one given, with the rules as they stand."""
        rules = self.rules.model_dump(exclude_none=True, exclude_defaults=True)
        data = {"base": str(self.source), "rules": rules}
        storage.write_bytes(path, yaml.safe_dump(data, sort_keys=False).encode())

    def _signals(self) -> Iterator[pa.RecordBatch]:
        return self.tables.batches("signals", columns(self.rules))
