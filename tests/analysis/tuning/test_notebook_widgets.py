"""The notebook's sliders, moved in headless Chromium."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.analysis import run_folder
from tests.browser import Tab, drive, needs_chromium
from tests.shared import ROOT

NOTEBOOK = ROOT / "analysis" / "notebooks" / "tuning.ipynb"
needs_voila = pytest.mark.skipif(
    importlib.util.find_spec("voila") is None, reason="no voila: pip install 'benben[notebooks]'"
)
SLIDER = "[...document.querySelectorAll('.widget-slider')].find(s => s.textContent.includes('{}'))"
TYPE = """(() => {{
  const readout = {slider}.querySelector('.widget-readout');
  readout.textContent = '{value}';
  readout.dispatchEvent(new KeyboardEvent('keydown', {{bubbles: true, keyCode: 13}}));
}})()"""
KEPT = "(document.querySelector('p.kept') || {}).textContent || ''"


@needs_chromium
@needs_voila
@pytest.mark.browser
def test_a_moved_slider_changes_the_counts(tmp_path: Path) -> None:
    run = run_folder.make(tmp_path / "run")
    rules = tmp_path / "loose.yaml"
    rules.write_text("base: no_rules\nrules: {document: {words: {min: 1, max: 20000}}}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "voila", str(NOTEBOOK), "--no-browser", f"--port={port}",
         "--Voila.ip=127.0.0.1", "--show_tracebacks=True"],
        cwd=ROOT,
        env={**os.environ, "BENBEN_RUN": run, "BENBEN_RULES": str(rules), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        before, after = drive(tmp_path / "profile", lambda tab: move(tab, port))
    finally:
        server.terminate()
        server.wait(20)
    assert before.startswith("kept 12 of 12")
    assert after.startswith("kept 9 of 12")  # the slider stops at the largest value, that of nine


async def move(tab: Tab, port: int) -> tuple[str, str]:
    """Open the notebook, type a threshold no page meets; the counts before and after."""
    await until_listening(port)
    await tab.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
    before = await until(tab, "")
    slider = SLIDER.format("words min")
    await tab.evaluate(TYPE.format(slider=slider, value="20000"))
    return before, await until(tab, before)


async def until_listening(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.2)
    raise TimeoutError("voila did not start in two minutes")


async def until(tab: Tab, old: str) -> str:
    """The counts once they differ from `old`."""
    for _ in range(600):
        found = str(await tab.evaluate(KEPT))
        if found != old:
            return found
        await asyncio.sleep(0.2)
    raise TimeoutError(f"the counts are still {old!r}")
