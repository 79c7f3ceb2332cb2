"""Serve the tuning app on loopback: `benben tune RUN --serve`."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from benben.analysis.tuning.app.site import Site
from benben.common.local_server import LocalServer, SafeHandler, hosts_of, is_loopback
from benben.pipeline.errors import UserError

MAX_FILE = 50_000_000  # bytes of labels that are imported


class Handler(SafeHandler):
    """Answers requests with the app's page and data."""

    def __init__(self, site: Site, hosts: tuple[str, ...], *args: Any) -> None:
        self.site = site
        super().__init__(site.policy, hosts, *args)

    def do_GET(self) -> None:
        """Answer with the page or with data."""
        if not self.expected():
            return
        answer = self.site.get(*self.asked())
        if answer is None:
            self.send(404, "No such page.\n", "text/plain")
        else:
            self.send(200, answer.text, answer.kind, Cache_Control="no-store")

    def do_POST(self) -> None:
        """Do what a form of this server asks."""
        if not self.expected():
            return
        name, fields = self.asked()
        text = self.body(MAX_FILE)
        form = fields if name == "import" else dict(parse_qsl(text, keep_blank_values=True))
        answer = self.site.post(name, form, text)
        if answer is None:
            self.send(403, "No such form, or the page is older than this server.\n", "text/plain")
        else:
            self.send(200, answer.text, answer.kind)


def make_server(site: Site, port: int = 0, host: str = "127.0.0.1") -> LocalServer:
    """Bind a server; port 0 chooses a free port.

    Raises UserError for an address that others reach: whoever opens the page changes rules.
    """
    if not is_loopback(host):
        raise UserError(f"tune: {host}: the tuning app listens on loopback only")
    return LocalServer((host, port), partial(Handler, site, hosts_of(host)))
