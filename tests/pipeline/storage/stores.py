"""moto's S3 server, which can be made to refuse a share of the requests."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "crawl"


class Failing:
    """A WSGI app before another one: it answers a share of the requests with 503 Slow Down."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app, self.share, self.failed = app, 0.0, 0
        self._random = random.Random(1)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        if self._random.random() < self.share:
            self.failed += 1
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>slow down</Message></Error>"]
        return self.app(environ, start)


@contextmanager
def s3(patch: pytest.MonkeyPatch) -> Iterator[Failing]:
    """Run an S3 server with one empty bucket, and point the environment to it."""
    app = Failing(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    try:
        yield app
    finally:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for entry in page.get("Contents", ()):
                client.delete_object(Bucket=BUCKET, Key=entry["Key"])
        client.delete_bucket(Bucket=BUCKET)
        server.shutdown()
