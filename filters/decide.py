"""Signals and rules in, verdicts out: nodes first, then documents over the nodes that are kept.

Reads no text, only the table SIGNALS, so that a changed threshold costs one cheap pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.columns import (
    Counts,
    Integers,
    Nested,
    evaluate,
    paragraph_count,
    to_numpy,
)
from benben.filters.rule import Judgement, Mask, judge
from benben.filters.signal import CATALOGUE, Scope
from benben.filters.sums import Sums
from benben.filters.verdict import DocumentFailures, Ledger, to_batch
from benben.pipeline.settings.signals import Rule, RuleSettings


def decide_batch(
    signals: pa.RecordBatch,
    rules: RuleSettings,
    facts: pa.ListArray | None = None,
    removed: Sequence[pa.ListArray] = (),
) -> pa.RecordBatch:
    """Judge a batch of SIGNALS: a batch of VERDICTS with the same rows in the same order.

    `facts`: what is known of each image once fetched, in the order of the column `images`: a list
    of structs with `reason` (why there is no image; null: there is one) and any of width, height,
    format, num_bytes, nsfw. Without it, rules on them are recorded as pending.
    `removed`: columns of nodes (NODE_VERDICTs) that were dropped before, the earliest first; they
    keep their reason, and the limits of documents are judged without them. Raises ValueError when
    `facts` are not aligned with the images.
    """
    nodes = _Nodes(signals, facts)
    for column in removed:
        nodes.ledger.take_over(Nested(column))
    nodes.drop_missing_images()
    _judge_nodes(nodes, "text_node", rules.text_node)
    _judge_nodes(nodes, "image_node", rules.image_node)
    return to_batch(signals, nodes.ledger, _judge_documents(nodes, rules.document))


class _Nodes:
    """The nodes of a batch, what is known of them, and what is dropped so far."""

    def __init__(self, signals: pa.RecordBatch, facts: pa.ListArray | None) -> None:
        self.signals = signals
        self.paragraphs = Nested(signals.column("paragraphs"))
        self.images = Nested(signals.column("images"))
        self.facts = None if facts is None else Nested(facts)
        self.languages, code = to_numpy(signals.column("language").fill_null(""))
        self.language = code
        self.ledger = Ledger(self.paragraphs, self.images)
        if self.facts is None:
            return
        if not np.array_equal(self.facts.first, self.images.first):
            raise ValueError("facts of images are not aligned with the images of the signals")

    def drop_missing_images(self) -> None:
        """Drop the images that could not be had, for the reason their facts give."""
        if self.facts is None:
            return
        reasons, code = self.facts("reason")
        for number, reason in enumerate(reasons):
            where = np.flatnonzero((code == number) & self.ledger.images.kept)
            self.ledger.images.drop(where, reason, np.nan, np.nan)

    def of(self, scope: Scope) -> Nested:
        """Nodes of a scope."""
        return self.paragraphs if scope == "text_node" else self.images

    def count(self, scope: Scope) -> Callable[[str], Any]:
        """Counts of the scope's nodes by name; NaN when not known (yet)."""
        if scope == "text_node":
            return lambda name: paragraph_count(self.paragraphs, name)
        return self._image_count

    def _image_count(self, name: str) -> Any:
        for known in (self.images, self.facts):
            if known is not None and known.has(name):
                return known(name)
        if any(signal.names for signal in CATALOGUE["image_node"].values() if signal.count == name):
            return [], np.full(len(self.images), -1)
        return np.full(len(self.images), np.nan)

    def nsfw(self) -> Mask | None:
        """Images that the NSFW rule dropped; None when no image was classified."""
        if self.facts is None or not self.facts.has("nsfw") or np.isnan(self.facts("nsfw")).all():
            return None
        return self.ledger.images.went_for("image_node.nsfw.max")

    def why_unknown(self, scope: Scope, name: str) -> str:
        """Why a signal has no value: images are not fetched yet, or it was not measured."""
        signal = CATALOGUE[scope][name]
        later = signal.after_fetch or signal.trend is not None
        return "pending" if later and self.facts is None else "unmeasured"


@dataclass(frozen=True, slots=True)
class ScopeValues:
    """Signals of every row of a scope: what tuning moves thresholds over."""

    values: dict[str, NDArray[np.float64]]
    languages: list[str]
    language: Integers
    document: Integers
    index: Integers  # of the node; -1 for documents


def scope_values(
    signals: pa.RecordBatch, rules: RuleSettings, scope: Scope, names: Sequence[str]
) -> ScopeValues:
    """Signals of a batch by name; documents' are over the nodes that the rules keep."""
    nodes = _Nodes(signals, None)
    if scope == "document":
        _judge_nodes(nodes, "text_node", rules.text_node)
        _judge_nodes(nodes, "image_node", rules.image_node)
        document = np.arange(signals.num_rows)
        index, count = np.full(signals.num_rows, -1), _sums(nodes)
    else:
        document, index = nodes.of(scope).document, nodes.of(scope).integers("index")
        count = nodes.count(scope)
    values = {name: evaluate(scope, name, count) for name in names}
    return ScopeValues(values, nodes.languages, nodes.language[document], document, index)


def _sums(nodes: _Nodes) -> Counts:
    paragraphs, images = nodes.ledger.paragraphs.kept, nodes.ledger.images.kept
    return Sums(nodes.signals, nodes.paragraphs, nodes.images, paragraphs, images, nodes.nsfw())


def _judge_nodes(nodes: _Nodes, scope: Scope, rules: dict[str, Rule]) -> None:
    drops = nodes.ledger.of(scope)
    document = nodes.of(scope).document
    language = nodes.language[document]
    values = partial(evaluate, scope, counts=nodes.count(scope))
    for name, rule in rules.items():
        judged = judge(scope, name, rule, values, nodes.languages, language)
        unknown = np.unique(document[judged.unknown & drops.kept])
        nodes.ledger.note(f"{scope}.{name}.{nodes.why_unknown(scope, name)}", unknown)
        for mask, end in _ends(scope, name, judged):
            where = np.flatnonzero(mask & drops.kept)
            drops.drop(where, f"{scope}.{name}.{end}", judged.values[where], judged.bounds[where])


def _judge_documents(nodes: _Nodes, rules: dict[str, Rule]) -> DocumentFailures:
    values = partial(evaluate, "document", counts=_sums(nodes))
    names, failed = to_numpy(nodes.signals.column("reason"))
    extracted = failed < 0
    where = np.flatnonzero(~extracted)
    nothing = np.full(len(where), np.nan)
    parts = [(where, failed[where], nothing, nothing)]
    for name, rule in rules.items():
        judged = judge("document", name, rule, values, nodes.languages, nodes.language)
        if nodes.facts is None:
            judged.postpone(CATALOGUE["document"][name].trend)
        entry = f"document.{name}.{nodes.why_unknown('document', name)}"
        nodes.ledger.note(entry, np.flatnonzero(judged.unknown & extracted))
        for mask, end in _ends("document", name, judged):
            where = np.flatnonzero(mask & extracted)
            code = np.full(len(where), len(names))
            names = [*names, f"document.{name}.{end}"]
            parts.append((where, code, judged.values[where], judged.bounds[where]))
    document, code, value, bound = (np.concatenate(one) for one in zip(*parts, strict=True))
    return DocumentFailures(document, names, code, value, bound)


def _ends(scope: Scope, name: str, judged: Judgement) -> tuple[tuple[Any, str], tuple[Any, str]]:
    upper = "one_of" if CATALOGUE[scope][name].names else "max"
    return (judged.low, "min"), (judged.high, upper)
