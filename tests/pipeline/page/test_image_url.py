"""Which address an image has: candidate lists, lazy attributes, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benben import extract_page
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.page.image_url import MediaQueries, best_candidate, pixels, style_urls
from benben.pipeline.url import join
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
        ("my photo.jpg 800w, b.jpg 400w", "b.jpg"),
        ("a.jpg 10q, b.jpg 5w", "b.jpg"),
        ("a.jpg 2x 100w, b.jpg 1x", "b.jpg"),
        ("a.jpg 100vw", None),
        ("," * 3000, None),
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
        # flags, numbers, words and templates are no addresses
        ("<img data-lazy=true src=c.jpg>", "c.jpg"),
        ("<img data-image=5512 src=c.jpg>", "c.jpg"),
        ("<img data-original=1.5 src=c.jpg>", "c.jpg"),
        ("<img data-src=undefined src=c.jpg>", "c.jpg"),
        ("<img data-src=/img/null src=c.jpg>", "c.jpg"),
        ("<img data-src='#' src=c.jpg>", "c.jpg"),
        ("<img data-src='#top' src=c.jpg>", "c.jpg"),
        ("<img data-image=hero src=c.jpg>", "c.jpg"),
        ("<img data-src='{{ item.photo }}' src=c.jpg>", "c.jpg"),
        ("<img data-src='/p/{width}/d.jpg' src=c.jpg>", "c.jpg"),
        ("<img data-src='/p/%7Bwidth%7D/d.jpg' src=c.jpg>", "c.jpg"),
        ("<img data-src='<%= url %>' src=c.jpg>", "c.jpg"),
        ("<img data-src='${base}/d.jpg' src=c.jpg>", "c.jpg"),
        ("<img data-src='[[photo]]/d.jpg' src=c.jpg>", "c.jpg"),
        ('<img data-image=\'{"url": "/d.jpg"}\' src=c.jpg>', "c.jpg"),
        ("<img data-url=/story/1.html src=c.jpg>", "c.jpg"),
        ("<img data-src='javascript:void(0)' src=c.jpg>", "c.jpg"),
        ("<img srcset='{{ set }}' src=c.jpg>", "c.jpg"),
        ("<img data-srcset='undefined 1x, null 2x' src=c.jpg>", "c.jpg"),
        ("<img src='{B5A2-11}.jpg'>", "{B5A2-11}.jpg"),
        (r"<img src='png.latex?\frac{1}{two}'>", r"png.latex?\frac{1}{two}"),
        # templates with their widths, lists in attributes for one address
        ("<img data-src='s_{width}x.jpg' data-widths='[180, 1080, 540]' src=c.jpg>", "s_1080x.jpg"),
        ("<img data-src='s_%7Bwidth%7D.jpg' data-widths=180,90 src=c.jpg>", "s_180.jpg"),
        ("<img src='s_{width}x.jpg' data-widths='[180, 540]'>", "s_540x.jpg"),
        ("<img src='a.jpg 300w, b.jpg 900w'>", "b.jpg"),
        ("<img data-src='a.jpg 1x, b.jpg 2x' src=c.jpg>", "b.jpg"),
        ("<img data-src='a.jpg 300w, b.jpg 900w'>", "b.jpg"),
        # a placeholder counts only if there is no other
        ("<img src=blank.gif data-full=/p/full.jpg>", "full.jpg"),
        ("<img src='data:image/gif;base64,AA' file=/p/d.jpg>", "d.jpg"),
        ("<img src=ajax-loader.gif data-x=/p/d.webp?w=3>", "d.webp?w=3"),
        ("<img data-x=/p/d.jpg>", "d.jpg"),
        ("<img src=img/spacer.gif data-id=77/1.5>", "img/spacer.gif"),
        ("<img src=c.jpg data-full=/p/full.jpg>", "c.jpg"),
        ("<img src=loading-dock.jpg data-full=/p/full.jpg>", "loading-dock.jpg"),
        ("<img srcset='1x1.png 1w' data-src=d.jpg>", "d.jpg"),
        ("<img src=blank.gif onerror=\"this.src='/p/d.jpg'\">", "blank.gif"),
        ("<img src=lazy.svg style='background-image: url(d.jpg)'>", "d.jpg"),
        ("<img src=c.svg data-png=/p/c.png>", "c.png"),
        ("<img src=c.svg>", "c.svg"),
        # <source>: as a browser with a wide screen
        ("<picture><source type=image/jxl srcset=a.jxl><img src=c.jpg></picture>", "c.jpg"),
        ("<picture><source type=image/svg+xml srcset=a.svg><img src=c.jpg></picture>", "c.jpg"),
        (
            "<picture><source type='image/webp; q=1' srcset=a.webp><img src=c.jpg></picture>",
            "a.webp",
        ),
        ("<picture><source srcset=a.heic><img src=c.jpg></picture>", "c.jpg"),
        (
            "<picture><source media='(max-width: 600px)' srcset=s.jpg><img src=c.jpg></picture>",
            "c.jpg",
        ),
        ("<picture><source media='print' srcset=s.jpg><img src=c.jpg></picture>", "c.jpg"),
        (
            "<picture><source media='(max-width:40em)' srcset=s.jpg>"
            "<source media='(min-width:641px)' srcset=m.jpg><img src=c.jpg></picture>",
            "m.jpg",
        ),
        ("<picture><img src=c.jpg><source srcset=a.webp></picture>", "c.jpg"),
        ("<picture><source src=a.webp><img src=c.jpg></picture>", "c.jpg"),
    ],
)
def test_address_of_an_element(markup: str, address: str) -> None:
    found = [node.url for node in extract_page(markup, PAGE).images()]
    assert found == [join(PAGE, address)]


@pytest.mark.parametrize(
    ("markup", "addresses"),
    [
        ("<img src=blank.gif><noscript><img src=a.jpg></noscript>", ["a.jpg"]),
        ("<img><noscript><img src=a.jpg></noscript>", ["a.jpg"]),
        ("<img src=b.jpg><noscript><img src=a.jpg></noscript>", ["b.jpg"]),
        ("<img src=blank.gif><noscript><img src=pixel.gif></noscript>", ["blank.gif"]),
        (
            "<img src=blank.gif data-src=a.jpg><noscript><img src=a.jpg></noscript>"
            "<img src=blank.gif><noscript><img src=b.jpg></noscript>",
            ["a.jpg", "b.jpg"],
        ),
    ],
)
def test_an_image_in_noscript_replaces_a_placeholder(markup: str, addresses: list[str]) -> None:
    found = [node.url for node in extract_page(markup, PAGE).images()]
    assert found == [PAGE + address for address in addresses]


@pytest.mark.parametrize(
    ("markup", "addresses"),
    [
        ("<amp-img src=a.jpg layout=fill></amp-img>", ["a.jpg"]),
        ("<amp-anim src=a.gif></amp-anim>", ["a.gif"]),
        ("<amp-img srcset='a.jpg 640w, b.jpg 320w'></amp-img>", ["a.jpg"]),
        ("<amp-img src=a.jpg><noscript><img src=a.jpg></noscript></amp-img>", ["a.jpg"]),
        ("<p>x <amp-img src=a.jpg></amp-img> y</p><img src=b.jpg>", ["a.jpg", "b.jpg"]),
        ("<div data-bg=a.jpg></div>", ["a.jpg"]),
        ("<div data-bg='url(a.jpg)'></div>", ["a.jpg"]),
        ("<div data-background-image='a.jpg'>text</div>", ["a.jpg"]),
        ("<section data-bgset='a.jpg 400w, b.jpg 900w'></section>", ["b.jpg"]),
        ("<table><tr><td background=a.gif>x</td></tr></table>", ["a.gif"]),
        ("<div data-src=a.jpg></div>", ["a.jpg"]),
        ("<div data-src=https://video.example/player></div>", []),
        ("<div data-bg='#fff'></div><div data-background=dark></div>", []),
        ("<div data-bg='rgba(0, 0, 0, .5)'></div>", []),
        ("<div data-bg=a.jpg style='background: url(b.jpg)'></div>", ["a.jpg"]),
        ("<div style='background: url(b.jpg)' data-url=/page data-image=x.jpg></div>", ["b.jpg"]),
    ],
)
def test_other_elements_that_show_images(markup: str, addresses: list[str]) -> None:
    found = [node.url for node in extract_page(markup, PAGE).images()]
    assert found == [PAGE + address for address in addresses]


@pytest.mark.parametrize(
    ("style", "addresses"),
    [
        ("background: url(a.jpg)", ["a.jpg"]),
        ('background-image:url("a(1).jpg")', ["a(1).jpg"]),
        ("background-image: url( 'a b.jpg' ) ; color: red", ["a b.jpg"]),
        (r"background: url(a\28 1\29.jpg)", ["a(1).jpg"]),
        ("background: linear-gradient(red, blue), url(a.jpg)", ["a.jpg"]),
        ("background:url(data:image/gif;base64,AA==), url(a.jpg)", ["a.jpg"]),
        ("background: url(a.jpg) , url(b.jpg)", ["a.jpg", "b.jpg"]),
        ("--hero: url(a.jpg)", ["a.jpg"]),
        ("cursor: url(a.cur); background: red", []),
        ("mask: url(a.svg); BACKGROUND: URL(b.png)", ["b.png"]),
        (r"background: url(/img/a\(1\).jpg) no-repeat", ["/img/a(1).jpg"]),
        ("background: url(", []),
        ("background: url()", []),
    ],
)
def test_addresses_of_a_style(style: str, addresses: list[str]) -> None:
    assert list(style_urls(style)) == addresses


@pytest.mark.parametrize(
    ("queries", "holds"),
    [
        ("all", True),
        ("screen and (min-width: 800px)", True),
        ("only screen and (max-width: 800px)", False),
        ("print", False),
        ("not print", True),
        ("not screen", False),
        ("print, (min-width: 20em)", True),
        ("(width >= 600px)", True),
        ("(400px <= width < 700px)", False),
        ("(1000px < width)", True),
        ("(min-width: 500px) and (max-width: 900px)", False),
        ("(min-aspect-ratio: 4/3)", True),
        ("(orientation: portrait)", False),
        ("(prefers-color-scheme: dark)", False),
        ("(-webkit-min-device-pixel-ratio: 1.25)", True),
        ("(min-resolution: 2dppx)", True),
        ("(min--moz-device-pixel-ratio: 3), (min-resolution: 288dpi)", False),
        ("(max-device-width: 480px)", False),
        ("(max-width: 1px) or (hover)", True),
        ("(color)", True),
        ("(made-up: 3)", False),
        ("not (made-up: 3)", False),
        ("(min-width:", False),
        ("x", False),
        ("(min-aspect-ratio: 4/0)", False),
    ],
)
def test_media_queries_on_a_wide_screen(queries: str, holds: bool) -> None:
    assert MediaQueries(1920, 1080, 2).matches(queries) is holds


@pytest.mark.parametrize(
    "markup",
    [
        "<img>",
        "<img src=''>",
        "<img src='blob:https://x/1'>",
        "<img src='{{ x }}'>",
        "<img src='#'>",
    ],
)
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


def test_no_value_is_read_again_and_again() -> None:
    """Each of these took minutes when a pattern began anew at every character."""
    many = 2_000_000
    assert best_candidate("a " + "(" * many) is None
    assert pixels("1" + " " * many + "z") is None
    assert len(list(style_urls("background:" + "a url(x)" * (many // 8)))) == many // 8
    assert not list(style_urls("color:" + "a url(x)" * (many // 8)))
    address = f"http://a.example/{'1' * many}.jpg"
    assert not extract_page(f"<img src={address}>", PAGE).nodes  # longer than an address may be


def test_a_background_is_one_within_its_declaration() -> None:
    assert list(style_urls("background:url(a) url(b);color:url(c)")) == ["a", "b"]
    assert list(style_urls("x:url(a);background:0 url(b)")) == ["b"]
    assert list(style_urls("x:url(a) background:url(b)")) == ["b"]


IMAGES_OF = """(() => {
  const page = new DOMParser().parseFromString(%s, 'text/html');
  if (!page.querySelector('base')) {
    const base = page.createElement('base');
    base.href = %s;
    page.head.prepend(base);
  }
  return [...page.querySelectorAll('img, [background]')].map(
    shown => shown.src || new URL(shown.getAttribute('background'), page.baseURI).href);
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


@pytest.mark.parametrize(
    ("link", "target", "full_size"),
    [
        ("/full/a.jpg", "image", "http://ex.com/full/a.jpg"),
        ("https://cdn.ex.com/a.PNG?w=2000", "image", "https://cdn.ex.com/a.PNG?w=2000"),
        ("/page?picture=a.jpg", "same_host", None),
        ("https://shop.example/", "other_host", None),
        ("#top", None, None),
        ("javascript:void(0)", None, None),
        ("", None, None),
    ],
)
def test_where_a_link_around_an_image_leads(
    link: str, target: str | None, full_size: str | None
) -> None:
    markup = f"<a href='{link}'><picture><source srcset=/b.jpg><img src=/a.jpg></picture></a>"
    (image,) = extract_page(markup, "http://ex.com/a/b.html").images()
    assert (image.link_target, image.full_size) == (target, full_size)


def test_a_link_with_many_images_is_that_of_the_first() -> None:
    images = "".join(f"<img src=/{number}.jpg>" for number in range(2000))
    page = extract_page(f"<a href='/{'x' * 2000}.jpg'>{images}</a>", "http://ex.com/")
    found = [image.link_target for image in page.images()]
    assert found == ["image", *[None] * 1999]
