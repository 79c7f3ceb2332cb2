"""Machine code of extraction and of signals: made once on a machine, by one process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from benben.pipeline import compiled, config

Task = TypeVar("Task")
Result = TypeVar("Result")

# A text that <noscript> repeats, since what compares the two is called only then; whatever else a
# page holds, the same functions are called.
_PAGE = """<!doctype html><title>A page</title><body><h1>A page</h1>
<p>Some words of a first paragraph, which says what the page is about, and more.</p>
<noscript><p>Some words of a first paragraph, which says what the page is about.</p></noscript>
<figure><img src=a.jpg alt=b></figure></body>"""
_URL = "https://example.org/a/page.html"


def ready(part: str) -> None:
    """Compile a part of `PARTS`, unless this machine has its machine code.

    One process compiles while others wait, since each would take as long as all of them.
    """
    folder = compiled.cache_folder()
    if folder is None:
        PARTS[part]()
    elif not (made := _made(folder, part)).exists():
        with made.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                PARTS[part]()
                made.touch(mode=0o600)


def before(part: str, work: Callable[[Task], Result]) -> Callable[[Task], Result]:
    """Return work on a task that begins when the machine has a part's machine code."""
    return partial(_work_when_ready, part, work)


def _work_when_ready(part: str, work: Callable[[Task], Result], task: Task) -> Result:
    ready(part)
    return work(task)


def _made(folder: Path, part: str) -> Path:
    """Return the file that says that a part's machine code is there, for this Python and numba."""
    return folder / f"{part}-{sys.implementation.cache_tag}-{version('numba')}.made"


@contextlib.contextmanager
def ahead(parts: Sequence[str]) -> Iterator[None]:
    """Compile parts in processes beside the block, if this machine lacks them.

    They end with the block.
    """
    folder = compiled.cache_folder()
    missing = [part for part in parts if folder and not _made(folder, part).exists()]
    started = [start(part) for part in missing]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.wait()


def start(part: str, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a process that compiles a part, into a folder that is chosen when it begins."""
    code = f"from benben.jobs.engine.machine_code import ready; ready({part!r})"
    chosen = {"NUMBA_CACHE_DIR": str(folder.absolute())} if folder else {}
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | chosen)


def _extraction() -> None:
    from benben.pipeline.page.extract import extract_page

    settings = config.load("default", ["input=x", "output=x"]).extract
    for texts in ("block", "paragraph"):
        extract_page(_PAGE, _URL, settings=settings.model_copy(update={"texts": texts}))


def _signals() -> None:
    from benben.filters.signal_table import measure_batch
    from benben.pipeline.archive.warc import Capture
    from benben.pipeline.document import Document, Node, to_batch

    settings = config.load("default", ["input=x", "output=x"]).signals
    nodes = [
        Node(kind="text", index=0, path="/body/p", text="Some words of a first paragraph."),
        Node(kind="image", index=1, path="/body/img", url="https://example.org/a.jpg"),
    ]
    capture = Capture("", 0, 0, _URL, "", 200, {}, None, b"", "", None)
    measure_batch(to_batch([capture], [Document(_URL, nodes, lang="en")]), settings)


PARTS: dict[str, Callable[[], None]] = {"extraction": _extraction, "signals": _signals}
