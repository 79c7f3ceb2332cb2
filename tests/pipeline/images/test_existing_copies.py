"""Images in the archives or in img2dataset's shards are taken from there, without a request."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.pipeline import document
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.document import Document
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.existing_copies import (
    ArchiveLookup,
    from_archive,
    read_img2dataset,
)
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.journal import SLOTS, SlotRange
from benben.pipeline.images.fetch.plan import PartOutcomes, WantedImage, mentions
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.page.extract import extract_page
from benben.pipeline.schema import VERDICTS
from benben.pipeline.settings.archives import ArchiveSettings
from tests.pipeline.images.stores import pictures, store
from tests.shared import DATA, needs_shared
from tests.web import Handler, picture, serving, settings

ALL = SlotRange(0, SLOTS)


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
    archives = ArchiveLookup({archive.name: str(archive)})
    fetch_part(wanted, store(tmp_path), ALL, chosen, archives)
    share = PartOutcomes(store(tmp_path), ALL, [(url, 0) for url in shown])
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
    processor = ImageProcessor(chosen, OptOutLists(chosen.consent))
    image = WantedImage.of("http://a.test/x.png")._replace(
        warc=archive.name, warc_offset=0, warc_length=500
    )
    assert (
        from_archive(image, ArchiveLookup({archive.name: str(archive)}), chosen, processor) is None
    )
    assert from_archive(image, ArchiveLookup({}), chosen, processor) is None


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
    processor = ImageProcessor(chosen, OptOutLists(chosen.consent))

    def answer(handler: Handler) -> None:
        span = {"Content-Range": f"bytes 0-{len(record) - 1}/{len(record)}"}
        handler.send(206, span, record)

    with serving({"/x.warc.gz": answer}) as web:
        access = ArchiveSettings(user_agent="reader-of-archives")
        archives = ArchiveLookup({"x.warc.gz": web.url("/x.warc.gz")}, access)
        found = from_archive(image, archives, chosen, processor)
        agents = {seen.headers["User-Agent"] for seen in web.seen}
    assert found is not None
    assert (found.reason, found.data) == (None, body)
    assert agents == {"reader-of-archives"}


# img2dataset


def write_shard(path: Path, images: dict[str, bytes | None]) -> None:
    """A shard as img2dataset writes them: failed rows have no bytes."""
    path.parent.mkdir(exist_ok=True)
    columns = {
        "url": list(images),
        "status": ["success" if body else "failed_to_download" for body in images.values()],
        "jpg": pa.array(images.values(), pa.binary()),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)


def test_only_what_img2dataset_lacks_is_requested(tmp_path: Path) -> None:
    folder = tmp_path / "img2dataset"
    with serving({"/robots.txt": 404, "/missing": picture(), "/failed": picture()}) as web:
        urls = [web.url(f"/{name}") for name in ("had", "failed", "missing")]
        write_shard(folder / "0.parquet", {urls[0]: picture(seed=3), "http://x.test/": picture()})
        write_shard(folder / "1.parquet", {urls[1]: None})
        chosen = settings(f"img2dataset=['{folder}']", allow=(f"127.0.0.1:{web.port}",))
        wanted = [WantedImage.of(url) for url in urls]
        fetch_part(wanted, store(tmp_path), ALL, chosen, ArchiveLookup({}))
        assert sorted(web.paths()) == ["/failed", "/missing"]
    images = PartOutcomes(store(tmp_path), ALL, [(url, 0) for url in urls]).images().to_pylist()
    found = {row["url"]: (row["reason"], row["source"]) for row in images}
    assert found == {
        urls[0]: (None, "img2dataset"),
        urls[1]: (None, "network"),
        urls[2]: (None, "network"),
    }


def test_with_img2dataset_as_backend_only_consent_is_checked(tmp_path: Path) -> None:
    folder = tmp_path / "img2dataset"
    robots = b"User-agent: *\nDisallow: /private\n"
    with serving({"/robots.txt": robots, "*": picture()}) as web:
        urls = [web.url(f"/{name}") for name in ("open", "gone", "private")]
        allow = (f"127.0.0.1:{web.port}",)
        wanted = [WantedImage.of(url) for url in urls]
        keys = [(url, 0) for url in urls]

        def reasons(*overrides: str) -> dict[str, str | None]:
            chosen = settings("backend=img2dataset", *overrides, allow=allow)
            fetch_part(wanted, store(tmp_path), ALL, chosen, ArchiveLookup({}))
            rows = PartOutcomes(store(tmp_path), ALL, keys).images().to_pylist()
            return {row["url"].rsplit("/", 1)[1]: row["reason"] for row in rows}

        missing = "img2dataset.missing"
        private = {"private": "consent.robots"}
        assert reasons() == {"open": missing, "gone": missing, **private}
        write_shard(folder / "0.parquet", {urls[0]: picture(), urls[1]: None, urls[2]: picture()})
        found = reasons("attempt=2", f"img2dataset=['{folder}']")
        assert found == {"open": None, "gone": missing, **private}
        assert web.paths() == []
        assert web.count("/robots.txt") == 1


def test_copies_of_img2dataset_need_the_consent_of_their_site(tmp_path: Path) -> None:
    folder = tmp_path / "img2dataset"
    robots = b"User-agent: *\nDisallow: /private\n"
    with serving({"/robots.txt": robots, "*": picture()}) as web:
        urls = [web.url("/open"), web.url("/private")]
        write_shard(folder / "0.parquet", dict.fromkeys(urls, picture()))
        chosen = settings(f"img2dataset=['{folder}']", allow=(f"127.0.0.1:{web.port}",))
        wanted = [WantedImage.of(url) for url in urls]
        fetch_part(wanted, store(tmp_path), ALL, chosen, ArchiveLookup({}))
        assert web.paths() == []
    rows = PartOutcomes(store(tmp_path), ALL, [(url, 0) for url in urls]).images()
    assert rows["reason"].to_pylist() == [None, "consent.robots"]


def test_lists_apply_when_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "domains").write_text("a.test\n")
    chosen = settings("enabled=no", f"consent.domains=[{tmp_path}/domains]")
    urls = ["http://a.test/x", "http://b.test/x"]
    fetch_part(
        [WantedImage.of(url) for url in urls], store(tmp_path), ALL, chosen, ArchiveLookup({})
    )
    rows = PartOutcomes(store(tmp_path), ALL, [(url, 0) for url in urls]).images()
    assert rows["reason"].to_pylist() == ["consent.list_domain", "fetch.disabled"]


def test_folder_without_shards_of_img2dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        list(read_img2dataset([str(tmp_path / "gone")], {"u"}))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "0.parquet")
    with pytest.raises(InputError, match="not a shard of img2dataset"):
        list(read_img2dataset([str(tmp_path)], {"u"}))
