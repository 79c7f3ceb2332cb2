"""A quick file server on loopback for fetch benchmarks: `python -m benchmarks.image_server ROOT`.

Prints its port. Files are held in memory, so that two programs that fetch them meet equal answers.
"""

from __future__ import annotations

import mimetypes
import sys
from pathlib import Path

from aiohttp import web


def application(root: Path) -> web.Application:
    """Serve the files under a folder, whatever the query string; 404 for the rest."""
    files = {
        f"/{path.relative_to(root)}": (path.read_bytes(), mimetypes.guess_type(path.name)[0])
        for path in root.rglob("*")
        if path.is_file()
    }

    async def answer(request: web.Request) -> web.Response:
        body, kind = files.get(request.path, (None, None))
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, content_type=kind or "application/octet-stream")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


def main() -> None:
    """Serve until stopped."""
    import asyncio

    async def run() -> None:
        runner = web.AppRunner(application(Path(sys.argv[1])), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
