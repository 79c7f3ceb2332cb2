"""One image request: what is asked for, what came of it, and the HTTP client that makes it.

The client connects to permitted addresses only, bounds every size and time, and follows no
redirect.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
import pyarrow as pa
from multidict import CIMultiDictProxy
from yarl import URL

from benben.common.text import describe, one_line
from benben.pipeline.images.fetch.resolver import (
    AddressRefused,
    Lookup,
    Refused,
    SafeResolver,
    host_of,
)
from benben.pipeline.images.processing.picture import Picture
from benben.pipeline.schema import IMAGES
from benben.pipeline.settings.fetch import FetchSettings

ERROR = "fetch.error"  # an exception that nothing expects; `detail` names the host and says which
CONSENT_ERROR = "consent.error"  # the same, on the consent files of an origin: nothing is requested
# Reasons that a later attempt may overcome; any other reason is final.
RETRYABLE = frozenset(
    {
        ERROR,
        CONSENT_ERROR,
        "address.dns",
        "consent.robots_unreachable",
        "host.given_up",
        "host.quota",
        "http.408",
        "http.425",
        "http.429",
        "http.500",
        "http.502",
        "http.503",
        "http.504",
        "http.connection",
        "http.incomplete",
        "http.timeout",
        "img2dataset.missing",
    }
)
SMALL_BODY = 256 * 1024  # bytes; bodies up to this size do not count against limits.body_bytes
CHUNK = 64 * 1024
IDENTITY = ("", "identity")  # Content-Encoding of a body as it is
DNS_SECONDS = 300  # how long a DNS answer is used; its addresses stay pinned in the meantime


# What is asked for, and what came of it


@dataclass(frozen=True, slots=True)
class Request:
    """An image URL to fetch; `target` differs from `url` after redirects."""

    url: str
    target: str
    hops: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of one image URL: a row of `images`, and the bytes to store.

    Fields have the names of columns of `images`, except `target`, `hops`, `picture` and those
    after it. `asked`, `sources` and `said` go into the receipt of consent.
    """

    url: str
    target: str  # URL to request: differs from `url` after redirects
    hops: int = 0
    reason: str | None = None
    detail: str | None = None
    final_url: str | None = None
    status: int | None = None
    content_type: str | None = None
    source: str = "network"  # | archive | img2dataset | none: nothing was requested
    requests: int = 0  # HTTP requests made for this image
    fetched_at: str | None = None  # ISO 8601 UTC; for an archive the capture time
    nsfw: float | None = None
    embedding: list[float] | None = None
    look: list[float] | None = None
    picture: Picture | None = None
    data: bytes | None = field(default=None, repr=False)  # bytes to store, when kept
    stored_format: str | None = None
    moved: Request | None = None  # a redirect that another owner has to follow
    asked: list[str] = field(default_factory=list)  # addresses whose origins were asked for consent
    sources: list[str] = field(default_factory=list)  # digests of what the origins said
    said: str = ""  # header lines of the response about its use

    @property
    def retryable(self) -> bool:
        """Whether a later attempt may succeed."""
        return self.reason in RETRYABLE

    def fail(self, error: BaseException) -> None:
        """Note that an exception ended the work on this URL; nothing of it is kept."""
        self.reason = ERROR
        self.detail = f"{host_of(self.target)}: {describe(error)}"
        self.picture = self.data = self.stored_format = self.moved = None
        self.nsfw = self.embedding = self.look = None

    def row(self) -> dict[str, Any]:
        """A row of `images`. Texts of servers and libraries are made fit for a table."""
        row: dict[str, Any] = dict.fromkeys(IMAGES.names)
        if self.picture is not None:
            for name in PICTURE_COLUMNS:
                row[name] = getattr(self.picture, name)
        for name in OWN_COLUMNS:
            row[name] = getattr(self, name)
        if self.picture is not None and self.reason is None:
            row["reason"], row["detail"] = self.picture.reason, self.picture.detail
        row["final_url"] = self.final_url or self.target
        row["host"] = host_of(self.url)
        for name in ("detail", "content_type"):
            row[name] = row[name] and one_line(row[name])
        if row["width"] and row["height"]:
            row["aspect"] = row["width"] / row["height"]
        return row


PICTURE_COLUMNS = tuple(Picture.__dataclass_fields__)
OWN_COLUMNS = (
    "url",
    "reason",
    "detail",
    "status",
    "content_type",
    "source",
    "requests",
    "fetched_at",
    "nsfw",
    "embedding",
    "look",
)


def to_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of outcomes as an Arrow table of the schema IMAGES."""
    return pa.Table.from_pylist(rows, schema=IMAGES)


class Failed(Exception):
    """A request that was made without success; `retryable`: it may succeed another time."""

    def __init__(
        self,
        reason: str,
        detail: str = "",
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.retryable = reason, detail, retryable
        self.retry_after = retry_after  # seconds, when the host named them


# The HTTP client


class Client:
    """HTTP client for images and their hosts' consent files. Use as an async context manager."""

    def __init__(self, settings: FetchSettings, lookup: Lookup | None = None) -> None:
        self._settings = settings
        limits = settings.limits
        self.resolver = SafeResolver(settings.allow_hosts, limits.ports, lookup)
        self._bodies = MemoryQueue(limits.body_bytes)

    async def __aenter__(self) -> Client:
        limits = self._settings.limits
        connector = aiohttp.TCPConnector(
            resolver=self.resolver,
            socket_factory=self.resolver.open_socket,
            family=socket.AF_UNSPEC,
            ssl=ssl.create_default_context(),
            limit=0,  # callers bound concurrency
            ttl_dns_cache=DNS_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": self._settings.user_agent},
            timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_seconds),
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
            read_bufsize=CHUNK,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @asynccontextmanager
    async def get(self, url: URL, accept: str, encoding: str) -> AsyncIterator[Response]:
        """Request one URL. Raises Refused for a forbidden address, Failed for any failure."""
        self.resolver.check(url)
        headers = {"Accept": accept, "Accept-Encoding": encoding}
        try:
            async with (
                asyncio.timeout(self._settings.limits.seconds) as timer,
                self._session.get(url, headers=headers, allow_redirects=False) as answer,
            ):
                try:
                    yield Response(answer, timer, self._bodies)
                finally:
                    if not answer.content.at_eof():
                        answer.close()  # do not read the rest of an unwanted body
        except (Refused, Failed):
            raise
        except Exception as error:
            raise _translate(error) from None


class Response:
    """Status and headers of a response; its body is read only on request."""

    def __init__(
        self, answer: aiohttp.ClientResponse, timer: asyncio.Timeout, bodies: MemoryQueue
    ) -> None:
        self._answer, self._timer, self._bodies = answer, timer, bodies
        self.status = answer.status
        self.headers: CIMultiDictProxy[str] = answer.headers
        self.content_type = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()

    async def read(
        self, limit: int, hold: AsyncExitStack, check: Callable[[bytes], None] | None = None
    ) -> bytes:
        """Read and decompress the body, at most `limit` bytes. Raises Failed.

        The memory of a large body is reserved until `hold` is closed. `check` is given the first
        chunk of an uncompressed body, and may raise to stop early.
        """
        declared = self._answer.content_length
        if declared is not None and declared > limit:
            raise Failed("http.too_large", f"Content-Length {declared}")
        if declared is not None and declared > SMALL_BODY:
            await self._reserve(declared, hold)
        body, reserved = bytearray(), declared or SMALL_BODY
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        async for chunk in self._answer.content.iter_chunked(CHUNK):
            if not body and check is not None and encoding in IDENTITY:
                check(chunk)
            body += chunk
            if len(body) > limit:
                raise Failed("http.too_large", f"over {limit} bytes")
            if len(body) > reserved:  # no length was declared: reserve the largest, once
                reserved = limit
                await self._reserve(limit, hold)
        return _decompress(bytes(body), encoding, limit)

    async def read_start(self, limit: int) -> bytes:
        """Read the first `limit` bytes of the body as they come, without decompression."""
        body = bytearray()
        async for chunk in self._answer.content.iter_chunked(CHUNK):
            body += chunk
            if len(body) >= limit:
                break
        return bytes(body[:limit])

    async def _reserve(self, amount: int, hold: AsyncExitStack) -> None:
        """Wait for memory; the request's time limit does not run in the meantime."""
        when = self._timer.when()
        clock = asyncio.get_running_loop().time
        started = clock()
        self._timer.reschedule(None)
        await hold.enter_async_context(self._bodies.hold(amount))
        if when is not None:
            self._timer.reschedule(when + clock() - started)


def _translate(error: Exception) -> Exception:
    """The Refused or Failed that stands for an exception of the HTTP client."""
    text = describe(error)
    cause = getattr(error, "os_error", error)
    if isinstance(cause, AddressRefused) or "not a public address" in str(cause):
        return Refused("address.private", one_line(str(cause)))
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(cause, socket.gaierror):
        return Failed("address.dns", text)
    if isinstance(error, TimeoutError):
        return Failed("http.timeout", text, retryable=True)
    if isinstance(error, aiohttp.ClientSSLError):
        return Failed("http.tls", text)
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failed("http.incomplete", text, retryable=True)
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return Failed("http.connection", text, retryable=True)
    if isinstance(error, aiohttp.InvalidURL):
        return Refused("url.syntax", text)
    return Failed("http.protocol", text)


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo gzip or deflate, to at most `limit` bytes. Raises Failed."""
    if encoding in IDENTITY:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Failed("http.content_encoding", encoding[:40])
    return _inflate(body, limit)


def _inflate(body: bytes, limit: int) -> bytes:
    """Decompress gzip or zlib data. Raises Failed, also for more than `limit` bytes."""
    inflater = zlib.decompressobj(wbits=47)  # gzip or zlib, told by its header
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Failed("http.content_encoding", str(error)) from None
    if len(plain) > limit:
        raise Failed("http.too_large", f"over {limit} bytes decompressed")
    return plain


class MemoryQueue:
    """Bounds the memory that coroutines of one event loop hold at once, first come first served.

    A request for more than `total` bytes is granted when everything is free.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, amount: int) -> AsyncIterator[None]:
        """Wait until `amount` bytes are free, and hold them for the block."""
        amount = min(amount, self.total)
        if self._waiting or self._free < amount:
            granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            entry = (amount, granted)
            self._waiting.append(entry)
            try:
                await granted
            except asyncio.CancelledError:
                if granted.done() and not granted.cancelled():
                    self._give_back(amount)
                elif entry in self._waiting:
                    self._waiting.remove(entry)
                raise
        else:
            self._free -= amount
        try:
            yield
        finally:
            self._give_back(amount)

    def _give_back(self, amount: int) -> None:
        self._free += amount
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, granted = self._waiting.popleft()
            if not granted.done():
                self._free -= wanted
                granted.set_result(None)
