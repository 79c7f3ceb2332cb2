"""Images whose response lies in the input's archives: taken from there, not asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL

from benben.pipeline.archive.http_response import (
    PayloadError,
    decode_body,
    media_type,
    parse_response,
)
from benben.pipeline.archive.records import Record, read_records
from benben.pipeline.archive.warc import HTTP_HEAD
from benben.pipeline.archive.window import Bytes, Window
from benben.pipeline.consent.image_consent import header_reason
from benben.pipeline.images.fetch.outcome import Outcome
from benben.pipeline.images.fetch.wanted import WantedImage
from benben.pipeline.images.processing.processor import Studio
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.storage.ranges import DEFAULT, open_source


@dataclass(frozen=True)
class Shelf:
    """The input's archives: file name -> path or URL, and how they are reached."""

    paths: Mapping[str, str]
    access: ArchiveSettings = DEFAULT


def take_from_archive(
    image: WantedImage, shelf: Shelf, settings: FetchSettings, studio: Studio
) -> Outcome | None:
    """The outcome of an archived response; None when no archive holds it after all."""
    path = shelf.paths.get(image.warc or "")
    if path is None:
        return None
    offset, length = image.warc_offset or 0, image.warc_length or 0
    try:
        data = open_source(path, shelf.access).read_at(offset, length)
    except OSError:
        return None
    for record in read_records(Window(Bytes(data, path, offset)), offset, offset + length):
        if isinstance(record, Record) and record.head.url == image.url:
            return _from_record(record, image, settings, studio)
    return None


def _from_record(
    record: Record, image: WantedImage, settings: FetchSettings, studio: Studio
) -> Outcome | None:
    limit = settings.limits.bytes
    block = record.window.take(record.at, min(record.head.length, limit + HTTP_HEAD))
    message = parse_response(block)
    if message.status != 200:
        return None
    try:
        body = decode_body(block[message.body_at :], message.headers, limit)
    except PayloadError:
        return None
    outcome = Outcome(image.url, image.target, image.hops, source="archive")
    outcome.status, outcome.fetched_at = message.status, record.head.date
    outcome.content_type, _ = media_type(message.headers.get("content-type"))
    outcome.reason = studio.lists.reason(URL(image.url)) or header_reason(
        message.headers, settings.consent, settings.product
    )
    if outcome.reason is None:
        studio.develop(body, outcome)
    return outcome
