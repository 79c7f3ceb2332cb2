"""The whole chain on real input, every page accounted for: `python -m benchmarks.chain site|main`.

`site` serves a folder of manual pages on port 8765 and downloads their images; `main` runs seven
archives of mixed pages with fetching off. The data is looked for in BENBEN_SHARED. Prints the
funnel, then one line: NAME pages-a-second baseline ratio, where the baseline is the same run's
extraction alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq
from datasets import load_dataset

from benben.analysis.report import funnel
from benben.pipeline import manifest
from benchmarks.support.data import DATA, ROOT, archives, pages
from benchmarks.support.figure import report

PORT = 8765
SITE_ARCHIVE = DATA / "site" / f"site-127.0.0.1-{PORT}.warc.gz"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def serve(stack: ExitStack) -> None:
    """Serve the site's files until the stack closes."""
    handler = partial(Quiet, directory=str(DATA / "site" / "www"))
    server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", PORT), handler))
    Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)


def command(kind: str, output: str) -> list[str]:
    """The command line that is measured."""
    run = [sys.executable, "-m", "benben.jobs.commands.cli", "run"]
    if kind == "main":
        inputs = ", ".join(str(path) for path in archives())
        return [*run, "default", f"input=[{inputs}]", f"output={output}", "fetch.enabled=false"]
    host = f'["127.0.0.1:{PORT}"]'
    return [
        *(*run, "unfiltered", f"output={output}"),
        f"input=[{SITE_ARCHIVE}]",
        *(f"fetch.allow_hosts={host}", f"fetch.politeness.unlimited_hosts={host}"),
    ]


def check(output: Path, expected: int) -> None:
    """Fail unless every page is accounted for and the dataset reads the same in every way."""
    rows = {(row.stage, row.unit): row for row in funnel.read(str(output))}
    assert rows["extract", "documents"].entered == expected
    for row in rows.values():
        assert row.entered == row.kept + sum(row.rejected.values()), row
    files = sorted(str(path) for path in (output / "dataset" / "data").glob("*.parquet"))
    plain = [row for path in files for row in pq.read_table(path).to_pylist()]
    whole = load_dataset("parquet", data_files=files, split="train", cache_dir=f"{output}/cache")
    streamed = load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert list(whole) == plain == list(streamed)
    urls = {url for row in plain for url in row["images"] if url}
    stored = {name for row in plain for name in row["image_sha256"] if name}
    print(f"{len(plain)} documents shipped, {len(urls)} distinct image URLs", end=", ")
    print(f"{len(stored)} distinct contents with their bytes; read equal three ways")


def main() -> None:
    """Run, check, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=("site", "main"))
    kind = options.parse_args().kind
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if kind == "site":
            serve(stack)
        output = Path(folder) / "run"
        started = time.perf_counter()
        subprocess.run(command(kind, str(output)), check=True, cwd=ROOT)
        seconds = time.perf_counter() - started
        expected = pages([SITE_ARCHIVE] if kind == "site" else archives())
        check(output, expected)
        extract = manifest.read(str(output / "documents"))
        assert extract is not None
        alone = expected / extract.seconds
        report(f"chain_{kind}", expected / seconds, alone, seconds=round(seconds, 1))


if __name__ == "__main__":
    main()
