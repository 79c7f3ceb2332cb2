"""The pages and answers of the tuning app: what its script asks for, and what forms change."""

from __future__ import annotations

import hmac
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from markupsafe import Markup

from benben.analysis.safe_html import content_security_policy, environment, script, style_sheet
from benben.analysis.tuning import exchange, labels, written
from benben.analysis.tuning.app import samples
from benben.analysis.tuning.app.bins import Histograms
from benben.analysis.tuning.app.history import History
from benben.analysis.tuning.labels import ENDS, End, Key
from benben.analysis.tuning.learn import CONSENT
from benben.analysis.tuning.replay import page_types
from benben.analysis.tuning.tuner import LABELS, Tuner
from benben.filters.declaration import Scope
from benben.filters.signal_table import CATALOGUE, read_rules
from benben.pipeline import storage
from benben.pipeline.config import ConfigError
from benben.pipeline.errors import InputError
from benben.pipeline.settings.signals import Rule

TITLES: dict[Scope, str] = {
    "document": "Documents", "text_node": "Texts", "image_node": "Images"
}  # fmt: skip
SETTLE_SECONDS = 0.3  # of an answer, in which documents are judged again
SAMPLES = 3  # rows shown on each side of a bound
Fields = Mapping[str, str]
HTML, JSON, CSV, YAML = "text/html", "application/json", "text/csv", "application/yaml"
ACTIONS = {"keep": True, "drop": False}


@dataclass(frozen=True)
class Answer:
    """A text and its MIME type."""

    kind: str
    text: str


class Site:
    """One run that is tuned by one person; `path` is where the config is written."""

    def __init__(self, tuner: Tuner, path: str) -> None:
        self.tuner, self.path = tuner, path
        self.token = secrets.token_urlsafe(24)  # so that no other website can send forms here
        self.histograms = Histograms(tuner.replay)
        self.start = {scope: tuner.replay.ships(scope).copy() for scope in TITLES}
        self.history = History(tuner)
        self.changes: list[tuple[Key, bool | None]] = []  # labels given, with the one before
        self.style = style_sheet(
            "vendor/pico.classless.min.css", "report.css", "explore/explore.css", "tuning/tune.css"
        )
        self.script = script("tuning/charts.js") + script("tuning/tune.js")
        self.policy = content_security_policy(self.style, script=self.script, requests=True)
        self._ids = set(tuner.replay.ids)
        self._dragged: dict[tuple[Scope, str], Rule] = {}  # rules as they were before a drag
        self._lock = Lock()

    def get(self, name: str, fields: Fields) -> Answer | None:
        """A page, or what the script asks for; None when there is no such thing."""
        with self._lock:
            if name in ("", "index.html"):
                return Answer(HTML, self._page())
            if name == "tuned.yaml":
                return Answer(YAML, self._config())
            if name in exchange.FORMATS:
                kind = CSV if name.endswith(".csv") else JSON
                return Answer(kind, exchange.FORMATS[name](self.tuner.labels, self._shown()))
            scope = self._choose(fields)
            if scope is None:
                return None
            if name == "state.json":
                return _json(self._state(fields))
            if name == "samples.html":
                return self._samples(fields)
            if name == "sweep.json":
                return self._sweep(fields)
            return None

    def post(self, name: str, fields: Fields, text: str = "") -> Answer | None:
        """Do what a form asks; None when it may not or cannot be done."""
        if not hmac.compare_digest(fields.get("token", "").encode(), self.token.encode()):
            return None
        with self._lock:
            if name == "import":
                return self._import(text)
            if name == "write":
                storage.write_bytes(self.path, self._config().encode())
                return _json({"path": self.path})
            if self._choose(fields) is None:
                return None
            act = {"move": self._move, "watch": self._watch, "go": self._go, "label": self._label}
            return act[name](fields) if name in act else None

    def _choose(self, fields: Fields) -> Scope | None:
        scope = fields.get("scope", "document")
        if scope not in TITLES:
            return None
        self.tuner.scope = scope
        return self.tuner.scope

    def _page(self) -> str:
        template = environment().get_template("tuning/index.html")
        replay = self.tuner.replay
        numbers = np.bincount(replay.tables["document"].language, minlength=len(replay.languages))
        ordered = sorted(zip(-numbers, replay.languages, strict=True))
        return template.render(
            output=self.tuner.tables.output,
            policy=self.policy,
            style=Markup(self.style),
            script=Markup(self.script),
            token=self.token,
            scopes=TITLES,
            languages=[(name, int(-number)) for number, name in ordered if name],
            types=[(name, number) for name, number in page_types(replay.stored).items() if name],
            documents=len(replay),
            run_documents=self.tuner.tables.documents,
            path=self.path,
            formats=list(exchange.FORMATS),
        )

    # What is shown

    def _rows(self, scope: Scope, fields: Fields) -> Any:
        """Mask of the rows of the chosen language and page type; None for all."""
        replay, chosen = self.tuner.replay, None
        language, kind = fields.get("lang", ""), fields.get("type", "")
        if language:
            code = replay.languages.index(language) if language in replay.languages else -1
            chosen = replay.tables["document"].language == code
        if kind:
            mine = np.array([one == kind for one in replay.stored.page_types or []], np.bool_)
            chosen = mine if chosen is None else chosen & mine
        if chosen is None or scope == "document":
            return chosen
        return chosen[replay.tables[scope].document]

    def _state(self, fields: Fields) -> dict[str, Any]:
        """Counts of all scopes, the rules of one, and histograms of those that are asked for."""
        tuner, replay = self.tuner, self.tuner.replay
        unsettled = replay.settle(SETTLE_SECONDS)
        totals = {}
        for scope in TITLES:
            rows = self._rows(scope, fields)
            kept, passing = replay.ships(scope), replay.kept[scope]
            start = self.start[scope]
            if rows is not None:
                kept, passing, start = kept[rows], passing[rows], start[rows]
            totals[scope] = {
                "rows": len(kept), "kept": int(kept.sum()), "start": int(start.sum()),
                "passing": int(passing.sum()),
            }  # fmt: skip
        rows = self._rows(tuner.scope, fields)
        bits = None if rows is None else np.packbits(rows)
        effects = replay.what_if[tuner.scope].effects(tuner.of_scope(), bits, pairs=False)
        rules = [self._rule(name, rule, effects, bits) for name, rule in tuner.of_scope().items()]
        names = [one["signal"] for one in rules if one["numeric"]]
        asked = fields.get("charts", "")
        wanted = [name for name in names if asked in ("*", name)]
        scale = {name: fields.get("scale", "") for name in wanted}
        return {
            "scope": tuner.scope,
            "totals": totals,
            "rules": rules,
            "others": [name for name, one in CATALOGUE[tuner.scope].items()
                       if name not in tuner.of_scope() and not one.names],
            "charts": {name: self.histograms.of(tuner.scope, name, scale[name], rows)
                       for name in wanted},
            "history": [{"says": one.says(), "scope": TITLES[one.scope], "kept": one.kept}
                        for one in self.history.moves],
            "position": self.history.position,
            "labels": self._label_counts(),
            "unsettled": unsettled,
        }  # fmt: skip

    def _rule(self, name: str, rule: Rule, effects: Any, bits: Any) -> dict[str, Any]:
        signal = CATALOGUE[self.tuner.scope][name]
        table = self.tuner.table
        known = 0
        if name in table.values:
            values = table.values[name]
            known = int(len(values) - np.isnan(values).sum())
        data = rule.model_dump(mode="json", exclude_none=True)
        bounds = {end: data[end] for end in ("min", "max", "below") if end in data}
        return {
            "signal": name,
            "unit": signal.unit,
            "meaning": signal.meaning,
            "numeric": name in table.values,
            "known": known,
            "bounds": bounds,
            "one_of": rule.one_of,
            "groups": [{"by": by, "group": name, "bounds": labels.bounds_of(one)}
                       for (by, name), one in rule.groups().items()],
            "over": rule.over,
            "when": data.get("when", {}),
            "pending": sorted(table.pending.get(name, ())),
            "after_fetch": signal.after_fetch,
            "drops": effects.dropped.get(name, 0),
            "alone": effects.marginal.get(name, 0),
            "locked": name in CONSENT,
            "base": _has(self.tuner.base, self.tuner.scope, name),
        }  # fmt: skip

    def _label_counts(self) -> dict[str, int]:
        given = self.tuner.labels
        return {
            "all": len(given),
            "keep": sum(given.values()),
            "undo": len(self.changes),
            "scope": len(labels.align(self.tuner.table, given)[0]),
        }

    def _samples(self, fields: Fields) -> Answer | None:
        signal = fields.get("signal", "")
        if signal not in self.tuner.of_scope() or signal not in self.tuner.table.values:
            return None
        found = samples.near(self.tuner, signal, SAMPLES)
        template = environment().get_template("tuning/_samples.html")
        return Answer(HTML, template.render(samples=found, signal=signal, scope=self.tuner.scope))

    def _sweep(self, fields: Fields) -> Answer | None:
        one = self._swept(fields, "signal", "end", samples.POINTS)
        if one is None:
            return None
        if fields.get("other"):
            one = self._swept(fields, "signal", "end", samples.GRID)
            other = self._swept(fields, "other", "other_end", samples.GRID)
            if one is None or other is None or one[0] == other[0]:
                return None
            kept = samples.grid(self.tuner, one, other)
            return _json({"kept": kept, "bounds": one[2], "other_bounds": other[2],
                          "rows": len(self.tuner.table)})  # fmt: skip
        points = samples.sweep(self.tuner, *one)
        now = getattr(self.tuner.of_scope()[one[0]], one[1])
        return _json({"points": points, "rows": len(self.tuner.table), "now": now})

    def _swept(
        self, fields: Fields, signal_field: str, end_field: str, number: int
    ) -> tuple[str, End, list[float]] | None:
        signal, end = fields.get(signal_field, ""), fields.get(end_field, "")
        rule = self.tuner.of_scope().get(signal)
        if rule is None or end not in ENDS or signal not in self.tuner.table.values:
            return None
        points = samples.points_of(self.tuner.table.values[signal], number, getattr(rule, end))
        return signal, end, points

    # What changes

    def _move(self, fields: Fields) -> Answer | None:
        signal, end, bound = (fields.get(name, "") for name in ("signal", "end", "bound"))
        if signal not in self.tuner.of_scope() or signal in CONSENT:
            return None
        rule = self.tuner.of_scope()[signal]
        before = self._dragged.setdefault((self.tuner.scope, signal), rule)
        if end == "off":
            new = Rule(over=rule.over, when=rule.when)
        elif end == "on":
            new = getattr(self.tuner.base, self.tuner.scope).get(signal, Rule())
        elif end in ENDS and (not bound or _is_number(bound)):
            value = float(bound) if bound else None
            new = labels.with_bound(
                rule, end, value, (fields.get("by", ""), fields.get("group", ""))
            )
        else:
            return None
        changed = {**self.tuner.of_scope(), signal: new}
        rules = self.tuner.replay.rules.model_copy(update={self.tuner.scope: changed})
        try:
            self.tuner.apply(rules, later=True)
        except ConfigError:
            return None
        if fields.get("commit"):
            self.history.note(self.tuner.scope, signal, before)
            self._dragged.pop((self.tuner.scope, signal), None)
        return _json(self._state(fields))

    def _watch(self, fields: Fields) -> Answer | None:
        signal = fields.get("signal", "")
        known = CATALOGUE[self.tuner.scope].get(signal)
        if known is None or known.names:
            return None
        self.tuner.watch(signal)
        return _json(self._state(fields))

    def _go(self, fields: Fields) -> Answer | None:
        position = fields.get("position", "")
        if not position.isdecimal() or len(position) > 6:
            return None
        self.history.go(int(position), later=True)
        return _json(self._state(fields))

    def _label(self, fields: Fields) -> Answer | None:
        """Label a row, or take the last label back; says which row it was."""
        action, index = fields.get("action", ""), fields.get("index", "")
        known = self.tuner.labels
        if action == "undo" and self.changes:
            key, before = self.changes.pop()
        elif action in ACTIONS and index.lstrip("-").isdecimal() and len(index) < 8:
            key, before = (fields.get("doc_id", ""), int(index)), ACTIONS[action]
            if key[0] not in self._ids:
                return None
            self.changes.append((key, known.get(key)))
        else:
            return None
        known.pop(key, None)
        if before is not None:
            known[key] = before
        labels.save(storage.join(self.tuner.tables.output, LABELS), known)
        word = "" if key not in known else "keep" if known[key] else "drop"
        return _json({"doc_id": key[0], "index": key[1], "label": word,
                      "labels": self._label_counts()})  # fmt: skip

    def _import(self, text: str) -> Answer:
        try:
            found = exchange.read(text.encode(), "the file")
        except InputError as error:
            return _json({"error": str(error)})
        mine = {key: keep for key, keep in found.items() if key[0] in self._ids}
        for key, keep in mine.items():
            self.changes.append((key, self.tuner.labels.get(key)))
            self.tuner.labels[key] = keep
        labels.save(storage.join(self.tuner.tables.output, LABELS), self.tuner.labels)
        return _json({"read": len(mine), "unknown": len(found) - len(mine),
                      "labels": self._label_counts()})  # fmt: skip

    def _shown(self) -> dict[Key, tuple[str, str]]:
        """URL and text of what is labelled, for tools that show them."""
        ids = sorted({doc_id for doc_id, _ in self.tuner.labels})
        wanted = ["doc_id", "url", "title", "nodes"]
        documents: Any = self.tuner.tables.lookup("documents", "doc_id", ids, wanted)
        found = {}
        for key in self.tuner.labels:
            row = documents.get(key[0])
            if row is None:
                continue
            nodes = {node["index"]: node["text"] or node["url"] for node in row["nodes"] or []}
            whole = "\n\n".join(text for text in nodes.values() if text)
            found[key] = row["url"], nodes.get(key[1], whole) or ""
        return found

    def _config(self) -> str:
        tuner = self.tuner
        base = written.base_of(tuner.tables.output, str(tuner.source))
        kept = tuner.replay.kept["document"]
        head = [f"Tuned by hand: keeps {int(kept.sum()):,} of {len(kept):,} documents."]
        return written.config_text(base, read_rules(base), tuner.rules, head=head)


def _has(rules: Any, scope: Scope, name: str) -> bool:
    return name in getattr(rules, scope)


def _json(data: object) -> Answer:
    return Answer(JSON, json.dumps(data))


def _is_number(text: str) -> bool:
    try:
        return len(text) < 30 and math.isfinite(float(text))
    except ValueError:
        return False
