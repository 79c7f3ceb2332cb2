from __future__ import annotations

import pytest

from benben.sample.drawing import COLOURS, RGB, SHAPES, Shape, draw_shapes
from benben.sample.page import Page, Paragraph
from benben.sample.shape_pages import grammar, shape_pages

PAGES = shape_pages(120, 7)


def phrases(page: Page) -> str:
    texts = [block.text for block in page.blocks if isinstance(block, Paragraph)]
    return " ".join(texts + [picture.caption for picture in page.pictures()])


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_is_drawn_in_its_colour_at_its_place(shape: str) -> None:
    image = draw_shapes([Shape(shape, "red", "large", "bottom-right")], "white", 200, 160)
    pixels = image.load()
    red = [(x, y) for x in range(200) for y in range(160) if pixels[x, y] == RGB["red"]]
    assert 300 < len(red) < 8000
    assert min(x for x, _ in red) > 95
    assert min(y for _, y in red) > 70


@pytest.mark.parametrize("page", PAGES[:40], ids=lambda page: page.path)
def test_every_picture_is_named_in_the_text(page: Page) -> None:
    assert len(page.pictures()) >= 2
    text = phrases(page).casefold()
    for picture in page.pictures():
        assert text.count(picture.alt.casefold()) >= 2


def test_pages_vary_in_colour_shape_and_place() -> None:
    words = grammar()["en"]
    text = " ".join(phrases(page) for page in PAGES if page.lang == "en")
    for colour in COLOURS:
        assert sum(f"{colour} {words['shapes'][shape]}" in text for shape in SHAPES) > 6
    assert all(phrase in text for places in words["where"].values() for phrase in places)


def test_no_placeholder_is_left_and_no_paragraph_comes_twice() -> None:
    assert "{" not in "".join(phrases(page) + page.title for page in PAGES)
    paragraphs = [b.text for page in PAGES for b in page.blocks if isinstance(b, Paragraph)]
    assert len(set(paragraphs)) > 0.99 * len(paragraphs)
