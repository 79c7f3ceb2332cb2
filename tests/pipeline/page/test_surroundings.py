"""Words of blocks: keys, how they sound, and runs of words that a page holds twice."""

from __future__ import annotations

import numpy as np
import pytest

from benben.pipeline.hash_tables import Table, make_table
from benben.pipeline.page.dom.columns import CHARS
from benben.pipeline.page.score.features import FEATURES, describe
from benben.pipeline.page.score.surroundings import (
    _MOST,
    NO_WEIGHTS,
    READ,
    SCALE,
    Words,
    pair_key,
    read_words,
    sound,
)
from tests.pipeline.page.test_content_score import walked


def words(html: str) -> Words:
    page = walked(html)
    return read_words(page.blocks, np.frombuffer(page.text, np.uint8))


def keys(text: str) -> list[int]:
    return words(f"<p>{text}").keys.tolist()


def weights(**of_words: float) -> Table:
    """Weights of single words."""
    numbers = [round(weight * SCALE) for weight in of_words.values()]
    return make_table(np.array([keys(word)[0] for word in of_words]), np.array(numbers, np.int16))


def test_words_are_runs_of_letters_and_pairs_of_letters_without_spaces() -> None:
    assert keys("One, two-ONE 2 one") == [keys(word)[0] for word in ("one", "two", "one", "one")]
    assert len(keys("漢字仮名")) == 3
    assert keys("漢字a字") == [*keys("漢字"), *keys("a")]
    assert keys("école") == keys("école.") != keys("ecole")
    assert keys("1 2 3 ...") == []


def test_only_the_beginning_of_a_text_is_read() -> None:
    assert len(keys("ab " * READ)) == READ // 3
    assert words("<p>a b<p><p>c").starts.tolist() == [0, 2, 3]


def test_a_page_gives_so_many_words_and_no_more() -> None:
    text = "<p>" + "a " * (READ // 2)
    found = words(text * (2 * _MOST // READ + 9))
    assert len(found.keys) == _MOST == found.starts[-1]
    assert (np.diff(found.starts) >= 0).all()


def test_a_text_sounds_like_its_words_and_pairs() -> None:
    table = weights(rain=1.0, subscribe=-3.0)
    assert sound(np.array(keys("rain")), table) == pytest.approx(1)
    assert sound(np.array(keys("Rain, subscribe!")), table) == pytest.approx(-2 / np.sqrt(3))
    assert sound(np.array(keys("river")), table) == sound(np.zeros(0, np.int64), table) == 0
    pair = np.array(keys("read more"))
    of_pair = make_table(np.array([pair_key(*pair.tolist())]), np.array([SCALE], np.int16))
    assert sound(pair, of_pair) == pytest.approx(1 / np.sqrt(3))
    assert sound(pair[::-1].copy(), of_pair) == 0


def column(html: str, name: str, table: Table = NO_WEIGHTS) -> list[float]:
    found: list[float] = describe(walked(html), None, table).rows[:, FEATURES.index(name)].tolist()
    return found


def test_blocks_know_how_their_neighbours_and_elements_sound() -> None:
    html = "<div><p>rain<p>rain</div><div><p>menu<p>menu</div>"
    table = weights(rain=1.0)
    assert column(html, "wording", table) == pytest.approx([1, 1, 0, 0])
    assert column(html, "wording_near1", table) == pytest.approx([1, 2 / 3, 1 / 3, 0], abs=0.01)
    assert column(html, "wording_page", table) == pytest.approx([0.5] * 4, abs=0.01)
    assert column(html, "wording_up1", table) == pytest.approx([1, 1, 0, 0], abs=0.01)
    assert column(html, "wording_up2", table) == pytest.approx([0.5] * 4, abs=0.01)


def test_blocks_know_what_the_page_said_before_and_says_again() -> None:
    text = "it rose for three days"
    html = f"<p>When {text}<p>{text} and took the bridge<p>so it goes<p>{text}"
    assert column(html, "said_before") == pytest.approx([0, 2 / 6, 0, 1])
    assert column(html, "said_after") == pytest.approx([2 / 3, 2 / 6, 0, 0])


def test_a_run_within_one_block_is_no_copy() -> None:
    assert column("<p>" + "a b c d " * 9, "said_before") == [0]


def test_every_block_has_finite_features_on_an_empty_page_of_images() -> None:
    page = walked("<img src=a.png><img src=b.png>")
    found = describe(page, None, NO_WEIGHTS)
    assert page.blocks[:, CHARS].tolist() == [0, 0]
    assert np.isfinite(found.rows).all()
