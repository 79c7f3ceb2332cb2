"""One HTTP request, safely: addresses gated, every size and time bounded, no redirect followed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from benben.pipeline.images.fetch.address import (
    AddressRefused,
    Gate,
    Lookup,
    Refused,
    system_lookup,
)
from benben.pipeline.images.fetch.budget import TaskBudget
from benben.pipeline.settings.fetch import FetchSettings

SMALL_BODY = 256 * 1024  # bodies up to here are not counted against limits.body_bytes
CHUNK = 64 * 1024
PLAIN = ("", "identity")
GZIP = b"\x1f\x8b"
DNS_SECONDS = 300  # how long an answer is used; addresses stay pinned meanwhile


class Failed(Exception):
    """A request that was made and gave nothing. `later`: it may succeed another time."""

    def __init__(
        self, reason: str, detail: str = "", later: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.later = reason, detail, later
        self.retry_after = retry_after  # seconds, when the host said so


class Response:
    """Status and headers; the body is read only when asked for."""

    def __init__(
        self, answer: aiohttp.ClientResponse, timer: asyncio.Timeout, bodies: TaskBudget
    ) -> None:
        self._answer, self._timer, self._bodies = answer, timer, bodies
        self.status = answer.status
        self.headers: CIMultiDictProxy[str] = answer.headers
        self.content_type = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()

    async def read(
        self, limit: int, hold: AsyncExitStack, first: Callable[[bytes], None] | None = None
    ) -> bytes:
        """Read the body, at most `limit` bytes, memory for large ones held in `hold`.

        `first` sees the first chunk and may raise to stop early. Raises Failed.
        """
        declared = self._answer.content_length
        if declared is not None and declared > limit:
            raise Failed("http.too_large", f"Content-Length {declared}")
        if declared is not None and declared > SMALL_BODY:
            await self._reserve(declared, hold)
        body, reserved = bytearray(), declared or SMALL_BODY
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        async for chunk in self._answer.content.iter_chunked(CHUNK):
            if not body and first is not None and encoding in PLAIN:
                first(chunk)
            body += chunk
            if len(body) > limit:
                raise Failed("http.too_large", f"over {limit} bytes")
            if len(body) > reserved:  # no length declared: room for the largest, once
                reserved = limit
                await self._reserve(limit, hold)
        return _decompress(bytes(body), encoding, limit)

    async def start(self, limit: int) -> bytes:
        """Read the first `limit` bytes of a text, unpacked when it is gzip by name or content."""
        body = bytearray()
        async for chunk in self._answer.content.iter_chunked(CHUNK):
            body += chunk
            if len(body) >= limit:
                break
        if body.startswith(GZIP):
            return inflate(bytes(body), limit, exact=False)
        return bytes(body[:limit])

    async def _reserve(self, amount: int, hold: AsyncExitStack) -> None:
        """Wait for memory; the request's clock stands still meanwhile."""
        when = self._timer.when()
        clock = asyncio.get_running_loop().time
        started = clock()
        self._timer.reschedule(None)
        await hold.enter_async_context(self._bodies.hold(amount))
        if when is not None:
            self._timer.reschedule(when + clock() - started)


class Client:
    """The only HTTP access of the project. Use as an async context manager."""

    def __init__(self, settings: FetchSettings, lookup: Lookup = system_lookup) -> None:
        self._settings = settings
        limits = settings.limits
        self.gate = Gate(settings.allow_hosts, limits.ports, lookup)
        self._bodies = TaskBudget(limits.body_bytes)

    async def __aenter__(self) -> Client:
        limits = self._settings.limits
        connector = aiohttp.TCPConnector(
            resolver=self.gate,
            socket_factory=self.gate.open_socket,
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
        """Ask for one URL. Raises Refused for a forbidden address and Failed for all that fails."""
        self.gate.check(url)
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
                        answer.close()  # the rest of a body nobody wants is not read
        except (Refused, Failed):
            raise
        except Exception as error:
            raise translate(error) from None


def translate(error: Exception) -> Exception:
    """Put a client's exception into our words: Refused or Failed."""
    text = f"{type(error).__name__}: {error}"[:200]
    cause = getattr(error, "os_error", error)
    if isinstance(cause, AddressRefused) or "not a public address" in str(cause):
        return Refused("address.private", str(cause)[:200])
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(cause, socket.gaierror):
        return Failed("address.dns", text)
    if isinstance(error, TimeoutError):
        return Failed("http.timeout", text, later=True)
    if isinstance(error, aiohttp.ClientSSLError):
        return Failed("http.tls", text)
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failed("http.incomplete", text, later=True)
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return Failed("http.connection", text, later=True)
    if isinstance(error, aiohttp.InvalidURL):
        return Refused("url.syntax", text)
    return Failed("http.protocol", text)


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo gzip or deflate, at most `limit` bytes of it. Raises Failed."""
    if encoding in PLAIN:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Failed("http.content_encoding", encoding[:40])
    return inflate(body, limit, exact=True)


def inflate(body: bytes, limit: int, exact: bool) -> bytes:
    """Decompress gzip or zlib data. Over `limit` bytes: Failed when `exact`, else cut off there."""
    inflater = zlib.decompressobj(wbits=47)  # gzip or zlib by its header
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Failed("http.content_encoding", str(error)) from None
    if len(plain) > limit and exact:
        raise Failed("http.too_large", f"over {limit} bytes decompressed")
    return plain[:limit]
