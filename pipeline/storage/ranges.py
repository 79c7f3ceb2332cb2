"""Reads archives by byte ranges: from local files, memory, web servers and object stores.

A remote file is read at the pace that all processes of the machine share, and each request is
repeated until its bytes are there or the attempts are used up.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import fsspec
import obstore
from fsspec.asyn import sync
from obstore.exceptions import BaseError, NotSupportedError
from obstore.store import S3Store

from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage import stores
from benben.pipeline.storage.retrying import TransientError, backoff, status_error
from benben.pipeline.storage.throttle import Throttle

DEFAULT = ArchiveSettings()
PIECE_BYTES = 1 << 20  # of a response that are received at once
PADDING = b"\0\r\n"  # between records
HELD_CHUNKS = 3  # of a window, kept in memory for looking back
STREAMED = ("gs", "hdfs")  # read as tables are, without the shared pace
TRANSIENT_CODES = ("RequestTimeout", "Throttling", "ThrottlingException")  # S3's, status 400
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")


class Source(Protocol):
    """A file of known size that is read by ranges."""

    name: str
    start: int  # position of its first byte: 0 unless only a range of a file is held
    size: int  # position after its last byte
    chunk: int  # bytes worth reading at once

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`, fewer than `length` only at the end. Raises OSError."""


def open_source(url: str, settings: ArchiveSettings = DEFAULT) -> Source:
    """Open an archive for range reads. Raises OSError."""
    if not is_remote(url):
        return StoredFile(url)
    parts = urlsplit(url)
    throttle = Throttle(f"{parts.scheme}://{parts.netloc}", settings.requests_per_second)
    return RemoteFile(url, _open_ranges(url, settings), settings, throttle)


def is_remote(url: str) -> bool:
    """Tell whether a URL is read with retries and at the shared pace."""
    return not stores.is_local(url) and urlsplit(url).scheme not in STREAMED


class StoredFile:
    """A local file, or one of a store whose client paces and retries by itself."""

    start, chunk = 0, 1 << 20

    def __init__(self, url: str) -> None:
        self.name = url
        self._stream = stores.open_random(*stores.resolve(url))
        self.size = int(self._stream.size())

    def read_at(self, offset: int, length: int) -> bytes:
        """See Source.read_at."""
        return bytes(self._stream.read_at(max(0, min(length, self.size - offset)), offset))


class RemoteFile:
    """A file on a server, as a Source."""

    start = 0

    def __init__(
        self,
        name: str,
        ranges: Ranges,
        settings: ArchiveSettings,
        throttle: Throttle,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.chunk = name, settings.chunk_bytes
        self._ranges, self._settings, self._throttle = ranges, settings, throttle
        self._sleep = sleep
        self._version: str | None = None
        self._end = -1  # of the last range that was read
        self._ahead: tuple[int, Future[bytes]] | None = None
        self.size = 0
        self._request(0, 0)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`. Raises OSError when all attempts failed.

        When a file is read chunk by chunk, the next chunk is fetched while this one is used.
        """
        ahead, self._ahead = self._ahead, None
        whole = length == self.chunk
        if ahead is not None and whole and ahead[0] == offset:
            data = ahead[1].result()
        else:
            data = self._range(offset, length)
        if whole and offset == self._end and offset + length < self.size:
            following = offset + length
            self._ahead = following, _prefetch_pool().submit(self._range, following, length)
        self._end = offset + length
        return data

    def _range(self, offset: int, length: int) -> bytes:
        last = min(offset + length, self.size) - 1
        return self._request(offset, last) if offset <= last else b""

    def _request(self, first: int, last: int) -> bytes:
        """Request bytes until all are there; a repeated request begins where the last broke off."""
        parts: list[bytes] = []
        attempt = 0
        while True:
            self._throttle.wait()
            try:
                data, size, version = self._ranges.get(first, last)
                break
            except TransientError as error:
                attempt = 0 if error.partial else attempt + 1
                parts.append(error.partial)
                first += len(error.partial)
                self._pause(error, attempt)
        if self._version not in (None, version):
            raise OSError(f"{self.name}: the file changed while it was read; start again")
        self.size, self._version = size, version
        return b"".join([*parts, data]) if parts else data

    def _pause(self, error: TransientError, attempt: int) -> None:
        settings = self._settings
        if attempt >= settings.attempts:
            raise OSError(f"{self.name}: given up after {attempt} attempts: {error}")
        wait = error.wait
        if wait is None:
            wait = backoff(attempt, settings.backoff_seconds, settings.max_wait_seconds)
        wait = min(wait, settings.max_wait_seconds)
        if error.slow_down:
            self._throttle.slow_down(wait)
        self._sleep(wait)


@lru_cache(maxsize=1)
def _prefetch_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, "prefetch")


class Ranges(Protocol):
    """Makes one request for a range of a file."""

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """Return bytes `first` to `last`, both included, the file's size and its version.

        Raises TransientError, OSError.
        """


def _open_ranges(url: str, settings: ArchiveSettings) -> Ranges:
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        return HttpRanges(url, settings)
    return BucketRanges(url, settings) if scheme in stores.S3 else OtherRanges(url)


class HttpRanges:
    """A file on a web server, through the session of fsspec's HTTP filesystem.

    Its own range reads forget what arrived before an answer broke off. obstore's HTTP client
    keeps that, but hides Retry-After.
    """

    def __init__(self, url: str, settings: ArchiveSettings) -> None:
        self._url = url
        self._headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
        self._web = _web(settings.timeout_seconds)

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """See Ranges.get."""
        return sync(self._web.loop, self._get, first, last)  # type: ignore[no-any-return]

    async def _get(self, first: int, last: int) -> tuple[bytes, int, str]:
        headers = {**self._headers, "Range": f"bytes={first}-{last}"}
        session = await self._web.set_session()
        parts: list[bytes] = []
        try:
            async with session.get(
                self._url, headers=headers, read_bufsize=PIECE_BYTES
            ) as response:
                size, version = self._checked(response), response.headers.get("ETag", "")
                missing = wanted = min(last + 1, size) - first
                while missing > 0 and (piece := await response.content.read(missing)):
                    parts.append(piece)
                    missing -= len(piece)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransientError(f"broke off: {error}", partial=b"".join(parts)) from None
        return _complete(b"".join(parts), wanted), size, version

    def _checked(self, response: aiohttp.ClientResponse) -> int:
        """Return the file's size from an answer to a range request. Raises as `get` does."""
        size = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
        if response.status == 416 and size and int(size[1]) == 0:
            return 0
        if response.status == 200:
            raise OSError(f"{self._url}: this server sends no ranges; copy the file first")
        if response.status != 206 or size is None:
            raise status_error(self._url, response.status, response.headers.get("Retry-After"))
        return int(size[1])


class BucketRanges:
    """An object of an S3-compatible store, through obstore without its own retries."""

    def __init__(self, url: str, settings: ArchiveSettings) -> None:
        bucket, _, self._key = url.split("://", 1)[1].partition("/")
        self._url, self._store = url, _bucket(bucket, settings)

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """See Ranges.get."""
        parts: list[bytes] = []
        try:
            answer = obstore.get(self._store, self._key, options={"range": (first, last + 1)})
            size, version = answer.meta["size"], answer.meta["e_tag"] or ""
            for piece in answer.stream(min_chunk_size=PIECE_BYTES):
                parts.append(piece)  # what came before an error is kept
        except BaseError as error:
            if first == 0 and "status code: 416" in str(error):  # an empty file
                return b"", 0, ""
            raise self._refusal(error, b"".join(parts)) from None
        except FileNotFoundError:
            raise status_error(self._url, 404) from None
        return _complete(b"".join(parts), min(last + 1, size) - first), size, version

    def _refusal(self, error: BaseError, partial: bytes) -> Exception:
        text = stores.short(error)
        if isinstance(error, NotSupportedError) or "non-partial" in text:
            return OSError(f"{self._url}: this server sends no ranges; copy the file first")
        status, found = _STATUS.search(text), _CODE.search(text)
        code = found[1] if found else ""
        if status is None or code in TRANSIENT_CODES:
            return TransientError(code or text, slow_down="Throttling" in code, partial=partial)
        return status_error(f"{self._url} ({code})" if code else self._url, int(status[1]))


class OtherRanges:
    """A file of any other filesystem that fsspec knows, such as hf:."""

    def __init__(self, url: str) -> None:
        filesystem, path = stores.resolve(url)
        self._url, self._lock = url, threading.Lock()  # the file has one position
        info = filesystem.info(path)
        self._size = int(info["size"])
        self._file = filesystem.open(path, "rb", cache_type="none")

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """See Ranges.get."""
        wanted = max(0, min(last + 1, self._size) - first)
        try:
            with self._lock:
                self._file.seek(first)
                data = bytes(self._file.read(wanted))
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # each filesystem has its own
            status = getattr(getattr(error, "response", error), "status_code", None)
            failure = status_error(self._url, status) if status else TransientError(str(error))
            raise failure from None
        return _complete(data, wanted), self._size, ""


def _complete(data: bytes, wanted: int) -> bytes:
    if len(data) < wanted:
        raise TransientError("broke off", partial=data)
    return data[:wanted]


@lru_cache(maxsize=8)
def _web(timeout: float) -> Any:
    waits = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)
    return fsspec.filesystem("http", client_kwargs={"timeout": waits, "auto_decompress": False})


@lru_cache(maxsize=64)
def _bucket(name: str, settings: ArchiveSettings) -> S3Store:
    s3 = settings.s3
    options = stores.s3_options(
        name,
        s3.endpoint or os.environ.get("AWS_ENDPOINT_URL"),
        region=s3.region,
        anonymous=s3.anonymous,
        attempts=1,  # RemoteFile tries again, at the shared pace
        timeouts=(settings.timeout_seconds, settings.timeout_seconds),
        user_agent=settings.user_agent,
    )
    return S3Store(name, **options)


class Bytes:
    """Bytes in memory: a whole file, or the range of a file that begins at `start`."""

    def __init__(self, data: bytes, name: str = "", start: int = 0) -> None:
        self.name, self.data, self.start = name, data, start
        self.size = start + len(data)
        self.chunk = max(1, len(data))

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        inside = offset - self.start
        return (
            self.data if inside == 0 and length >= len(self.data) else self.data[inside:][:length]
        )


class Spool:
    """Bytes too many for memory, in a temporary file that is deleted when the object goes."""

    start, chunk = 0, 1 << 20

    def __init__(self, name: str = "") -> None:
        self.name, self.size = name, 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the object

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.seek(self.size)
        self.size += self._file.write(data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`."""
        self._file.seek(offset)
        return self._file.read(length)


class Window:
    """Reads a source forward by chunks and keeps the last few, so that looking back is cheap."""

    __slots__ = ("_chunk", "_data", "_held", "_start", "size", "source")

    def __init__(self, source: Source, chunk: int | None = None) -> None:
        self.source, self.size, self._chunk = source, source.size, chunk or source.chunk
        self._data, self._start = b"", 0
        self._held: dict[int, bytes] = {}

    def at(self, offset: int) -> memoryview:
        """Return the bytes in memory from `offset` on: at least one, or none at the end."""
        inside = offset - self._start
        if not 0 <= inside < len(self._data):
            self._load(offset)
            inside = offset - self._start
        return memoryview(self._data)[inside:]

    def _load(self, offset: int) -> None:
        if offset >= self.size:
            self._data, self._start = b"", offset
            return
        self._start = offset - (offset - self.source.start) % self._chunk
        data = self._held.pop(self._start, None)
        self._data = self.source.read_at(self._start, self._chunk) if data is None else data
        self._held[self._start] = self._data
        if len(self._held) > HELD_CHUNKS:
            del self._held[next(iter(self._held))]

    def take(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end."""
        part = self.at(offset)[:length]
        if len(part) == length or not part:
            return bytes(part)
        parts, got = [bytes(part)], len(part)
        while got < length and (part := self.at(offset + got)[: length - got]):
            parts.append(bytes(part))
            got += len(part)
        return b"".join(parts)

    def skip_padding(self, offset: int) -> int:
        """Return the first position from `offset` on that holds no zero byte and no line end."""
        first = self.at(offset)[:1]
        if first and first[0] not in PADDING:
            return offset
        while data := self.at(offset)[:4096]:
            rest = bytes(data).lstrip(PADDING)
            offset += len(data) - len(rest)
            if rest:
                break
        return offset

    def find(
        self, offset: int, pattern: re.Pattern[bytes], test: Callable[[int], bool], stop: int
    ) -> int:
        """Find the first position in [offset, stop) where `pattern` matches and `test` is true.

        A match has at most 64 bytes. Returns `stop` when there is no such position.
        """
        while offset < stop:
            data = self.take(offset, self._chunk + 64)
            for found in pattern.finditer(data, 0):
                if offset + found.start() >= stop:
                    return stop
                if found.start() < self._chunk and test(offset + found.start()):
                    return offset + found.start()
            offset += self._chunk
        return stop
