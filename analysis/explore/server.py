"""Explore a run in the browser: `benben explore RUN` serves pages on loopback.

With `--static FOLDER` it writes the pages as files instead. Tables may be larger than memory: what
searches look at is small (see `index`), and the rest is read for what is shown.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from benben.analysis.explore import original, search
from benben.analysis.explore.explorer import Explorer
from benben.analysis.explore.labelling import Labelling
from benben.analysis.explore.search import Search
from benben.common.local_server import LocalServer, SafeHandler, hosts_of, is_loopback
from benben.pipeline import storage


class Handler(SafeHandler):
    """Answers requests with the explorer's pages."""

    def __init__(self, explorer: Explorer, hosts: tuple[str, ...], *args: Any) -> None:
        self.explorer = explorer
        super().__init__(explorer.policy, hosts, *args)

    def do_GET(self) -> None:
        """Answer with a page."""
        if not self.expected():
            return
        name, fields = self.asked()
        page = self.explorer.page(name, fields)
        if page is None:
            self.send(404, "No such page.\n", "text/plain")
        elif name.startswith("page-"):
            self.send(200, page, "text/html", f"{original.POLICY}; frame-ancestors 'self'")
        else:
            self.send(200, page, "text/html")

    def do_POST(self) -> None:
        """Take a label from a form of this server, and show the document again."""
        if not self.expected():
            return
        doc_id = self.explorer.label(urlsplit(self.path).path, dict(parse_qsl(self.body())))
        if doc_id is None:
            self.send(403, "No such form, or the page is older than this server.\n", "text/plain")
            return
        back = Search.from_fields(self.asked()[1]).fields()
        self.send_response(303)
        self.send_header("Location", f"/document-{doc_id}.html" + (f"?{back}" if back else ""))
        self.send_header("Content-Length", "0")
        self.end_headers()


def make_server(explorer: Explorer, port: int = 0, host: str = "127.0.0.1") -> LocalServer:
    """Bind a server; port 0 chooses a free port (see `server_port`).

    Documents can be labelled if it listens on loopback.
    """
    if is_loopback(host):
        explorer.labelling = Labelling(explorer.tables)
    return LocalServer((host, port), partial(Handler, explorer, hosts_of(host)))


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
