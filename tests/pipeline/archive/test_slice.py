"""A slice of a crawl holds the chosen responses as they were, for any reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastwarc.warc import ArchiveIterator as FastWarc
from warcio.archiveiterator import ArchiveIterator as Warcio

from benben.jobs.commands import cli
from benben.jobs.extract import to_document
from benben.pipeline import config
from benben.pipeline.archive import slice
from benben.pipeline.archive.slice import Choice
from benben.pipeline.archive.warc import Capture, read_captures
from tests.pipeline.archive.archive_makers import (
    arc_record,
    members,
    page_url,
    pages,
    warc_record,
)
from tests.shared import DATA, needs_shared


def crawl(folder: Path) -> list[str]:
    """Two WARCs with requests and a revisit among their pages, and an ARC."""
    made = pages(30)
    other = [warc_record(page_url(1), kind="request"), warc_record(page_url(2), kind="revisit")]
    utf8 = warc_record("http://other.example/é", "<p>ä€</p>".encode(), headers="Link: </a>\r\n")
    (folder / "a.warc.gz").write_bytes(b"".join(members([*made[:20], *other])))
    (folder / "b.warc").write_bytes(b"".join([*made[20:], utf8]))
    (folder / "c.arc.gz").write_bytes(b"".join(members([arc_record("http://arc.example/")])))
    return [str(folder / name) for name in ("a.warc.gz", "b.warc", "c.arc.gz")]


def captures(path: str) -> list[Capture]:
    """The captures of an archive, without where they lie."""
    found = list(read_captures(path))
    assert all(isinstance(one, Capture) for one in found)
    return [replace(one, warc="", offset=0, length=0) for one in found if isinstance(one, Capture)]


def test_all_captures_come_out_as_they_went_in(tmp_path: Path) -> None:
    paths = crawl(tmp_path)
    made = slice.write(slice.of_archives(paths), Choice(), f"{tmp_path}/s.warc.gz")
    every = [one for path in paths for one in captures(path)]
    assert captures(made.path) == every
    assert (made.records.entered, made.records.kept) == (len(every) + 1, len(every))
    assert made.records.rejected == {"record.request": 1}
    assert made.bytes == Path(made.path).stat().st_size


def test_warcio_and_fastwarc_read_it_and_its_digests_hold(tmp_path: Path) -> None:
    made = slice.write(slice.of_archives(crawl(tmp_path)), Choice(), f"{tmp_path}/s.warc.gz")
    with open(made.path, "rb") as stream:
        theirs = []
        for record in Warcio(stream, check_digests=True):
            record.content_stream().read()
            assert record.digest_checker.passed is not False, record.digest_checker.problems
            theirs.append(record.rec_headers.get_header("WARC-Target-URI"))
    urls = [one.url for one in captures(made.path)]
    assert theirs == [None, *urls]
    with open(made.path, "rb") as stream:
        fast = [
            record.headers.get("WARC-Target-URI")
            for record in FastWarc(stream, parse_http=False)
            if record.verify_block_digest()
        ]
    assert fast == [None, *urls]


def test_a_share_is_a_part_of_a_larger_one_and_the_same_again(tmp_path: Path) -> None:
    paths = crawl(tmp_path)

    def urls(share: float, seed: int = 1) -> set[str]:
        choice = Choice(share, seed)
        made = slice.write(slice.of_archives(paths), choice, f"{tmp_path}/s.warc.gz")
        made.records.check("test")
        return {one.url for one in captures(made.path)}

    small, large = urls(0.3), urls(0.6)
    assert 0 < len(small) < len(large) < 33
    assert small < large
    assert urls(0.3) == small != urls(0.3, seed=2)
    one = Path(tmp_path / "s.warc.gz").read_bytes()
    urls(0.3, seed=2)
    assert Path(tmp_path / "s.warc.gz").read_bytes() == one


def test_hosts_and_urls_choose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crawl(tmp_path)
    (tmp_path / "urls").write_text(f"{page_url(3)}\r\n\n{page_url(25)}\n")
    output = f"{tmp_path}/out/s.warc.gz"
    given = ["slice", f"{tmp_path}/*.warc*", f"{tmp_path}/c.arc.gz", "--output", output]
    assert cli.main([*given, "--urls", f"{tmp_path}/urls"]) == 0
    assert [one.url for one in captures(output)] == [page_url(3), page_url(25)]
    assert cli.main([*given, "--host", "Arc.example", "--host", "other.example"]) == 0
    assert {one.url.split("/")[2] for one in captures(output)} == {"arc.example", "other.example"}
    assert cli.main([*given, "--host", "example"]) == 0  # with its subdomains
    assert len(captures(output)) == 33
    assert "33 of 34 records" in capsys.readouterr().out
    assert cli.main([*given, "--host", "rc.example"]) == 2  # no subdomain of it
    assert not Path(output).exists()


def test_an_index_names_the_records_that_are_read(tmp_path: Path) -> None:
    paths = crawl(tmp_path)
    every = [one for one in read_captures(paths[0]) if isinstance(one, Capture)]
    rows = {
        "url": [one.url for one in every],
        "warc_filename": ["a.warc.gz"] * len(every),
        "warc_record_offset": [one.offset for one in every],
        "warc_record_length": [one.length for one in every],
    }
    (tmp_path / "index" / "crawl=X").mkdir(parents=True)
    pq.write_table(pa.table(rows), tmp_path / "index/crawl=X/part.parquet")
    output = f"{tmp_path}/s.warc.gz"
    given = ["slice", "--index", f"{tmp_path}/index", "--prefix", str(tmp_path), "--output", output]
    assert cli.main([*given, "--where", "crawl = 'X' and url like '%/1_'"]) == 0
    assert [one.url for one in captures(output)] == [page_url(n) for n in range(10, 20)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name archives or an index"),
        (["--index", "x.parquet", "a.warc"], "name archives or an index"),
        (["absent.warc.gz"], "absent.warc.gz: no such file"),
        (["--index", "absent.parquet"], "--index: absent.parquet: no parquet files there"),
    ],
)
def test_a_mistake_is_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["slice", "--output", "s.warc.gz", *arguments]) == 2
    assert message in capsys.readouterr().err


@needs_shared
def test_real_captures_come_out_as_they_went_in(tmp_path: Path) -> None:
    paths = sorted(map(str, (DATA / "warc").glob("TEST-MAIN-*-00000.warc.gz")))
    made = slice.write(slice.of_archives(paths), Choice(0.1), f"{tmp_path}/s.warc.gz")
    by_url = {one.url: one for path in paths for one in captures(path)}
    found = captures(made.path)
    assert 5 < len(found) < len(by_url) / 5
    assert found == [by_url[one.url] for one in found]


@needs_shared
def test_extraction_of_a_slice_gives_the_same_documents(tmp_path: Path) -> None:
    settings = config.load("default", ["input=[x]"]).extract
    paths = sorted(map(str, (DATA / "warc").glob("TEST-DUPS-*.warc.gz")))
    made = slice.write(slice.of_archives(paths), Choice(0.5), f"{tmp_path}/s.warc.gz")
    whole = {one.url: to_document(one, settings) for path in paths for one in captures(path)}
    some = {one.url: to_document(one, settings) for one in captures(made.path)}
    assert 0 < len(some) < len(whole)
    assert some == {url: whole[url] for url in some}
