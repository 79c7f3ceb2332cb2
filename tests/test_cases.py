"""Small inputs made after public bug reports, one fault each, which lie beside the checkout.

`EXPECTED` names the check of each case. A case without one is skipped and says so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from benben import extract_page
from benben.pipeline import config, language
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.consent.directives import binding_facts
from benben.pipeline.consent.image_consent import page_reason
from benben.pipeline.consent.site_files import ROBOTS, OriginConsent, SiteFile
from benben.pipeline.deduplication.shingles import token_hashes
from benben.pipeline.document import Document
from benben.pipeline.images.processing.picture import Decoder
from benben.pipeline.page.extract import default_settings
from benben.pipeline.settings.extract import ExtractSettings
from benben.pipeline.url import url_key
from tests.shared import DATA, needs_shared
from tests.web import settings as fetch_settings

CASES = DATA / "cases"
URL = "https://site.example/dir/page.html"
Check = Callable[[Path], None]


def page(case: Path, settings: ExtractSettings | None = None) -> Document:
    """The document of a case's page."""
    return extract_page((case / "input.html").read_bytes(), URL, {}, settings)


def has_texts(*expected: str) -> Check:
    """The text nodes are exactly these."""

    def check(case: Path) -> None:
        assert [node.text for node in page(case).texts()] == list(expected)

    return check


def has_text_of_one_node(*pieces: str, without: Sequence[str] = ()) -> Check:
    """There is one text node; it holds these pieces, and the page holds none of the others."""

    def check(case: Path) -> None:
        (text,) = (node.text or "" for node in page(case).texts())
        assert [piece for piece in pieces if piece not in text] == []
        assert [piece for piece in without if piece in text] == []

    return check


def keeps_paragraphs(number: int) -> Check:
    """The main text has this many paragraphs of some length, each once, and no others."""

    def check(case: Path) -> None:
        found = [text for text in page(case).main_text().split("\n\n") if len(text) > 60]
        assert len(found) == len(set(found)) == number

    return check


def keeps_letters(case: Path) -> None:
    """Joiners and marks of direction stay."""
    (text,) = (node.text or "" for node in page(case).texts())
    assert text == unicodedata.normalize("NFC", text)
    assert ("می\u200cخواهم" in text, "👩\u200d🚀" in text) == (True, True)


def raises_digits(case: Path) -> None:
    """Digits above and below the line do not run into those before them."""
    (text,) = (node.text or "" for node in page(case).texts())
    assert [bad for bad in ("106", "cm3", "1002") if bad in text] == []


def follows_inline(case: Path) -> None:
    """An element that the config calls inline is inline."""
    given = default_settings()
    elements = given.elements.model_copy(update={"inline": [*given.elements.inline, "g-emoji"]})
    settings = given.model_copy(update={"elements": elements})
    texts = [node.text for node in page(case, settings).texts()]
    assert texts == ["Thanks x to all of you."]


def drops_marks(case: Path) -> None:
    """Edit links and marks of notes are gone."""
    texts = [node.text for node in page(case).texts()]
    assert texts == ["History", "It was founded in 1204."]


def reads_xhtml(case: Path) -> None:
    """A page of XML is read as such."""
    headers = {"Content-Type": "application/xhtml+xml"}
    document = extract_page((case / "input.html").read_bytes(), URL, headers)
    assert [(node.text or "")[:16] for node in document.texts()] == ["The harbour town"]


def has_images(*expected: str) -> Check:
    """The image nodes have exactly these addresses; relative ones are below the site."""

    def check(case: Path) -> None:
        site = "https://site.example/"
        assert [node.url for node in page(case).images()] == [
            address if "://" in address else site + address for address in expected
        ]

    return check


def tells_languages(*expected: str) -> Check:
    """The parts of the text are in these languages."""

    def check(case: Path) -> None:
        parts = (case / "text.txt").read_text(encoding="utf-8").split("|")
        found = language.identify(parts, language.load())
        assert [name for name, _ in found] == list(expected)

    return check


def shares_the_caption(case: Path) -> None:
    """Both images of a figure have its caption."""
    captions = [node.caption for node in page(case).images()]
    assert captions == ["Both pictures"] * 2


def decodes_to(text: str, content_type: str | None = None) -> Check:
    """The page's text has these words, in an encoding that header, page or bytes tell."""

    def check(case: Path) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        document = extract_page((case / "input.html").read_bytes(), URL, headers)
        assert text in document.main_text(0)

    return check


def is_read(size: tuple[int, int] = (160, 160), reason: str | None = None) -> Check:
    """The picture is decoded, or refused for a reason."""

    def check(case: Path) -> None:
        (path,) = case.glob("a.*")
        found = Decoder(fetch_settings()).decode(path.read_bytes())
        assert (found.width, found.height, found.reason) == (*size, reason)

    return check


def has_keys(number: int) -> Check:
    """The addresses of a list have this many keys."""

    def check(case: Path) -> None:
        urls = (case / "urls.txt").read_text().split()
        assert len(set(map(url_key, urls))) == number

    return check


def has_token_lists(number: int) -> Check:
    """The lines have this many lists of tokens."""

    def check(case: Path) -> None:
        hashes, ends = token_hashes((case / "lines.txt").read_text().splitlines())
        lists = {tuple(hashes[one:two]) for one, two in pairwise(ends.tolist())}
        assert len(lists) == number

    return check


def has_records(*reasons: str | None, truncated: str | None = None) -> Check:
    """Each record is a page (None), or has a reason, and says whether it was cut."""

    def check(case: Path) -> None:
        found = list(read_captures(str(case / "input.warc.gz")))
        assert [one.reason for one in found] == list(reasons)
        assert {getattr(one, "truncated", None) for one in found} == {truncated}

    return check


def opts_out(case: Path) -> None:
    """The page has an opt-out that binds us: its images may not be used, nor its text."""
    settings = config.load("default", ["input=[x]"])
    if (case / "input.html").exists():
        facts = page(case).opt_outs
    else:
        (capture,) = read_captures(str(case / "input.warc.gz"))
        assert isinstance(capture, Capture)
        facts = extract_page(capture.payload, capture.url, capture.headers).opt_outs
    fetch = settings.fetch
    assert page_reason(facts, fetch.consent, fetch.product) == "consent.page"
    rules = settings.signals.opt_outs
    assert list(binding_facts(facts, rules, rules.agents))


def refuses(case: Path) -> None:
    """The robots.txt disallows an image of the site."""
    text = (case / "robots.txt").read_bytes().decode()
    fetch = config.load("default", ["input=[x]"]).fetch
    answer = SiteFile("https://site.example", ROBOTS, 200, text, 0.0)
    found = OriginConsent([answer], fetch.consent, fetch.product)
    assert found.reason("https://site.example/img/a.png") == ("consent.robots", "")


EXPECTED: dict[str, Check] = {
    "01-meta-yoast-noai": opts_out,
    "03-meta-spaces-noai": opts_out,
    "05-unavailable-after-date": opts_out,
    "07-plain-noai-header": opts_out,
    "08-meta-attr-no-space": opts_out,
    "09-agent-with-version": refuses,
    "11-cr-line-ends": refuses,
    "13-same-group-twice": refuses,
    "14-grouped-agents": refuses,
    "15-bom-and-space": refuses,
    "16-a-name-wraps": keeps_paragraphs(6),
    "18-body-class-footer": keeps_paragraphs(6),
    "20-header-div-unclosed": keeps_paragraphs(6),
    "22-word-smart-tags": has_texts("The embassy in France is open on Monday."),
    "24-mathml-msqrt": has_text_of_one_node("The length is ", r"\sqrt{x}", " as shown above."),
    "26-mathjax-script": has_text_of_one_node("In such triangles ", "a^2+b^2=c^2", " holds."),
    "28-sup-digits": raises_digits,
    "29-lazy-flag": has_images("img/a.jpg", "img/b.jpg", "img/c.jpg"),
    "31-srcset-null": has_images("img/a.jpg", "img/b.jpg"),
    "33-picture-type-unsupported": has_images("a.jpg"),
    "35-srcset-blank-in-url": has_images("img/my%20photo.jpg"),
    "37-amp-img": has_images("img/a.jpg"),
    "39-data-background": has_images("img/a.jpg"),
    "40-wechat": has_images("https://pic.example/mmbiz/640?wx_fmt=gif"),
    "41-noscript-copy": has_images("img/a-1024.jpg", "img/b-800.jpg"),
    "42-noscript-only": has_images("_next/image?url=%2Fa.jpg&w=3840"),
    "43-srcset-commas": has_images("https://c.example/w_900,h_600/a.jpg", "dir/c2.jpg"),
    "44-base-and-blanks": has_images(
        "img/a.jpg",
        "https://xn--bcher-kva.example/%C3%A4.jpg",
        "other/b.jpg",
        "https://cdn.example/c.jpg",
    ),
    "45-figure-two-images": shares_the_caption,
    "46-soft-hyphens": has_texts(
        "Die Donaudampfschiffahrt ist ein langes Wort im Land der Dichter.".replace("ffa", "fffa")
    ),
    "48-zero-width-space": has_texts("A longword here, ab and cd, but می\u200cخواهم."),
    "49-zwnj-kept": keeps_letters,
    "50-cjk-line-break": has_texts("今天的天气很好，我们一起去公园玩。"),
    "52-code-lines-in-divs": has_texts("def f():\n    return 1"),
    "54-pre-br-span": has_texts("def f():\n    return 1"),
    "55-ruby": has_texts("漢字を読む。"),
    "56-wbr-inline": has_texts(
        "supercalifragilistic", "First block", "Second block", "end\nline", "new"
    ),
    "57-q-element": has_texts("She said “never again” and left."),
    "58-empty-cell": has_texts("Name | Kind | Age", "Tom | cat | 4", "Rex |  | 7"),
    "60-nested-table": has_texts("a | b", "c"),
    "61-xhtml-self-closing": reads_xhtml,
    "63-json-ld-article": has_texts(
        "The whole article stands here only, and a script renders it in the browser of the reader."
    ),
    "64-utf8-one-bad-byte": decodes_to("Café", "text/html; charset=utf-8"),
    "65-utf8-cut": decodes_to("naïve café"),
    "66-header-lies": decodes_to("Привет", "text/html; charset=ISO-8859-1"),
    "67-gb2312-is-gbk": decodes_to("镕", "text/html; charset=gb2312"),
    "68-double-encoded": decodes_to("le café très près de l’église"),
    "69-png-large-profile": is_read(),
    "71-avif-mif1": is_read(),
    "73-jpeg-no-eoi": is_read(),
    "75-cmyk": is_read(),
    "76-exif-rotated": is_read((150, 200)),
    "77-webp-animated": is_read(),
    "78-png16": is_read(),
    "79-jpeg-really-cut": is_read(reason="picture.truncated"),
    "80-resource-records": has_records(None, None),
    "82-warc-truncated": has_records(None, truncated="length"),
    "84-corrupt-member": has_records("gzip.corrupt", None),
    "89-element-inline-ignored": follows_inline,
    "91-annotation-dropped": has_text_of_one_node(
        "The sum ", r"\frac{a}{b}", " is small.", without=["sum x"]
    ),
    "92-percent-encoding": has_keys(2),
    "93-host-forms": has_keys(2),
    "94-nfc-nfd": has_token_lists(1),
    "95-halfwidth-kana": has_token_lists(1),
    "97-short-texts": has_token_lists(3),
    "98-upper-case": tells_languages("en", "el", "tr"),
    "99-newlines": tells_languages("en", "und"),
    "100-cookie-comments-paywall": keeps_paragraphs(6),
    "101-hidden-spam": keeps_paragraphs(6),
    "102-aria-hidden-copy": keeps_paragraphs(6),
    "103-wiki-references": drops_marks,
}


def cases() -> list[str]:
    """Names of the cases; one that stands for all where they are not there."""
    return sorted(case.name for case in CASES.glob("*-*")) or ["cases"]


@needs_shared
@pytest.mark.parametrize("name", cases())
def test_case_is_right(name: str) -> None:
    check = EXPECTED.get(name)
    if check is None:
        pytest.skip("no expectation is written for this case")
    check(CASES / name)
