"""Stage `extract`: one row of `documents` for each capture of the archives."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from benben.jobs.engine import isolation, progress, script
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import manifest, storage
from benben.pipeline.archive import captures, inputs
from benben.pipeline.archive.inputs import Split
from benben.pipeline.archive.warc import Capture, Loss, read_captures
from benben.pipeline.document import Document, from_nodes, to_batch
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Count, Counts, write_part
from benben.pipeline.page.extract import extract_page, extractor
from benben.pipeline.schema import DEAD_LETTERS, DOCUMENTS
from benben.pipeline.settings import Config
from benben.pipeline.settings.extract import ExtractSettings

BATCH_DOCUMENTS, BATCH_BYTES = 100, 64 << 20  # most rows and bytes of pages that a task holds
PATIENCE = 6  # times the time limit of a page, until its process is ended from outside
Found = Iterator[Capture | Loss]


class Task(NamedTuple):
    """What one task reads: stretches of archives, or the captures that a file names."""

    part: int
    splits: tuple[Split, ...] = ()
    captures: str = ""  # path of a part of `captures`


def extract(run: Run) -> Result:
    """Read the input's archives in parts of equal bytes, or the captures that were chosen."""
    folders = run.target("documents"), run.target("dead_letters")
    work = partial(extract_part, folders, run.config)
    result = run.map(tasks(run), work, size=run.input_bytes, machine_code="extraction")
    if not result.rows("documents"):
        raise InputError(nothing_read(run.config, result.counts["records"]))
    return result


def tasks(run: Run) -> list[Task]:
    """Return what each part reads."""
    if run.config.index is not None:
        return [Task(part, captures=path) for part, path in run.paths("captures").items()]
    found = run.archives
    parts = run.partitions(sum(archive.size for archive in found))
    return [Task(part, tuple(splits)) for part, splits in enumerate(inputs.deal(found, parts))]


def nothing_read(config: Config, records: Count) -> str:
    """Return the message for an input without any document."""
    if config.index is not None:
        return f"{config.index.table}: no page was chosen from this index, or none could be read"
    found = inputs.find(config.input, config.archives)
    if records.rejected:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(records.rejected.items()))
        return f"{found[0].url}: holds records, but none of a page ({kinds})"
    return f"{found[0].url}: not a WARC or ARC archive: no record could be read" + (
        f", nor in the {len(found) - 1} other inputs" if len(found) > 1 else ""
    )


def extract_part(folders: tuple[str, str], config: Config, task: Task) -> Result:
    """Write one part of `documents`, and one of `dead_letters` if there are any."""
    counts: Counts = {name: Count() for name in ("documents", "nodes", "images", "records")}
    passed: Counter[str] = Counter()
    dead: list[dict[str, object]] = []
    if task.captures:
        found = read_chosen(task.captures, config)
    else:
        found = read_splits(task.splits, config, passed)
    extractor(config.extract)  # loaded before any page's time counts
    extracted = partial(to_document, settings=config.extract)
    with isolation.isolated_on_retry(
        extracted, config.extract.limits.seconds * PATIENCE, dead
    ) as read:
        file = write_part(folders[0], task.part, DOCUMENTS, batches(found, read, counts))
    counts["records"] = Count(
        entered=counts["documents"].entered + passed.total(),
        kept=counts["documents"].entered,
        rejected={f"record.{kind}": number for kind, number in sorted(passed.items())},
    )
    files = {"documents": [file]}
    if dead:
        rows = pa.RecordBatch.from_pylist(dead, DEAD_LETTERS)
        files["dead_letters"] = [write_part(folders[1], task.part, DEAD_LETTERS, [rows])]
    return Result(files, counts)


def batches(
    captures_found: Found, read: isolation.Read, counts: Counts
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the captures and count them."""
    held: list[Capture] = []
    documents: list[Document] = []
    size = 0
    for found in captures_found:
        counts["documents"].entered += 1
        if progress.report.wanted:
            progress.report.add(1, found.length)
        if isinstance(found, Loss):
            counts["documents"].reject(f"archive.{found.reason}")
            continue
        document = read(found)
        count(document, counts)
        size += len(found.payload)
        found.payload = b""  # the batch needs only the document
        held.append(found)
        documents.append(document)
        if len(held) == BATCH_DOCUMENTS or size >= BATCH_BYTES:
            yield to_batch(held, documents)
            held, documents, size = [], [], 0
    if held:
        yield to_batch(held, documents)


def read_splits(splits: Sequence[Split], config: Config, passed: Counter[str]) -> Found:
    """Yield the captures of stretches of archives, and count records about others in `passed`.

    Raises InputError if an archive cannot be read.
    """
    for split in splits:
        limit = config.extract.limits.page_bytes
        try:
            yield from read_captures(
                split.url, split.start, split.end, limit, config.archives, passed
            )
        except OSError as error:
            raise InputError(f"{split.url}: cannot be read: {error}") from None


def read_chosen(path: str, config: Config) -> Found:
    """Yield the captures that a file of `captures` names. Raises InputError as `read_splits`."""
    access = config.archives
    places = captures.read_table(path)
    ranges = captures.coalesce(places, access.coalesce_bytes, access.chunk_bytes)
    try:
        yield from captures.read_ranges(ranges, config.extract.limits.page_bytes, access)
    except OSError as error:
        raise InputError(f"captures: cannot be read: {error}") from None


def to_document(capture: Capture, settings: ExtractSettings) -> Document:
    """Extract the page of a capture; a document without nodes gets a reason."""
    if capture.reason:
        return Document(capture.url, reason=f"capture.{capture.reason}")
    with isolation.processor_time(settings.limits.seconds):
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
    nodes = from_nodes(document.nodes)
    images = len(nodes.images)
    for unit, number in (("images", images), ("nodes", len(nodes) - images)):
        counts[unit].entered += number
        counts[unit].kept += number


def sources(config: Config) -> dict[str, str]:
    """Return a fingerprint of the input: with other archives, the stage runs again."""
    if config.index is not None:
        chosen = manifest.read(storage.join(config.output, "captures"))
        return {"captures": chosen.id if chosen else ""}
    return {"input": inputs.fingerprint(inputs.find(config.input, config.archives))}


STAGE = Stage(
    name="extract",
    reads=(),
    writes=("documents", "dead_letters"),
    sections=("extract",),
    run=extract,
    sources=sources,
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.extract"))
