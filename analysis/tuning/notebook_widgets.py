"""Widgets of the tuning notebook: sliders for thresholds, rows near a bound, labels, scores."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets  # type: ignore[import-untyped]
import numpy as np

from benben.analysis.tuning.labels import bounds_of
from benben.analysis.tuning.tuner import Tuner
from benben.analysis.tuning.what_if import Effects


def sliders(tuner: Tuner) -> widgets.Widget:
    """A slider for each bound, above counts that follow every move."""
    shown = widgets.HTML(counts(tuner.effects()))
    rows = [
        _slider(tuner, name, end, bound, shown)
        for name, rule in tuner.of_scope().items()
        if name in tuner.table.values
        for end, bound in bounds_of(rule).items()
    ]
    return widgets.VBox([*rows, shown])


def counts(found: Effects) -> str:
    """A table of what each rule drops, and what it alone drops."""
    head = "<tr><th>rule</th><th>drops</th><th>alone</th><th>most similar</th></tr>"
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{number:,}</td><td>{found.marginal[name]:,}</td>"
        f"<td>{html.escape(_most_similar(found, name))}</td></tr>"
        for name, number in found.dropped.items()
    )
    share = found.kept / found.rows if found.rows else 0
    summary = f"<p class='kept'>kept {found.kept:,} of {found.rows:,} ({share:.1%})</p>"
    return f"{summary}<table>{head}{body}</table>"


def overlaps(tuner: Tuner) -> widgets.HTML:
    """A table of how many rows each pair of rules drops together, and their correlation (phi)."""
    found = tuner.effects()
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
    """The documents or nodes nearest to a signal's bounds, each with buttons to label it."""
    boxes = []
    for (doc_id, index), page in tuner.margin(signal, number).items():
        shown = (
            f'<iframe sandbox="" style="width:100%;height:320px;border:1px solid #ccc" '
            f'srcdoc="{html.escape(page)}"></iframe>'
        )
        boxes.append(widgets.VBox([widgets.HTML(shown), _buttons(tuner, doc_id, index)]))
    return widgets.VBox(boxes)


def scores(tuner: Tuner) -> widgets.HTML:
    """A table of precision, recall and F1 of each rule, with 95% intervals."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(
            f"<td>{one.value:.3f} ({one.low:.3f} to {one.high:.3f})</td>"
            for one in (found.precision, found.recall, found.f1)
        )
        + "</tr>"
        for name, found in tuner.scores().items()
    )
    head = "<tr><th>rule</th><th>precision</th><th>recall</th><th>F1</th></tr>"
    return widgets.HTML(f"<table>{head}{rows}</table>")


def _slider(tuner: Tuner, name: str, end: Any, bound: float, shown: widgets.HTML) -> Any:
    values = tuner.table.values[name]
    known = values[~np.isnan(values)]
    top = max(float(known.max()) if len(known) else bound, bound, 1e-6)
    slider = widgets.FloatSlider(
        value=bound, min=min(float(known.min()) if len(known) else 0.0, bound, 0.0), max=top,
        step=top / 1000, description=f"{name} {end}", readout_format=".4g",
        continuous_update=False, layout=widgets.Layout(width="40rem"),
        style={"description_width": "16rem"},
    )  # fmt: skip

    def moved(change: dict[str, Any]) -> None:
        shown.value = counts(tuner.move(name, end, change["new"]))

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


def _pair(found: Effects, left: str, right: str) -> str:
    if left == right:
        return f"<b>{found.dropped[left]:,}</b>"
    key = (left, right) if (left, right) in found.overlap else (right, left)
    return f"{found.overlap[key]:,} <small>{found.correlation[key]:.2f}</small>"


def _most_similar(found: Effects, name: str) -> str:
    pairs = {
        (left if right == name else right): value
        for (left, right), value in found.correlation.items()
        if name in (left, right)
    }
    if not pairs:
        return ""
    best = max(pairs, key=lambda other: pairs[other])
    return f"{best} ({pairs[best]:.2f})" if pairs[best] > 0 else ""
