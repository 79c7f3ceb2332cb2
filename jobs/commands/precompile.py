"""`benben precompile`: the machine code of a release, made once for all its machines."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benben.pipeline import config
from benben.pipeline.errors import InputError

# Each part that compiles code of its own: two texts that say the same, one of them for crawlers,
# text that was encoded twice, a table, a list, a figure, text without mark-up.
_PAGE = """<!doctype html><title>A page</title><body><h1>A page</h1>
<p>Some words of a first paragraph, which says what the page is about, and more.</p>
<noscript><p>Some words of a first paragraph, which says what the page is about.</p></noscript>
<ul><li>one<li>two<li>three</ul><table><tr><th>a<th>b<tr><td>1<td>2</table><pre>x = 1</pre>
<p>CafÃ© 10<sup>6</sup> <q>quoted</q></p><figure><img src=a.jpg alt=b></figure></body>"""


def main(arguments: Sequence[str]) -> int:
    """Compile all machine code into a folder, to be used as NUMBA_CACHE_DIR on other machines."""
    parser = argparse.ArgumentParser(prog="benben precompile", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="folder to write; it is made if it is missing")
    folder = parser.parse_args(arguments).folder
    started = time.monotonic()
    # The folder is chosen when the compiler is imported, so a new process does the work.
    code = "from benben.jobs.commands.precompile import compile_all; compile_all()"
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(folder.absolute())}
    if subprocess.run([sys.executable, "-c", code], env=settings, check=False).returncode:
        raise InputError(f"precompile: {folder}: could not be written")
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    took = time.monotonic() - started
    print(f"{folder}: {len(files)} files, {size:.0f} MB, {took:.0f} s")
    return 0


def compile_all() -> None:
    """Compile what extraction and signals call, into the folder of this process."""
    import numba

    from benben.filters.signal_table import measure_batch
    from benben.pipeline import extract_page
    from benben.pipeline.archive.warc import Capture
    from benben.pipeline.document import to_batch

    if not numba.config.CACHE_DIR:
        raise SystemExit("NUMBA_CACHE_DIR: only its owner may be able to write to the folder")
    settings = config.load("default", ["input=[x]", "output=x"])
    url = "https://example.org/a/page.html"
    for texts in ("block", "paragraph"):
        changed = settings.extract.model_copy(update={"texts": texts})
        document = extract_page(_PAGE, url, settings=changed)
    capture = Capture("", 0, 0, url, "", 200, {}, None, b"", "", None)
    measure_batch(to_batch([capture], [document]), settings.signals)
