"""Widgets of the tuning notebook: sliders for thresholds, rows near a bound, labels, scores."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets  # type: ignore[import-untyped]
import numpy as np

from benben.analysis.report import charts
from benben.analysis.report.histogram import WHOLE_UNITS, Histogram
from benben.analysis.tuning.labels import bounds_of
from benben.analysis.tuning.tuner import Tuner
from benben.analysis.tuning.what_if import Effects
from benben.filters.signal_table import CATALOGUE
from benben.pipeline.settings.signals import UNGROUPED, Group, group_name

_STYLE = (
    "<style>svg .kept{fill:#2a7f62}svg .dropped{fill:#e3b9a0}svg text{font-size:10px;fill:#666}"
    "svg .bound{stroke:#b00;stroke-dasharray:3 2}svg .axis{stroke:#ddd}</style>"
)


def sliders(tuner: Tuner) -> widgets.Widget:
    """A slider, a field for exact numbers and a histogram for each bound, above the counts."""
    shown = widgets.HTML(counts(tuner))
    rows = [
        _bound(tuner, name, group, end, shown)
        for name, rule in tuner.of_scope().items()
        if name in tuner.table.values
        for group in (UNGROUPED, *rule.groups())
        for end in bounds_of(rule.of_group(group))
    ]
    return widgets.VBox([widgets.HTML(_STYLE), *rows, shown])


def counts(tuner: Tuner) -> str:
    """A table of what each rule drops, and what it alone drops; what is kept, as by `decide`."""
    found, kept = tuner.effects(), tuner.kept()
    head = "<tr><th>rule</th><th>drops</th><th>alone</th><th>most similar</th></tr>"
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{number:,}</td><td>{found.marginal[name]:,}</td>"
        f"<td>{html.escape(_most_similar(found, name))}</td></tr>"
        for name, number in found.dropped.items()
    )
    share = kept / found.rows if found.rows else 0
    summary = f"<p class='kept'>kept {kept:,} of {found.rows:,} ({share:.1%})</p>"
    return f"{summary}<table>{head}{body}</table>"


def histogram(tuner: Tuner, name: str) -> str:
    """The histogram of a rule's signal over kept and dropped rows, with its bounds, as SVG."""
    signal = CATALOGUE[tuner.scope][name]
    bounds = tuple(bounds_of(tuner.of_scope()[name]).values())
    drawn = Histogram(name, signal.unit, signal.meaning, bounds)
    drawn.add(tuner.table.values[name].astype(np.float64), tuner.replay.kept[tuner.scope])
    return str(charts.histogram(drawn))


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


def _bound(tuner: Tuner, name: str, group: Group, end: Any, shown: widgets.HTML) -> Any:
    def now() -> float:
        return float(getattr(tuner.of_scope()[name].of_group(group), end))

    values, bound = tuner.table.values[name], now()
    label = " ".join(part for part in (name, group_name(group), end) if part)
    known = values[~np.isnan(values)]
    top = max(float(known.max()) if len(known) else bound, bound, 1e-6)
    whole = CATALOGUE[tuner.scope][name].unit in WHOLE_UNITS
    slider = widgets.FloatSlider(
        value=bound, min=min(float(known.min()) if len(known) else 0.0, bound, 0.0), max=top,
        step=1.0 if whole else top / 1000, description=label, readout_format=".4g",
        continuous_update=False, layout=widgets.Layout(width="32rem"),
        style={"description_width": "14rem"},
    )  # fmt: skip
    exact = widgets.FloatText(value=bound, layout=widgets.Layout(width="7rem"))
    chart = widgets.HTML(histogram(tuner, name), layout=widgets.Layout(width="18rem"))

    def moved(change: dict[str, Any]) -> None:
        asked = change["new"]
        if asked != now():
            tuner.move(name, end, asked, group)
            shown.value, chart.value = counts(tuner), histogram(tuner, name)
        exact.value = now()
        if change["owner"] is exact and slider.min <= exact.value <= slider.max:
            slider.value = exact.value

    slider.observe(moved, "value")
    exact.observe(moved, "value")
    return widgets.HBox([slider, exact, chart])


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
