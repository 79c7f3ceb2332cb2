"""A small archive of chosen captures of a crawl: the same responses, byte for byte.

The archive is written with warcio, one gzip member a record, so that any reader reads it. Records
about others (requests, metadata) are left out, and ARC records become WARC records.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.archive import captures, warc
from benben.pipeline.archive.records import Loss, Record, read_records
from benben.pipeline.manifest import Count
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT, Window, open_source
from benben.pipeline.url import host

MAX_BLOCK = 64 << 20  # bytes; a longer record is no page
RESPONSE = "application/http; msgtype=response"
OURS = ("content-length", "content-type", "warc-block-digest")  # written anew
Place = tuple[str, int, int]  # archive, offset, length
Found = Iterator[tuple[str, Record | Loss]]  # with the archive's URL


@dataclass(frozen=True)
class Choice:
    """Which captures are taken: all that meet every condition."""

    share: float = 1.0  # of all captures, by a hash of URL and date
    seed: int = 1
    urls: frozenset[str] = frozenset()  # none: all
    hosts: tuple[str, ...] = ()  # with their subdomains; none: all

    def __contains__(self, record: Record) -> bool:
        head = record.head
        if self.urls and head.url not in self.urls:
            return False
        if self.hosts and not self._on_a_host(host(head.url)):
            return False
        key = f"{self.seed}\0{head.url}\0{head.date}".encode("utf-8", "replace")
        drawn = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
        return drawn < self.share * 2**64

    def _on_a_host(self, name: str) -> bool:
        return any(name == one or name.endswith(f".{one}") for one in self.hosts)


@dataclass
class Slice:
    """What was written, and what became of every record that was read."""

    path: str
    records: Count = field(default_factory=Count)
    bytes: int = 0


def of_archives(urls: Iterable[str], access: ArchiveSettings = DEFAULT) -> Found:
    """Read all records of archives, in order. Raises OSError."""
    for url in urls:
        source = open_source(url, access)
        for record in read_records(Window(source), 0, source.size):
            yield url, record


def of_places(places: Sequence[Place], access: ArchiveSettings = DEFAULT) -> Found:
    """Read the records at places, in the order of archives and offsets. Raises OSError."""
    ranges = captures.coalesce(places, access.coalesce_bytes, access.chunk_bytes)
    for offset, length, data in captures.read_bytes(ranges, access):
        read = read_records(Window(data), offset, offset + length)
        yield data.name, next(read, None) or Loss(offset, length, captures.NO_CAPTURE)


def write(found: Found, choice: Choice, path: str) -> Slice:
    """Write the chosen records to an archive. Equal records and choices give equal bytes.

    Every record read is counted: kept, or rejected by kind, as not chosen, or as lost.
    """
    made = Slice(path)
    with storage.new_file(path) as out:
        writer = WARCWriter(out, gzip=True)
        for url, record in found:
            made.records.entered += 1
            reason = _reason(record, choice)
            if reason or isinstance(record, Loss):
                made.records.reject(reason or "record.lost")
                continue
            if not made.records.kept:
                writer.write_record(_info(record, choice))
            writer.write_record(_copy(url, record))
            made.records.kept += 1
        made.bytes = out.tell()
    made.records.check("slice")
    return made


def _reason(record: Record | Loss, choice: Choice) -> str | None:
    if isinstance(record, Loss):
        return f"archive.{record.reason}"
    if record.head.kind in warc.NO_PAGES:
        return f"record.{record.head.kind}"
    if record not in choice:
        return "slice.not-chosen"
    return "record.too-large" if record.head.length > MAX_BLOCK else None


def _copy(url: str, record: Record) -> ArcWarcRecord:
    """A record with the same block, whose head says the same."""
    head = record.head
    block = record.window.take(record.at, head.length)
    fields = _fields(record) or _fields_of_arc(url, record)
    if record.cut and not head.truncated:
        fields.append(("WARC-Truncated", "unspecified"))
    if not any(name.lower() == "warc-payload-digest" for name, _ in fields):
        fields.append(("WARC-Payload-Digest", warc.payload_digest(record)))
    # warcio writes no block for a revisit; of a record it calls a response, it writes the bytes.
    kind = "response" if head.kind == "revisit" else head.kind
    content_type = head.content_type if _fields(record) else RESPONSE
    return _record(kind, fields, block, content_type)


def _fields(record: Record) -> list[tuple[str, str]]:
    """The fields of a WARC record's head but those written anew; none for an ARC record."""
    start = record.at - record.head.size
    data = record.window.take(start, record.head.size)
    first, _, rest = data.decode("utf-8", "replace").partition("\n")
    if not first.startswith("WARC/"):
        return []
    found: list[tuple[str, str]] = []
    for line in lines(rest):
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif colon and name.strip().lower() not in OURS:
            found.append((name.strip(), value.strip()))
    return found


def _fields_of_arc(url: str, record: Record) -> list[tuple[str, str]]:
    head = record.head
    return [
        ("WARC-Type", head.kind),
        ("WARC-Record-ID", _id(f"{url}\0{record.offset}")),
        ("WARC-Target-URI", head.url),
        *([("WARC-Date", head.date)] if head.date else []),
    ]


def _info(first: Record, choice: Choice) -> ArcWarcRecord:
    """The record at the start, which says how the archive was made."""
    said = {
        "software": "benben slice",
        "format": "WARC File Format 1.0",
        "description": f"captures of a crawl: share {choice.share:g}, seed {choice.seed}",
    }
    block = "".join(f"{name}: {value}\r\n" for name, value in said.items()).encode()
    fields = [
        ("WARC-Type", "warcinfo"),
        ("WARC-Record-ID", _id(block.decode())),
        ("WARC-Date", first.head.date or "1970-01-01T00:00:00Z"),
    ]
    return _record("warcinfo", fields, block, "application/warc-fields")


def _id(name: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}>"


def _record(
    kind: str, fields: list[tuple[str, str]], block: bytes, content_type: str
) -> ArcWarcRecord:
    headers = StatusAndHeaders("", fields, protocol="WARC/1.0")
    stream: BinaryIO = BytesIO(block)
    return ArcWarcRecord("warc", kind, headers, stream, None, content_type, len(block))
