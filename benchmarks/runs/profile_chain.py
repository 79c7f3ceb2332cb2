"""Where the processor time of a page goes: `python -m benchmarks.profile_chain [ARCHIVES PAGES]`.

First the steps of `extract` and `measure`, alone in this process, on archives of real pages: ms a
page of each step, with inflating and Lexbor's parse alone as the floor. Then the whole chain under
Spark, without downloads, on ARCHIVES archives of PAGES real pages each, and on a quarter of them:
the difference is what further pages cost, without starts and the compiler. What Spark's Java and
the driver take is the processor time of all processes less that of the Python tasks.

Value and baseline are core-hours of a dump of 2.5 billion pages, by the chain and by the floor.
"""

from __future__ import annotations

import sys
import tempfile
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
from selectolax.lexbor import LexborHTMLParser

from benben.analysis.report import headline
from benben.filters.signal_table import SIGNALS, measure_batch
from benben.jobs import extract as extraction
from benben.pipeline import config, storage
from benben.pipeline.archive.charset import to_utf8
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.document import Document, to_batch
from benben.pipeline.manifest import write_part
from benben.pipeline.page import extract
from benben.pipeline.page.score import content_score
from benben.pipeline.schema import DOCUMENTS
from benben.pipeline.settings import Config
from benchmarks.runs.scale import serve
from benchmarks.support import figure, process
from benchmarks.support.data import archives

DUMP_PAGES = 2.5e9
SIZES = (16, 250)  # archives of the run under Spark, pages of each
SMALLER = 4  # the other run has a fraction of the archives
ROUNDS = 3
MEASURED_AT_ONCE = 256  # documents, as `measure` reads them
# Functions that `extract_page` calls, by the step that they are.
STEPS: dict[str, tuple[Any, str]] = {
    "decode": (extract, "to_utf8"),
    "mend": (extract, "mended"),
    "parse": (extract, "parse"),
    "walk": (extract, "walk"),
    "copies": (extract, "without_copies"),
    "facts": (extract, "read_facts"),
    "score": (content_score, "score"),
    "nodes": (extract, "build_nodes"),
}


def main() -> None:
    """Measure steps and stages, and report."""
    given = tuple(map(int, sys.argv[1:])) or SIZES
    chosen = config.load("default", ["input=[x]"])
    rounds = [steps(chosen) for _ in range(ROUNDS + 1)][1:]  # the first fills caches
    least = {name: min(one[name] for one in rounds) for name in rounds[0]}
    for name, spent in least.items():
        print(f"{name:<16} {spent:7.3f} ms")
    stages = chain(*given)
    for name, spent in stages.items():
        print(f"{name:<16} {spent:7.3f} ms under Spark")
    print(f"{'chain':<16} {sum(stages.values()):7.3f} ms a page")
    floor = least["inflate alone"] + least["parse alone"]
    figure.report(
        "profile_chain",
        core_hours(sum(stages.values())),
        core_hours(floor),
        unit="core-hours of 2.5 billion pages",
        steps=least,
        stages=stages,
    )


def core_hours(milliseconds: float) -> float:
    """Return the core-hours of a dump at so many ms a page."""
    return milliseconds * DUMP_PAGES / 3_600_000


# The steps of `extract` and `measure`, in this process.


class Clock:
    """Processor time of this thread by step, in seconds."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add what runs inside to a step."""
        started = time.thread_time()
        yield
        self.spent[name] += time.thread_time() - started

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose calls are a step."""

        def call(*given: Any, **named: Any) -> Any:
            with self.step(name):
                return function(*given, **named)

        return call

    def each(self, name: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield items; making them is a step."""
        iterator = iter(items)
        while True:
            with self.step(name):
                item = next(iterator, None)
            if item is None:
                return
            yield item


def steps(chosen: Config) -> dict[str, float]:
    """Return ms a page of each step on the archives of real pages, the floor last."""
    clock, floor = Clock(), Clock()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, (module, function) in STEPS.items():
            timed = clock.timed(name, getattr(module, function))
            stack.enter_context(patch.object(module, function, timed))
        pages = 0
        for path in archives():
            rows = _extract(clock, str(path), chosen)
            pages += sum(batch.num_rows for batch in rows)
            _write(clock, folder, rows, chosen)
    for path in archives():
        _floor(floor, path)
    spent = dict(clock.spent)
    inside = sum(seconds for name, seconds in spent.items() if name in STEPS)
    spent["rest of a page"] = spent.pop("page") - inside
    return {name: 1000 * seconds / pages for name, seconds in (spent | floor.spent).items()}


def _extract(clock: Clock, path: str, chosen: Config) -> list[pa.RecordBatch]:
    limit = chosen.extract.limits.page_bytes
    captures: list[Capture] = []
    documents: list[Document] = []
    for found in clock.each("read, inflate", read_captures(path, max_bytes=limit)):
        if isinstance(found, Capture):
            captures.append(found)
            with clock.step("page"):
                documents.append(extraction.to_document(found, chosen.extract))
            found.payload = b""
    size = extraction.BATCH_DOCUMENTS
    with clock.step("rows"):
        return [
            to_batch(captures[start : start + size], documents[start : start + size])
            for start in range(0, len(captures), size)
        ]


def _write(clock: Clock, folder: str, rows: list[pa.RecordBatch], chosen: Config) -> None:
    with clock.step("write documents"):
        write_part(folder, 0, DOCUMENTS, iter(rows))
    path = storage.list_files(folder)[0]
    read = clock.each("read documents", storage.iter_parquet(path, None, MEASURED_AT_ONCE))
    measured = []
    for batch in read:
        with clock.step("measure"):
            measured.append(measure_batch(batch, chosen.signals))
    with clock.step("write signals"):
        write_part(folder, 0, SIGNALS, iter(measured))


def _floor(clock: Clock, path: Path) -> None:
    """Inflate an archive, and parse its pages, by zlib and Lexbor alone."""
    data = path.read_bytes()
    with clock.step("inflate alone"):
        while data:
            member = zlib.decompressobj(wbits=31)
            member.decompress(data)
            data = member.unused_data
    for found in read_captures(str(path)):
        if isinstance(found, Capture) and found.payload:
            page, _ = to_utf8(found.payload, found.headers.get("content-type"))
            with clock.step("parse alone"):
                LexborHTMLParser(page)


# The chain under Spark.


def chain(count: int, pages: int) -> dict[str, float]:
    """Return ms that a further page costs in each stage's tasks, and in Java and the driver."""
    few = max(1, count // SMALLER)
    with serve(count, pages) as port:
        small, large = (run(number, port) for number in (few, count))
    more = large.pop("pages") - small.pop("pages")
    total = large.pop("all") - small.pop("all")
    found = {name: 1000 * (large[name] - small[name]) / more for name in large}
    return found | {"Java, driver": 1000 * total / more - sum(found.values())}


def run(count: int, port: int) -> dict[str, float]:
    """Run the chain on so many archives; seconds of each stage's tasks, of all, and pages."""
    with tempfile.TemporaryDirectory() as folder:
        names = ",".join(f"http://127.0.0.1:{port}/part-{n:05d}.warc.gz" for n in range(count))
        values = (f"input=[{names}]", f"output={folder}/run", "fetch.enabled=no")
        used = process.benben(["run", "default", *values, "spark.master=local[2]"])
        logged = headline.last_executions(f"{folder}/run")
    found = {name: float(line["task_cpu_seconds"]) for name, line in logged.items()}
    entered = logged["extract"]["counts"]["documents"]["entered"]
    return found | {"all": used, "pages": float(entered)}


if __name__ == "__main__":
    main()
