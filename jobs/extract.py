"""Captures of the archives to documents: one row a capture, nodes in reading order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from jobs import cli
from jobs.job import Result, Run, Stage, write_part
from pipeline import archives, records
from pipeline.archives import Split
from pipeline.document import Document
from pipeline.errors import InputError
from pipeline.extract import extract_page
from pipeline.manifest import Count, Counts
from pipeline.schema import DOCUMENTS
from pipeline.settings import Config
from pipeline.settings.extract import ExtractSettings
from pipeline.warc import Capture, Loss, read_captures

BATCH_DOCUMENTS = 100
Task = tuple[int, list[Split]]


def extract(run: Run) -> Result:
    """Read the input's archives in parts of equal bytes."""
    found = archives.find(run.config.input)
    parts = run.partitions(sum(archive.size for archive in found))
    tasks = list(enumerate(archives.deal(found, parts)))
    return run.map(tasks, partial(extract_part, run.target("documents"), run.config.extract))


def extract_part(folder: str, settings: ExtractSettings, task: Task) -> Result:
    """Write one part of `documents`."""
    part, splits = task
    counts: Counts = {"documents": Count(), "nodes": Count(), "images": Count()}
    file = write_part(folder, part, DOCUMENTS, batches(splits, settings, counts))
    return Result({"documents": [file]}, counts)


def batches(
    splits: list[Split], settings: ExtractSettings, counts: Counts
) -> Iterator[pa.RecordBatch]:
    """Rows of the splits' captures, counted."""
    captures: list[Capture] = []
    documents: list[Document] = []
    for found in (found for split in splits for found in read_split(split)):
        counts["documents"].entered += 1
        if isinstance(found, Loss):
            counts["documents"].reject(f"archive.{found.reason}")
            continue
        document = to_document(found, settings)
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
    writes=("documents",),
    sections=("extract",),
    run=extract,
    sources=sources,
)

if __name__ == "__main__":
    sys.exit(cli.main(["extract", *sys.argv[1:]]))
