"""Serve the sample's site on loopback: `python -m benben.sample.serve OUT --port N`.

Responds with the headers, redirects and error codes in `site.json`, so that downloads meet the
same difficulties as on the web.
"""

from __future__ import annotations

import argparse
import json
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from benben.common.local_server import LocalServer
from benben.sample.build import PORT

mimetypes.add_type("image/webp", ".webp")


class Handler(BaseHTTPRequestHandler):
    """Responds for one site."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, root: Path, rules: dict[str, Any], quiet: bool, *args: Any) -> None:
        self.root, self.rules, self.quiet = (root / "www").resolve(), rules, quiet
        super().__init__(*args)

    def do_GET(self) -> None:
        """Respond with the file, or as `site.json` says."""
        path = unquote(urlsplit(self.path).path).lstrip("/") or "en/blog.html"
        if path in self.rules["redirects"]:
            self._send(302, b"", {"Location": f"/{self.rules['redirects'][path]}"})
            return
        file = (self.root / path).resolve()
        if path in self.rules["status"]:
            self._send(self.rules["status"][path], b"error\n", {"Content-Type": "text/plain"})
        elif not file.is_relative_to(self.root) or not file.is_file():
            self._send(404, b"not found\n", {"Content-Type": "text/plain"})
        else:
            guess = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            headers = {"Content-Type": guess, **self.rules["headers"].get(path, {})}
            self._send(200, file.read_bytes(), headers)

    do_HEAD = do_GET

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log the request, unless the server is quiet."""
        if not self.quiet:
            super().log_message(format, *args)


def make_server(root: Path, port: int = 0, quiet: bool = True) -> LocalServer:
    """Bind a server for a built sample; port 0 chooses a free port (see `server_port`)."""
    rules = json.loads((root / "site.json").read_text(encoding="utf-8"))
    return LocalServer(("127.0.0.1", port), partial(Handler, root, rules, quiet))


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[int]:
    """Run a server in the background during the `with` block; yields its port."""
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(root: Path, port: int = 0) -> Iterator[int]:
    """Serve a built sample in the background during the `with` block; yields the port."""
    with running(make_server(root, port)) as bound:
        yield bound


def main() -> None:
    """Serve from the command line until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benben.sample.serve", description=__doc__)
    parser.add_argument("root", type=Path, help="folder made by benben.sample.build")
    parser.add_argument("--port", type=int, default=PORT, help="0 chooses a free port")
    parser.add_argument("--quiet", action="store_true", help="do not log requests")
    given = parser.parse_args()
    server = make_server(given.root, given.port, given.quiet)
    print(f"serving {given.root} on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
