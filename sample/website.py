"""The whole site: its pages, the files and responses of its server, and the captures of a crawl."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from benben.sample.articles import LANGUAGES, articles
from benben.sample.drawing import encode
from benben.sample.page import Capture, Page, Paragraph, Responses
from benben.sample.page_html import phrases, render, render_blog
from benben.sample.shape_pages import LANGUAGE_CYCLE, shape_pages
from benben.sample.unwanted import add_picture, unwanted_pages

SHAPE_PAGES, SEED = 30, 7
SHARDS = 2
COPIES = (  # equal pages under another path: page, prefix of the other path
    ("en/lighthouse-keeper.html", "print/"),
    ("zh/dengta.html", "print/"),
)
REWRITTEN = {  # near-duplicates: a page with one more sentence
    "en/kite-festival.html": "The festival takes place whatever the weather may be.",
    "de/nachtzug.html": "Wer früh bucht, bekommt einen Platz am Fenster.",
}
WITH_TRACKING = "en/red-boat.html?utm_source=newsletter"
CAPTURED_TWICE = ("en/garden-in-april.html", "es/barca-azul.html")
CHANGED_PAGE = "fr/marche.html"
ADDED_TEXT = "Mise à jour : depuis cet automne, le marché commence une heure plus tard."


@dataclass
class Site:
    """What the server responds, and the captures of a crawl in order."""

    responses: Responses
    captures: list[Capture]


def build_site(
    pages: int = SHAPE_PAGES, seed: int = SEED, languages: Sequence[str] = LANGUAGE_CYCLE
) -> Site:
    """Make the site with `pages` shape pages; the written pages are always part of it."""
    written = {lang: articles(lang) for lang in LANGUAGES}
    plain = [page for lang in LANGUAGES for page in written[lang]]
    others = [*unwanted_pages(), *shape_pages(pages, seed, languages), *_near_duplicates(plain)]
    responses = Responses(files=_shared_files())
    captures: list[Capture] = []
    for index, page in enumerate([*plain, *others]):
        for picture in page.pictures():
            add_picture(responses, picture)
        related = [other for other in written[page.lang] if other.path != page.path]
        captures.append(_capture(page, render(page, related), index))
    captures += [_blog(lang, written[lang]) for lang in ("en", "de")]
    captures += list(_repeats(plain, written, captures))
    captures += list(_failed_and_other())
    for capture in captures:
        _publish(responses, capture)
    return Site(responses, captures)


def _capture(page: Page, body: bytes, index: int) -> Capture:
    labelled = "" if page.charset == "gb18030" else f"; charset={page.charset}"
    headers = {"Content-Type": f"text/html{labelled}", **page.headers}
    return Capture(page.path, body, headers, shard=index % SHARDS)


def _near_duplicates(pages: list[Page]) -> Iterator[Page]:
    for page in pages:
        if page.path in REWRITTEN:
            first, *rest = page.blocks
            assert isinstance(first, Paragraph)
            text = Paragraph(f"{first.text} {REWRITTEN[page.path]}")
            yield replace(page, path=page.path.replace(".html", "-2.html"), blocks=(text, *rest))


def _blog(lang: str, stories: list[Page]) -> Capture:
    page = Page(f"{lang}/blog.html", lang, phrases(lang)["blog"], ())
    return _capture(page, render_blog(page, stories[:4]), 0)


def _repeats(
    pages: list[Page], written: dict[str, list[Page]], captures: list[Capture]
) -> Iterator[Capture]:
    """Equal pages under other URLs, equal captures on another day, and a page that changed."""
    seen = {capture.path: capture for capture in captures}
    for path, prefix in COPIES:
        yield replace(seen[path], path=prefix + path, shard=1)
    yield replace(seen[WITH_TRACKING.partition("?")[0]], path=WITH_TRACKING, shard=1)
    for path in CAPTURED_TWICE:
        yield replace(seen[path], shard=1, day=9)
    page = next(page for page in pages if page.path == CHANGED_PAGE)
    newer = replace(page, blocks=(*page.blocks, Paragraph(ADDED_TEXT)))
    capture = _capture(newer, render(newer, written[page.lang][1:]), 1)
    yield replace(capture, day=9)


def _failed_and_other() -> Iterator[Capture]:
    """A page that is not found, and a file that is not HTML."""
    error = b"<!DOCTYPE html><html lang=en><title>404</title><body><p>Not found</p></body></html>"
    yield Capture("en/gone.html", error, {"Content-Type": "text/html"}, status=404)
    notes = b"Notes of the drawing club.\nBring paper, glue and scissors next time.\n"
    yield Capture("notes.txt", notes, {"Content-Type": "text/plain; charset=utf-8"}, shard=1)


def _publish(responses: Responses, capture: Capture) -> None:
    """Let the server respond what the crawler received; a later capture replaces an earlier one."""
    path = capture.path.partition("?")[0]
    responses.headers[path] = dict(capture.headers)
    if capture.status == 200:
        responses.files[path] = capture.body


def _shared_files() -> dict[str, bytes]:
    """Files that all pages link to (logo, icon, tracking pixel, style sheet), and robots.txt."""
    pixel = io.BytesIO()
    Image.new("P", (1, 1)).save(pixel, "GIF")
    style = "body { font-family: serif; max-width: 60em; margin: auto }\nimg { max-width: 100% }\n"
    return {
        "static/logo.png": encode(Image.new("RGB", (240, 80), (40, 90, 60)), "png"),
        "static/share-icon.png": encode(Image.new("RGB", (16, 16), (40, 90, 200)), "png"),
        "static/pixel.gif": pixel.getvalue(),
        "static/style.css": style.encode(),
        "robots.txt": b"User-agent: *\nDisallow: /private/\nAllow: /\n",
    }
