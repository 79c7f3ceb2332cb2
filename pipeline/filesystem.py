"""Which store a path or URL lies in: local, s3:, s3a:, gs: or hdfs:, all through pyarrow."""

from __future__ import annotations

import ctypes
import os
from datetime import timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from pyarrow import fs

from benben.pipeline.patient import patient

ATTEMPTS = 10  # of a request to a store; at one failure in ten, one in 10^10 fails for good
CONNECT_SECONDS, REQUEST_SECONDS = 10, 60
RETRY_LIMIT = timedelta(minutes=5)
LOCAL = fs.LocalFileSystem()
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


def resolve(url: str) -> tuple[fs.FileSystem, str]:
    """Split a path or URL into its filesystem and the path inside it.

    S3's endpoint comes from AWS_ENDPOINT_URL, credentials from where AWS's tools look for them;
    Google's from its application default credentials, an emulator from STORAGE_EMULATOR_HOST.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return LOCAL, os.path.abspath(url)
    if scheme in ("s3", "s3a", "s3n"):
        bucket = rest.split("/", 1)[0]
        return _s3(bucket, os.environ.get("AWS_ENDPOINT_URL")), rest
    if scheme == "gs":
        return _gcs(os.environ.get("STORAGE_EMULATOR_HOST")), rest
    if scheme == "hdfs":
        return fs.FileSystem.from_uri(url)  # type: ignore[no-any-return]
    if scheme == "file":
        return LOCAL, os.path.abspath(rest)
    raise ValueError(f"{url}: no store with the scheme {scheme}: (file, s3, s3a, gs or hdfs)")


def is_local(filesystem: fs.FileSystem) -> bool:
    """Tell whether files are renamed, not uploaded, into place."""
    return isinstance(filesystem, fs.LocalFileSystem)


def exchange(one: str, other: str) -> None:
    """Let two local folders change places in one step, where the system can; else in three.

    In three steps there is a moment without `other`; a kill in it leaves `other` as `other.old`.
    """
    one, other = (resolve(folder)[1] for folder in (one, other))
    if not _renamed_at_once(one, other):
        os.rename(other, f"{other}.old")
        os.rename(one, other)
        os.rename(f"{other}.old", one)


def _renamed_at_once(one: str, other: str) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return bool(call(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0)


def restore(folder: str) -> None:
    """Give a local folder its name back when an exchange was killed in its second step."""
    filesystem, path = resolve(folder)
    if is_local(filesystem) and not os.path.exists(path) and os.path.exists(f"{path}.old"):
        os.rename(f"{path}.old", path)


@lru_cache(maxsize=64)
def _s3(bucket: str, endpoint: str | None) -> fs.FileSystem:
    options = {
        # Not the "standard" one: pyarrow never fills its allowance of retries up again, so after a
        # hundred refusals a process would give up at each one.
        "retry_strategy": fs.AwsDefaultS3RetryStrategy(max_attempts=ATTEMPTS),
        "connect_timeout": CONNECT_SECONDS,
        "request_timeout": REQUEST_SECONDS,
    }
    if endpoint is not None:
        parts = urlsplit(endpoint)
        return patient(
            fs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, **options)
        )
    return patient(fs.S3FileSystem(region=_region(bucket), **options))


def _region(bucket: str) -> str | None:
    """A bucket's region, which need not be the cluster's: Common Crawl's is us-east-1."""
    try:
        return str(fs.resolve_s3_region(bucket))
    except OSError:  # a private network without the global endpoint: AWS_REGION decides
        return None


@lru_cache(maxsize=4)
def _gcs(emulator: str | None) -> fs.FileSystem:
    if emulator is None:
        return fs.GcsFileSystem(retry_time_limit=RETRY_LIMIT)
    parts = urlsplit(emulator)
    return fs.GcsFileSystem(
        anonymous=True,
        endpoint_override=parts.netloc,
        scheme=parts.scheme,
        retry_time_limit=timedelta(seconds=30),
    )
