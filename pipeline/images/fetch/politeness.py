"""How often one host is asked: rate, crawl delay, Retry-After, backoff, circuit breaker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from benben.pipeline.images.fetch.address import Refused
from benben.pipeline.settings.fetch import PolitenessSettings
from benben.pipeline.storage.retrying import backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Host:
    """Paces the requests to one host; all of them pass through `turn`.

    `clock` gives seconds, `sleep` waits: tests pass their own.
    """

    def __init__(
        self,
        settings: PolitenessSettings,
        unlimited: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self.interval = 0.0 if unlimited else 1 / settings.requests_per_second
        self._connections = None if unlimited else asyncio.Semaphore(settings.connections)
        self._line = asyncio.Lock()
        self._next_start = 0.0
        self._resume_at = 0.0
        self._failures = 0  # in a row
        self._openings = 0
        self._probe = asyncio.Lock()  # held by the one request that tries a closed-off host
        self.given_up: str | None = None

    def slow_down(self, crawl_delay: float) -> None:
        """Obey a crawl delay in seconds. Raises Refused when it is longer than we would wait."""
        if crawl_delay > self._settings.max_crawl_delay:
            self.given_up = f"crawl delay {crawl_delay:g} s"
            raise Refused("host.crawl_delay", f"{crawl_delay:g} s")
        self.interval = max(self.interval, crawl_delay)

    @asynccontextmanager
    async def turn(self, slots: asyncio.Semaphore | None = None) -> AsyncIterator[None]:
        """Hold one of the host's connections, from the moment a request may start.

        `slots` are shared with other hosts; one is held too. Raises Refused once the host has
        been given up.
        """
        async with AsyncExitStack() as held:
            if self._connections is not None:
                await held.enter_async_context(self._connections)
            if self._openings and self._failures:  # closed off: one request tries it
                await held.enter_async_context(self._probe)
            async with self._line:  # in order of arrival; the one in front waits for all
                await self._wait()
                if slots is not None:
                    await held.enter_async_context(slots)
                self._next_start = self._clock() + self.interval
            yield

    async def _wait(self) -> None:
        while True:
            if self.given_up:
                raise Refused("host.given_up", self.given_up)
            wait = max(self._next_start, self._resume_at) - self._clock()
            if wait <= 0:
                return
            await self._sleep(wait)

    def succeeded(self) -> None:
        """Note an answer that shows the host well: it closes the breaker."""
        self._failures = self._openings = 0

    def failed(self, why: str, retry_after: float | None = None) -> None:
        """Note a failure that says something about the host, and wait before the next request.

        The wait is Retry-After, else exponential with jitter: half fixed, half random.
        """
        settings = self._settings
        self._failures += 1
        wait = backoff(self._failures - 1, settings.backoff_seconds, settings.max_wait_seconds)
        if self._failures % settings.breaker_failures == 0:
            self._openings += 1
            wait = max(wait, settings.breaker_seconds)
            if self._openings > settings.breaker_openings:
                self.given_up = why
        if retry_after is not None:
            wait = retry_after
            if retry_after > settings.max_wait_seconds:
                self.given_up = f"Retry-After {retry_after:g} s"
        self._resume_at = max(self._resume_at, self._clock() + wait)
