"""A host as one task sees it: its pace, and the consent files of its origins, fetched once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from yarl import URL

from benben.pipeline.consent.image_consent import Reservations, Robots, SiteFile, origin
from benben.pipeline.images.fetch.address import Refused, check_url
from benben.pipeline.images.fetch.politeness import Host
from benben.pipeline.images.fetch.request import Client, Failed
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.retrying import retry_after_seconds

ROBOTS, TDMREP = "/robots.txt", "/.well-known/tdmrep.json"
ROBOTS_REDIRECTS = 5  # RFC 9309, section 2.3.1.2: at least five are followed
LATER_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class SiteFiles:
    """Answers already known, from this or an earlier run, until they expire."""

    def __init__(self, hours: float, keep: Callable[[SiteFile], None]) -> None:
        self._seconds, self._keep = hours * 3600, keep
        self._known: dict[tuple[str, str], SiteFile] = {}

    def remember(self, answer: SiteFile) -> None:
        """Take up an answer of an earlier run."""
        self._known[answer.origin, answer.path] = answer

    def find(self, place: str, path: str) -> SiteFile | None:
        """A known answer that is still fresh."""
        answer = self._known.get((place, path))
        return answer if answer and time.time() - answer.fetched_at < self._seconds else None

    def store(self, answer: SiteFile) -> None:
        """Keep a new answer, for later runs too."""
        self.remember(answer)
        self._keep(answer)


class Origin:
    """robots.txt and TDM reservations of one scheme, host and port."""

    def __init__(self, robots: Robots | None, reservations: Reservations | None) -> None:
        self.robots, self.reservations = robots, reservations

    def check(self, url: URL) -> None:
        """Raise Refused unless the site lets us request a URL."""
        reason = self.robots.reason(str(url)) if self.robots else None
        if reason is not None:
            raise Refused(reason)
        if self.reservations and self.reservations.reserved(url):
            raise Refused("consent.tdm", TDMREP)


class Site:
    """One host: a pace for all its origins."""

    def __init__(
        self, settings: FetchSettings, client: Client, files: SiteFiles, pace: Host
    ) -> None:
        self._settings, self._client, self._files = settings, client, files
        self.pace = pace
        self._origins: dict[str, asyncio.Task[Origin]] = {}

    async def origin(self, url: URL) -> Origin:
        """The origin's consent, asked for once; later callers wait for the same answer."""
        place = origin(url)
        if place not in self._origins:
            self._origins[place] = asyncio.create_task(self._load(URL(place)))
        return await asyncio.shield(self._origins[place])

    async def _load(self, place: URL) -> Origin:
        consent = self._settings.consent
        robots = reservations = None
        if consent.robots:
            answer = await self._file(place, ROBOTS)
            robots = Robots(answer, self._settings.product, consent.agents)
            if robots.crawl_delay:
                self.pace.slow_down(robots.crawl_delay)
        if consent.tdm and not (robots and robots.unreachable):
            reservations = Reservations(await self._file(place, TDMREP))
        return Origin(robots, reservations)

    async def _file(self, place: URL, path: str) -> SiteFile:
        known = self._files.find(str(place), path)
        if known is not None:
            return known
        status, text = None, ""
        for _ in range(1 + self._settings.politeness.retries):
            try:
                async with self.pace.turn():
                    status, text = await self._read(place.with_path(path))
            except Failed as failed:
                if failed.reason.startswith("address."):
                    raise
                if not failed.later:
                    break
                self.pace.failed(failed.reason)
            else:
                if status not in LATER_STATUS:
                    break
        answer = SiteFile(str(place), path, status, text, time.time())
        self._files.store(answer)
        return answer

    async def _read(self, url: URL) -> tuple[int, str]:
        """Status and text after redirects; more redirects than allowed count as 404."""
        limit = self._settings.consent.robots_bytes
        for _ in range(1 + ROBOTS_REDIRECTS):
            async with self._client.get(url, "*/*", "gzip") as response:
                location = response.headers.get("Location")
                if response.status in (301, 302, 303, 307, 308) and location:
                    url = self._next(url, location)
                    continue
                if response.status in LATER_STATUS:
                    wait = retry_after_seconds(response.headers.get("Retry-After"))
                    self.pace.failed(f"http.{response.status}", wait)
                    return response.status, ""
                if not 200 <= response.status < 300:
                    return response.status, ""
                body = await response.start(limit)
                return response.status, body.decode("utf-8", "replace")
        return 404, ""

    def _next(self, url: URL, location: str) -> URL:
        """A redirect's target. Raises Failed unless it may be asked: that is no answer then."""
        try:
            target = check_url(str(url.join(URL(location))), self._settings.limits.url_length)
            self._client.gate.check(target)
        except (ValueError, Refused) as error:
            raise Failed("http.redirect", str(error)) from None
        return target
