"""Fetch the images of a run with img2dataset: `python -m deploy.img2dataset RUN [KEY=VALUE ...]`.

Consent is asked by `benben fetch`, which leaves img2dataset what may be used; its shards then go
through the same checks as images of our own fetch. img2dataset pins old packages, so it lives in an
environment of its own (build/img2dataset, made once). Run the stages after `fetch` again to ship
the images. img2dataset connects to any address: keep it from private ones by your network.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.fetcher import ALLOWED

VERSION = "1.47.0"
ENVIRONMENT = Path("build/img2dataset")
PROCESSES, THREADS = 2, 64
URLS = pa.schema([("url", pa.string())])


def main(arguments: Sequence[str]) -> int:
    """Ask for consent, let img2dataset download, take what it wrote."""
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        print((__doc__ or "").split("\n")[0], file=sys.stderr)
        return 2
    run, *overrides = arguments
    folder = storage.join(run, "img2dataset")
    try:
        fetch(run, overrides)
        count = write_urls(run, storage.join(folder, "urls.parquet"))
        print(f"{count} images for img2dataset", file=sys.stderr)
        if count:
            download(folder)
            shards = f"fetch.img2dataset=[{storage.join(folder, 'shards')}]"
            fetch(run, [*overrides, "fetch.attempt=2", shards])
    except (InputError, subprocess.CalledProcessError) as error:
        print(f"img2dataset: {error}", file=sys.stderr)
        return 1
    return 0


def fetch(run: str, overrides: Sequence[str]) -> None:
    """Run `benben fetch` with img2dataset as its backend. Raises CalledProcessError."""
    command = [sys.executable, "-m", "benben.jobs.commands.cli", "fetch", run]
    command += ["fetch.enabled=true", "fetch.backend=img2dataset", *overrides]
    subprocess.run(command, check=True)


def write_urls(run: str, path: str) -> int:
    """Write the URLs that img2dataset may fetch, sorted; return how many. Raises InputError."""
    images = storage.join(run, "images")
    found = manifest.read(images)
    if found is None:
        raise InputError(f"{run}: no table of images here")
    paths = (storage.join(images, file.name) for file in found.files)
    tables = (storage.read_parquet(path, ["url", "reason"]) for path in paths)
    rows = (row for table in tables for row in table.to_pylist())
    urls = sorted(row["url"] for row in rows if row["reason"] == ALLOWED)
    with storage.new_file(path) as stream:
        pq.write_table(pa.table({"url": urls}, schema=URLS), stream)
    return len(urls)


def download(folder: str) -> None:
    """Download as the bytes are, without resizing or encoding again. Raises CalledProcessError."""
    options = {
        "url_list": storage.join(folder, "urls.parquet"),
        "input_format": "parquet",
        "url_col": "url",
        "output_format": "parquet",
        "output_folder": storage.join(folder, "shards"),
        "resize_mode": "no",
        "disable_all_reencoding": True,
        "processes_count": PROCESSES,
        "thread_count": THREADS,
    }
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    subprocess.run([environment() / "bin" / "img2dataset", *given], check=True)


def environment() -> Path:
    """Return the environment of img2dataset, made at the first call. Raises CalledProcessError."""
    if not (ENVIRONMENT / "bin" / "img2dataset").exists():
        print("making an environment for img2dataset ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"img2dataset=={VERSION}"], check=True)
    return ENVIRONMENT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
