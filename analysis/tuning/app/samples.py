"""Rows nearest to a bound, with the part of the page that decided, and sweeps over bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benben.analysis.provenance.history import stored_pictures
from benben.analysis.tuning import labels
from benben.analysis.tuning.labels import End, Key
from benben.analysis.tuning.replay import COLUMNS, Replay
from benben.analysis.tuning.tuner import Tuner
from benben.analysis.tuning.what_if import WhatIf, count, fails
from benben.filters.declaration import Nested, node_counts
from benben.filters.signal_table import CATALOGUE
from benben.filters.signals.text import split
from benben.pipeline.settings.signals import Rule

PARTS = 3  # of a document that are shown
CHARS = 400  # of a part
SIDE = 200  # pixels
POINTS = 25  # of a sweep over one rule
GRID = 9  # of each side of a sweep over two


@dataclass(frozen=True)
class Part:
    """A paragraph or image that decided."""

    index: int
    text: str
    picture: str | None = None
    value: float | None = None  # its own value of the signal


@dataclass(frozen=True)
class Sample:
    """A row near a bound."""

    key: Key
    url: str
    title: str
    value: float
    dropped: bool  # by this rule
    kept: bool  # by all rules
    label: str
    parts: list[Part]


def near(tuner: Tuner, signal: str, number: int) -> list[Sample]:
    """The rows nearest to the bounds of a rule, on either side of each."""
    rows = tuner.rows_near(signal, number)
    table, replay = tuner.table, tuner.replay
    ids = sorted({table.ids[table.document[row]] for row in rows})
    wanted = ["doc_id", "url", "title", "nodes"]
    documents: Any = tuner.tables.lookup("documents", "doc_id", ids, wanted)
    failing = fails(table, signal, tuner.of_scope()[signal])
    found = []
    for row in rows:
        document = documents[table.ids[table.document[row]]]
        key = (document["doc_id"], int(table.index[row]))
        given = tuner.labels.get(key)
        label = "" if given is None else "keep" if given else "drop"
        parts = _parts(tuner, replay, signal, row, document)
        kept = bool(replay.kept[tuner.scope][row])
        value = float(table.values[signal][row])
        title = document["title"] or document["url"]
        found.append(
            Sample(key, document["url"], title, value, bool(failing[row]), kept, label, parts)
        )
    return found


def _parts(
    tuner: Tuner, replay: Replay, signal: str, row: int, document: dict[str, Any]
) -> list[Part]:
    """What decided: the node or what is measured with it, or what moves a document's value most."""
    table, scope = tuner.table, tuner.scope
    number = int(table.document[row])
    one = replay.stored.signals.slice(number, 1)
    nodes = {node["index"]: node for node in document["nodes"] or []}
    if scope == "image_node":
        return [_image(tuner, nodes[int(table.index[row])])]
    rule, texts = tuner.of_scope()[signal], Nested(one.column(COLUMNS["text_node"]))
    if scope == "text_node":
        here = row - int(replay.first[scope][number])
        chosen = np.array([here])
        if rule.over != "paragraph":
            chosen = np.flatnonzero(texts(rule.over) == texts(rule.over)[here])
        return [_text(nodes, texts, place, None) for place in chosen.tolist()[:PARTS]]
    if "image" in signal:
        shown = [node for node in nodes.values() if node["kind"] == "image"]
        return [_image(tuner, node) for node in shown[:PARTS]]
    first = replay.first["text_node"]
    kept = replay.kept["text_node"][first[number] : first[number + 1]]
    pushes, values = _pushes(signal, rule, texts, float(table.values[signal][row]))
    ranked = np.argsort(-np.where(kept, pushes, -np.inf), kind="stable").tolist()
    order = [place for place in ranked if kept[place]][:PARTS]
    return [_text(nodes, texts, place, values[place]) for place in sorted(order)]


def _pushes(signal: str, rule: Rule, texts: Nested, value: float) -> tuple[Any, Any]:
    """How much each paragraph moves a document's value beyond the nearest bound, and its value."""
    zero, nothing = np.zeros(len(texts)), np.full(len(texts), np.nan)
    known = CATALOGUE["text_node"].get(signal)
    if known is None or known.names or known.per is None:
        own = nothing if known is None or known.names else known.values(node_counts(texts))
        pushes = np.nan_to_num(np.asarray(own, np.float64))
    else:
        counts = node_counts(texts)
        over, under = np.asarray(counts(known.count)), np.asarray(counts(known.per))
        own = known.values(counts)
        pushes = np.nan_to_num(over - value * under)
    ends = labels.bounds_of(rule)
    nearest = min(ends, key=lambda end: abs(ends[end] - value)) if ends else "max"
    if not len(pushes):
        return zero, own
    return (-pushes if nearest == "min" and known and known.per else pushes), own


def _text(nodes: dict[int, Any], texts: Nested, place: int, value: float | None) -> Part:
    index = int(texts.integers("index")[place])
    pieces = split(nodes[index]["text"] or "")
    text = pieces[int(texts.integers("paragraph")[place])]
    shown = None if value is None or np.isnan(value) else float(value)
    return Part(index, text[:CHARS] + ("…" if len(text) > CHARS else ""), value=shown)


def _image(tuner: Tuner, node: dict[str, Any]) -> Part:
    facts: Any = tuner.tables.lookup("images", "url", [node["url"]], ["url", "sha256"])
    digest = facts.get(node["url"], {}).get("sha256")
    picture = stored_pictures(tuner.tables, [digest], SIDE).get(digest) if digest else None
    return Part(node["index"], f"{node['url']} {node['alt'] or ''}".strip(), picture)


# Sweeps


def sweep(tuner: Tuner, signal: str, end: End, points: list[float]) -> list[dict[str, Any]]:
    """What all rules of the scope keep for each bound of one; with labels, how well they drop."""
    rules, what_if = tuner.of_scope(), tuner.replay.what_if[tuner.scope]
    rest = what_if.dropped(rules, [signal])
    rows, keep = labels.align(tuner.table, tuner.labels)
    found = []
    for bound in points:
        mask = _failing(tuner, signal, end, bound)
        gone = rest | np.packbits(mask)
        point: dict[str, Any] = {
            "bound": bound, "kept": len(mask) - count(gone), "drops": int(mask.sum())
        }  # fmt: skip
        if len(rows):
            dropped = np.unpackbits(gone, count=len(mask))[rows] > 0
            point |= agreement(dropped, ~keep)
        found.append(point)
    return found


def grid(
    tuner: Tuner, one: tuple[str, End, list[float]], other: tuple[str, End, list[float]]
) -> list[list[int]]:
    """Rows that all rules keep, for each bound of one rule (rows) and of another (columns)."""
    what_if: WhatIf = tuner.replay.what_if[tuner.scope]
    rest = what_if.dropped(tuner.of_scope(), [one[0], other[0]])
    size = len(tuner.table)
    first, second = (
        [np.packbits(_failing(tuner, name, end, bound)) for bound in points]
        for name, end, points in (one, other)
    )
    return [[size - count(rest | left | right) for right in second] for left in first]


def _failing(tuner: Tuner, signal: str, end: End, bound: float) -> Any:
    rule = labels.with_bound(tuner.of_scope()[signal], end, bound)
    return fails(tuner.table, signal, rule)


def agreement(dropped: Any, bad: Any) -> dict[str, Any]:
    """Precision, recall and F1 of dropping; None where not defined."""
    hits = int((dropped & bad).sum())
    precision = hits / int(dropped.sum()) if dropped.any() else None
    recall = hits / int(bad.sum()) if bad.any() else None
    f1 = 2 * hits / (int(dropped.sum()) + int(bad.sum())) if dropped.any() or bad.any() else None
    return {"precision": precision, "recall": recall, "f1": f1}


def points_of(values: Any, number: int, now: float | None) -> list[float]:
    """Bounds to try: some quantiles of the values, some in even steps, and the bound as it is."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return [now] if now is not None else []
    half = -(-number // 2)
    found = np.quantile(known, np.linspace(0, 1, half))
    steps = np.linspace(known.min(), known.max(), number - half + 1)
    rounded = {float(f"{one:.3g}") for one in [*found.tolist(), *steps.tolist()]}
    return sorted(rounded | ({now} if now is not None else set()))
