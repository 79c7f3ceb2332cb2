"""Captures of the archives to documents: one row a capture, nodes in reading order.

A task that is tried again gives each capture to a child process: the one that crashed or hung the
first attempt becomes a rejected document and a row of `dead_letters`, and the others go through.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pyarrow as pa

from jobs import cli
from jobs.job import Result, Run, Stage, write_part
from pipeline import archives, records
from pipeline.archives import Split
from pipeline.document import Document
from pipeline.errors import InputError
from pipeline.extract import extract_page
from pipeline.isolate import Died, Isolated
from pipeline.manifest import Count, Counts
from pipeline.schema import DEAD_LETTERS, DOCUMENTS
from pipeline.settings import Config
from pipeline.settings.extract import ExtractSettings
from pipeline.warc import Capture, Loss, read_captures

BATCH_DOCUMENTS = 100
PATIENCE = 6  # times a page's own time limit, before its process is ended from outside
Task = tuple[int, list[Split]]


def extract(run: Run) -> Result:
    """Read the input's archives in parts of equal bytes."""
    found = archives.find(run.config.input)
    parts = run.partitions(sum(archive.size for archive in found))
    tasks = list(enumerate(archives.deal(found, parts)))
    folders = run.target("documents"), run.target("dead_letters")
    return run.map(tasks, partial(extract_part, folders, run.config.extract))


def extract_part(folders: tuple[str, str], settings: ExtractSettings, task: Task) -> Result:
    """Write one part of `documents`, and of `dead_letters` if there are any."""
    part, splits = task
    counts: Counts = {"documents": Count(), "nodes": Count(), "images": Count()}
    dead: list[dict[str, object]] = []
    with ExitStack() as stack:
        read = partial(to_document, settings=settings)
        if again():
            limit = settings.limits.seconds * PATIENCE
            read = partial(carefully, stack.enter_context(Isolated(read, limit, 2)), dead)
        file = write_part(folders[0], part, DOCUMENTS, batches(splits, read, counts))
    files = {"documents": [file]}
    if dead:
        rows = pa.RecordBatch.from_pylist(dead, DEAD_LETTERS)
        files["dead_letters"] = [write_part(folders[1], part, DEAD_LETTERS, [rows])]
    return Result(files, counts)


def again() -> bool:
    """Tell whether this task failed before."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context is not None and context.attemptNumber() > 0


def carefully(
    isolated: Isolated[Capture, Document], dead: list[dict[str, object]], capture: Capture
) -> Document:
    """Extract in a child process; a capture that it does not survive is a dead letter."""
    found = isolated(capture)
    if not isinstance(found, Died):
        return found
    fate = {"cause": found.cause, "detail": found.detail, "attempts": found.attempts + 1}
    place = {"warc_offset": capture.offset, "warc_length": capture.length}
    dead.append({"url": capture.url, "warc": capture.warc} | place | fate)
    return Document(capture.url, reason=f"extract.{found.cause}")


def batches(
    splits: list[Split], read: Callable[[Capture], Document], counts: Counts
) -> Iterator[pa.RecordBatch]:
    """Rows of the splits' captures, counted."""
    captures: list[Capture] = []
    documents: list[Document] = []
    for found in (found for split in splits for found in read_split(split)):
        counts["documents"].entered += 1
        if isinstance(found, Loss):
            counts["documents"].reject(f"archive.{found.reason}")
            continue
        document = read(found)
        count(document, counts)
        found.payload = b""  # a batch holds documents, not pages
        captures.append(found)
        documents.append(document)
        if len(captures) == BATCH_DOCUMENTS:
            yield records.to_batch(captures, documents)
            captures, documents = [], []
    if captures:
        yield records.to_batch(captures, documents)


def read_split(split: Split) -> Iterator[Capture | Loss]:
    """Captures of a stretch. Raises InputError when the archive cannot be read."""
    try:
        yield from read_captures(split.url, split.start, split.end)
    except OSError as error:
        raise InputError(f"{split.url}: cannot be read: {error}") from None


def to_document(capture: Capture, settings: ExtractSettings) -> Document:
    """Extract a capture's page; a document without nodes has a reason."""
    if capture.reason:
        return Document(capture.url, reason=f"capture.{capture.reason}")
    document = extract_page(capture.payload, capture.url, capture.headers, settings)
    if not document.nodes and not document.reason:
        document.reason = "extract.no-nodes"
    return document


def count(document: Document, counts: Counts) -> None:
    """Count a document and its nodes."""
    if document.reason:
        counts["documents"].reject(document.reason)
        return
    counts["documents"].kept += 1
    for node in document.nodes:
        unit = counts["images" if node.kind == "image" else "nodes"]
        unit.entered += 1
        unit.kept += 1


def sources(config: Config) -> dict[str, str]:
    """Fingerprint of the input, so that other archives are other work."""
    return {"input": archives.fingerprint(archives.find(config.input))}


STAGE = Stage(
    name="extract",
    reads=(),
    writes=("documents", "dead_letters"),
    sections=("extract",),
    run=extract,
    sources=sources,
)

if __name__ == "__main__":
    sys.exit(cli.main(["extract", *sys.argv[1:]]))
