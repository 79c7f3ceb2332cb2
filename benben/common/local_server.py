"""The web server of pages that are made on this machine."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class LocalServer(ThreadingHTTPServer):
    """A threaded server that takes many connections at once and lets clients go away."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the stack trace of a failure; a client that closes its connection is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
