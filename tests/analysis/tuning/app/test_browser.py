"""The tuning app in headless Chromium: a bound dragged, labels by keys, narrow and dark."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import pytest

from benben.analysis.tuning import labels
from benben.analysis.tuning.app import server
from benben.analysis.tuning.app.site import Site
from benben.analysis.tuning.tuner import Tuner
from benben.filters.signal_table import read_rules
from benben.sample.serve import running
from tests.analysis import run_folder
from tests.analysis.tuning.app.test_site import LOOSE, decided
from tests.browser import Tab, drive, needs_chromium

SCREENSHOTS = Path("build/screenshots")
KEPT = "document.querySelector('[data-scope={}] b').textContent"
IDLE = "!('busy' in document.getElementById('app').dataset)"
PLACE = """(() => {{
  const rule = document.querySelector('.rule[data-signal={signal}]');
  rule.scrollIntoView({{block: 'center'}});
  const box = rule.querySelector('.handle[data-end={end}] circle').getBoundingClientRect();
  const chart = rule.querySelector('svg').getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2, chart.x, chart.width];
}})()"""


async def until(tab: Tab, condition: str) -> None:
    """Wait until a JavaScript condition holds."""
    for _ in range(300):
        if await tab.evaluate(condition):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(condition)


async def drag(tab: Tab, signal: str, end: str, share: float) -> None:
    """Drag a bound by the mouse to a share of the chart's width."""
    x, y, left, width = await tab.evaluate(PLACE.format(signal=signal, end=end))

    async def mouse(kind: str, at: float) -> None:
        pressed = {"button": "left", "buttons": 1, "clickCount": 1}
        await tab.call("Input.dispatchMouseEvent", type=kind, x=at, y=y, **pressed)

    goal = left + share * width
    await mouse("mousePressed", x)
    for step in range(1, 11):
        await mouse("mouseMoved", x + (goal - x) * step / 10)
    await mouse("mouseReleased", goal)
    await until(tab, IDLE)


async def resize(tab: Tab, width: int) -> None:
    await tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip


async def picture(tab: Tab, name: str, width: int = 1300, scheme: str = "light") -> None:
    await resize(tab, width)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    await tab.call("Emulation.setEmulatedMedia", features=[feature])
    assert await tab.evaluate("document.documentElement.scrollWidth") <= width, name
    colour = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
    brightest = max(int(part) for part in re.findall(r"\d+", colour)[:3])
    assert brightest < 80 if scheme == "dark" else brightest > 200
    found = await tab.call("Page.captureScreenshot")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    (SCREENSHOTS / f"tune-{name}.png").write_bytes(base64.b64decode(found["data"]))


@needs_chromium
@pytest.mark.browser
def test_a_dragged_bound_counts_what_decide_keeps_and_keys_label(tmp_path: Path) -> None:
    run = run_folder.make(tmp_path / "run")
    rules = tmp_path / "loose.yaml"
    rules.write_text(LOOSE)
    site = Site(Tuner(run, str(rules)), str(tmp_path / "tuned.yaml"))

    async def kept(tab: Tab) -> tuple[int, int]:
        """What the page shows, and what `decide` keeps with the config that it writes."""
        await tab.evaluate("document.getElementById('write').click()")
        await until(tab, "document.getElementById('note').textContent.startsWith('Written')")
        shown = int(await tab.evaluate(KEPT.format("document")))
        await tab.evaluate("document.getElementById('note').textContent = ''")
        return shown, len(decided(run, read_rules(site.path)))

    async def press(tab: Tab, key: str) -> None:
        event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})"
        await tab.evaluate(f"(document.activeElement || document.body).dispatchEvent({event})")

    async def labelled(tab: Tab, number: int) -> None:
        start = "document.getElementById('progress').textContent.startsWith"
        await until(tab, f"{start}('{number} labels')")

    async def visit(tab: Tab, base: str) -> None:
        await resize(tab, 1300)
        await tab.open(f"{base}/")
        await until(tab, f"{IDLE} && document.querySelectorAll('.rule svg').length == 3")
        assert await kept(tab) == (11, 11)
        await drag(tab, "words", "min", 0.97)
        bound = "document.querySelector('.rule[data-signal=words] input[data-end=min]').value"
        assert 82 < float(await tab.evaluate(bound)) <= 108
        assert await kept(tab) == (9, 9)
        await tab.evaluate("document.getElementById('undo').click()")
        await until(tab, f"{KEPT.format('document')} == '11'")
        await tab.evaluate("document.getElementById('redo').click()")
        await until(tab, f"{KEPT.format('document')} == '9'")
        await until(tab, "document.querySelectorAll('.sample').length > 2")
        await tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        await tab.evaluate("document.querySelector('.sample').focus()")
        await press(tab, "k")
        await labelled(tab, 1)
        await press(tab, "d")  # the next one
        await labelled(tab, 2)
        assert sorted(labels.read(f"{run}/labels.jsonl").values()) == [False, True]
        await press(tab, "u")
        await labelled(tab, 1)
        await press(tab, "d")  # the same again
        await labelled(tab, 2)
        await picture(tab, "samples")
        await picture(tab, "samples-dark", scheme="dark")
        await picture(tab, "samples-narrow", 500)
        await picture(tab, "samples")
        await tab.evaluate("document.querySelector('[data-tab=sweep]').click()")
        await until(tab, "document.querySelectorAll('.curve').length == 4")
        await picture(tab, "sweep")
        await tab.evaluate("document.querySelector('[data-scope=text_node]').click()")
        await until(tab, f"{IDLE} && !!document.querySelector('[data-signal=stopword_ratio]')")
        before = await kept(tab)
        await drag(tab, "words", "min", 0.999)  # beyond the longest text
        after = await kept(tab)
        assert before == (9, 9)
        assert after == (0, 0)
        await picture(tab, "texts-narrow-dark", 500, "dark")
        await tab.evaluate("document.querySelector('[data-tab=history]').click()")
        await picture(tab, "history")
        assert not [url for url in tab.requests if not url.startswith(("data:", base))]
        assert await tab.evaluate("document.title") == "Benben tuning"
        assert tab.dialogs == 0

    with running(server.make_server(site)) as port:
        drive(tmp_path / "profile", lambda tab: visit(tab, f"http://127.0.0.1:{port}"))


def test_the_page_is_whole_without_the_network(tmp_path: Path) -> None:
    site = Site(Tuner(run_folder.make(tmp_path / "run"), "default"), "unused.yaml")
    page: Any = site.get("", {})
    assert "http-equiv" in page.text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
