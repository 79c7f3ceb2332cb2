"""Charts as inline SVG: histograms, bars of names, shares. No scripts; all text is escaped."""

from __future__ import annotations

import math
from collections import Counter

from markupsafe import Markup

from benben.analysis.report.histogram import WHOLE_UNITS, Bar, Histogram

WIDTH, HEIGHT, AXIS_HEIGHT = 280, 90, 16
MAX_NAMES = 15  # bars of a chart of names; the rest is summed up


def histogram(data: Histogram) -> Markup:
    """Draw a histogram: dropped records stacked on kept ones, the rule's bounds as dashed lines."""
    bars = data.bars()
    if not bars:
        return Markup("")
    tallest = max(bar.kept + bar.dropped for bar in bars)
    step = WIDTH / len(bars)
    parts = [_bar(bar, place * step, step, tallest) for place, bar in enumerate(bars)]
    parts += [_bound(bound, bars, step) for bound in data.bounds]
    low, high = _axis_ends(data, bars)
    label = Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>')
    parts.append(label.format(0, HEIGHT + AXIS_HEIGHT - 3, "start", _number(low)))
    parts.append(label.format(WIDTH, HEIGHT + AXIS_HEIGHT - 3, "end", _number(high)))
    if len(bars) > 2:
        middle = bars[len(bars) // 2].low
        shown = round(middle) if data.unit in WHOLE_UNITS else middle
        place = len(bars) // 2 * step
        parts.append(label.format(place, HEIGHT + AXIS_HEIGHT - 3, "middle", _number(shown)))
    parts.append(label.format(2, 9, "start", _number(tallest)))
    line = '<line class="axis" x1="0" x2="{0}" y1="{1}" y2="{1}"/>'
    parts.append(Markup(line).format(WIDTH, HEIGHT))
    return _svg("histogram", HEIGHT + AXIS_HEIGHT, Markup("").join(parts), data.name)


def names(counts: Counter[str], title: str) -> Markup:
    """Draw the most frequent names as horizontal bars, and all others as one bar."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = ordered[:MAX_NAMES]
    rest = sum(count for _, count in ordered[MAX_NAMES:])
    if rest:
        rows.append((f"{len(ordered) - MAX_NAMES:,} others", rest))
    longest = max(count for _, count in rows)
    line = Markup(
        '<text x="0" y="{0}">{1}</text>'
        '<rect class="kept" x="120" y="{2}" width="{3:.1f}" height="11"/>'
        '<text x="{4:.1f}" y="{0}">{5}</text>'
    )
    parts = []
    for place, (name, count) in enumerate(rows):
        width = 110 * count / longest
        label = name if len(name) <= 20 else f"{name[:19]}…"
        parts.append(
            line.format(15 * place + 11, label, 15 * place + 2, width, 124 + width, f"{count:,}")
        )
    return _svg("names", 15 * len(rows) + 4, Markup("").join(parts), title)


def share(kept: int, entered: int) -> Markup:
    """Draw the share of records that were kept; nothing when none entered."""
    if not entered:
        return Markup("")
    body = Markup(
        '<rect class="dropped" width="120" height="10"/>'
        '<rect class="kept" width="{:.1f}" height="10"/>'
    ).format(120 * kept / entered)
    return Markup(
        '<svg class="share" viewBox="0 0 120 10" width="120" height="10">{}</svg>'
    ).format(body)


def _svg(kind: str, height: int, body: Markup, title: str) -> Markup:
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        kind, WIDTH, height, title, body
    )


def _bar(bar: Bar, x: float, step: float, tallest: int) -> Markup:
    kept, dropped = (HEIGHT * count / tallest for count in (bar.kept, bar.dropped))
    label = f"{_number(bar.low)} to {_number(bar.high)}: {bar.kept:,} kept, {bar.dropped:,} dropped"
    width = max(step - 0.8, 0.5)

    def rect(kind: str, y: float, height: float) -> str:
        size = f'width="{width:.1f}" height="{height:.1f}"'
        return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" {size}/>'

    both = rect("kept", HEIGHT - kept, kept) + rect("dropped", HEIGHT - kept - dropped, dropped)
    return Markup(f"<g><title>{label}</title>{both}</g>")  # numbers alone: nothing to escape


def _bound(bound: float, bars: list[Bar], step: float) -> Markup:
    """A dashed line at a rule's bound; nothing when it lies outside the chart."""
    for place, bar in enumerate(bars):
        if bar.low <= bound <= bar.high:
            x = (place + (bound - bar.low) / (bar.high - bar.low)) * step
            line = '<line class="bound" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>'
            return Markup(line).format(x, HEIGHT)
    return Markup("")


def _axis_ends(data: Histogram, bars: list[Bar]) -> tuple[float, float]:
    """Labels of the axis: shares end at 1, and whole numbers are not labelled with fractions."""
    low, high = bars[0].low, 1.0 if data.largest <= 1 else bars[-1].high
    return (math.ceil(low), math.floor(high)) if data.unit in WHOLE_UNITS else (low, high)


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1_000 <= value < 100_000 else f"{value:.3g}"
