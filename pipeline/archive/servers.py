"""Who is asked for ranges of a file: a web server or an S3-compatible store, one request a time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from benben.pipeline.images.fetch.politeness import retry_after_seconds
from benben.pipeline.settings.archives import ArchiveSettings

_SLOW = (429, 503)  # "you ask too much": everybody on this machine slows down
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_AGAIN_CODES = ("SlowDown", "RequestTimeout", "InternalError", "ThrottlingException", "Throttling")
_REDIRECTS = urllib3.Retry(
    connect=0, read=0, status=0, other=0, redirect=5, respect_retry_after_header=False
)
_TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")


class Failure(Exception):
    """A request that failed but may succeed later; `partial` came before it broke off."""

    def __init__(
        self, why: str, slow: bool = False, wait: float | None = None, partial: bytes = b""
    ) -> None:
        super().__init__(why)
        self.slow, self.wait, self.partial = slow, wait, partial


class Server(Protocol):
    """What can be asked for a range: returns the bytes, the file's size and its version."""

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """Bytes `first` to `last`, both included. Raises Failure, OSError."""


def open_server(url: str, settings: ArchiveSettings) -> Server:
    """The server of an http(s): or s3: URL."""
    return S3Server(url, settings) if url.startswith("s3") else HttpServer(url, settings)


class HttpServer:
    """One URL of a web server."""

    def __init__(self, url: str, settings: ArchiveSettings) -> None:
        self._url = url
        self._headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
        self._pool = _http_pool(settings.timeout_seconds)

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """See Server.get."""
        headers = {**self._headers, "Range": f"bytes={first}-{last}"}
        try:
            response = self._pool.request(
                "GET", self._url, headers=headers, preload_content=False, retries=_REDIRECTS
            )
        except HTTPError as error:
            raise Failure(str(error)) from None
        with response:
            size = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
            if response.status == 416 and size and int(size[1]) == 0:
                return b"", 0, response.headers.get("ETag", "")
            if response.status == 200:
                raise OSError(f"{self._url}: this server sends no ranges; copy the file first")
            if response.status != 206 or size is None:
                raise _refusal(self._url, response.status, response.headers)
            wanted = min(last + 1, int(size[1])) - first
            return _read(response, wanted), int(size[1]), response.headers.get("ETag", "")


class S3Server:
    """One object of an S3-compatible store."""

    def __init__(self, url: str, settings: ArchiveSettings) -> None:
        parts = urlsplit(url)
        self._url, self._bucket, self._key = url, parts.netloc, url.split("/", 3)[-1]
        self._client = _s3_client(settings)

    def get(self, first: int, last: int) -> tuple[bytes, int, str]:
        """See Server.get."""
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={first}-{last}"
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            meta = error.response.get("ResponseMetadata", {})
            if code == "InvalidRange" and first == 0:
                return b"", 0, ""
            if code in _AGAIN_CODES:
                wait = retry_after_seconds(meta.get("HTTPHeaders", {}).get("retry-after"))
                raise Failure(code, slow=code in ("SlowDown", "Throttling"), wait=wait) from None
            status, headers = meta.get("HTTPStatusCode", 0), meta.get("HTTPHeaders", {})
            raise _refusal(f"{self._url} ({code})", status, headers) from None
        except BotoCoreError as error:
            raise Failure(str(error)) from None
        size = _TOTAL.fullmatch(answer.get("ContentRange", ""))
        total = int(size[1]) if size else int(answer["ContentLength"])
        data = _read(answer["Body"], min(last + 1, total) - first)
        return data, total, answer.get("ETag", "")


def _refusal(url: str, status: int, headers: Mapping[str, str]) -> Exception:
    if status in _AGAIN:
        lower = {name.lower(): value for name, value in headers.items()}
        wait = retry_after_seconds(lower.get("retry-after"))
        return Failure(f"status {status}", slow=status in _SLOW, wait=wait)
    if status in (404, 410):
        return FileNotFoundError(f"{url}: not there (status {status})")
    if status in (401, 403):
        return PermissionError(f"{url}: access denied (status {status}); check the credentials")
    return OSError(f"{url}: unexpected answer, status {status}")


def _read(body: Any, wanted: int) -> bytes:
    """Read exactly `wanted` bytes of a response. Raises Failure with what came when fewer do."""
    parts: list[bytes] = []
    held = 0
    while held < wanted:
        try:
            data = body.read(min(wanted - held, 1 << 20))
        except (HTTPError, BotoCoreError, OSError) as error:
            raise Failure(f"broke off: {error}", partial=b"".join(parts)) from None
        if not data:
            raise Failure("broke off", partial=b"".join(parts))
        parts.append(data)
        held += len(data)
    return b"".join(parts)


@lru_cache(maxsize=8)
def _http_pool(timeout: float) -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=timeout, read=timeout))


@lru_cache(maxsize=8)
def _s3_client(settings: ArchiveSettings) -> Any:
    config = Config(
        connect_timeout=settings.timeout_seconds,
        read_timeout=settings.timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},  # RemoteFile tries again
        signature_version=UNSIGNED if settings.s3.anonymous else None,
        user_agent_extra=settings.user_agent,
    )
    endpoint = settings.s3.endpoint or os.environ.get("AWS_ENDPOINT_URL")
    return boto3.client("s3", endpoint_url=endpoint, region_name=settings.s3.region, config=config)
