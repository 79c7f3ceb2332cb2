"""Drive headless Chromium by the DevTools protocol: open pages, run JavaScript, log requests."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
    "--remote-debugging-port=0",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH (Debian: apt-get install chromium)"
)
Result = TypeVar("Result")


class Tab:
    """One open page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.last = socket, 0
        self.requests: list[str] = []  # URLs, without those of the pages themselves
        self.dialogs = 0  # alert(), confirm() and prompt() calls
        self._loaded = asyncio.Event()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.ensure_future(self._read())

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method."""
        self.last += 1
        future = self._answers[self.last] = asyncio.get_running_loop().create_future()
        message = {"id": self.last, "method": method, "params": parameters}
        await self.socket.send_json(message)
        answer = await asyncio.wait_for(future, 30)
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str) -> None:
        """Open a URL and wait until it has loaded."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def follow(self, action: str) -> None:
        """Run JavaScript that opens another page, and wait until that has loaded."""
        self._loaded.clear()
        await self.evaluate(action)
        await asyncio.wait_for(self._loaded.wait(), 30)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def _read(self) -> None:
        async for message in self.socket:
            event = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event)
            elif event["method"] == "Network.requestWillBeSent":
                if event["params"]["type"] != "Document":
                    self.requests.append(event["params"]["request"]["url"])
            elif event["method"] == "Page.javascriptDialogOpening":
                self.dialogs += 1
            elif event["method"] == "Page.loadEventFired":
                self._loaded.set()

    async def close(self) -> None:
        self._reader.cancel()
        await self.socket.close()


@contextlib.asynccontextmanager
async def _tab(profile: Path) -> AsyncIterator[Tab]:
    assert CHROMIUM
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(profile)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                targets = await answer.json()
            page = next(target for target in targets if target["type"] == "page")
            tab = Tab(await session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0))
            for domain in ("Page", "Network", "Runtime"):
                await tab.call(f"{domain}.enable")
            yield tab
            await tab.close()
    finally:
        process.terminate()
        process.wait(10)


def _port(profile: Path) -> int:
    """The port of the DevTools protocol, which Chromium writes to a file when it is ready."""
    file = profile / "DevToolsActivePort"
    for _ in range(300):
        if file.exists() and file.read_text().strip():
            return int(file.read_text().split()[0])
        time.sleep(0.1)
    raise TimeoutError("chromium did not start in 30 s")


def drive(profile: Path, visit: Callable[[Tab], Awaitable[Result]]) -> Result:
    """Run `visit` on a tab of a new browser with an empty profile; returns its result."""

    async def run() -> Result:
        async with _tab(profile) as tab:
            return await visit(tab)

    return asyncio.run(run())
