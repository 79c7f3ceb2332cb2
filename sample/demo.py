"""Run the whole pipeline on the bundled sample: `python -m benben.sample.demo --folder DIR`.

Builds the site and its crawl, serves the site on loopback, and runs `benben run CONFIG` on the
crawl, so that images are really downloaded. With more pages about drawn shapes and another config,
it makes the dataset that `make train-demo` trains on.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from benben.sample.build import PORT, build
from benben.sample.serve import serving
from benben.sample.shape_pages import LANGUAGE_CYCLE
from benben.sample.website import SHAPE_PAGES


def main() -> int:
    """Build, serve and run; returns the exit code of the run."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, default=Path("build/demo"))
    options.add_argument("--port", type=int, default=PORT)
    options.add_argument(
        "--pages", type=int, default=SHAPE_PAGES, help="number of pages about drawn shapes"
    )
    options.add_argument(
        "--languages", nargs="+", default=LANGUAGE_CYCLE, help="languages of these pages, in turn"
    )
    options.add_argument(
        "--config", nargs="+", default=["sample"], help="config, and key=value overrides"
    )
    chosen = options.parse_args()
    site = chosen.folder / "sample"
    port = free_port(chosen.port)
    build(site, port=port, pages=chosen.pages, languages=chosen.languages)
    with serving(site, port):
        command = [
            *(sys.executable, "-m", "benben.jobs.commands.cli", "run", *chosen.config),
            f"input=[{site / 'crawl-data'}]",
            f"output={chosen.folder / 'run'}",
            f"fetch.allow_hosts=['127.0.0.1:{port}']",
            f"fetch.politeness.unlimited_hosts=['127.0.0.1:{port}']",
        ]
        return subprocess.run(command, check=False).returncode


def free_port(wanted: int) -> int:
    """The wanted loopback port, or a free one if something already listens on it."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no loopback port is free")


if __name__ == "__main__":
    sys.exit(main())
