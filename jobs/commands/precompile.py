"""`benben precompile`: the machine code of a release, made once for all its machines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from benben.common.command_line import Command
from benben.pipeline import config
from benben.pipeline.errors import InputError

# A text that <noscript> repeats, since what compares the two is called only then; whatever else a
# page holds, the same functions are called.
_PAGE = """<!doctype html><title>A page</title><body><h1>A page</h1>
<p>Some words of a first paragraph, which says what the page is about, and more.</p>
<noscript><p>Some words of a first paragraph, which says what the page is about.</p></noscript>
<figure><img src=a.jpg alt=b></figure></body>"""


@click.command(cls=Command)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
def main(folder: Path) -> int:
    """Compile all machine code into FOLDER, the NUMBA_CACHE_DIR of other machines."""
    started = time.monotonic()
    # The folder is chosen when the compiler is imported, so a new process does the work.
    code = "from benben.jobs.commands.precompile import compile_all; compile_all()"
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(folder.absolute())}
    done = subprocess.run([sys.executable, "-c", code], env=settings, check=False)
    files = [path for path in folder.rglob("*") if path.is_file()]
    if done.returncode or not files:
        raise InputError(
            f"precompile: {folder}: no machine code was made; nobody but you may be able to write "
            "to the folder"
        )
    for path in (folder, *folder.rglob("*")):  # others may read it: they copy it
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = sum(path.stat().st_size for path in files) / 1e6
    took = time.monotonic() - started
    print(f"{folder}: {len(files)} files, {size:.0f} MB, {took:.0f} s")
    return 0


def compile_all() -> None:
    """Compile what extraction and signals call, into the folder of this process."""
    from benben.filters.signal_table import measure_batch
    from benben.pipeline import extract_page
    from benben.pipeline.archive.warc import Capture
    from benben.pipeline.document import to_batch

    settings = config.load("default", ["input=[x]", "output=x"])
    url = "https://example.org/a/page.html"
    for texts in ("block", "paragraph"):
        changed = settings.extract.model_copy(update={"texts": texts})
        document = extract_page(_PAGE, url, settings=changed)
    capture = Capture("", 0, 0, url, "", 200, {}, None, b"", "", None)
    measure_batch(to_batch([capture], [document]), settings.signals)
