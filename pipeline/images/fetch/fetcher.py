"""Fetches one part's images: consent, rate, request, one decode, an outcome for each URL.

A part owns the hosts of its URLs: no other task requests anything from them meanwhile. A redirect
to a host of another owner is not followed but handed back (`Outcome.moved`), so that the host's own
task follows it.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from yarl import URL

from benben.common.text import describe
from benben.pipeline.consent.directives import statements
from benben.pipeline.consent.image_consent import HeaderVerdicts, OptOutLists
from benben.pipeline.consent.site_files import SiteFile
from benben.pipeline.images.fetch.existing_copies import (
    ArchiveLookup,
    from_archive,
    from_img2dataset,
    urls_of_img2dataset,
)
from benben.pipeline.images.fetch.host import (
    REDIRECTS,
    RETRYABLE_STATUS,
    Host,
    HostLimiter,
    SiteFileCache,
)
from benben.pipeline.images.fetch.journal import FetchFolders, FetchLog, SlotRange
from benben.pipeline.images.fetch.plan import Progress, WantedImage
from benben.pipeline.images.fetch.request import (
    CHUNK,
    Client,
    Failed,
    Outcome,
    Request,
    Response,
)
from benben.pipeline.images.fetch.resolver import (
    Lookup,
    Refused,
    check_url,
    host_port,
    owner,
)
from benben.pipeline.images.image_facts import DISABLED
from benben.pipeline.images.processing.picture import SNIFF_BYTES, BadImage
from benben.pipeline.images.processing.processor import Decode, ImageProcessor
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.retrying import retry_after_seconds

ACCEPT = "image/avif,image/webp,image/*,*/*;q=0.5"
DNS_THREADS = 32
ALLOWED = "img2dataset.missing"  # consent was asked, and img2dataset's copy is to be taken


@dataclass
class Sinks:
    """Where results go as they come. Both are called in the event loop, one call at a time."""

    outcome: Callable[[Outcome], None]
    site_file: Callable[[SiteFile], None] = lambda _: None


def fetch_part(
    wanted: Iterable[WantedImage],
    folders: FetchFolders,
    slots: SlotRange,
    settings: FetchSettings,
    archives: ArchiveLookup,
    decode: Decode | None = None,
    count: Callable[[int], None] = lambda _: None,
) -> None:
    """Write an outcome of each wanted image to the journal, unless it has one.

    `wanted` must be grouped by owner. It is read several times: images that need no request come
    first. `decode` replaces the decoder of this process; `count` is told of each image done.
    """
    progress = Progress(folders, slots, settings.attempt)
    processor = ImageProcessor(settings, OptOutLists(settings.consent), decode)
    with FetchLog(folders, slots, settings, progress.stored) as log:

        def keep(outcome: Outcome) -> None:
            log.write_outcome(outcome)
            processor.remember(outcome)
            count(1)

        for image in progress.remaining(wanted):
            outcome = _without_request(image, settings, processor, archives)
            if outcome is not None:
                keep(outcome)
                progress.add(image.url, image.hops)
        copies: set[str] = set()
        if settings.img2dataset:
            copies |= set(urls_of_img2dataset(progress.remaining(wanted), settings.img2dataset))
        allowed: dict[str, Outcome] = {}

        def keep_or_take(outcome: Outcome) -> None:
            if outcome.reason == ALLOWED and outcome.url in copies:
                allowed[outcome.url] = outcome
            else:
                keep(outcome)

        requests = (
            Request(image.url, image.target, image.hops) for image in progress.remaining(wanted)
        )
        sinks = Sinks(keep_or_take, log.write_site_file)
        fetch_images(requests, settings, sinks, processor, progress.site_files, copies=copies)
        taken = from_img2dataset(allowed, settings.img2dataset, processor) if allowed else ()
        for outcome in taken:
            asked = allowed[outcome.url]
            outcome.asked, outcome.sources = asked.asked, asked.sources
            keep(outcome)


def _without_request(
    image: WantedImage,
    settings: FetchSettings,
    processor: ImageProcessor,
    archives: ArchiveLookup,
) -> Outcome | None:
    """An outcome that needs no network; None when the image must be requested."""
    if image.opt_out is not None:
        return Outcome(image.url, image.target, image.hops, image.opt_out, source="none")
    if not settings.enabled:
        reason = processor.lists.reason(URL(image.url)) or DISABLED
        return Outcome(image.url, image.target, image.hops, reason, source="none")
    if settings.archives and image.warc is not None:
        try:
            return from_archive(image, archives, settings, processor)
        except Exception as error:  # of one record, whose image may still be on the network
            warnings.warn(
                f"{image.url}: not taken from an archive: {describe(error)}", stacklevel=2
            )
    return None


def fetch_images(
    requests: Iterable[Request],
    settings: FetchSettings,
    sinks: Sinks,
    processor: ImageProcessor,
    site_files: Iterable[SiteFile] = (),
    lookup: Lookup | None = None,
    copies: Set[str] = frozenset(),
) -> None:
    """Make all requests, which must be grouped by `owner`; a bad URL is one bad outcome.

    `site_files` are those of earlier runs; `lookup` replaces the system's DNS. For a URL of
    `copies` only consent is asked: its outcome is ALLOWED if it may be used.
    """
    known = SiteFileCache(settings.consent.robots_hours, sinks.site_file)
    for answer in site_files:
        known.add(answer)
    asyncio.run(Fetcher(settings, sinks, processor, known, lookup, copies).run(requests))


class Fetcher:
    """One event loop: several hosts at once, and several requests at once to a host."""

    def __init__(
        self,
        settings: FetchSettings,
        sinks: Sinks,
        processor: ImageProcessor,
        site_files: SiteFileCache,
        lookup: Lookup | None,
        copies: Set[str],
    ) -> None:
        self.settings, self.sinks, self.copies = settings, sinks, copies
        self.processor, self.site_files = processor, site_files
        self.headers = HeaderVerdicts(settings.consent, settings.product)
        self.client = Client(settings, lookup)
        self.requests = asyncio.Semaphore(settings.concurrency)
        self.threads = ThreadPoolExecutor(settings.decode_threads, "decode")

    async def run(self, requests: Iterable[Request]) -> None:
        """Make all requests."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(DNS_THREADS, "dns"))
        groups = (list(group) for _, group in groupby(requests, lambda r: owner(r.target)))
        with self.threads:
            async with self.client, asyncio.TaskGroup() as tasks:
                for _ in range(self.settings.hosts):
                    tasks.create_task(self._work(groups))

    async def _work(self, groups: Iterator[list[Request]]) -> None:
        for group in groups:
            await HostWorker(self).run(group)


class HostWorker:
    """All requests to the hosts of one owner."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._settings = fetcher.settings
        self._hosts: dict[str, Host] = {}

    async def run(self, requests: list[Request]) -> None:
        """Make the requests, as many at once as the host allows."""
        politeness = self._settings.politeness
        queue = iter(requests[: politeness.images_per_host])
        unlimited = host_port(requests[0].target) in politeness.unlimited_hosts
        workers = self._settings.concurrency if unlimited else politeness.connections
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(workers, len(requests))):
                tasks.create_task(self._work(queue))
        for request in requests[politeness.images_per_host :]:
            outcome = Outcome(request.url, request.target, request.hops, "host.quota")
            self._fetcher.sinks.outcome(outcome)

    async def _work(self, queue: Iterator[Request]) -> None:
        for request in queue:
            await self._fetch(request)

    async def _fetch(self, request: Request) -> None:
        """Bring one request to its outcome, with further tries where they may succeed."""
        tries = 1 + self._settings.politeness.retries
        outcome = Outcome(request.url, request.target, request.hops)
        for remaining in reversed(range(tries)):
            async with AsyncExitStack() as hold:  # the memory of a large body, until it is stored
                try:
                    await self._follow(request, outcome, hold)
                except Refused as refused:
                    outcome.reason, outcome.detail = refused.reason, refused.detail or None
                except Failed as failed:
                    if failed.retryable and remaining:
                        continue
                    outcome.reason, outcome.detail = failed.reason, failed.detail or None
                except Exception as error:  # whatever it is, it costs this URL only
                    outcome.fail(error)
                outcome.fetched_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                self._fetcher.sinks.outcome(outcome)
                return

    async def _follow(self, request: Request, outcome: Outcome, hold: AsyncExitStack) -> None:
        """Make a request and follow redirects to hosts of the owner. Raises Refused or Failed."""
        limits = self._settings.limits
        outcome.asked, outcome.sources, outcome.said = [], [], ""
        url = check_url(request.target, limits.url_length)
        for hop in range(request.hops, limits.redirects + 1):
            outcome.final_url = str(url)
            reason = self._fetcher.processor.lists.reason(url)
            if reason is not None:
                raise Refused(reason)
            self._fetcher.client.resolver.check(url)
            host = self._host(url)
            consent = await host.consent(url)
            outcome.asked.append(str(url))
            outcome.sources += [one for one in consent.digests if one not in outcome.sources]
            refused = consent.reason(str(url))
            if refused is not None:
                raise Refused(*refused)
            if self._settings.backend == "img2dataset" or request.url in self._fetcher.copies:
                raise Failed(ALLOWED, "allowed, and in none of its folders")
            location = await self._request(host, url, outcome, hold)
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

    def _host(self, url: URL) -> Host:
        politeness = self._settings.politeness
        pair = host_port(str(url))
        unlimited = pair in politeness.unlimited_hosts
        name = pair if unlimited else url.host or ""
        if name not in self._hosts:
            f = self._fetcher
            limiter = HostLimiter(politeness, unlimited)
            self._hosts[name] = Host(self._settings, f.client, f.site_files, limiter)
        return self._hosts[name]

    async def _request(
        self, host: Host, url: URL, outcome: Outcome, hold: AsyncExitStack
    ) -> str | None:
        """Make one HTTP request; return where it redirects to, or None with a complete outcome."""
        fetcher = self._fetcher
        async with host.limiter.acquire(fetcher.requests):
            outcome.requests += 1
            try:
                async with fetcher.client.get(url, ACCEPT, "identity") as response:
                    outcome.status = response.status
                    outcome.content_type = response.content_type or None
                    outcome.said = statements(response.headers)
                    location = response.headers.get("Location")
                    if response.status in REDIRECTS and location:
                        host.limiter.succeeded()
                        return location
                    self._check_head(response, outcome.said)
                    limit = self._settings.limits.bytes
                    body = await response.read(limit, hold, self._check_start)
            except Failed as failed:
                if failed.retryable or failed.reason in ("address.dns", "http.tls"):
                    host.limiter.failed(failed.reason, failed.retry_after)
                else:
                    host.limiter.succeeded()
                raise
            host.limiter.succeeded()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(fetcher.threads, fetcher.processor.process, body, outcome)
        return None

    def _check_head(self, response: Response, said: str) -> None:
        """Check status and headers before the body is read. Raises Refused or Failed."""
        status = response.status
        if status != 200:
            wait = retry_after_seconds(response.headers.get("Retry-After"))
            raise Failed(f"http.{status}", "", status in RETRYABLE_STATUS, wait)
        reason = self._fetcher.headers.reason(said)
        if reason is not None:
            raise Refused(reason)
        if response.content_type.startswith(tuple(self._settings.refuse_types)):
            raise Failed("http.content_type", response.content_type[:100])

    def _check_start(self, start: bytes) -> None:
        """Raise Failed for a long body that begins like no image we decode."""
        if len(start) < CHUNK // 2:
            return  # the body is nearly complete: the decoder will tell its format
        try:
            self._fetcher.processor.decoder.check_format(start[:SNIFF_BYTES])
        except BadImage as bad:
            raise Failed(bad.reason, bad.detail) from None
