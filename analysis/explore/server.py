"""Explore a run in the browser: `benben explore RUN` serves pages on loopback.

With `--static FOLDER` it writes the pages as files instead. Tables may be larger than memory: what
searches look at is small (see `index`), and the rest is read for what is shown.
"""

from __future__ import annotations

import re
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from benben.analysis.explore import original, search
from benben.analysis.explore.explorer import Explorer
from benben.analysis.explore.labelling import Labelling
from benben.analysis.explore.search import Search
from benben.common.local_server import LocalServer
from benben.pipeline import storage

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_QUERY = 4_096  # characters, also of a form that is sent


class Handler(BaseHTTPRequestHandler):
    """Answers requests with the explorer's pages, if they name an expected host."""

    timeout = 60

    def __init__(self, explorer: Explorer, hosts: tuple[str, ...], *args: Any) -> None:
        self.explorer, self.hosts = explorer, hosts
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer with a page."""
        if not self._expected():
            return
        parts = urlsplit(self.path)
        fields = dict(parse_qsl(parts.query[:MAX_QUERY]))
        name = unquote(parts.path).lstrip("/")
        page = self.explorer.page(name, fields)
        if page is None:
            self._send(404, "No such page.\n", "text/plain")
        elif name.startswith("page-"):
            self._send(200, page, "text/html", f"{original.POLICY}; frame-ancestors 'self'")
        else:
            self._send(200, page, "text/html")

    def do_POST(self) -> None:
        """Take a label from a form of this server, and show the document again."""
        if not self._expected():
            return
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() and len(length) < 9 else 0
        text = self.rfile.read(min(size, MAX_QUERY)).decode("ascii", "replace")
        doc_id = self.explorer.label(urlsplit(self.path).path, dict(parse_qsl(text)))
        if doc_id is None:
            self._send(403, "No such form, or the page is older than this server.\n", "text/plain")
            return
        back = Search.from_fields(dict(parse_qsl(urlsplit(self.path).query[:MAX_QUERY]))).fields()
        self.send_response(303)
        self.send_header("Location", f"/document-{doc_id}.html" + (f"?{back}" if back else ""))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _expected(self) -> bool:
        """Whether the request names a host of this server; else answers that it does not.

        It does not after DNS rebinding: a website whose name points to loopback.
        """
        if host_name(self.headers.get("Host", "")) in self.hosts:
            return True
        self._send(403, "Unknown host.\n", "text/plain")
        return False

    def _send(self, status: int, text: str, kind: str, policy: str = "") -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(
            "Content-Security-Policy",
            policy or f"{self.explorer.policy}; frame-ancestors 'none'",
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


def make_server(explorer: Explorer, port: int = 0, host: str = "127.0.0.1") -> LocalServer:
    """Bind a server; port 0 chooses a free port (see `server_port`).

    Documents can be labelled if it listens on loopback.
    """
    if host_name(host) in LOOPBACK or host == "::1":
        explorer.labelling = Labelling(explorer.tables)
    hosts = (*LOOPBACK, host_name(host), host_name(f"[{host}]"))
    return LocalServer((host, port), partial(Handler, explorer, hosts))


def write_static(explorer: Explorer, folder: str, documents: int) -> int:
    """Write the pages as files, with the first `documents` documents by id; returns their number.

    Only the first page of images is written.
    """
    written = 0
    names = ["funnel.html", "distributions.html", "drift.html", "images.html"]
    index = explorer.index
    rows = search.find(index, Search(), documents).rows
    names += [f"document-{index.doc_id(row)}.html" for row in rows]
    for name in names:
        page = explorer.page(name, {})
        if page is not None:
            storage.write_bytes(storage.join(folder, name), page.encode("utf-8", "replace"))
            written += 1
    first = explorer.results(Search(), documents)
    storage.write_bytes(storage.join(folder, "index.html"), first.encode("utf-8", "replace"))
    return written + 1
