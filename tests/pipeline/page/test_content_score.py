"""The content score: named features, cuts, and a page with obvious boilerplate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from selectolax.lexbor import LexborHTMLParser

from benben import extract_page
from benben.pipeline.page.dom.elements import compile_plan
from benben.pipeline.page.dom.walk import Walk, walk
from benben.pipeline.page.extract import default_settings
from benben.pipeline.page.score.content_score import (
    WEIGHTS,
    ContentModel,
    best_cut,
    even_out,
    lift_images,
    recentre,
)
from benben.pipeline.page.score.features import FEATURES, describe

PROSE = "The river rose for three days, and on the fourth it took the old bridge with it. " * 4


def walked(html: str) -> Walk:
    settings = default_settings()
    return walk(LexborHTMLParser(html).root, compile_plan(settings), settings.limits)


def page(articles: int = 6, links: int = 12) -> str:
    menu = "".join(f"<li><a href=/{n}>Section {n}</a></li>" for n in range(links))
    body = "".join(f"<p>{PROSE}</p>" for _ in range(articles))
    return (
        f"<title>The river</title><body><div class=top><ul>{menu}</ul></div>"
        f"<article><h1>The river</h1>{body}<img src=r.jpg><p>{PROSE}</p></article>"
        f"<div class=sidebar-widget><ul>{menu}</ul></div>"
    )


def test_features_have_names_and_finite_values() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
    blocks = describe(walked(page()), "The river")
    assert blocks.rows.shape == (len(blocks.lengths), len(FEATURES))
    assert np.isfinite(blocks.rows).all()


def test_features_read_text_of_any_script() -> None:
    rows = describe(walked("<p>漢字、仮名。<p>Ends here.<p>𝄞 clef:<p>नमस्ते।"), None).rows
    ends = rows[:, FEATURES.index("ends")].tolist()
    assert ends == [1, 1, 0, 1]
    assert rows[2, FEATURES.index("colon")] == 1


def test_article_stands_out_from_menus() -> None:
    document = extract_page(page(), "https://ex.org/river")
    scores = {node.text: node.content_score for node in document.texts()}
    assert scores[PROSE.strip()] > 0.5 > scores["Section 3"]
    assert next(document.images()).content_score > 0.5
    assert "Section" not in document.main_text()


def test_score_can_be_left_out() -> None:
    settings = default_settings().model_copy(update={"content_score": False})
    nodes = extract_page(page(), "https://ex.org/", settings=settings).nodes
    assert {node.content_score for node in nodes} == {None}


def test_cut_maximises_expected_f1() -> None:
    odds = np.array([0.9, 0.8, 0.3, 0.05])
    lengths = np.array([100, 100, 100, 100])
    expected = [2 * odds[:count].sum() / (count + odds.sum()) for count in range(1, len(odds) + 1)]
    assert int(np.argmax(expected)) == 1
    assert best_cut(odds, lengths) == pytest.approx((0.8 + 0.3) / 2)
    assert best_cut(odds, np.zeros(4, np.int64)) == 0.5


def test_recentring_puts_the_cut_at_one_half_and_keeps_the_order() -> None:
    odds = np.array([0.1, 0.2, 0.6])
    assert recentre(odds, 0.2).tolist() == pytest.approx([4 / 13, 0.5, 6 / 7])


def test_blocks_of_one_kind_are_drawn_together() -> None:
    blocks = describe(walked("<ul><li>a<li>b</ul><p>c"), None)
    odds = even_out(np.array([0.9, 0.1, 0.7]), blocks.kinds, blocks.lengths, 1.0)
    assert odds.tolist() == pytest.approx([0.5, 0.5, 0.7])


def test_images_follow_the_texts_around_them() -> None:
    scores = lift_images(np.array([0.9, 0.1, 0.6, 0.2]), np.array([5, 0, 5, 5]))
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.6, 0.2])


def test_weights_for_other_features_are_refused(tmp_path: Path) -> None:
    with WEIGHTS.open("rb") as file, np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["features"] = arrays["features"][:-1]
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="train the content score again"):
        ContentModel.load(path)
