"""Single captures, such as rows of Common Crawl's columnar index; near ones are read together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from benben.pipeline import storage
from benben.pipeline.archive.warc import MAX_BYTES, Capture, Loss, read_captures_of
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT, Bytes, Source, open_source

# Columns of the index: which pages there are, and where.
# https://commoncrawl.org/columnar-index
INDEX = pa.schema(
    [
        ("url", pa.string()),
        ("url_host_name", pa.string()),
        ("fetch_status", pa.int32()),
        ("content_mime_detected", pa.string()),
        ("content_languages", pa.string()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int64()),
        ("warc_record_length", pa.int64()),
        ("crawl", pa.string()),
        ("subset", pa.string()),
    ]
)

NO_CAPTURE = "record.no-capture"  # why a place that was named gives no record

# Chosen pages and where they lie.
CAPTURES = pa.schema(
    [("archive", pa.string()), ("offset", pa.int64()), ("length", pa.int64()), ("url", pa.string())]
)


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of an archive that one request fetches, and the records wanted from it."""

    archive: str
    start: int
    end: int
    records: tuple[tuple[int, int], ...]  # offset, length


def read_table(path: str) -> Iterator[tuple[str, int, int]]:
    """Yield archive, offset and length of each row of one file of CAPTURES."""
    for batch in storage.iter_parquet(path, CAPTURES.names[:3], 10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def coalesce(places: Iterable[tuple[str, int, int]], gap: int, most: int) -> Iterator[Range]:
    """Join records of an archive at most `gap` bytes apart into ranges of at most `most` bytes.

    `places` are archive, offset and length, in any order; duplicates count once. A record longer
    than `most` is a range by itself.
    """
    held: list[tuple[int, int]] = []
    archive, end = "", 0
    for name, offset, length in sorted(set(places)):
        last = max(end, offset + length)
        near = held and name == archive and offset - end <= gap and last - held[0][0] <= most
        if held and not near:
            yield Range(archive, held[0][0], end, tuple(held))
            held, end = [], 0
        held.append((offset, length))
        archive, end = name, max(end, offset + length)
    if held:
        yield Range(archive, held[0][0], end, tuple(held))


def read_bytes(
    ranges: Iterable[Range], access: ArchiveSettings = DEFAULT
) -> Iterator[tuple[int, int, Bytes]]:
    """Yield offset, length and bytes of every record wanted, by one request a range.

    Raises OSError.

    Names of archives are relative to `access.prefix` unless they are URLs or absolute paths.
    """
    source: Source | None = None
    for piece in ranges:
        url = storage.under(access.prefix, piece.archive)
        if source is None or source.name != url:
            source = open_source(url, access)
        data = source.read_at(piece.start, piece.end - piece.start)
        for offset, length in piece.records:
            inside = offset - piece.start
            yield offset, length, Bytes(data[inside : inside + length], url, offset)


def read_ranges(
    ranges: Iterable[Range], max_bytes: int = MAX_BYTES, access: ArchiveSettings = DEFAULT
) -> Iterator[Capture | Loss]:
    """Yield one capture, or one loss, for every record wanted. Raises OSError as `read_bytes`."""
    for offset, length, data in read_bytes(ranges, access):
        found = next(read_captures_of(data, offset, offset + length, max_bytes), None)
        yield found or Loss(offset, length, NO_CAPTURE)
