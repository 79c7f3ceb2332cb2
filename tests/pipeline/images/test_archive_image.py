"""Images inside the archives are taken from there: no request is made for them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benben.pipeline import document
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.consent.opt_out_lists import OptOutLists
from benben.pipeline.document import Document
from benben.pipeline.images.fetch.journal import SLOTS, Range
from benben.pipeline.images.fetch.part import Share, fetch_part
from benben.pipeline.images.fetch.wanted import WantedImage, mentions
from benben.pipeline.images.processing.archive_image import Shelf, take_from_archive
from benben.pipeline.images.processing.processor import Studio
from benben.pipeline.page.extract import extract_page
from benben.pipeline.schema import VERDICTS
from benben.pipeline.settings.archives import ArchiveSettings
from tests.pipeline.images.stores import pictures, store
from tests.shared import DATA, needs_shared
from tests.web import Handler, picture, serving, settings

ALL = Range(0, SLOTS)


def write_part(archive: Path, folder: Path) -> dict[str, str]:
    """One part of `documents` and `verdicts`, as extraction and rules that keep all make them."""
    captures = [found for found in read_captures(str(archive)) if isinstance(found, Capture)]
    documents = [
        Document(found.url, reason=f"capture.{found.reason}")
        if found.reason
        else extract_page(found.payload, found.url, found.headers)
        for found in captures
    ]
    table = pa.Table.from_batches([document.to_batch(captures, documents)])
    verdicts = [
        {"doc_id": row["doc_id"], "kept": row["reason"] is None, "dropped": []}
        for row in table.select(["doc_id", "reason"]).to_pylist()
    ]
    pq.write_table(table, folder / "documents.parquet")
    pq.write_table(pa.Table.from_pylist(verdicts, VERDICTS), folder / "verdicts.parquet")
    return {name: str(folder / f"{name}.parquet") for name in ("documents", "verdicts")}


@needs_shared
def test_images_of_a_real_archive_come_from_it(tmp_path: Path) -> None:
    (archive, *_) = sorted((DATA / "warc" / "real").glob("aut-example-blackbook*.warc.gz"))
    chosen = settings("limits.ports=[1]", "consent.robots=no", "consent.tdm=no")  # no network
    rows = [
        row
        for batch in mentions(write_part(archive, tmp_path), chosen)
        for row in batch.to_pylist()
    ]
    places = {row["url"]: row for row in rows if row["warc"] is not None}
    shown = {row["url"] for row in rows if row["wanted"]}
    inside = shown & places.keys()
    assert len(inside) > 20
    wanted = [
        WantedImage.of(url)._replace(
            **{name: places[url][name] for name in ("warc", "warc_offset", "warc_length")}
        )
        if url in inside
        else WantedImage.of(url)
        for url in sorted(shown)
    ]
    shelf = Shelf({archive.name: str(archive)})
    fetch_part(wanted, store(tmp_path), ALL, chosen, shelf)
    share = Share(store(tmp_path), ALL, [(url, 0) for url in shown])
    found = {row["url"]: row for row in share.images().to_pylist()}
    for url in inside:
        assert (found[url]["source"], found[url]["requests"]) == ("archive", 0)
        assert found[url]["fetched_at"].startswith("20")
    kept = {row["sha256"] for row in found.values() if row["reason"] is None}
    assert len(kept) > 20
    assert pictures(tmp_path).keys() == kept


@needs_shared
def test_place_that_holds_something_else_is_no_outcome() -> None:
    (archive, *_) = sorted((DATA / "warc" / "real").glob("aut-example-blackbook*.warc.gz"))
    chosen = settings()
    studio = Studio(chosen, OptOutLists(chosen.consent))
    image = WantedImage.of("http://a.test/x.png")._replace(
        warc=archive.name, warc_offset=0, warc_length=500
    )
    assert take_from_archive(image, Shelf({archive.name: str(archive)}), chosen, studio) is None
    assert take_from_archive(image, Shelf({}), chosen, studio) is None


def test_archives_are_reached_as_the_config_says(tmp_path: Path) -> None:
    body = picture()
    http = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + body
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
        "WARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: http://a.test/x.png\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    record = gzip.compress(head.encode() + http + b"\r\n\r\n")
    image = WantedImage.of("http://a.test/x.png")._replace(
        warc="x.warc.gz", warc_offset=0, warc_length=len(record)
    )
    chosen = settings()
    studio = Studio(chosen, OptOutLists(chosen.consent))

    def answer(handler: Handler) -> None:
        span = {"Content-Range": f"bytes 0-{len(record) - 1}/{len(record)}"}
        handler.send(206, span, record)

    with serving({"/x.warc.gz": answer}) as web:
        access = ArchiveSettings(user_agent="reader-of-archives")
        shelf = Shelf({"x.warc.gz": web.url("/x.warc.gz")}, access)
        found = take_from_archive(image, shelf, chosen, studio)
        agents = {seen.headers["User-Agent"] for seen in web.seen}
    assert found is not None
    assert (found.reason, found.data) == (None, body)
    assert agents == {"reader-of-archives"}
