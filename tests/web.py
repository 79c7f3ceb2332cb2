"""A web server on loopback for tests, with routes, a log of requests, and faults where needed."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Lock, Thread
from typing import Any

from PIL import Image

from benben.pipeline import config
from benben.pipeline.settings.fetch import FetchSettings

Route = bytes | int | tuple[int, dict[str, str], bytes] | Callable[["Handler"], None]


@dataclass(frozen=True)
class Seen:
    """A request that the server received."""

    at: float  # time.monotonic
    host: str
    path: str
    headers: dict[str, str]


@dataclass
class Web:
    """A running server and what it has received."""

    routes: dict[str, Route]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    open_now: int = 0
    open_most: int = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """URL of a path on this server."""
        return f"http://{host}:{self.port}{path}"

    def paths(self, *leave_out: str) -> list[str]:
        """Paths of the requests in order, without the files of consent and `leave_out`."""
        hidden = {"/robots.txt", "/.well-known/tdmrep.json", "/ai.txt", *leave_out}
        return [seen.path for seen in self.seen if seen.path not in hidden]

    def count(self, path: str) -> int:
        """Number of requests for a path."""
        return sum(seen.path == path for seen in self.seen)


class Handler(BaseHTTPRequestHandler):
    """Responds as the server's routes say, and with 404 to all other paths."""

    protocol_version = "HTTP/1.1"
    timeout = 20
    web: Web

    def do_GET(self) -> None:
        """Log the request, then respond."""
        web = self.web
        with web.lock:
            host = self.headers.get("Host", "").split(":")[0]
            web.seen.append(Seen(time.monotonic(), host, self.path, dict(self.headers)))
            web.open_now += 1
            web.open_most = max(web.open_most, web.open_now)
        try:
            self.answer(web.routes.get(self.path, web.routes.get("*", 404)))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with web.lock:
                web.open_now -= 1

    def answer(self, route: Route) -> None:
        """Send the response of a route."""
        if callable(route):
            route(self)
        elif isinstance(route, bytes):
            self.send(200, {}, route)
        elif isinstance(route, int):
            self.send(route, {}, b"")
        else:
            self.send(*route)

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send a response with status, headers and body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log to the terminal."""


@contextmanager
def serving(
    routes: dict[str, Route], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Serve routes in the background during the `with` block."""
    web = Web(routes)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """Ignore clients that close the connection."""

    server = Server((host, 0), type("Bound", (Handler,), {"web": web}))
    web.port = server.server_port
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def settings(*overrides: str, allow: tuple[str, ...] = ()) -> FetchSettings:
    """The default fetch settings with short waits, and overrides without the prefix `fetch.`."""
    quick = (
        "politeness.requests_per_second=1000",
        "politeness.retries=0",
        "politeness.backoff_seconds=0.02",
        "limits.seconds=5",
        "limits.connect_seconds=2",
    )
    keys = [f"fetch.{override}" for override in (*quick, *overrides)]
    hosts = f"fetch.allow_hosts={list(allow)}"
    return config.load("default", ["input=[x]", hosts, *keys]).fetch


def picture(width: int = 64, height: int = 48, kind: str = "PNG", **options: Any) -> bytes:
    """Bytes of a small image that is not uniform; the option `seed` varies it."""
    seed = options.pop("seed", 0)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((seed * 37 % 256, seed * 91 % 256, 99), (0, 0, width // 2, height // 3))
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
