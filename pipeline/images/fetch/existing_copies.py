"""Images that need no request: copies in the input's archives, or in img2dataset's shards.

img2dataset's tables have a column `url` and the bytes in a column that is named by their format.
Bytes that it re-encoded are stored as it left them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq
from yarl import URL

from benben.pipeline import storage
from benben.pipeline.archive.http_response import PayloadError, decode_body, media_type
from benben.pipeline.archive.records import Record, read_records
from benben.pipeline.archive.warc import HTTP_HEAD, read_message
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
    outcome.reason = processor.lists.reason(URL(image.url)) or header_reason(
        message.headers, settings.consent, settings.product
    )
    if outcome.reason is None:
        processor.process(body, outcome)
    return outcome


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
    for folder in folders:
        if not storage.is_folder(folder):
            raise InputError(f"fetch.img2dataset: {folder}: no such folder")
        for path in storage.list_files(folder):
            if path.endswith(".parquet") and remaining:
                yield from _read_shard(path, remaining)


def _read_shard(path: str, remaining: set[str]) -> Iterator[tuple[str, bytes]]:
    """Images of one shard; bytes are read only from row groups that hold a wanted one."""
    with storage.open_input(path) as stream:
        shard = pq.ParquetFile(stream)
        column = next((name for name in BYTES_COLUMNS if name in shard.schema_arrow.names), None)
        if column is None or "url" not in shard.schema_arrow.names:
            raise InputError(
                f"{path}: not a shard of img2dataset with output_format=parquet "
                f"(columns: {', '.join(shard.schema_arrow.names)})"
            )
        for group in range(shard.num_row_groups):
            urls = shard.read_row_group(group, ["url"])["url"].to_pylist()
            if remaining.isdisjoint(urls):
                continue
            bodies = shard.read_row_group(group, [column])[column]
            for url, body in zip(urls, bodies, strict=True):
                if url in remaining and body.is_valid:
                    remaining.discard(url)
                    yield url, body.as_py()
