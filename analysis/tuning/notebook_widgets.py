"""Widgets of the tuning notebook: sliders over thresholds, documents at the margin, labels."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets
import numpy as np

from benben.analysis.tuning.labels import bounds_of
from benben.analysis.tuning.tuner import Tuner
from benben.analysis.tuning.what_if import WhatIf


def sliders(tuner: Tuner) -> widgets.Widget:
    """A slider for each bound; counts follow at once."""
    answer = widgets.HTML(counts(tuner.ask()))
    rows = [
        _slider(tuner, name, end, bound, answer)
        for name, rule in getattr(tuner.rules, tuner.scope).items()
        if name in tuner.sheet.values
        for end, bound in bounds_of(rule).items()
    ]
    return widgets.VBox([*rows, answer])


def counts(found: WhatIf) -> str:
    """A table of what each rule drops, alone and with others."""
    head = "<tr><th>rule</th><th>drops</th><th>alone</th><th>most like</th></tr>"
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{number:,}</td><td>{found.marginal[name]:,}</td>"
        f"<td>{html.escape(_most_like(found, name))}</td></tr>"
        for name, number in found.dropped.items()
    )
    share = found.kept / found.rows if found.rows else 0
    summary = f"<p class='kept'>kept {found.kept:,} of {found.rows:,} ({share:.1%})</p>"
    return f"{summary}<table>{head}{body}</table>"


def overlaps(tuner: Tuner) -> widgets.HTML:
    """How many rows each pair of rules drops together, and how their verdicts correlate (phi)."""
    found = tuner.ask()
    names = [name for name, number in found.dropped.items() if number]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th>{html.escape(left)}</th>"
        + "".join(f"<td>{_pair(found, left, right)}</td>" for right in names)
        + "</tr>"
        for left in names
    )
    return widgets.HTML(f"<table><tr><th></th>{head}</tr>{body}</table>")


def margin(tuner: Tuner, signal: str, number: int = 2) -> widgets.Widget:
    """Documents or nodes nearest a signal's bounds, each with buttons to label it."""
    boxes = []
    for (doc_id, index), page in tuner.margin(signal, number).items():
        shown = (
            f'<iframe sandbox="" style="width:100%;height:320px;border:1px solid #ccc" '
            f'srcdoc="{html.escape(page)}"></iframe>'
        )
        boxes.append(widgets.VBox([widgets.HTML(shown), _buttons(tuner, doc_id, index)]))
    return widgets.VBox(boxes)


def scores(tuner: Tuner) -> widgets.HTML:
    """Precision, recall and F1 of what each rule drops, with 95 % intervals."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(
            f"<td>{one.value:.3f} ({one.low:.3f} .. {one.high:.3f})</td>"
            for one in (found.precision, found.recall, found.f1)
        )
        + "</tr>"
        for name, found in tuner.scores().items()
    )
    head = "<tr><th>rule</th><th>precision</th><th>recall</th><th>F1</th></tr>"
    return widgets.HTML(f"<table>{head}{rows}</table>")


def _slider(tuner: Tuner, name: str, end: Any, bound: float, answer: widgets.HTML) -> Any:
    values = tuner.sheet.values[name]
    known = values[~np.isnan(values)]
    top = max(float(known.max()) if len(known) else bound, bound, 1e-6)
    slider = widgets.FloatSlider(
        value=bound, min=min(float(known.min()) if len(known) else 0.0, bound, 0.0), max=top,
        step=top / 1000, description=f"{name} {end}", readout_format=".4g",
        continuous_update=False, layout=widgets.Layout(width="40rem"),
        style={"description_width": "16rem"},
    )  # fmt: skip

    def moved(change: dict[str, Any]) -> None:
        answer.value = counts(tuner.move(name, end, change["new"]))

    slider.observe(moved, "value")
    return slider


def _buttons(tuner: Tuner, doc_id: str, index: int) -> widgets.Widget:
    name = doc_id if index < 0 else f"{doc_id} node {index}"
    note = widgets.Label(name)

    def press(keep: bool) -> Any:
        def act(_: Any) -> None:
            tuner.label(doc_id, keep, index)
            note.value = f"{name}: {'keep' if keep else 'drop'}"

        return act

    buttons = [widgets.Button(description=word) for word in ("keep", "drop")]
    for button, keep in zip(buttons, (True, False), strict=True):
        button.on_click(press(keep))
    return widgets.HBox([*buttons, note])


def _pair(found: WhatIf, left: str, right: str) -> str:
    if left == right:
        return f"<b>{found.dropped[left]:,}</b>"
    key = (left, right) if (left, right) in found.overlap else (right, left)
    return f"{found.overlap[key]:,} <small>{found.correlation[key]:.2f}</small>"


def _most_like(found: WhatIf, name: str) -> str:
    pairs = {
        (left if right == name else right): value
        for (left, right), value in found.correlation.items()
        if name in (left, right)
    }
    if not pairs:
        return ""
    best = max(pairs, key=lambda other: pairs[other])
    return f"{best} ({pairs[best]:.2f})" if pairs[best] > 0 else ""
