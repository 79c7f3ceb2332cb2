"""Rules applied to signals: a verdict for every node, then for every document.

Nodes are judged first, then documents over the nodes that are kept. Only the table SIGNALS is read
and no text, so a changed threshold costs one cheap pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters import inherit
from benben.filters.declaration import (
    SCOPES,
    Count,
    Counts,
    Floats,
    Integers,
    KeptNodes,
    Mask,
    Nested,
    Scope,
    node_counts,
    to_numpy,
)
from benben.filters.signal_table import CATALOGUE
from benben.filters.verdicts import OWN, DocumentFailures, Ledger, to_batch
from benben.pipeline.settings.signals import (
    LANGUAGE,
    UNGROUPED,
    Bounds,
    Group,
    Rule,
    RuleSettings,
)

Names = tuple[list[str], Integers]  # distinct names, and each row's place in them; -1: unknown
Values = Callable[[str], Any]  # signal name -> Floats (NaN: unknown) or Names
Grouping = Callable[[str], Names]  # what rows are grouped by -> the name of each row


def decide_batch(
    signals: pa.RecordBatch,
    rules: RuleSettings,
    facts: pa.ListArray | None = None,
    removed: Sequence[pa.ListArray] = (),
    final: bool = False,
) -> pa.RecordBatch:
    """Judge a batch of SIGNALS: a batch of VERDICTS with the same rows in the same order.

    `facts`: what the fetch found out about each image, in the order of the column `images`: a list
    of structs with `reason` (why there is no image; null: there is one) and any of width, height,
    format, num_bytes, nsfw ... Without it, rules on these are recorded as pending.
    `removed`: columns of nodes (NODE_VERDICTs) that were dropped before, the earliest first. They
    keep their reason, and documents are judged without them.
    `final`: no facts come later, so documents are judged by the images that are left now.
    Raises ValueError if `facts` are not aligned with the images.
    """
    nodes = _judge_nodes_of(signals, rules, facts, removed)
    settled = final or facts is not None
    return to_batch(signals, nodes.ledger, _judge_documents(nodes, rules.document, settled))


class _Nodes:
    """The nodes of a batch, what is known about them, and which are dropped so far."""

    def __init__(self, signals: pa.RecordBatch, facts: pa.ListArray | None) -> None:
        self.signals = signals
        self.paragraphs = Nested(signals.column("paragraphs"))
        self.images = Nested(signals.column("images"))
        self.facts = None if facts is None else Nested(facts)
        self.languages, code = to_numpy(signals.column("language").fill_null(""))
        self.language = code
        self.ledger = Ledger(self.paragraphs, self.images)
        self.seen: dict[Scope, dict[str, Seen]] = {scope: {} for scope in SCOPES}
        if self.facts is None:
            return
        if not np.array_equal(self.facts.first, self.images.first):
            raise ValueError("facts of images are not aligned with the images of the signals")

    def drop_missing_images(self) -> None:
        """Drop the images that could not be fetched, for the reason that their facts give."""
        if self.facts is None:
            return
        reasons, code = self.facts("reason")
        for number, reason in enumerate(reasons):
            where = np.flatnonzero((code == number) & self.ledger.images.kept)
            self.ledger.images.drop(where, reason, np.nan, np.nan)

    def of(self, scope: Scope) -> Nested:
        """Return the nodes of a scope."""
        return self.paragraphs if scope == "text_node" else self.images

    def counts(self, scope: Scope) -> Counts:
        """Return a function that gives counts of the scope's rows; NaN where not known (yet)."""
        if scope == "text_node":
            return node_counts(self.paragraphs)
        if scope == "image_node":
            return node_counts(self.images, self.facts)
        kept = self.ledger.paragraphs.kept, self.ledger.images.kept
        return KeptNodes(self.signals, self.paragraphs, self.images, *kept, self.nsfw())

    def values(self, scope: Scope) -> Values:
        """Return a function that gives signals of the scope's rows by name."""
        counts = self.counts(scope)
        return lambda name: CATALOGUE[scope][name].values(counts)

    def grouping(self, scope: Scope) -> Grouping:
        """Return a function that tells each row of the scope what it is grouped under.

        Rows of nodes are grouped by signals of their own or of their document.
        """

        def names(grouping: str) -> Names:
            if grouping != LANGUAGE and grouping in CATALOGUE[scope]:
                found: Names = self.values(scope)(grouping)
                return found
            language = self.languages, self.language
            found = language if grouping == LANGUAGE else self.values("document")(grouping)
            return found if scope == "document" else (found[0], found[1][self.of(scope).document])

        return names

    def nsfw(self) -> Mask | None:
        """Tell which images the NSFW rule dropped; None if no image was classified."""
        if self.facts is None or not self.facts.has("nsfw") or np.isnan(self.facts("nsfw")).all():
            return None
        return self.ledger.images.dropped_for("image_node.nsfw.max")

    def why_unknown(self, scope: Scope, name: str) -> str:
        """Tell why a signal has no value: images are not fetched yet, or it was not measured."""
        signal = CATALOGUE[scope][name]
        later = signal.after_fetch or signal.trend is not None
        return "pending" if later and self.facts is None else "unmeasured"


@dataclass(frozen=True, slots=True)
class ScopeValues:
    """Values of signals for every row of a scope, for trying out thresholds."""

    values: dict[str, NDArray[np.float64]]
    languages: list[str]
    language: Integers
    document: Integers
    index: Integers  # of the node; -1 for documents


def scope_values(
    signals: pa.RecordBatch, rules: RuleSettings, scope: Scope, names: Sequence[str]
) -> ScopeValues:
    """Compute signals of a batch by name; those of documents over the nodes that the rules keep."""
    nodes = _Nodes(signals, None)
    if scope == "document":
        _judge_all_nodes(nodes, rules)
        document, index = np.arange(signals.num_rows), np.full(signals.num_rows, -1)
    else:
        document, index = nodes.of(scope).document, nodes.of(scope).integers("index")
    values = nodes.values(scope)
    found = {name: values(name) for name in names}
    return ScopeValues(found, nodes.languages, nodes.language[document], document, index)


def groups_of(
    signals: pa.RecordBatch, scope: Scope, names: Sequence[str], facts: pa.ListArray | None = None
) -> list[Names]:
    """Tell what each row of a scope is grouped under, by each of some signals that are names."""
    if not names:
        return []
    grouping = _Nodes(signals, facts).grouping(scope)
    return [grouping(name) for name in names]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule saw: its verdict on every row, and which rows no rule before had dropped."""

    judged: Judgement
    open: Mask


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch judged: what each rule saw, and which paragraphs and images are kept in the end."""

    seen: dict[Scope, dict[str, Seen]]
    kept: dict[Scope, Mask]  # of text_node and image_node
    paragraphs: Nested
    images: Nested


def judge_batch(
    signals: pa.RecordBatch,
    rules: RuleSettings,
    facts: pa.ListArray | None = None,
    removed: Sequence[pa.ListArray] = (),
    final: bool = False,
) -> Judged:
    """Judge a batch of SIGNALS as `decide_batch` does, and tell what each rule saw."""
    nodes = _judge_nodes_of(signals, rules, facts, removed)
    _judge_documents(nodes, rules.document, final or facts is not None)
    kept: dict[Scope, Mask] = {
        "text_node": nodes.ledger.paragraphs.kept, "image_node": nodes.ledger.images.kept
    }  # fmt: skip
    return Judged(nodes.seen, kept, nodes.paragraphs, nodes.images)


def _judge_nodes_of(
    signals: pa.RecordBatch,
    rules: RuleSettings,
    facts: pa.ListArray | None,
    removed: Sequence[pa.ListArray],
) -> _Nodes:
    nodes = _Nodes(signals, facts)
    for column in removed:
        nodes.ledger.take_over(Nested(column))
    nodes.drop_missing_images()
    _judge_all_nodes(nodes, rules)
    return nodes


def _judge_all_nodes(nodes: _Nodes, rules: RuleSettings) -> None:
    """Judge paragraphs and images by their rules, then what shares the fate of others."""
    settled = ~nodes.ledger.paragraphs.kept
    _judge_nodes(nodes, "text_node", rules.text_node)
    _judge_nodes(nodes, "image_node", rules.image_node)
    if rules.inherit.captions is not None:
        inherit.follow_images(nodes.ledger, settled, rules.inherit.captions)
    if rules.inherit.headings is not None:
        inherit.follow_sections(nodes.ledger, settled, rules.inherit.headings)


def _judge_nodes(nodes: _Nodes, scope: Scope, rules: dict[str, Rule]) -> None:
    drops = nodes.ledger.of(scope)
    document, grouping = nodes.of(scope).document, nodes.grouping(scope)
    for name, rule in rules.items():
        unit = None if rule.over == "paragraph" else Unit.of(nodes, rule.over)
        values = nodes.values(scope) if unit is None else unit.values(drops.kept)
        judged = judge(scope, name, rule, values, grouping)
        nodes.seen[scope][name] = Seen(judged, drops.kept)
        unknown = np.unique(document[judged.unknown & drops.kept])
        nodes.ledger.note(f"{scope}.{name}.{nodes.why_unknown(scope, name)}", unknown)
        for mask, end in _ends(scope, name, judged):
            where = np.flatnonzero(mask & drops.kept)
            drops.drop(
                where,
                f"{scope}.{name}.{end}",
                judged.values[where],
                judged.bounds[where],
                OWN if unit is None else unit.source[where],
            )


@dataclass(frozen=True, slots=True)
class Unit:
    """Paragraphs that are measured as one: their run or section."""

    nodes: Nested
    number: Integers  # of each paragraph's unit
    source: Integers  # index of the unit's first node; OWN where the unit is a single paragraph

    @classmethod
    def of(cls, nodes: _Nodes, over: str) -> Unit:
        """Number the runs or sections of all documents."""
        found = nodes.paragraphs
        key = (found.document << 32) + found.integers(over)
        first = np.append(True, key[1:] != key[:-1])[: len(key)]
        number = np.cumsum(first) - 1
        begin = np.flatnonzero(first)
        alone = np.diff(np.append(begin, len(key))) == 1
        source = np.where(alone, OWN, found.integers("index")[begin]) if len(key) else begin
        return cls(found, number, source[number])

    def values(self, kept: Mask) -> Values:
        """Return a function that gives signals of each paragraph's unit, over its kept ones."""
        single = node_counts(self.nodes)

        def added(count: Count) -> Any:
            values = single(count)
            if isinstance(values, tuple):  # names: each paragraph's own
                return values
            total = np.bincount(self.number[kept], values[kept], self.number[-1:].sum() + 1)
            # astype, since bincount of an empty array returns integers
            return total.astype(np.float64)[self.number]

        return lambda name: CATALOGUE["text_node"][name].values(added)


def _judge_documents(nodes: _Nodes, rules: dict[str, Rule], settled: bool) -> DocumentFailures:
    values, grouping = nodes.values("document"), nodes.grouping("document")
    names, failed = to_numpy(nodes.signals.column("reason"))
    extracted = failed < 0
    where = np.flatnonzero(~extracted)
    nothing = np.full(len(where), np.nan)
    parts = [(where, failed[where], nothing, nothing)]
    for name, rule in rules.items():
        judged = judge("document", name, rule, values, grouping)
        if not settled:
            judged.postpone(CATALOGUE["document"][name].trend)
        nodes.seen["document"][name] = Seen(judged, extracted)
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


# One rule on all rows.


@dataclass(slots=True)
class Judgement:
    """What one rule says about each row."""

    low: Mask  # below min
    high: Mask  # above max, or not below `below`, or none of the names
    unknown: Mask  # the signal has no value: not judged
    values: Floats
    bounds: Floats  # the bound that is broken; undefined where none is
    applies: Mask | None = None  # rows that meet the rule's conditions; None: there are none
    groups: tuple[Group, ...] = (UNGROUPED,)  # groups with bounds, of which there may be rows
    group: Integers | None = None  # each row's place in `groups`; None: all are in the first

    @property
    def failed(self) -> Mask:
        """Rows that the rule drops."""
        return self.low | self.high

    def postpone(self, trend: str | None) -> None:
        """Leave unjudged the failures that the value may still leave as images are dropped."""
        later = np.zeros(len(self.low), np.bool_)
        if trend in ("falls", "either"):
            later, self.high = later | self.high, np.zeros_like(self.high)
        if trend in ("rises", "either"):
            later, self.low = later | self.low, np.zeros_like(self.low)
        self.unknown = self.unknown | later


def judge(scope: Scope, name: str, rule: Rule, values: Values, grouping: Grouping) -> Judgement:
    """Judge every row by one rule."""
    groups, group = _groups(rule, grouping)
    bounds = [rule.of_group(one) for one in groups]
    judgement = _judge(scope, name, bounds, values(name), group)
    judgement.groups, judgement.group = groups, group
    for other, wanted in rule.when.items():
        condition = _judge(scope, other, [wanted], values(other), None)
        applies = ~(condition.failed | condition.unknown)
        before = judgement.applies
        judgement.applies = applies if before is None else before & applies
        judgement.low &= applies
        judgement.high &= applies
        judgement.unknown &= ~condition.failed
    return judgement


def _groups(rule: Rule, grouping: Grouping) -> tuple[tuple[Group, ...], Integers | None]:
    """The groups of a rule that there are, and each row's place among them; None: all are alike."""
    found, group = [UNGROUPED], None
    for by in dict.fromkeys(by for by, _ in rule.groups()):
        names, code = grouping(by)
        place = np.zeros(len(names) + 1, np.int64)  # the last one is for rows without a name
        for number, name in enumerate(names):
            if (by, name) in rule.groups():
                place[number] = len(found)
                found.append((by, name))
        if place.any():
            group = place[code] if group is None else np.where(group > 0, group, place[code])
    return tuple(found), group


def _judge(
    scope: Scope, name: str, bounds: list[Bounds], column: Any, group: Integers | None
) -> Judgement:
    """Judge rows by the bounds of their group; None: all by the first."""
    if CATALOGUE[scope][name].names:
        return _judge_names(bounds, column, group)
    values = np.asarray(column, np.float64)
    lows, highs, belows = (
        np.array([np.nan if (end := getattr(one, key)) is None else end for one in bounds])
        for key in ("min", "max", "below")
    )
    row = np.broadcast_to(np.int64(0), len(values)) if group is None else group
    low = _beyond(np.less, values, lows, group)
    above = _beyond(np.greater, values, highs, group)
    high = above | _beyond(np.greater_equal, values, belows, group)
    bound = np.empty(len(values))
    for failed, broken in ((high, belows), (above, highs), (low, lows)):
        where = np.flatnonzero(failed)
        bound[where] = broken[row[where]]
    return Judgement(low, high, np.isnan(values), values, bound)


def _beyond(compare: Any, values: Floats, bounds: Floats, group: Integers | None) -> Mask:
    """Compare with the bound of each row's group (NaN: none)."""
    if np.isnan(bounds).all():
        return np.zeros(len(values), np.bool_)
    found: Mask = compare(values, bounds[0] if group is None else bounds[group])
    return found


def _judge_names(bounds: list[Bounds], column: Names, group: Integers | None) -> Judgement:
    names, code = column
    # one row per group; the last column is for rows without a name
    refused = np.zeros((len(bounds), len(names) + 1), np.bool_)
    for row, one in enumerate(bounds):
        if one.one_of is not None:
            refused[row, :-1] = [name not in one.one_of for name in names]
    high = refused[0 if group is None else group, code]
    nothing = np.full(len(code), np.nan)
    return Judgement(np.zeros(len(code), np.bool_), high, code < 0, nothing, nothing)
