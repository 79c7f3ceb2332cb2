"""The history of bounds: each move can be undone and redone, and outlives the server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from benben.analysis.tuning.labels import ENDS
from benben.analysis.tuning.tuner import Tuner
from benben.filters.declaration import SCOPES, Scope
from benben.filters.signal_table import check_rules
from benben.pipeline import storage
from benben.pipeline.config import ConfigError
from benben.pipeline.settings.signals import Rule, RuleSettings, group_name

FILE = "tuning.json"  # in the run's folder


@dataclass(frozen=True)
class Move:
    """A rule before and after a change, as a config states it."""

    scope: Scope
    signal: str
    before: dict[str, Any]
    after: dict[str, Any]
    kept: int  # documents, after it

    def says(self) -> str:
        """The change in words."""
        parts = []
        for where, old, new in _pairs(self.before, self.after):
            parts += [
                f"{end}{where} {_shown(old.get(end))} → {_shown(new.get(end))}"
                for end in (*ENDS, "one_of")
                if old.get(end) != new.get(end)
            ]
        return f"{self.signal} {', '.join(parts)}"


def _pairs(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    old, new = Rule.model_validate(before).groups(), Rule.model_validate(after).groups()
    pairs = [("", before, after)]
    for group in sorted({*old, *new}):
        one, other = (
            bounds[group].model_dump(mode="json") if group in bounds else {}
            for bounds in (old, new)
        )
        pairs.append((f" ({group_name(group)})", one, other))
    return pairs


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:,.6g}" if isinstance(value, float) else str(value)


class History:
    """The moves of a run's rules, and how many of them are in force."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self.path = storage.join(tuner.tables.output, FILE)
        self.moves: list[Move] = []
        self.position = 0
        self._start = tuner.replay.rules
        self._restore()

    def note(self, scope: Scope, signal: str, before: Rule) -> None:
        """Record that a rule was changed; moves that were undone are forgotten."""
        after = getattr(self.tuner.replay.rules, scope)[signal]
        if after == before:
            return
        kept = int(self.tuner.replay.kept["document"].sum())
        self.moves[self.position :] = [Move(scope, signal, _plain(before), _plain(after), kept)]
        self.position += 1
        self._save()

    def go(self, position: int, later: bool = False) -> None:
        """Bring the rules to where they were after so many moves; `later`: see `Replay.move`."""
        self.position = max(0, min(position, len(self.moves)))
        now = self.tuner.replay.rules
        watched: dict[str, dict[str, Rule]] = {
            scope: {name: Rule() for name in getattr(now, scope)} | getattr(self._start, scope)
            for scope in SCOPES
        }
        rules = now.model_copy(update=watched)
        for move in self.moves[: self.position]:
            rules = _with(rules, move)
        self.tuner.apply(rules, later)
        self._save()

    def _restore(self) -> None:
        """Take up the moves of the last time, if they still make valid rules."""
        if not storage.exists(self.path):
            return
        stored = json.loads(storage.read_bytes(self.path))
        if stored["start"] != self._start.model_dump(mode="json", exclude_defaults=True):
            return
        moves = [Move(**one) for one in stored["moves"]]
        rules = self._start
        try:
            for move in moves:
                rules = _with(rules, move)
            check_rules(rules)
        except (ConfigError, ValueError):
            return
        self.moves = moves
        self.go(stored["position"])

    def _save(self) -> None:
        start = self._start.model_dump(mode="json", exclude_defaults=True)
        moves = [asdict(move) for move in self.moves]
        data = {"start": start, "moves": moves, "position": self.position}
        storage.write_bytes(self.path, json.dumps(data, indent=1).encode())


def _with(rules: RuleSettings, move: Move) -> RuleSettings:
    some = {**getattr(rules, move.scope), move.signal: Rule.model_validate(move.after)}
    return rules.model_copy(update={move.scope: some})


def _plain(rule: Rule) -> dict[str, Any]:
    found: dict[str, Any] = rule.model_dump(mode="json", exclude_defaults=True)
    return found
