"""Rules: signal, bounds, scope. Checked against the catalogue, judged on whole columns."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benben.filters.signal import CATALOGUE, SCOPES, Scope
from benben.pipeline import config
from benben.pipeline.config import ConfigError
from benben.pipeline.settings.signals import Bounds, Rule, RuleSettings

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Names = tuple[list[str], NDArray[np.int64]]  # distinct names and each row's place, -1: unknown
Values = Callable[[str], Any]  # signal name -> Floats (NaN: unknown) or Names


@dataclass(slots=True)
class Judgement:
    """What one rule says of each row."""

    low: Mask  # below min
    high: Mask  # above max, or not below `below`, or none of the names
    unknown: Mask  # the signal has no value: not judged
    values: Floats
    bounds: Floats  # the bound that is broken; anything where none is

    @property
    def failed(self) -> Mask:
        """Rows the rule drops."""
        return self.low | self.high

    def postpone(self, trend: str | None) -> None:
        """Take back what a value that still moves may come to meet: not judged yet."""
        later = np.zeros(len(self.low), np.bool_)
        if trend in ("falls", "either"):
            later, self.high = later | self.high, np.zeros_like(self.high)
        if trend in ("rises", "either"):
            later, self.low = later | self.low, np.zeros_like(self.low)
        self.unknown = self.unknown | later


def check(rules: RuleSettings) -> None:
    """Raise ConfigError with one line for each rule that names an unknown signal or bound."""
    mistakes = [
        mistake
        for scope in SCOPES
        for name, rule in getattr(rules, scope).items()
        for mistake in _mistakes(scope, name, rule)
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def read(path: str) -> RuleSettings:
    """Rules of a config by name or path, checked. Raises ConfigError."""
    source = config.find(path)
    section = config.read_layers(source).get("rules", {})
    rules = config.validate(RuleSettings, section, f"{source}: rules")
    check(rules)
    return rules


def _mistakes(scope: Scope, name: str, rule: Rule) -> list[str]:
    where = f"rules.{scope}.{name}"
    found = [_mistake(scope, name, where, rule)]
    for language, bounds in rule.languages.items():
        found.append(_mistake(scope, name, f"{where}.languages.{language}", bounds))
    for other, bounds in rule.when.items():
        found.append(_mistake(scope, other, f"{where}.when.{other}", bounds))
    return [mistake for mistake in found if mistake]


def _mistake(scope: Scope, name: str, where: str, bounds: Bounds) -> str | None:
    signal = CATALOGUE[scope].get(name)
    if signal is None:
        close = difflib.get_close_matches(name, CATALOGUE[scope], n=1)
        elsewhere = [other for other in SCOPES if name in CATALOGUE[other]]
        hint = f"; did you mean '{close[0]}'?" if close else ""
        hint = hint or (f"; it is a signal of {' and '.join(elsewhere)}" if elsewhere else "")
        return f"{where}: no signal '{name}' for {scope}{hint}"
    if signal.names and (bounds.min, bounds.max, bounds.below) != (None, None, None):
        return f"{where}: '{name}' is a name; give one_of: [...] instead of min or max"
    if not signal.names and bounds.one_of is not None:
        return f"{where}: '{name}' is a number; give min or max instead of one_of"
    return None


def reasons(rules: RuleSettings) -> list[str]:
    """Every reason the rules can give, two a rule: its lower bound's and its upper's."""
    return [
        f"{scope}.{name}.{end}"
        for scope in SCOPES
        for name, rule in getattr(rules, scope).items()
        for end in ("min", "one_of" if CATALOGUE[scope][name].names else "max")
    ]


def judge(
    scope: Scope,
    name: str,
    rule: Rule,
    values: Values,
    languages: Sequence[str],
    language: NDArray[np.int64],
) -> Judgement:
    """Judge every row; `language` is each row's place in `languages`."""
    judgement = _judge(
        scope, name, [rule.languages.get(one, rule) for one in languages], values(name), language
    )
    for other, bounds in rule.when.items():
        condition = _judge(scope, other, [bounds] * len(languages), values(other), language)
        applies = ~(condition.failed | condition.unknown)
        judgement.low &= applies
        judgement.high &= applies
        judgement.unknown &= ~condition.failed
    return judgement


def _judge(
    scope: Scope, name: str, bounds: list[Bounds], column: Any, language: NDArray[np.int64]
) -> Judgement:
    if CATALOGUE[scope][name].names:
        return _judge_names(bounds, column, language)
    values = np.asarray(column, np.float64)
    lows, highs, belows = (
        np.array([np.nan if (end := getattr(one, key)) is None else end for one in bounds])
        for key in ("min", "max", "below")
    )
    row = language if len(bounds) > 1 else np.broadcast_to(np.int64(0), len(values))
    low = _beyond(np.less, values, lows, language)
    above = _beyond(np.greater, values, highs, language)
    high = above | _beyond(np.greater_equal, values, belows, language)
    bound = np.empty(len(values))
    for failed, broken in ((high, belows), (above, highs), (low, lows)):
        where = np.flatnonzero(failed)
        bound[where] = broken[row[where]]
    return Judgement(low, high, np.isnan(values), values, bound)


def _beyond(compare: Any, values: Floats, bounds: Floats, language: NDArray[np.int64]) -> Mask:
    """Compare with the bound of each row's language, if there is any (NaN: none)."""
    if np.isnan(bounds).all():
        return np.zeros(len(values), np.bool_)
    found: Mask = compare(values, bounds[language] if len(bounds) > 1 else bounds[0])
    return found


def _judge_names(bounds: list[Bounds], column: Names, language: NDArray[np.int64]) -> Judgement:
    names, code = column
    refused = np.zeros((len(bounds), len(names) + 1), np.bool_)  # the last column: no name
    for row, one in enumerate(bounds):
        if one.one_of is not None:
            refused[row, :-1] = [name not in one.one_of for name in names]
    high = refused[language if len(bounds) > 1 else 0, code]
    nothing = np.full(len(code), np.nan)
    return Judgement(np.zeros(len(code), np.bool_), high, code < 0, nothing, nothing)
