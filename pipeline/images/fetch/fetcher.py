"""Images of many URLs: consent, pace, request, one decode, an outcome for each URL.

One call owns the hosts of its URLs: nobody else may ask them meanwhile. A redirect to a host that
another call owns is not followed but handed back (`Outcome.moved`), so that its owner asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from yarl import URL

from benben.pipeline.consent.image_consent import SiteFile, header_reason
from benben.pipeline.consent.opt_out_lists import OptOutLists
from benben.pipeline.images.fetch.address import (
    Lookup,
    Refused,
    check_url,
    system_lookup,
)
from benben.pipeline.images.fetch.host import LATER_STATUS, Site, SiteFiles
from benben.pipeline.images.fetch.outcome import Outcome, Request, owner, pair_of
from benben.pipeline.images.fetch.politeness import Host
from benben.pipeline.images.fetch.request import CHUNK, Client, Failed, Response
from benben.pipeline.images.processing.picture import SNIFF_BYTES, Bad
from benben.pipeline.images.processing.processor import Studio
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.retrying import retry_after_seconds

ACCEPT = "image/avif,image/webp,image/*,*/*;q=0.5"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DNS_THREADS = 32


@dataclass
class Sinks:
    """Where results go as they come; called in the event loop, one at a time."""

    outcome: Callable[[Outcome], None]
    site_file: Callable[[SiteFile], None] = lambda _: None


def fetch_images(
    requests: Iterable[Request],
    settings: FetchSettings,
    sinks: Sinks,
    studio: Studio,
    known: Iterable[SiteFile] = (),
    lookup: Lookup = system_lookup,
) -> None:
    """Fetch every request, which must come grouped by `owner`; one bad URL costs one outcome.

    `known` are site files of an earlier run.
    """
    files = SiteFiles(settings.consent.robots_hours, sinks.site_file)
    for answer in known:
        files.remember(answer)
    asyncio.run(Fetcher(settings, sinks, studio, files, lookup).run(requests))


def fetch_all(
    urls: Iterable[str], settings: FetchSettings, lookup: Lookup = system_lookup
) -> list[Outcome]:
    """Fetch distinct URLs in this process, across redirects, in the order of the URLs."""
    done: dict[str, Outcome] = {}
    known: list[SiteFile] = []
    studio = Studio(settings, OptOutLists(settings.consent))
    requests = [Request.of(url) for url in dict.fromkeys(urls)]
    order = [request.url for request in requests]
    while requests:
        requests.sort(key=lambda request: owner(request.target))
        moved: list[Request] = []

        def keep(outcome: Outcome, moved: list[Request] = moved) -> None:
            if outcome.moved is not None:
                moved.append(outcome.moved)
            else:
                done[outcome.url] = outcome

        sinks = Sinks(keep, known.append)
        fetch_images(requests, settings, sinks, studio, list(known), lookup)
        requests = moved
    return [done[url] for url in order]


class Fetcher:
    """One event loop: hosts in parallel, requests in parallel within a host."""

    def __init__(
        self,
        settings: FetchSettings,
        sinks: Sinks,
        studio: Studio,
        files: SiteFiles,
        lookup: Lookup,
    ) -> None:
        self.settings, self.sinks, self.studio, self.files = settings, sinks, studio, files
        self.client = Client(settings, lookup)
        self.slots = asyncio.Semaphore(settings.concurrency)
        self.threads = ThreadPoolExecutor(settings.decode_threads, "decode")

    async def run(self, requests: Iterable[Request]) -> None:
        """Fetch all requests."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(DNS_THREADS, "dns"))
        groups = (list(group) for _, group in groupby(requests, lambda r: owner(r.target)))
        with self.threads:
            async with self.client, asyncio.TaskGroup() as tasks:
                for _ in range(self.settings.hosts):
                    tasks.create_task(self._lane(groups))

    async def _lane(self, groups: Iterator[list[Request]]) -> None:
        for group in groups:
            await Visit(self).run(group)


class Visit:
    """All requests to the hosts of one owner."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._settings = fetcher.settings
        self._sites: dict[str, Site] = {}

    async def run(self, requests: list[Request]) -> None:
        """Work through the requests with as many workers as the host may have."""
        polite = self._settings.politeness
        queue = iter(requests[: polite.images_per_host])
        free = pair_of(requests[0].target) in polite.unlimited_hosts
        workers = self._settings.concurrency if free else polite.connections
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(workers, len(requests))):
                tasks.create_task(self._work(queue))
        for request in requests[polite.images_per_host :]:
            outcome = Outcome(request.url, request.target, request.hops, "host.quota")
            self._fetcher.sinks.outcome(outcome)

    async def _work(self, queue: Iterator[Request]) -> None:
        for request in queue:
            await self._serve(request)

    async def _serve(self, request: Request) -> None:
        """Bring one request to its outcome, trying again what can succeed later."""
        tries = 1 + self._settings.politeness.retries
        outcome = Outcome(request.url, request.target, request.hops)
        for left in reversed(range(tries)):
            async with AsyncExitStack() as hold:  # the memory of a large body, until it is kept
                try:
                    await self._follow(request, outcome, hold)
                except Refused as refused:
                    outcome.reason, outcome.detail = refused.reason, refused.detail or None
                except Failed as failed:
                    if failed.later and left:
                        continue
                    outcome.reason, outcome.detail = failed.reason, failed.detail or None
                outcome.fetched_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                self._fetcher.sinks.outcome(outcome)
                return

    async def _follow(self, request: Request, outcome: Outcome, hold: AsyncExitStack) -> None:
        """Ask, and follow redirects within the owner's hosts. Raises Refused or Failed."""
        limits = self._settings.limits
        url = check_url(request.target, limits.url_length)
        for hop in range(request.hops, limits.redirects + 1):
            outcome.final_url = str(url)
            reason = self._fetcher.studio.lists.reason(url)
            if reason is not None:
                raise Refused(reason)
            self._fetcher.client.gate.check(url)
            site = self._site(url)
            (await site.origin(url)).check(url)
            if self._settings.backend == "img2dataset":
                raise Failed("img2dataset.missing", "allowed, and in none of its folders")
            location = await self._ask(site, url, outcome, hold)
            if location is None:
                return
            try:
                target = check_url(str(url.join(URL(location))), limits.url_length)
            except ValueError as error:
                raise Failed("http.redirect", str(error)) from None
            if owner(str(target)) != owner(str(url)) and hop < limits.redirects:
                outcome.moved = Request(request.url, str(target), hop + 1)
                return
            url = target
        raise Failed("http.redirects", f"more than {limits.redirects}")

    def _site(self, url: URL) -> Site:
        polite = self._settings.politeness
        pair = pair_of(str(url))
        unlimited = pair in polite.unlimited_hosts
        name = pair if unlimited else url.host or ""
        if name not in self._sites:
            f = self._fetcher
            pace = Host(polite, unlimited)
            self._sites[name] = Site(self._settings, f.client, f.files, pace)
        return self._sites[name]

    async def _ask(
        self, site: Site, url: URL, outcome: Outcome, hold: AsyncExitStack
    ) -> str | None:
        """One request; returns a redirect's target, or None when the outcome is complete."""
        fetcher = self._fetcher
        async with site.pace.turn(fetcher.slots):
            outcome.requests += 1
            try:
                async with fetcher.client.get(url, ACCEPT, "identity") as response:
                    outcome.status = response.status
                    outcome.content_type = response.content_type or None
                    location = response.headers.get("Location")
                    if response.status in REDIRECTS and location:
                        site.pace.succeeded()
                        return location
                    self._check(response)
                    body = await response.read(self._settings.limits.bytes, hold, self._screen)
            except Failed as failed:
                if failed.later or failed.reason in ("address.dns", "http.tls"):
                    site.pace.failed(failed.reason, failed.retry_after)
                else:
                    site.pace.succeeded()
                raise
            site.pace.succeeded()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(fetcher.threads, fetcher.studio.develop, body, outcome)
        return None

    def _check(self, response: Response) -> None:
        """Judge status and headers before the body is read. Raises Refused or Failed."""
        status = response.status
        if status != 200:
            wait = retry_after_seconds(response.headers.get("Retry-After"))
            raise Failed(f"http.{status}", "", status in LATER_STATUS, wait)
        settings = self._settings
        reason = header_reason(response.headers, settings.consent, settings.product)
        if reason is not None:
            raise Refused(reason)
        if response.content_type.startswith(tuple(settings.refuse_types)):
            raise Failed("http.content_type", response.content_type[:100])

    def _screen(self, start: bytes) -> None:
        """Stop a long body that begins like nothing we decode. Raises Failed."""
        if len(start) < CHUNK // 2:
            return  # nearly all here: the decoder says what it is
        try:
            self._fetcher.studio.decoder.screen(start[:SNIFF_BYTES])
        except Bad as bad:
            raise Failed(bad.reason, bad.detail) from None
