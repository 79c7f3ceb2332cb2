"""Which address an image has: candidate lists, lazy attributes, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benben import extract_page
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.page.image_url import best_candidate, pixels
from tests.browser import Tab, drive, needs_chromium
from tests.shared import DATA, needs_shared

PAGE = "https://ex.org/p/"


@pytest.mark.parametrize(
    ("srcset", "best"),
    [
        ("a.jpg", "a.jpg"),
        ("a.jpg 1x, b.jpg 2x", "b.jpg"),
        ("b.jpg 2x, a.jpg", "b.jpg"),
        ("a.jpg 400w,b.jpg 1200w,c.jpg 800w", "b.jpg"),
        ("a,b.jpg 1x, c.jpg 1.5x", "c.jpg"),
        ("  a.jpg  300w ,  b.jpg   600w ", "b.jpg"),
        ("a.jpg, b.jpg 2x", "b.jpg"),
        ("w_300,h_200/a.jpg 300w, w_600,h_400/a.jpg 600w", "w_600,h_400/a.jpg"),
        ("data:image/gif;base64,AA 1x, b.jpg 2x", "b.jpg"),
        ("a.jpg 100w 50h, b.jpg 200w 100h", "b.jpg"),
        ("a.jpg 1x, b.jpg 1x", "a.jpg"),
        ("a.jpg calc(1,2) 5w, b.jpg 9w", "b.jpg"),
        ("", None),
        (" , ,", None),
        ("data:image/gif;base64,AA", None),
    ],
)
def test_best_candidate_of_a_list(srcset: str, best: str | None) -> None:
    assert best_candidate(srcset) == best


@pytest.mark.parametrize(
    ("markup", "address"),
    [
        ("<img src=a.jpg>", "a.jpg"),
        ("<img src=a.jpg data-src=b.jpg>", "b.jpg"),
        ("<img src=a.jpg data-srcset='b.jpg 1x, c.jpg 2x'>", "c.jpg"),
        ("<img src=a.jpg srcset='b.jpg 600w'>", "b.jpg"),
        ("<img src=a.jpg srcset=''>", "a.jpg"),
        ("<img src=a.jpg data-src=''>", "a.jpg"),
        ("<img src=a.jpg data-src='about:blank'>", "a.jpg"),
        ("<img data-lazy-src=a.jpg>", "a.jpg"),
        ("<img data-original=a.jpg src=grey.gif>", "a.jpg"),
        ("<picture><source srcset='a.webp 1x, b.webp 2x'><img src=c.jpg></picture>", "b.webp"),
        ("<picture><source data-srcset='a.webp'><img src=c.jpg></picture>", "a.webp"),
        ("<picture><source media=x><img src=c.jpg></picture>", "c.jpg"),
        ("<a href=x><img src=c.jpg></a>", "c.jpg"),
    ],
)
def test_address_of_an_element(markup: str, address: str) -> None:
    assert [node.url for node in extract_page(markup, PAGE).images()] == [PAGE + address]


@pytest.mark.parametrize("markup", ["<img>", "<img src=''>", "<img src='blob:https://x/1'>"])
def test_an_image_without_an_address_is_no_node(markup: str) -> None:
    assert not extract_page(markup, PAGE).nodes


def test_the_address_as_written_is_kept_where_it_differs() -> None:
    image = next(extract_page("<img src=/a.jpg>", PAGE).images())
    assert (image.url, image.src) == ("https://ex.org/a.jpg", "/a.jpg")
    image = next(extract_page("<img src='data:,x' data-src=/a.jpg>", PAGE).images())
    assert image.src is None


@pytest.mark.parametrize(
    ("value", "number"),
    [("20", 20), (" 20px ", 20), ("20.6", 20), ("50%", None), ("auto", None), ("", None)],
)
def test_declared_size(value: str, number: int | None) -> None:
    assert pixels(value) == number


IMAGES_OF = """(() => {
  const page = new DOMParser().parseFromString(%s, 'text/html');
  if (!page.querySelector('base')) {
    const base = page.createElement('base');
    base.href = %s;
    page.head.prepend(base);
  }
  return [...page.querySelectorAll('img')].map(image => image.src);
})()"""


@needs_shared
@needs_chromium
@pytest.mark.browser
def test_addresses_are_those_a_browser_resolves(tmp_path: Path) -> None:
    archive = DATA / "malformed" / "real" / "ccweb-link-extraction-test.warc"
    pages = [page for page in read_captures(str(archive)) if isinstance(page, Capture)]
    assert len(pages) == 9

    async def compare(tab: Tab) -> None:
        for page in pages:
            html = decode_html(page.payload, page.headers.get("content-type"))[0]
            seen = await tab.evaluate(IMAGES_OF % (json.dumps(html), json.dumps(page.url)))
            assert [node.url for node in extract_page(html, page.url).images()] == seen

    drive(tmp_path, compare)
