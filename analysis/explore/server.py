"""Explore a run in the browser: `benben explore RUN` serves pages on loopback.

With `--static FOLDER` it writes the pages as files instead. Tables may be larger than memory: pages
are made by scans that keep only what is shown.
"""

from __future__ import annotations

import re
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from benben.analysis.explore import search
from benben.analysis.explore.explorer import Explorer
from benben.analysis.explore.search import Search
from benben.pipeline import storage

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_QUERY = 4_096


class Handler(BaseHTTPRequestHandler):
    """Answers requests with the explorer's pages, if they name an expected host."""

    timeout = 60

    def __init__(self, explorer: Explorer, hosts: tuple[str, ...], *args: Any) -> None:
        self.explorer, self.hosts = explorer, hosts
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer with a page."""
        if (
            host_name(self.headers.get("Host", "")) not in self.hosts
        ):  # DNS rebinding: a website whose name points to loopback
            self._send(403, "Unknown host.\n", "text/plain")
            return
        parts = urlsplit(self.path)
        fields = dict(parse_qsl(parts.query[:MAX_QUERY]))
        page = self.explorer.page(unquote(parts.path).lstrip("/"), fields)
        if page is None:
            self._send(404, "No such page.\n", "text/plain")
        else:
            self._send(200, page, "text/html")

    def _send(self, status: int, text: str, kind: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(
            "Content-Security-Policy", f"{self.explorer.policy}; frame-ancestors 'none'"
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests."""


def host_name(host: str) -> str:
    """Return a host in lower case without a port; IPv6 addresses keep their brackets."""
    return re.sub(r":\d*$", "", host.strip().lower()).rstrip(".")


def make_server(explorer: Explorer, port: int = 0, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Bind a server; port 0 chooses a free port (see `server_port`)."""
    hosts = (*LOOPBACK, host_name(host), host_name(f"[{host}]"))
    return ThreadingHTTPServer((host, port), partial(Handler, explorer, hosts))


def write_static(explorer: Explorer, folder: str, documents: int) -> int:
    """Write the pages as files, with the first `documents` documents by id; returns their number.

    Only the first page of images is written.
    """
    written = 0
    names = ["funnel.html", "distributions.html", "drift.html", "images.html"]
    hits = search.find(explorer.query, explorer.tables.verdicts, Search(), documents)
    names += [f"document-{hit.doc_id}.html" for hit in hits]
    for name in names:
        page = explorer.page(name, {})
        if page is not None:
            storage.write_bytes(storage.join(folder, name), page.encode("utf-8", "replace"))
            written += 1
    index = explorer.index(Search(), documents)
    storage.write_bytes(storage.join(folder, "index.html"), index.encode("utf-8", "replace"))
    return written + 1
