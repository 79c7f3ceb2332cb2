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
    PAGE_FEATURES,
    WEIGHTS,
    ContentModel,
    best_cut,
    describe_page,
    even_out,
    lift_images,
    lower_copies,
    lower_hidden,
    recentre,
)
from benben.pipeline.page.score.features import FEATURES, Blocks
from benben.pipeline.page.score.features import describe as describe_by
from benben.pipeline.page.score.surroundings import NO_WEIGHTS

PROSE = "The river rose for three days, and on the fourth it took the old bridge with it. " * 4


def walked(html: str) -> Walk:
    settings = default_settings()
    return walk(LexborHTMLParser(html).root, compile_plan(settings), settings.limits)


def describe(page: Walk, title: str | None) -> Blocks:
    """Features of blocks whose words weigh nothing."""
    return describe_by(page, title, NO_WEIGHTS)


def page(articles: int = 6, links: int = 12) -> str:
    menu = "".join(f"<li><a href=/{n}>Section {n}</a></li>" for n in range(links))
    body = "".join(f"<p>{PROSE}{number}.</p>" for number in range(articles))
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
    assert scores[f"{PROSE}0."] > 0.5 > scores["Section 3"]
    assert next(document.images()).content_score > 0.5
    assert "Section" not in document.main_text()


def test_score_can_be_left_out() -> None:
    settings = default_settings().model_copy(update={"content_score": False})
    document = extract_page(page(), "https://ex.org/", settings=settings)
    assert {node.content_score for node in document.nodes} == {None}
    assert (document.page_type, document.confidence) == (None, None)


def test_a_page_has_a_type_and_a_confidence() -> None:
    article = extract_page(page(), "https://ex.org/news/2024/05/the-river")
    posts = "".join(
        f"<div class=post><span class=username>u{n}</span><p>{PROSE[:90]}</p></div>"
        for n in range(9)
    )
    forum = extract_page(
        f"<title>Boats</title><h1>Boats</h1><div class=thread>{posts}</div>",
        "https://forum.ex.org/viewtopic.php?t=7",
    )
    assert (article.page_type, forum.page_type) == ("article", "forum")
    assert all(0 < page.confidence < 1 for page in (article, forum) if page.confidence)
    assert article.confidence is not None
    assert article.confidence > 0.8
    empty = extract_page("<title>a</title>", "https://ex.org/")
    assert (empty.page_type, empty.confidence) == (None, None)


@pytest.mark.parametrize("url", ["", "no address", "http://[::1", "https://ex.org/" + "a/" * 9000])
def test_any_address_has_features(url: str) -> None:
    blocks = describe(walked(page()), None)
    found = describe_page(blocks.rows, blocks.lengths, url)
    assert found.shape == (len(PAGE_FEATURES),)
    assert np.isfinite(found).all()


def column(html: str, name: str) -> list[float]:
    """A feature of each block of a page."""
    rows: list[float] = describe(walked(html), None).rows[:, FEATURES.index(name)].tolist()
    return rows


@pytest.mark.parametrize(
    "label",
    [
        "Related articles",
        "ÄHNLICHE ARTIKEL",
        "Похожие статьи",
        "相关文章",
        "関連記事",
        "Similaires",
    ],
)
def test_a_label_counts_for_the_element_that_it_begins(label: str) -> None:
    html = f"<h1>The river</h1><p>{PROSE}<div><p>{label}<p>One<p>Two</div><p>{PROSE}"
    assert column(html, "section_related") == [0, 0, 1, 1, 1, 0]
    assert column(html, "label_related")[2] > 0


def test_a_heading_counts_until_the_next() -> None:
    html = "<h2>Reviews</h2><p>Good.<p>Bad.<h2>The bridge</h2><p>Old."
    assert column(html, "heading_review") == [1, 1, 1, 0, 0]
    assert column(html, "heading_distance")[:3] == pytest.approx(np.log1p([0, 1, 2]).tolist())


def test_cards_of_one_shape_are_one_list() -> None:
    tile = "<div class=product><p>Boat</p><p>10.00</p></div>"
    html = f"<p>Shop</p><div>{tile * 4}</div><div class=other><p>One</p></div>"
    sizes = column(html, "card1_cards")
    assert sizes == pytest.approx([0, *[np.log1p(4)] * 8, 0])
    assert column(html, "card1_place")[1:9] == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


def test_blocks_know_where_the_title_lies() -> None:
    html = "<div><p>Menu</p></div><main><h1>The river</h1><p>It rose.</p></main>"
    assert column(html, "after_title") == [0, 1, 1]
    assert column(html, "title_up") == pytest.approx([0.2, 0, 0.1])


@pytest.mark.parametrize(
    "part",
    [
        "<div id=comments><p>{}</p></div>",
        "<section class='user-comment-list'><p>{}</p></section>",
        "<section><h3>3 comments</h3><div><p>{}</p></div></section>",
        "<section><div><h2>Kommentare</h2></div><p>{}</p></section>",
        "<div><h3>评论</h3><p>{}</p></div>",
    ],
)
def test_reader_comments_have_a_flag(part: str) -> None:
    comment = "I saw it from my window."
    html = f"<h1>The river</h1><p>{PROSE}</p>{part.format(comment)}<p>{PROSE} End."
    flagged = [n.text for n in extract_page(html, "https://ex.org/a").nodes if n.comment]
    assert comment in flagged
    assert not any(text and PROSE[:20] in text for text in flagged)


def test_the_article_is_no_comment() -> None:
    html = f"<div class='has-comments'><h1>The river: 3 comments</h1><p>{PROSE}</p></div>"
    assert not any(node.comment for node in extract_page(html, "https://ex.org/a").nodes)


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


def test_a_text_that_the_page_says_again_is_main_content_once() -> None:
    scores = lower_copies(np.array([0.2, 0.9, 0.8, 0.9, 0.5]), np.array([0, 0, 0, -1, 0]))
    assert scores.tolist() == pytest.approx([0.2, 0.9, 0.1, 0.9, 0.25])


@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize(
    "hidden",
    ["<p hidden>{}</p>", "<div style='display: none'><p>{}</p></div>",
     "<p style='visibility:hidden'>{}</p>"],
)  # fmt: skip
def test_hidden_prose_in_a_visible_article_is_no_main_content(hidden: str, place: int) -> None:
    spam = "The cathedral was built by masons from Lombardy, and its bells were cast in a field."
    parts = [f"<p>{PROSE}{number}.</p>" for number in range(6)]
    parts.insert(place, hidden.format(spam))
    html = f"<article><h1>The river</h1>{''.join(parts)}</article>"
    text = extract_page(html, "https://ex.org/river").main_text()
    assert spam not in text
    assert text.count("fourth") == 24


def test_content_that_waits_for_a_script_stays() -> None:
    scores, lengths = np.array([0.9, 0.8, 0.9]), np.array([100, 400, 0])
    hidden = np.array([0, 1, 1], np.float32)
    assert lower_hidden(scores.copy(), hidden, lengths).tolist() == scores.tolist()
    found = lower_hidden(scores.copy(), hidden, np.array([400, 100, 0]))
    assert found.tolist() == pytest.approx([0.9, 0.1, 0.9])


def test_copies_are_told_from_texts_that_may_come_again() -> None:
    text = "The river rose for three days."
    html = f"<p>{text}<p>{text}<p>Yes.<p>Yes.<ul><li>{text}<li>{text}</ul><pre>{text}\n</pre>"
    copies = describe(walked(html), None).copies.tolist()
    assert copies[0] == copies[1] >= 0
    assert copies[2:] == [-1] * 5


def test_an_article_told_twice_is_kept_once() -> None:
    document = extract_page(page(), "https://ex.org/river")
    twice = extract_page(page().replace("<article>", f"<article>{page()}</article><article>"),
                         "https://ex.org/river")  # fmt: skip
    assert document.main_text().count("fourth") == twice.main_text().count("fourth")


def test_weights_for_other_features_are_refused(tmp_path: Path) -> None:
    with WEIGHTS.open("rb") as file, np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["features"] = arrays["features"][:-1]
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="train the content score again"):
        ContentModel.load(path)
