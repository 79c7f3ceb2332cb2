from __future__ import annotations

import gzip
import io
from collections import Counter
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from PIL import Image
from warcio.archiveiterator import ArchiveIterator as StrictIterator
from warcio.checker import Checker

from benben import sample
from benben.sample.build import build
from benben.sample.website import Site, build_site

LANGUAGES = {"en", "de", "fr", "es", "zh"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Site]:
    out = tmp_path_factory.mktemp("sample")
    return out, build(out)


def files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def responses(out: Path) -> list[tuple[str, int, bytes]]:
    found = []
    for path in sorted(out.glob("crawl-data/*/segments/*/warc/*.warc.gz")):
        for record in ArchiveIterator(path.open("rb"), record_types=WarcRecordType.response):
            url = record.headers["WARC-Target-URI"]
            found.append((url, record.http_headers.status_code, record.reader.read()))
    return found


def test_two_builds_are_byte_identical(built: tuple[Path, Site], tmp_path: Path) -> None:
    build(tmp_path)
    assert files(tmp_path) == files(built[0])


def test_the_site_is_large_enough_and_speaks_five_languages(built: tuple[Path, Site]) -> None:
    pages = {url for url, status, _ in responses(built[0]) if status == 200 and ".html" in url}
    assert 60 <= len(pages) <= 90
    counts = Counter(url.split("/")[3] for url in pages)
    assert set(counts) - {"print"} == LANGUAGES
    assert min(counts[lang] for lang in LANGUAGES) >= 8


def test_what_git_holds_is_under_three_megabytes() -> None:
    folder = Path(sample.__file__).parent
    held = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in held) < 3_000_000


def test_archives_have_common_crawls_layout(built: tuple[Path, Site]) -> None:
    out, site = built
    listing = next(out.glob("crawl-data/*/warc.paths.gz"))
    paths = [out / line for line in gzip.decompress(listing.read_bytes()).decode().split()]
    assert len(paths) == 2
    seen = 0
    for path in paths:
        with path.open("rb") as stream:
            kinds = [record.rec_type for record in StrictIterator(stream)]
        assert kinds[0] == "warcinfo"
        assert kinds[1:] == ["request", "response", "metadata"] * (len(kinds) // 3)
        assert path.read_bytes().count(b"\x1f\x8b\x08\x00") >= len(kinds)  # a member a record
        seen += kinds.count("response")
    assert seen == len(site.captures)


def test_digests_hold(built: tuple[Path, Site]) -> None:
    class Arguments:
        inputs = [str(path) for path in built[0].rglob("*.warc.gz")]
        verbose = False

    checker = Checker(Arguments())
    for path in Arguments.inputs:
        checker.process_one(path)
    assert checker.exit_value == 0


def test_captures_include_what_a_crawl_brings(built: tuple[Path, Site]) -> None:
    found = responses(built[0])
    urls = Counter(url for url, _, _ in found)
    assert [url for url, count in urls.items() if count == 2]  # seen on two days
    bodies = Counter(body for _, status, body in found if status == 200)
    assert sum(count > 1 for count in bodies.values()) >= 4  # equal pages
    assert [status for _, status, _ in found if status == 404]
    assert [url for url in urls if url.endswith(".txt")]
    assert [url for url in urls if "?" in url]
    head = next(body for url, _, body in found if "no-training" in url)
    assert b'<meta name="robots" content="noai' in head


def test_pages_use_the_embeddings_of_the_web(built: tuple[Path, Site]) -> None:
    text = b"".join(body for _, _, body in responses(built[0]))
    for markup in (
        *(b"data-src=", b"data-lazy-src=", b"srcset=", b"<picture>", b"<noscript>"),
        *(b"<figcaption>", b"<table>", b"<ul>", b"<base href", b"more-link", b"cookie-bar"),
    ):
        assert markup in text, markup


def test_pictures_are_sound_but_for_those_meant_to_be_broken(built: tuple[Path, Site]) -> None:
    pictures = {
        path: data
        for path, data in files(built[0] / "www").items()
        if path.startswith("img/") and "gallery-of-faults" not in path and "-small" not in path
    }
    assert len(pictures) > 100
    for path, data in pictures.items():
        image = Image.open(io.BytesIO(data))
        image.load()
        assert min(image.size) >= 150, path


def test_more_shape_pages_leave_the_first_ones_alone() -> None:
    few, many = build_site(4, 3), build_site(8, 3)
    pages = [path for path in few.responses.files if "/shapes/" in path]
    assert len(pages) > 8
    assert all(many.responses.files[path] == few.responses.files[path] for path in pages)
    assert build_site(4, 4).responses.files != few.responses.files
