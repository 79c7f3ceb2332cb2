"""Opens the store of a path or URL as an fsspec filesystem.

Every URL that fsspec opens works here, such as hf://datasets/NAME/FILE with huggingface_hub
installed. Three stores are opened with settings of our own:

- s3:, s3a: and s3n: through obstore. It tries each request again by itself after 429, 5xx and
  dropped connections, and its retries are counted per request, so a process that lives long never
  uses them up. An upload appears whole or not at all.
- gs: through pyarrow's client. obstore's client uses Google's XML interface, which the emulator
  that our tests run against does not offer for writing.
- hdfs: through pyarrow's client (fsspec's own choice).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import fsspec
import obstore
import pyarrow as pa
from fsspec.implementations.arrow import ArrowFSWrapper
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.fsspec import FsspecStore
from obstore.store import S3Store
from pyarrow import fs

S3 = ("s3", "s3a", "s3n")
ATTEMPTS = 10  # of one request; if one request in ten fails, one in 10^10 fails for good
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
RETRY_LIMIT = timedelta(minutes=5)
LOCAL = ArrowFSWrapper(fs.LocalFileSystem())  # follows links, unlike fsspec's own


def resolve(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the filesystem of a path or URL, and the path inside it.

    The endpoint of S3 comes from AWS_ENDPOINT_URL, its credentials from where AWS's tools look for
    them. Google's come from its application default credentials; STORAGE_EMULATOR_HOST names an
    emulator. Raises ValueError for a scheme that nothing installed can open.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "file":
        return LOCAL, os.path.abspath(rest if separator else url)
    if scheme in S3:
        return _s3(rest.split("/", 1)[0], os.environ.get("AWS_ENDPOINT_URL")), rest
    if scheme == "gs":
        return _gcs(os.environ.get("STORAGE_EMULATOR_HOST")), rest
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ValueError(f"{url}: no store with the scheme {scheme}: ({error})") from None
    return filesystem, path


def local_path(url: str) -> str | None:
    """Return the path of a file or folder on a local disk, None for any other store."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "file":
        return None
    return os.path.abspath(rest if separator else url)


def is_local(url: str) -> bool:
    """Tell whether a path or URL is on a local disk."""
    return local_path(url) is not None


def arrow_filesystem(url: str) -> tuple[fs.FileSystem, str]:
    """Return the same store as a pyarrow filesystem, for scans of datasets, and the path in it."""
    filesystem, path = resolve(url)
    if isinstance(filesystem, ArrowFSWrapper):
        return filesystem.fs, path
    return fs.PyFileSystem(_ArrowHandler(filesystem)), path


def is_object_store(filesystem: fsspec.AbstractFileSystem) -> bool:
    """Tell whether a filesystem publishes files whole and has no folders but in names: S3, GCS."""
    if isinstance(filesystem, ArrowFSWrapper):
        return bool(filesystem.fs.type_name == "gcs")
    return isinstance(filesystem, FsspecStore)


def open_random(filesystem: fsspec.AbstractFileSystem, path: str) -> Any:
    """Open a file for `read`, `seek`, `size` and thread-safe `read_at(length, offset)`."""
    if isinstance(filesystem, ArrowFSWrapper):
        return filesystem.fs.open_input_file(path)
    if isinstance(filesystem, FsspecStore):
        return pa.PythonFile(_BucketFile(path), mode="r")
    return pa.PythonFile(filesystem.open(path, "rb"), mode="r")


def open_stream(filesystem: fsspec.AbstractFileSystem, path: str) -> Any:
    """Open a new file for writing; what is written to a local file is visible at once."""
    if isinstance(filesystem, ArrowFSWrapper):
        return filesystem.fs.open_output_stream(path, compression=None)  # whatever its name says
    return filesystem.open(path, "wb")


@contextmanager
def as_os_errors(url: str) -> Iterator[None]:
    """Raise obstore's errors as OSError or one of its subclasses, with the URL."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise PermissionError(f"{url}: {short(error)}") from None
    except AlreadyExistsError as error:
        raise FileExistsError(f"{url}: {short(error)}") from None
    except BaseError as error:
        raise OSError(f"{url}: {short(error)}") from None


def short(error: BaseError) -> str:
    """Return obstore's message without the dump of Rust structures that follows it."""
    return str(error).partition("\n\nDebug source")[0].strip()


@lru_cache(maxsize=64)
def _s3(bucket: str, endpoint: str | None) -> FsspecStore:
    return FsspecStore("s3", **s3_options(bucket, endpoint))


def bucket_of(path: str) -> tuple[S3Store, str]:
    """Return the bucket of a path that `resolve` gave for S3, as obstore's own, and the key."""
    bucket, _, key = path.partition("/")
    return _bucket(bucket, os.environ.get("AWS_ENDPOINT_URL")), key


@lru_cache(maxsize=64)
def _bucket(bucket: str, endpoint: str | None) -> S3Store:
    return S3Store(bucket, **s3_options(bucket, endpoint))


def s3_options(
    bucket: str,
    endpoint: str | None,
    region: str | None = None,
    anonymous: bool = False,
    attempts: int = ATTEMPTS,
    timeouts: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    user_agent: str = "benben",
) -> dict[str, Any]:
    """Return obstore's settings for a bucket. `timeouts`: to connect, and between bytes."""
    session = boto3.Session()
    signed = not anonymous and session.get_credentials() is not None
    connect, read = (timedelta(seconds=seconds) for seconds in timeouts)
    config: dict[str, Any] = {"region": region or _region(bucket, endpoint, session)}
    if endpoint is not None:
        config["endpoint"] = endpoint
    if not signed:
        config["skip_signature"] = True
    return {
        "config": config,
        "client_options": {
            "allow_http": True,
            "connect_timeout": connect,
            "read_timeout": read,
            "timeout": RETRY_LIMIT,
            "user_agent": user_agent,
        },
        "retry_config": {"max_retries": attempts - 1, "retry_timeout": RETRY_LIMIT},
        "credential_provider": Boto3CredentialProvider(session) if signed else None,
    }


def _region(bucket: str, endpoint: str | None, session: boto3.Session) -> str:
    """A bucket's region, which need not be the cluster's: Common Crawl's is us-east-1."""
    if endpoint is None:
        try:
            return str(fs.resolve_s3_region(bucket))
        except OSError:  # a private network without the global endpoint: AWS_REGION decides
            pass
    return str(os.environ.get("AWS_REGION") or session.region_name or "us-east-1")


@lru_cache(maxsize=4)
def _gcs(emulator: str | None) -> ArrowFSWrapper:
    if emulator is None:
        return ArrowFSWrapper(fs.GcsFileSystem(retry_time_limit=RETRY_LIMIT))
    parts = urlsplit(emulator)
    return ArrowFSWrapper(
        fs.GcsFileSystem(
            anonymous=True,
            endpoint_override=parts.netloc,
            scheme=parts.scheme,
            retry_time_limit=timedelta(seconds=30),
        )
    )


class _BucketFile:
    """A file of a bucket for pyarrow: a read requests exactly its bytes and raises OSError.

    obstore's own file object requests at least its buffer (1 MiB) and raises errors of its own.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._store, self._key = bucket_of(path)
        with as_os_errors(path):
            self._size = int(obstore.head(self._store, self._key)["size"])
        self._position, self.closed = 0, False

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def read(self, count: int | None = None) -> bytes:
        start = self._position
        left = max(0, self._size - start)
        wanted = left if count is None or count < 0 else min(count, left)
        if not wanted:
            return b""
        with as_os_errors(self._path):
            data = obstore.get_range(self._store, self._key, start=start, length=wanted)
        self._position += wanted
        return data.to_bytes()


class _ArrowHandler(fs.FSSpecHandler):  # type: ignore[misc]
    """pyarrow's view of an fsspec filesystem, with the files of `open_random`."""

    def open_input_file(self, path: str) -> pa.NativeFile:
        return open_random(self.fs, path)
