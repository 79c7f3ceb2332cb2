"""The whole site: every page, every file, and what a crawler saw of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benben.sample.articles import LANGUAGES, articles
from benben.sample.page import Capture, Page, Paragraph
from benben.sample.page_html import phrases, render, render_blog
from benben.sample.shape_pages import TURN, shape_pages
from benben.sample.unwanted import Answers, add_picture, furniture, odd_pages

SHAPE_PAGES, SEED = 30, 7
SHARDS = 2
COPIES = (("en/lighthouse-keeper.html", "print/"), ("zh/dengta.html", "print/"))
REWRITTEN = {  # near-duplicates: another page with one sentence changed
    "en/kite-festival.html": "The festival takes place whatever the weather may be.",
    "de/nachtzug.html": "Wer früh bucht, bekommt einen Platz am Fenster.",
}
TRACKED = "en/red-boat.html?utm_source=newsletter"
SEEN_AGAIN = ("en/garden-in-april.html", "es/barca-azul.html")
CHANGED = "fr/marche.html"
UPDATE = "Mise à jour : depuis cet automne, le marché commence une heure plus tard."


@dataclass
class Site:
    """Pages' HTML, what the server answers, and the crawl's captures in order."""

    answers: Answers
    captures: list[Capture]
    pages: int


def build_site(pages: int = SHAPE_PAGES, seed: int = SEED, languages: Sequence[str] = TURN) -> Site:
    """Make the site with that many shape pages; the written pages are always there."""
    written = {lang: articles(lang) for lang in LANGUAGES}
    plain = [page for lang in LANGUAGES for page in written[lang]]
    others = [*odd_pages(), *shape_pages(pages, seed, languages), *_near_duplicates(plain)]
    answers = Answers(files=furniture())
    captures: list[Capture] = []
    for index, page in enumerate([*plain, *others]):
        for picture in page.pictures():
            add_picture(answers, picture)
        related = [other for other in written[page.lang] if other.path != page.path]
        captures.append(_capture(page, render(page, related), index))
    captures += [_blog(lang, written[lang]) for lang in ("en", "de")]
    captures += list(_repeats(plain, written, captures))
    captures += list(_strays())
    for capture in captures:
        _publish(answers, capture)
    return Site(answers, captures, len({capture.path for capture in captures}))


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
    """The same page under another URL, the same URL on another day, and a page that changed."""
    seen = {capture.path: capture for capture in captures}
    for path, prefix in COPIES:
        yield replace(seen[path], path=prefix + path, shard=1)
    yield replace(seen[TRACKED.partition("?")[0]], path=TRACKED, shard=1)
    for path in SEEN_AGAIN:
        yield replace(seen[path], shard=1, day=9)
    page = next(page for page in pages if page.path == CHANGED)
    newer = replace(page, blocks=(*page.blocks, Paragraph(UPDATE)))
    capture = _capture(newer, render(newer, written[page.lang][1:]), 1)
    yield replace(capture, day=9)


def _strays() -> Iterator[Capture]:
    """A page that is gone and a file that is no page."""
    gone = b"<!DOCTYPE html><html lang=en><title>404</title><body><p>Not found</p></body></html>"
    yield Capture("en/gone.html", gone, {"Content-Type": "text/html"}, status=404)
    notes = b"Notes of the drawing club.\nBring paper, glue and scissors next time.\n"
    yield Capture("notes.txt", notes, {"Content-Type": "text/plain; charset=utf-8"}, shard=1)


def _publish(answers: Answers, capture: Capture) -> None:
    """Let the server answer what the crawler saw; the latest version stays."""
    path = capture.path.partition("?")[0]
    answers.headers[path] = dict(capture.headers)
    if capture.status == 200:
        answers.files[path] = capture.body
