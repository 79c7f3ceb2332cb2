"""Tune the rules of a finished run, as the notebook `tuning.ipynb` does.

tuner = Tuner("runs/mine")  # or with scope="text_node" for paragraphs
tuner.effects()                      # counts of kept and dropped rows; reads no text
tuner.move("words", "min", 80)       # the same with another threshold
tuner.margin("words", 5)             # rows nearest to the bounds, as HTML with images
tuner.label(doc_id, keep=False)
tuner.scores(); tuner.propose("words", "min", precision=0.9)
tuner.write("configs/mine.yaml")
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa

from benben.analysis.provenance import explain
from benben.analysis.provenance.history import history
from benben.analysis.tables import RunTables
from benben.analysis.tuning import labels, written
from benben.analysis.tuning.labels import End, Proposal, Scores
from benben.analysis.tuning.what_if import Effects, SignalTable, WhatIf, load
from benben.filters.declaration import Scope
from benben.filters.signal_table import read_rules, required_columns
from benben.pipeline import config, storage

LABELS = "labels.jsonl"  # in the run's folder


class Tuner:
    """The rules of one scope, applied to one run."""

    def __init__(self, output: str, rules: str | None = None, scope: Scope = "document") -> None:
        """Load a run's signals, and the rules of a config; default: the run's own.

        Raises InputError when there is no run and ConfigError when the config is not valid.
        """
        self.tables, self.scope = RunTables(output), scope
        rules = rules or config.of_run(output) or "default"
        self.source = config.find(rules)
        self.rules = read_rules(rules)
        self.table: SignalTable = load(self._signals(), self.rules, scope)
        self.labels = labels.read(storage.join(output, LABELS))
        self._what_if = WhatIf(self.table)

    def effects(self) -> Effects:
        """Count what the current rules keep and drop."""
        return self._what_if.effects(getattr(self.rules, self.scope))

    def move(self, signal: str, end: End, bound: float) -> Effects:
        """Set a bound and count again. Raises KeyError for a signal without a rule."""
        rules = dict(getattr(self.rules, self.scope))
        rules[signal] = labels.with_bound(rules[signal], end, bound)
        self.rules = self.rules.model_copy(update={self.scope: rules})
        return self.effects()

    def nearest(self, signal: str, number: int) -> list[labels.Key]:
        """The `number` rows nearest to each bound of a signal's rule, on either side of it."""
        rule, values = getattr(self.rules, self.scope)[signal], self.table.values[signal]
        chosen: list[labels.Key] = []
        for bound in labels.bounds_of(rule).values():
            distance = np.abs(values - bound)
            for side in (values < bound, values >= bound):
                rows = np.flatnonzero(side & ~np.isnan(values))
                for row in rows[np.argsort(distance[rows], kind="stable")[:number]].tolist():
                    chosen.append((self.table.ids[self.table.document[row]],
                                   int(self.table.index[row])))  # fmt: skip
        return list(dict.fromkeys(chosen))

    def margin(self, signal: str, number: int = 3) -> dict[labels.Key, str]:
        """The rows nearest to a signal's bounds, as HTML with the images that the run stores.

        Shows the whole page in the scope of documents, else the one node.
        """
        pages: dict[labels.Key, str] = {}
        for doc_id, index in self.nearest(signal, number):
            found = history(self.tables, doc_id)
            if found is not None:
                only = None if self.scope == "document" else index
                pages[doc_id, index] = explain.as_html(found, only)
        return pages

    def label(self, doc_id: str, keep: bool, index: int = -1) -> None:
        """Label a document, or one of its nodes, and save all labels in the run's folder."""
        self.labels[doc_id, index] = keep
        labels.save(storage.join(self.tables.output, LABELS), self.labels)

    def scores(self, seed: int = 0) -> dict[str, Scores]:
        """Scores on labelled rows of each rule, and of all together (`chain`)."""
        return labels.evaluate(self.table, getattr(self.rules, self.scope), self.labels, seed)

    def propose(
        self,
        signal: str,
        end: Literal["min", "max"],
        precision: float | None = None,
        recall: float | None = None,
    ) -> Proposal | None:
        """The best bound for the labelled rows: see `labels.propose`."""
        rows, keep = labels.align(self.table, self.labels)
        return labels.propose(self.table.values[signal][rows], keep, end, precision, recall)

    def write(self, path: str) -> None:
        """Write a config that runs: based on the run's own, or else the given one, it says which
        rules differ.
        """
        base = written.base_of(self.tables.output, str(self.source))
        text = written.config_text(base, read_rules(base), self.rules)
        storage.write_bytes(path, text.encode())

    def _signals(self) -> Iterator[pa.RecordBatch]:
        return self.tables.batches("signals", required_columns(self.rules))
