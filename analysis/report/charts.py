"""Inline SVG: histograms and bars. Text is escaped, nothing is fetched, no script."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup, escape

from benben.analysis.report.histogram import Bar, Histogram

WIDTH, HEIGHT, FOOT = 280, 90, 16
TOP_NAMES = 15


def histogram(data: Histogram) -> Markup:
    """Draw a histogram; kept in front, dropped stacked on top, rule bounds as dashed lines."""
    bars = data.bars()
    if not bars:
        return Markup("")
    tallest = max(bar.kept + bar.dropped for bar in bars)
    step = WIDTH / len(bars)
    parts = [_bar(bar, place * step, step, tallest) for place, bar in enumerate(bars)]
    parts += [_bound(bound, bars, step) for bound in data.bounds]
    parts.append(
        Markup('<text x="0" y="{}">{}</text>').format(HEIGHT + FOOT - 3, _number(bars[0].low))
    )
    end = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>')
    parts.append(end.format(WIDTH, HEIGHT + FOOT - 3, _number(_end(data, bars))))
    return _svg("histogram", HEIGHT + FOOT, Markup("").join(parts), data.name)


def names(counts: Counter[str], title: str) -> Markup:
    """Draw the most frequent names as horizontal bars; the rest as one."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = ordered[:TOP_NAMES]
    rest = sum(count for _, count in ordered[TOP_NAMES:])
    if rest:
        rows.append((f"{len(ordered) - TOP_NAMES:,} others", rest))
    tallest = max(count for _, count in rows)
    line = Markup(
        '<text x="0" y="{0}">{1}</text>'
        '<rect class="kept" x="120" y="{2}" width="{3:.1f}" height="11"/>'
        '<text x="{4:.1f}" y="{0}">{5}</text>'
    )
    parts = []
    for place, (name, count) in enumerate(rows):
        width = 110 * count / tallest
        label = name if len(name) <= 20 else f"{name[:19]}…"
        parts.append(
            line.format(15 * place + 11, label, 15 * place + 2, width, 124 + width, f"{count:,}")
        )
    return _svg("names", 15 * len(rows) + 4, Markup("").join(parts), title)


def share(kept: int, entered: int) -> Markup:
    """Draw how much of what entered was kept."""
    width = 120 * kept / entered if entered else 0
    body = Markup(
        '<rect class="dropped" width="120" height="10"/>'
        '<rect class="kept" width="{:.1f}" height="10"/>'
    ).format(width)
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
    rect = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    width = max(step - 0.8, 0.5)
    return Markup("<g><title>{}</title>{}{}</g>").format(
        label,
        rect.format("kept", x, HEIGHT - kept, width, kept),
        rect.format("dropped", x, HEIGHT - kept - dropped, width, dropped),
    )


def _end(data: Histogram, bars: list[Bar]) -> float:
    """End of the axis: shares end at 1, though the bin of 1 itself is wider."""
    return 1.0 if data.most <= 1 else bars[-1].high


def _bound(bound: float, bars: list[Bar], step: float) -> Markup:
    """A dashed line where a rule cuts, if that is in view."""
    for place, bar in enumerate(bars):
        if bar.low <= bound <= bar.high:
            x = (place + (bound - bar.low) / (bar.high - bar.low)) * step
            line = '<line class="bound" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>'
            return Markup(line).format(x, HEIGHT)
    return Markup("")


def _number(value: float) -> Markup:
    if value >= 10_000:
        return escape(f"{value:.2g}")
    return escape(f"{value:.3g}")
