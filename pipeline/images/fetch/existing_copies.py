"""Images that need no request: copies in the input's archives, or in img2dataset's shards.

img2dataset's tables have a column `url` and the bytes in a column that is named by their format.
Bytes that it re-encoded are stored as it left them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq
from yarl import URL

from benben.pipeline import storage
from benben.pipeline.archive.http_response import PayloadError, decode_body, media_type
from benben.pipeline.archive.records import Record, read_records
from benben.pipeline.archive.warc import HTTP_HEAD, read_message
from benben.pipeline.consent.directives import Statements, statements
from benben.pipeline.consent.image_consent import header_reason
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.plan import WantedImage
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.ranges import DEFAULT, Bytes, Window, open_source

BYTES_COLUMNS = ("jpg", "png", "webp")  # img2dataset's option encode_format


@dataclass(frozen=True)
class ArchiveLookup:
    """The input's archives: file name -> path or URL, and how they are accessed."""

    paths: Mapping[str, str]
    access: ArchiveSettings = DEFAULT


def from_archive(
    image: WantedImage,
    archives: ArchiveLookup,
    settings: FetchSettings,
    processor: ImageProcessor,
) -> Outcome | None:
    """The outcome of an archived response; None when it is not an image's usable response."""
    path = archives.paths.get(image.warc or "")
    if path is None:
        return None
    offset, length = image.warc_offset or 0, image.warc_length or 0
    try:
        data = open_source(path, archives.access).read_at(offset, length)
    except OSError:
        return None
    for record in read_records(Window(Bytes(data, path, offset)), offset, offset + length):
        if isinstance(record, Record) and record.head.url == image.url:
            return _from_record(record, image, settings, processor)
    return None


def _from_record(
    record: Record, image: WantedImage, settings: FetchSettings, processor: ImageProcessor
) -> Outcome | None:
    limit = settings.limits.bytes
    block = record.window.take(record.at, min(record.head.length, limit + HTTP_HEAD))
    message = read_message(record)
    if message.status != 200:
        return None
    try:
        body = decode_body(block[message.body_at :], message.headers, limit)
    except PayloadError:
        return None
    outcome = Outcome(image.url, image.target, image.hops, source="archive")
    outcome.status, outcome.fetched_at = message.status, record.head.date
    outcome.content_type, _ = media_type(message.headers.get("content-type"))
    outcome.said = statements(message.headers)
    outcome.reason = processor.lists.reason(URL(image.url)) or header_reason(
        Statements(outcome.said), settings.consent, settings.product
    )
    if outcome.reason is None:
        processor.process(body, outcome)
    return outcome


def urls_of_img2dataset(images: Iterable[WantedImage], folders: Sequence[str]) -> Iterator[str]:
    """URLs of wanted images that img2dataset has fetched. Raises InputError."""
    wanted = {image.url for image in images}
    for shard, column in _shards(folders):
        told = "status" if "status" in shard.schema_arrow.names else column
        for group in range(shard.num_row_groups):
            rows = shard.read_row_group(group, ["url", told])
            there = pc.equal(rows[told], "success") if told == "status" else rows[told].is_valid()
            yield from wanted.intersection(rows["url"].filter(there).to_pylist())


def from_img2dataset(
    urls: Collection[str], folders: Sequence[str], processor: ImageProcessor
) -> Iterator[Outcome]:
    """Outcomes of the images that img2dataset has fetched; opt-out lists apply to them too."""
    for url, data in read_img2dataset(folders, urls):
        outcome = Outcome(url, url, source="img2dataset")
        try:
            outcome.reason = processor.lists.reason(URL(url))
            if outcome.reason is None:
                processor.process(data, outcome)
        except Exception as error:  # whatever it is, it costs this image only
            outcome.fail(error)
        yield outcome


def read_img2dataset(
    folders: Sequence[str], wanted: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield URL and bytes of each wanted image that is there, once. Raises InputError."""
    remaining = set(wanted)
    for shard, column in _shards(folders) if remaining else ():
        for group in range(shard.num_row_groups):
            urls = shard.read_row_group(group, ["url"])["url"].to_pylist()
            if remaining.isdisjoint(urls):
                continue
            bodies = shard.read_row_group(group, [column])[column]  # read only where one is wanted
            for url, body in zip(urls, bodies, strict=True):
                if url in remaining and body.is_valid:
                    remaining.discard(url)
                    yield url, body.as_py()


def _shards(folders: Sequence[str]) -> Iterator[tuple[pq.ParquetFile, str]]:
    """Each shard, open, and the name of its column of bytes. Raises InputError."""
    for folder in folders:
        if not storage.is_folder(folder):
            raise InputError(f"fetch.img2dataset: {folder}: no such folder")
        for path in storage.list_files(folder):
            if not path.endswith(".parquet"):
                continue
            with storage.open_input(path) as stream:
                shard = pq.ParquetFile(stream)
                names = shard.schema_arrow.names
                column = next((name for name in BYTES_COLUMNS if name in names), None)
                if column is None or "url" not in names:
                    raise InputError(
                        f"{path}: not a shard of img2dataset with output_format=parquet "
                        f"(columns: {', '.join(names)})"
                    )
                yield shard, column
