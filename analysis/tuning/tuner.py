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

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benben.analysis.provenance import explain
from benben.analysis.provenance.history import history
from benben.analysis.tables import RunTables
from benben.analysis.tuning import labels, written
from benben.analysis.tuning.labels import End, Proposal, Scores
from benben.analysis.tuning.replay import Replay, read
from benben.analysis.tuning.what_if import Effects, SignalTable
from benben.filters.declaration import SCOPES, Scope
from benben.filters.signal_table import check_rules, read_rules, required_columns
from benben.pipeline import config, storage
from benben.pipeline.settings.signals import UNGROUPED, Bounds, Group, Rule, RuleSettings

LABELS = "labels.jsonl"  # in the run's folder


class Tuner:
    """The rules of a run, applied to what the run measured; one scope is looked at at a time."""

    def __init__(
        self,
        output: str,
        rules: str | None = None,
        scope: Scope = "document",
        documents: int | None = None,
        fetched: bool = False,
    ) -> None:
        """Load a run's signals, and the rules of a config; default: the run's own.

        `documents`: of a larger run, read parts that hold about this many documents. `fetched`:
        judge as `redecide` does, with what is known about images that were fetched.
        Raises InputError when there is no run and ConfigError when the config is not valid.
        """
        self.tables, self.scope = RunTables(output, documents=documents), scope
        named = rules or config.of_run(output) or "default"
        self.source = config.find(named)
        self.base = read_rules(named)
        self.fetched = fetched
        self.replay = Replay(read(self.tables, self.base, fetched), self.base)
        self._columns = set(required_columns(self.base))
        self.labels = labels.read(storage.join(output, LABELS))

    @property
    def rules(self) -> RuleSettings:
        """The rules as they are now, without those that neither bound anything nor did so."""
        return without_idle(self.replay.rules, self.base)

    @rules.setter
    def rules(self, rules: RuleSettings) -> None:
        self.apply(rules)

    @property
    def table(self) -> SignalTable:
        """What the rules of the scope judge."""
        return self.replay.tables[self.scope]

    def effects(self) -> Effects:
        """Count what the current rules of the scope keep and drop."""
        return self.replay.what_if[self.scope].effects(self.of_scope())

    def kept(self) -> int:
        """How many rows of the scope are kept in the end, as `decide` keeps them."""
        return int(self.replay.kept[self.scope].sum())

    def of_scope(self) -> dict[str, Rule]:
        """The rules of the scope, by signal."""
        found: dict[str, Rule] = getattr(self.replay.rules, self.scope)
        return found

    def watch(self, signal: str) -> None:
        """Compute a signal of the scope that no rule uses, so that it can be seen and bounded."""
        if signal in self.of_scope():
            return
        changed = {**self.of_scope(), signal: Rule()}
        self.apply(self.replay.rules.model_copy(update={self.scope: changed}))

    def apply(self, rules: RuleSettings, later: bool = False) -> None:
        """Apply other rules; `later`: see `Replay.move`. Raises ConfigError for wrong rules.

        Reads the table of signals again where columns that they need were not read.
        """
        check_rules(rules)
        if set(required_columns(rules)) - self._columns:
            self.replay.stored = read(self.tables, rules, self.fetched)
            self._columns = set(required_columns(rules))
        self.replay.move(rules, later)

    def move(self, signal: str, end: End, bound: float | None, group: Group = UNGROUPED) -> Effects:
        """Set a bound, or take it away, and count again; `group`: for the rows of one alone.

        A group is a pair such as ("language", "zh") or ("kind", "list_item"). Raises KeyError for
        a signal without a rule, ConfigError for a group that there cannot be.
        """
        rule = labels.with_bound(self.of_scope()[signal], end, bound, group)
        changed = {**self.of_scope(), signal: rule}
        self.apply(self.replay.rules.model_copy(update={self.scope: changed}))
        return self.effects()

    def rows_near(self, signal: str, number: int) -> list[int]:
        """The `number` rows nearest to each bound of a signal's rule, on either side of it.

        Near a bound of a group are rows of that group.
        """
        values, rule = self.table.values[signal], self.of_scope()[signal]
        left, found = ~np.isnan(values), list[list[int]]()
        for group, bounds in rule.groups().items():
            mine = self.table.of_group(group)
            if mine is not None:
                found.append(_nearest(values, left & mine, bounds, number))
                left &= ~mine
        chosen = [_nearest(values, left, rule, number), *found]
        return list(dict.fromkeys(row for rows in chosen for row in rows))

    def nearest(self, signal: str, number: int) -> list[labels.Key]:
        """The documents or nodes of `rows_near`."""
        table, rows = self.table, self.rows_near(signal, number)
        keys = [(table.ids[table.document[row]], int(table.index[row])) for row in rows]
        return list(dict.fromkeys(keys))

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
        return labels.evaluate(self.table, self.of_scope(), self.labels, seed)

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


def _nearest(
    values: NDArray[np.floating], among: NDArray[np.bool_], bounds: Bounds, number: int
) -> list[int]:
    """The rows nearest to each bound on either side, among some."""
    chosen: list[int] = []
    for bound in labels.bounds_of(bounds).values():
        distance = np.abs(values - np.float64(bound))
        for side in (values < bound, values >= bound):
            rows = np.flatnonzero(side & among)
            if len(rows) > number:
                rows = rows[np.argpartition(distance[rows], number)[:number]]
            chosen += rows[np.lexsort((rows, distance[rows]))].tolist()
    return chosen


def without_idle(rules: RuleSettings, base: RuleSettings) -> RuleSettings:
    """Rules without those that have no bounds and that the base does not have."""
    changed: dict[str, dict[str, Rule]] = {
        scope: {
            name: rule
            for name, rule in getattr(rules, scope).items()
            if name in getattr(base, scope) or rule != Rule()
        }
        for scope in SCOPES
    }
    return rules.model_copy(update=changed)
