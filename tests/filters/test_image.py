"""Image signals known before the fetch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.filters.pages import OBELICS, SETTINGS, image, measure, page

BASE = "https://example.com"


def signals(*nodes: dict[str, Any], settings: Any = SETTINGS) -> list[dict[str, Any]]:
    return list(measure(page(*nodes), settings=settings).column("images")[0].as_py())


@pytest.mark.parametrize(
    ("url", "ours", "obelics"),
    [
        (f"{BASE}/photo.jpg", 0, 0),
        (f"{BASE}/img/logo.png", 1, 1),
        (f"{BASE}/site-logo-2x.png", 1, 1),
        (f"{BASE}/icons/share.png", 1, 1),
        ("https://sussex.ac.uk/p.jpg", 0, 1),  # "sex" inside a word
        (f"{BASE}/catalogo/silicon.jpg", 0, 2),
        (f"{BASE}/LOGO.png", 1, 0),  # OBELICS minds case
        ("https://пример.рф/логотип.png", 0, 0),
    ],
)
def test_banned_words_in_urls(url: str, ours: int, obelics: int) -> None:
    assert signals(image(url))[0]["url_words"] == ours
    assert signals(image(url), settings=OBELICS.signals)[0]["url_words"] == obelics


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{BASE}/a.JPG?w=300", "jpeg"),
        (f"{BASE}/a.jpeg#top", "jpeg"),
        (f"{BASE}/a.svg", "svg"),
        (f"{BASE}/a.webp", "webp"),
        (f"{BASE}/render?image=7", None),
        (BASE, None),
        (f"{BASE}/page.php", None),
    ],
)
def test_format_by_the_urls_ending(url: str, name: str | None) -> None:
    assert signals(image(url))[0]["url_format"] == name


def test_declared_size_words_and_repeats() -> None:
    found = signals(
        image(width=640, height=480, alt="a red barn", caption="Die alte Scheune, 1998"),
        image(f"{BASE}/other.png", alt="Сова на крыше"),
        image(),
    )
    assert [one["duplicate"] for one in found] == [0, 0, 1]
    assert [one["alt_words"] for one in found] == [3, 3, 0]
    assert [one["caption_words"] for one in found] == [4, 0, 0]
    assert (found[0]["rendered_width"], found[0]["rendered_height"]) == (640, 480)
    assert found[1]["rendered_width"] is None


def test_images_that_the_metadata_names() -> None:
    named = ["https://cdn.example.com/2024/harbour.jpg?w=1200", f"{BASE}/boats-1024x768.webp"]
    shown = ("harbour-300x200.jpg", "boats.jpg", "boat.jpg", "harbour", "harbour-master.jpg")
    batch = measure(page(*(image(f"{BASE}/{name}") for name in shown), page_images=named))
    assert [one["in_metadata"] for one in batch.column("images")[0].as_py()] == [1, 1, 0, 1, 0]


def test_metadata_name_images_of_their_own_page_only() -> None:
    pages = measure(page(image(), page_images=[]), page(image(), page_images=[image()["url"]]))
    assert [page[0]["in_metadata"] for page in pages.column("images").to_pylist()] == [0, 1]


def test_where_links_around_images_lead() -> None:
    found = signals(image(link_target="image"), image(), image(link_target="other_host"))
    assert [one["link_target"] for one in found] == ["image", None, "other_host"]
