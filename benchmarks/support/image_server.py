"""A quick file server on loopback for fetch benchmarks: `python -m benchmarks.image_server ROOT`.

Prints its port. Files are held in memory, so that two programs that fetch them meet equal answers.
With `--signals`, the site speaks of its use in each way we read, and permits all that is fetched.
"""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path

from aiohttp import web

GROUP = """User-agent: {}
Disallow: /admin/
Disallow: /search?*q=
Disallow: /*.php$
Allow: /
Content-Usage: /drafts/ train-ai=n
Content-Signal: search=yes, ai-train=yes
Crawl-delay: 0

"""
AGENTS = ("*", "CCBot", "GPTBot", "Googlebot", "bingbot", "a-search-engine", "ClaudeBot")
FILES = {
    "/robots.txt": "".join(map(GROUP.format, AGENTS)).encode(),
    "/ai.txt": b"User-Agent: *\nDisallow: /*.mp4\nAllow: /\n",
    "/.well-known/tdmrep.json": b'[{"location": "/drafts/", "tdm-reservation": 1}]',
}
HEADERS = {
    "X-Robots-Tag": "otherbot: noindex, noai",
    "Content-Signal": "ai-train=yes",
    "TDM-Reservation": "0",
}


def application(root: Path, signals: bool = False) -> web.Application:
    """Serve the files under a folder, whatever the query string; 404 for the rest."""
    headers = HEADERS if signals else {}
    files: dict[str, tuple[bytes, str | None]] = {
        f"/{path.relative_to(root)}": (path.read_bytes(), mimetypes.guess_type(path.name)[0])
        for path in root.rglob("*")
        if path.is_file()
    }
    files |= {path: (body, "text/plain") for path, body in FILES.items() if signals}

    async def answer(request: web.Request) -> web.Response:
        body, kind = files.get(request.path, (None, None))
        if body is None:
            return web.Response(status=404)
        kind = kind or "application/octet-stream"
        return web.Response(body=body, content_type=kind, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


def main() -> None:
    """Serve until stopped."""
    import asyncio

    async def run() -> None:
        runner = web.AppRunner(
            application(Path(sys.argv[1]), "--signals" in sys.argv), access_log=None
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
