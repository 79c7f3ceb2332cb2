"""A client that goes away is no failure of the server; a failure is told."""

from __future__ import annotations

import socket
import struct
import time
from http.server import BaseHTTPRequestHandler

import pytest

from benben.common.local_server import LocalServer
from benben.sample.serve import running


class Handler(BaseHTTPRequestHandler):
    """Fails on one page."""

    def do_GET(self) -> None:
        """Answer, or fail."""
        if self.path == "/fails":
            raise ValueError("a fault of ours")
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def ask(port: int, sent: bytes) -> None:
    """Connect, send, and reset the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(sent)
        time.sleep(0.1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.1)


@pytest.mark.parametrize(
    ("sent", "told"), [(b"GET ", False), (b"GET /fails HTTP/1.0\r\n\r\n", True)]
)
def test_only_failures_are_printed(
    sent: bytes, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(LocalServer(("127.0.0.1", 0), Handler)) as port:
        ask(port, sent)
    printed = capsys.readouterr().err
    assert ("a fault of ours" in printed) is told
    assert ("Traceback" in printed) is told
