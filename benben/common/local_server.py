"""The web server of pages that are made on this machine, and what all its answers share."""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_QUERY = 4_096  # characters, also of a form that is sent


class LocalServer(ThreadingHTTPServer):
    """A threaded server that takes many connections at once and lets clients go away."""

    daemon_threads = True
    request_queue_size = 128

    def run(self, said: str) -> None:
        """Say where the server listens, and answer until the process is stopped."""
        host = self.server_address[0]
        shown = host.decode() if isinstance(host, bytes | bytearray) else host
        print(f"{said} at http://{shown}:{self.server_port}", flush=True)
        try:
            self.serve_forever()
        finally:
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the stack trace of a failure; a client that closes its connection is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class SafeHandler(BaseHTTPRequestHandler):
    """Answers requests that name an expected host, by headers that forbid what is not needed."""

    timeout = 60

    def __init__(self, policy: str, hosts: tuple[str, ...], *args: Any) -> None:
        self.policy, self.hosts = policy, hosts
        super().__init__(*args)

    def asked(self) -> tuple[str, dict[str, str]]:
        """The name of the page and the fields after the question mark."""
        parts = urlsplit(self.path)
        return unquote(parts.path).lstrip("/"), dict(parse_qsl(parts.query[:MAX_QUERY]))

    def body(self, most: int = MAX_QUERY) -> str:
        """The text that was sent, at most `most` bytes of it."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() and len(length) < 10 else 0
        return self.rfile.read(min(size, most)).decode("utf-8", "replace")

    def expected(self) -> bool:
        """Whether the request names a host of this server; else answers that it does not.

        It does not after DNS rebinding: a website whose name points to loopback.
        """
        if host_name(self.headers.get("Host", "")) in self.hosts:
            return True
        self.send(403, "Unknown host.\n", "text/plain")
        return False

    def send(self, status: int, text: str, kind: str, policy: str = "", **headers: str) -> None:
        """Send a text of a MIME type; `policy`: Content-Security-Policy, if not that of all."""
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(
            "Content-Security-Policy", policy or f"{self.policy}; frame-ancestors 'none'"
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests."""


def host_name(host: str) -> str:
    """Return a host in lower case without a port; IPv6 addresses keep their brackets."""
    return re.sub(r":\d*$", "", host.strip().lower()).rstrip(".")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a server that listens on this address."""
    return host_name(host) in LOOPBACK or host == "::1"


def hosts_of(host: str) -> tuple[str, ...]:
    """Names of a server that listens on this address."""
    return (*LOOPBACK, host_name(host), host_name(f"[{host}]"))
