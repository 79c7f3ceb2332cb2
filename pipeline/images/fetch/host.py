"""One host as a task sees it: its request rate, and its consent files, which are fetched once.

The rate obeys the config, Crawl-delay and Retry-After; failures lead to exponential backoff and
open a circuit breaker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from yarl import URL

from benben.common.text import describe
from benben.pipeline.consent.site_files import (
    AI_TXT,
    MAX_LICENSES,
    ROBOTS,
    TDMREP,
    OriginConsent,
    SiteFile,
    origin_of,
    read_text,
)
from benben.pipeline.images.fetch.request import CONSENT_ERROR, Client, Failed
from benben.pipeline.images.fetch.resolver import Refused, check_url, owner
from benben.pipeline.settings.fetch import FetchSettings, PolitenessSettings
from benben.pipeline.storage.retrying import backoff, retry_after_seconds

ROBOTS_REDIRECTS = 5  # RFC 9309, section 2.3.1.2: follow at least five
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class Host:
    """One host: a limiter that all its origins share, and the consent of each origin."""

    def __init__(
        self,
        settings: FetchSettings,
        client: Client,
        site_files: SiteFileCache,
        limiter: HostLimiter,
    ) -> None:
        self._settings, self._client, self._site_files = settings, client, site_files
        self.limiter = limiter
        self._origins: dict[str, asyncio.Task[OriginConsent]] = {}

    async def consent(self, url: URL) -> OriginConsent:
        """The consent of a URL's origin. It is loaded once; concurrent callers wait for it."""
        origin = origin_of(url)
        if origin not in self._origins:
            self._origins[origin] = asyncio.create_task(self._load(URL(origin)))
        return await asyncio.shield(self._origins[origin])

    async def _load(self, origin: URL) -> OriginConsent:
        """Load the consent of an origin. Raises Refused and Failed; no other exception."""
        try:
            return await self._ask(origin)
        except (Refused, Failed):
            raise
        except Exception as error:  # whatever it is, it costs this origin only
            raise Refused(CONSENT_ERROR, f"{origin}: {describe(error)}") from None

    async def _ask(self, origin: URL) -> OriginConsent:
        settings, product = self._settings.consent, self._settings.product
        answers: list[SiteFile] = []
        if settings.robots:
            answers.append(await self._site_file(origin, ROBOTS))
        robots = OriginConsent(answers, settings, product)
        if robots.crawl_delay:
            self.limiter.slow_down(robots.crawl_delay)
        if robots.unreachable:
            return robots
        paths = [TDMREP] if settings.tdm else []
        paths += [AI_TXT] if settings.ai_txt else []
        for url in robots.license_urls(str(origin))[:MAX_LICENSES]:
            # Other hosts have other owners: their licences are not read, so they permit nothing.
            paths += [url] if owner(url) == owner(str(origin)) else []
        answers += [await self._site_file(origin, path) for path in paths]
        return OriginConsent(answers, settings, product)

    async def _site_file(self, origin: URL, path: str) -> SiteFile:
        known = self._site_files.find(str(origin), path)
        if known is not None:
            return known
        status, text, problem = None, "", None
        # Most servers do not expect a request for ai.txt: what it fails with says nothing of them.
        rare = path == AI_TXT
        for _ in range(1 if rare else 1 + self._settings.politeness.retries):
            try:
                async with self.limiter.acquire():
                    status, text, problem = await self._read(origin.join(URL(path)), rare)
            except Failed as failed:
                if failed.reason.startswith("address."):
                    raise
                if not failed.retryable or rare:
                    break
                self.limiter.failed(failed.reason)
            else:
                if status not in RETRYABLE_STATUS:
                    break
        answer = SiteFile(str(origin), path, status, text, time.time(), problem)
        self._site_files.store(answer)
        return answer

    async def _read(self, url: URL, rare: bool) -> tuple[int, str, str | None]:
        """Status, text and problem after redirects; more redirects than allowed count as 404."""
        limit = self._settings.consent.robots_bytes
        for _ in range(1 + ROBOTS_REDIRECTS):
            async with self._client.get(url, "*/*", "gzip") as response:
                location = response.headers.get("Location")
                if response.status in REDIRECTS and location:
                    url = self._redirect_target(url, location)
                    continue
                if response.status in RETRYABLE_STATUS and not rare:
                    wait = retry_after_seconds(response.headers.get("Retry-After"))
                    self.limiter.failed(f"http.{response.status}", wait)
                    return response.status, "", None
                if not 200 <= response.status < 300:
                    return response.status, "", None
                encoding = ",".join(response.headers.getall("Content-Encoding", []))
                text, problem = read_text(await response.read_start(limit), encoding, limit)
                return response.status, text, problem
        return 404, "", None

    def _redirect_target(self, url: URL, location: str) -> URL:
        """Where a redirect leads. Raises Failed for a URL that must not be requested."""
        try:
            target = check_url(str(url.join(URL(location))), self._settings.limits.url_length)
            self._client.resolver.check(target)
        except (ValueError, Refused) as error:
            raise Failed("http.redirect", str(error)) from None
        return target


class SiteFileCache:
    """Site files of this run and earlier ones; they expire after some hours.

    `keep` is called with each new one.
    """

    def __init__(self, hours: float, keep: Callable[[SiteFile], None]) -> None:
        self._seconds, self._keep = hours * 3600, keep
        self._known: dict[tuple[str, str], SiteFile] = {}

    def add(self, answer: SiteFile) -> None:
        """Add an answer of an earlier run."""
        self._known[answer.origin, answer.path] = answer

    def find(self, origin: str, path: str) -> SiteFile | None:
        """A known answer that has not expired."""
        answer = self._known.get((origin, path))
        return answer if answer and time.time() - answer.fetched_at < self._seconds else None

    def store(self, answer: SiteFile) -> None:
        """Add a new answer, for later runs too."""
        self.add(answer)
        self._keep(answer)


class HostLimiter:
    """Limits the requests to one host; each request runs within `acquire`.

    `clock` returns seconds and `sleep` waits: tests pass their own.
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
        self._queue = asyncio.Lock()
        self._next_start = 0.0
        self._resume_at = 0.0
        self._failures = 0  # in a row
        self._openings = 0  # of the circuit breaker, without a success since
        self._probe = asyncio.Lock()  # held by the one request that tries a host again
        self.given_up: str | None = None  # why

    def slow_down(self, crawl_delay: float) -> None:
        """Obey a crawl delay in seconds. Raises Refused when it exceeds `max_crawl_delay`."""
        if not crawl_delay <= self._settings.max_crawl_delay:  # no number exceeds it too
            self.given_up = f"crawl delay {crawl_delay:g} s"
            raise Refused("host.crawl_delay", f"{crawl_delay:g} s")
        self.interval = max(self.interval, crawl_delay)

    @asynccontextmanager
    async def acquire(self, shared: asyncio.Semaphore | None = None) -> AsyncIterator[None]:
        """Wait until a request may start, and hold one of the host's connections for it.

        `shared` is a semaphore of all hosts, which is held too. Raises Refused when the host has
        been given up.
        """
        async with AsyncExitStack() as held:
            if self._connections is not None:
                await held.enter_async_context(self._connections)
            if self._openings and self._failures:  # the breaker is open: one request at a time
                await held.enter_async_context(self._probe)
            async with self._queue:  # in order of arrival; only the first one sleeps
                await self._wait()
                if shared is not None:
                    await held.enter_async_context(shared)
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
        """Note an answer that shows that the host works: the circuit breaker closes."""
        self._failures = self._openings = 0

    def failed(self, reason: str, retry_after: float | None = None) -> None:
        """Note a failure of the host, and delay its next request.

        The delay is Retry-After, else exponential backoff, at least `breaker_seconds` when the
        circuit breaker opens.
        """
        settings = self._settings
        self._failures += 1
        wait = backoff(self._failures - 1, settings.backoff_seconds, settings.max_wait_seconds)
        if self._failures % settings.breaker_failures == 0:
            self._openings += 1
            wait = max(wait, settings.breaker_seconds)
            if self._openings > settings.breaker_openings:
                self.given_up = reason
        if retry_after is not None:
            wait = retry_after
            if retry_after > settings.max_wait_seconds:
                self.given_up = f"Retry-After {retry_after:g} s"
        self._resume_at = max(self._resume_at, self._clock() + wait)
