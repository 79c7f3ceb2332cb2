"""Learn the bounds of a config's rules from labels, with the evidence for each.

A bound is placed where what is kept of the labelled rows has the highest F1: twice the gold tokens
kept, by the tokens kept plus the gold tokens. Rules are learned in the order in which they judge,
each on what the rules before it keep. What a bound costs is also counted on domains that it was not
learned from, by cross-validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benben.analysis.tuning.labelled import FOLDS, Labelled, languages, subset
from benben.analysis.tuning.labels import End, bounds_of
from benben.filters.decide import Judged, judge_batch
from benben.filters.declaration import SCOPES, Floats, Mask, Scope
from benben.filters.signal_table import CATALOGUE
from benben.pipeline.settings.signals import (
    LANGUAGE,
    UNGROUPED,
    Bounds,
    Group,
    Rule,
    RuleSettings,
)

MIN_DOCUMENTS = 30  # labelled ones of a language that gets bounds of its own
LEAST_GAIN = 0.0005  # of F1, for which a bound moves
CONSENT = {"opt_outs"}  # rules that labels never move
Place = tuple[Scope, str, Group, End]  # scope, signal, group, end


@dataclass(frozen=True)
class Evidence:
    """What a bound does to the labelled rows: gold and other tokens (or rows) that it drops."""

    scope: Scope
    signal: str
    group: Group  # UNGROUPED: the rows of no group with bounds of its own
    end: End
    before: float | None  # the bound; None: there is none
    after: float | None
    lost: float  # gold that the bound drops
    removed: float  # what is not gold and the bound drops
    all_other: float  # what is not gold among all labelled rows
    held_out_lost: float = 0.0  # on domains that the bound was not learned from
    held_out_removed: float = 0.0
    harmful: bool = False  # it drops more gold than other text there

    @property
    def precision(self) -> float:
        """Share of what is not gold in what is dropped; NaN where nothing is."""
        dropped = self.lost + self.removed
        return self.removed / dropped if dropped else float("nan")

    @property
    def recall(self) -> float:
        """Share of what is dropped in what is not gold."""
        return self.removed / self.all_other if self.all_other else float("nan")


@dataclass(frozen=True)
class Learned:
    """Rules with learned bounds, and the evidence for each bound that labels tell about."""

    rules: RuleSettings
    evidence: list[Evidence]


def learn(
    labelled: Labelled,
    rules: RuleSettings,
    min_documents: int = MIN_DOCUMENTS,
    keep_harmful: bool = False,
) -> Learned:
    """Learn the bounds of all rules of the scopes that have labels.

    A bound that drops more gold than other text, on domains that it was not learned from, is taken
    away; with `keep_harmful` it stays as it was. A language with `min_documents` labelled documents
    gets bounds of its own, if another has them too.
    """
    own = _own_languages(labelled, min_documents)
    found = _chain(labelled, rules, own)
    first, held_out = _costs(labelled, found), _held_out(labelled, rules, own)
    harmful = {place for place, (lost, removed) in (first | held_out).items() if lost > removed}
    final = _without(found, harmful, rules if keep_harmful else None)
    costs = _costs(labelled, final)
    evidence = []
    for place in _places(labelled, rules, found):
        scope, name, group, end = place
        goes = place in harmful and not keep_harmful
        lost, removed = (first if goes else costs).get(place, (0.0, 0.0))
        values = _bound(rules, place), _bound(final, place)
        other = float(labelled.weights[scope].other.sum())
        out = held_out.get(place, (0.0, 0.0))
        evidence.append(
            Evidence(scope, name, group, end, *values, lost, removed, other, *out,
                     place in harmful)
        )  # fmt: skip
    return Learned(final, evidence)


def _own_languages(labelled: Labelled, least: int) -> list[str]:
    """The languages that get bounds of their own: none unless several have enough labels."""
    enough = sorted(name for name, number in languages(labelled).items() if number >= least)
    return enough if len(enough) > 1 else []


def _held_out(
    labelled: Labelled, rules: RuleSettings, own: Sequence[str]
) -> dict[Place, tuple[float, float]]:
    """Gold and other text that each bound drops on the fold that it was not learned from."""
    total: dict[Place, tuple[float, float]] = {}
    if labelled.domains < FOLDS:
        return total
    for number in range(FOLDS):
        test = labelled.fold == number
        if not test.any() or test.all():
            continue
        found = _chain(subset(labelled, ~test), rules, own)
        for place, (lost, removed) in _costs(subset(labelled, test), found).items():
            before = total.get(place, (0.0, 0.0))
            total[place] = before[0] + lost, before[1] + removed
    return total


def _chain(labelled: Labelled, rules: RuleSettings, own: Sequence[str]) -> RuleSettings:
    """Learn the bounds of one rule after the other."""
    for scope in labelled.weights:
        for name in list(getattr(rules, scope)):
            if name in CONSENT or CATALOGUE[scope][name].names:
                continue
            rule = _with_languages(labelled, getattr(rules, scope)[name], own)
            rules = _with_rule(rules, scope, name, rule)
            judged = judge_batch(labelled.signals, rules)
            found = _learn_rule(labelled, judged, scope, name, rule, own)
            rules = _with_rule(rules, scope, name, found)
    return rules


def _with_languages(labelled: Labelled, rule: Rule, own: Sequence[str]) -> Rule:
    """The rule with bounds for each language that gets its own, as they are for all others."""
    present = set(labelled.signals.column("language").to_pylist())
    for code in own:
        if code in present and code not in rule.languages and bounds_of(rule):
            same = Bounds.model_validate(bounds_of(rule))
            rule = rule.with_group((LANGUAGE, code), same)
    return rule


def _learn_rule(
    labelled: Labelled, judged: Judged, scope: Scope, name: str, rule: Rule, own: Sequence[str]
) -> Rule:
    """The rule with other bounds, for all rows and for the groups that have bounds of their own.

    Bounds of a language that is not in `own` stay: it has too few labels.
    """
    data = _Data.of(labelled, judged, scope, name)
    learned = rule
    for place, group in enumerate(judged.seen[scope][name].judged.groups):
        if group[0] == LANGUAGE and group[1] not in own:
            continue
        start = rule.of_group(group)
        changed = _learn_bounds(data.where(data.group == place), start)
        learned = learned.with_group(group, start.model_copy(update=changed))
    return learned


def _learn_bounds(data: _Data, bounds: Bounds) -> dict[str, float | None]:
    """The ends that change; None takes one away."""
    changed: dict[str, float | None] = {}
    for end, now in bounds_of(bounds).items():
        others = bounds.model_dump() | changed
        found = data.best(end, now)
        if found != now and _in_order(end, found, others):
            changed[end] = found
        data = data.kept(end, found)
    return changed


def _in_order(end: End, bound: float | None, others: Mapping[str, Any]) -> bool:
    """Whether a bound leaves room between `min` and `max`."""
    if bound is None or end == "below":
        return True
    other = others.get("max" if end == "min" else "min")
    return other is None or (bound <= other if end == "min" else bound >= other)


@dataclass(frozen=True)
class _Data:
    """Rows that a rule judges: values, weights, and what all kept rows hold."""

    values: Floats
    gold: Floats
    other: Floats
    group: Any  # place of each row's group among those of the rule
    whole: bool  # all values are whole numbers
    all_gold: float  # of all labelled rows
    kept_gold: float
    kept_other: float

    @classmethod
    def of(cls, labelled: Labelled, judged: Judged, scope: Scope, name: str) -> _Data:
        """The rows that no rule before has dropped, that meet its conditions and have a value."""
        seen, weights = judged.seen[scope][name], labelled.weights[scope]
        values = seen.judged.values
        rows = seen.open & ~np.isnan(values) & (weights.gold + weights.other > 0)
        kept = weights.gold[seen.open].sum(), weights.other[seen.open].sum()
        if seen.judged.applies is not None:
            rows &= seen.judged.applies
        group = row_group(judged, scope, name)[rows]
        values = values[rows]
        whole = bool((values == np.round(values)).all())
        gold, other = weights.gold[rows], weights.other[rows]
        return cls(values, gold, other, group, whole, float(weights.gold.sum()), *kept)

    def where(self, mask: Mask) -> _Data:
        """The rows of a mask; F1 is that of these rows and of all that the rule does not judge."""
        return replace(
            self, values=self.values[mask], gold=self.gold[mask], other=self.other[mask],
            group=self.group[mask],
        )  # fmt: skip

    def best(self, end: End, now: float) -> float | None:
        """The bound with the highest F1 of what is kept; None if it is better without one.

        The bound stays if none is better by LEAST_GAIN, or if no labelled row is beyond it.
        """
        order = np.argsort(self.values if end == "min" else -self.values, kind="stable")
        values = self.values[order]
        cut = np.flatnonzero(np.diff(values) != 0) + 1  # number of rows that each bound drops
        lost, removed = (np.cumsum(one[order]) for one in (self.gold, self.other))
        scores = self._f1(lost[cut - 1], removed[cut - 1])
        beyond = dropped(self.values, end, now)
        without = float(self._f1(np.zeros(1), np.zeros(1))[0])
        here = float(self._f1(self.gold[beyond].sum(), self.other[beyond].sum()))
        top = int(np.argmax(scores)) if len(cut) else 0
        best = float(scores[top]) if len(cut) else -1.0
        if max(best, without) < here + LEAST_GAIN:
            return now
        if best <= without:
            return None if beyond.any() else now
        return _between(values[cut[top] - 1], values[cut[top]], end, self.whole)

    def kept(self, end: End, bound: float | None) -> _Data:
        """The rows that a bound keeps."""
        if bound is None:
            return self
        gone = dropped(self.values, end, bound)
        kept_gold = self.kept_gold - float(self.gold[gone].sum())
        kept_other = self.kept_other - float(self.other[gone].sum())
        return replace(self.where(~gone), kept_gold=kept_gold, kept_other=kept_other)

    def _f1(self, lost: Any, removed: Any) -> Any:
        """F1 of what is kept once this much is dropped."""
        gold, other = self.kept_gold - lost, self.kept_other - removed
        return 2 * gold / np.maximum(gold + other + self.all_gold, 1e-9)


def row_group(judged: Judged, scope: Scope, name: str) -> Any:
    """The place of each row's group among those of the rule that is judged."""
    seen = judged.seen[scope][name].judged
    return np.zeros(len(seen.values), np.int64) if seen.group is None else seen.group


def row_document(judged: Judged, scope: Scope) -> Any:
    """The document of each row of a scope of nodes."""
    return (judged.paragraphs if scope == "text_node" else judged.images).document


def dropped(values: Floats, end: End, bound: float) -> Mask:
    """Which values a bound drops."""
    if end == "min":
        return np.asarray(values < bound)
    return np.asarray(values > bound if end == "max" else values >= bound)


def _between(gone: float, kept: float, end: End, whole: bool) -> float:
    """A bound with few digits that drops `gone` and keeps `kept`, which are neighbours."""
    if whole:
        return float(gone if end == "below" else kept)
    for digits in range(2, 18):
        found = float(f"{(gone + kept) / 2:.{digits}g}")
        if end == "below" and kept < found <= gone:
            return found
        if end != "below" and min(gone, kept) <= found <= max(gone, kept) and found != gone:
            return found
    return float(gone if end == "below" else kept)


# What bounds cost


def _costs(labelled: Labelled, rules: RuleSettings) -> dict[Place, tuple[float, float]]:
    """Gold and other text that each bound is the first to drop, and that is not kept after all."""
    judged = judge_batch(labelled.signals, rules)
    total: dict[Place, tuple[float, float]] = {}
    for scope, weights in labelled.weights.items():
        gone = ~judged.kept[scope] if scope != "document" else np.ones(len(weights), np.bool_)
        for name, seen in judged.seen[scope].items():
            rule = getattr(rules, scope)[name]
            for place, rows in _rows_of(judged, scope, name, rule):
                end = place[3]
                side = seen.judged.low if end == "min" else seen.judged.high
                mask = rows & side & seen.open & gone
                if end != "min":
                    mask &= dropped(seen.judged.values, end, _bound(rules, place) or np.inf)
                lost, removed = weights.gold[mask].sum(), weights.other[mask].sum()
                if lost or removed:
                    total[place] = float(lost), float(removed)
    return total


def _rows_of(judged: Judged, scope: Scope, name: str, rule: Rule) -> Iterator[tuple[Place, Mask]]:
    """Each bound of a rule, with the rows of the group that it is for."""
    place = row_group(judged, scope, name)
    for number, group in enumerate(judged.seen[scope][name].judged.groups):
        for end in bounds_of(rule.of_group(group)):
            yield (scope, name, group, end), place == number


def _places(labelled: Labelled, before: RuleSettings, after: RuleSettings) -> list[Place]:
    """The bounds of the rules before and after learning, in the order of judging."""
    found: dict[Place, None] = {}
    for scope in [one for one in SCOPES if one in labelled.weights]:
        for name, rule in getattr(before, scope).items():
            if name in CONSENT:
                continue
            now = getattr(after, scope)[name]
            for group in [UNGROUPED, *rule.groups(), *now.groups()]:
                for one in (rule, now):
                    bounds = one if group == UNGROUPED else one.groups().get(group, Bounds())
                    for end in bounds_of(bounds):
                        found[scope, name, group, end] = None
    return list(found)


def _bound(rules: RuleSettings, place: Place) -> float | None:
    scope, name, group, end = place
    rule: Rule | None = getattr(rules, scope).get(name)
    return getattr(rule.of_group(group), end) if rule else None


def _with_rule(rules: RuleSettings, scope: Scope, name: str, rule: Rule) -> RuleSettings:
    changed = {**getattr(rules, scope), name: rule}
    return rules.model_copy(update={scope: changed})


def _without(
    rules: RuleSettings, harmful: set[Place], original: RuleSettings | None
) -> RuleSettings:
    """Rules without the harmful bounds, or with those as they were in `original`."""
    for place in sorted(harmful):
        scope, name, group, end = place
        rule = getattr(rules, scope)[name]
        value = _bound(original, place) if original else None
        other = rule.of_group(group).model_copy(update={end: value})
        rules = _with_rule(rules, scope, name, rule.with_group(group, other))
    return rules
