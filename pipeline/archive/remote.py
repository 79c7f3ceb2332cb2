"""Range reads of a file on a server, tried again until the bytes are there or it is hopeless."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from urllib.parse import urlsplit

from benben.pipeline.archive.servers import Failure, Server, open_server
from benben.pipeline.archive.throttle import Throttle, backoff
from benben.pipeline.settings.archives import ArchiveSettings


def open_remote(url: str, settings: ArchiveSettings) -> RemoteFile:
    """Open an http(s): or s3: URL. Raises OSError."""
    parts = urlsplit(url)
    pace = Throttle(f"{parts.scheme}://{parts.netloc}", settings.requests_per_second)
    return RemoteFile(url, open_server(url, settings), settings, pace)


class RemoteFile:
    """A file on a server, as a Source."""

    start = 0

    def __init__(
        self,
        name: str,
        server: Server,
        settings: ArchiveSettings,
        throttle: Throttle,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.chunk = name, settings.chunk_bytes
        self._server, self._settings, self._throttle = server, settings, throttle
        self._sleep = sleep
        self._version: str | None = None
        self._end = -1  # of the last bytes asked for
        self._ahead: tuple[int, Future[bytes]] | None = None
        self.size = 0
        self._request(0, 0)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`. Raises OSError when all attempts failed.

        Of a file that is read chunk by chunk the next chunk is fetched while this one is used.
        """
        ahead, self._ahead = self._ahead, None
        whole = length == self.chunk
        if ahead is not None and whole and ahead[0] == offset:
            data = ahead[1].result()
        else:
            data = self._range(offset, length)
        if whole and offset == self._end and offset + length < self.size:
            following = offset + length
            self._ahead = following, _fetchers().submit(self._range, following, length)
        self._end = offset + length
        return data

    def _range(self, offset: int, length: int) -> bytes:
        last = min(offset + length, self.size) - 1
        return self._request(offset, last) if offset <= last else b""

    def _request(self, first: int, last: int) -> bytes:
        parts: list[bytes] = []
        attempt = 0
        while True:
            self._throttle.wait()
            try:
                data, size, version = self._server.get(first, last)
                break
            except Failure as failure:
                attempt = 0 if failure.partial else attempt + 1
                parts.append(failure.partial)
                first += len(failure.partial)
                self._pause(failure, attempt)
        if self._version not in (None, version):
            raise OSError(f"{self.name}: the file changed while it was read; start again")
        self.size, self._version = size, version
        return b"".join([*parts, data])

    def _pause(self, failure: Failure, attempt: int) -> None:
        settings = self._settings
        if attempt >= settings.attempts:
            raise OSError(f"{self.name}: given up after {attempt} attempts: {failure}")
        wait = failure.wait
        if wait is None:
            wait = backoff(attempt, settings.backoff_seconds, settings.max_wait_seconds)
        wait = min(wait, settings.max_wait_seconds)
        if failure.slow:
            self._throttle.slow_down(wait)
        self._sleep(wait)


@lru_cache(maxsize=1)
def _fetchers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, "fetch-ahead")
