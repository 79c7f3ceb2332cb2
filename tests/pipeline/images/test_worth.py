"""Image worth: words around images, looks of pictures, and what the model learns of pairs."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from benben.pipeline import config
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.images.worth import look, saved
from benben.pipeline.images.worth.model import LEAST_PAIRS, REFERENCES, Model, Pair, fold_of
from benben.pipeline.images.worth.vectors import Picture, picture, text
from benben.pipeline.images.worth.words import (
    NEAR_WORDS,
    Around,
    around_images,
    name_words,
    overlap,
    words,
)

COLOURS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 200)}
FILLER = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def around(*nodes: tuple[str, str]) -> list[Around]:
    """What stands around the images of a page; of an image the second text is its caption."""
    kinds = [kind for kind, _ in nodes]
    texts = [own if kind == "text" else None for kind, own in nodes]
    captions = [own if kind == "image" else None for kind, own in nodes]
    return list(around_images(kinds, texts, captions))


def test_words_are_letters_in_lower_case_and_pairs_in_scripts_without_spaces() -> None:
    assert words("The 2 old_owls, Owl's") == ["the", "old", "owls", "owl", "s"]
    assert words("猫头鹰 x ネコ") == ["猫头", "头鹰", "x", "ネコ"]
    assert words("猫") == ["猫"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://red.example/blue/RedBoat-02_final.v2.jpeg?w=green", ["red", "boat", "final"]),
        ("https://e.com/%E7%8C%AB%E5%A4%B4.png", ["猫头"]),
        ("https://e.com/0027-1.jpg", []),
        ("https://e.com/", []),
        ("https://[bad/boat.png", []),
    ],
)
def test_a_name_is_that_of_the_file_without_host_folders_and_query(
    url: str, expected: list[str]
) -> None:
    assert name_words(url) == expected


def test_texts_are_read_from_the_image_away_on_both_sides() -> None:
    long = " ".join(f"w{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    one, two = around(
        ("text", long), ("text", "b c"), ("image", "own"), ("text", "own"), ("text", "d"),
        ("image", ""), ("text", long + " end"), ("text", long),
    )  # fmt: skip
    assert one.before[:4] == ("c", "b", "wz", "wy")
    assert one.after[:3] == ("own", "d", "wa")
    assert "own" not in one.others
    assert {"b", "d"} <= one.others
    assert len(two.after) == NEAR_WORDS
    assert two.after[25:28] == ("wz", "end", "wa")
    assert (one.position, two.position) == (2 / 6, 4 / 6)
    assert overlap(["b", "x", "b"], one.others) == 1 / 2
    assert overlap([], one.others) is None


def test_a_look_tells_colours_and_edges_whatever_the_mode() -> None:
    size = sum(look.GROUPS)
    for mode in ("RGB", "L", "P", "RGBA", "1", "CMYK"):
        measured = look.measure(Image.new("RGB", (50, 20), (250, 250, 250)).convert(mode))
        assert len(measured) == size, mode
        assert min(measured) >= 0, mode
        assert max(measured) <= 1, mode
    red, blue = (look.measure(Image.new("RGB", (9, 9), COLOURS[one])) for one in ("red", "blue"))
    assert np.argmax(red[: look.GROUPS[0]]) == 3 * 16
    assert np.argmax(blue[: look.GROUPS[0]]) == 3
    striped = Image.new("L", (32, 32))
    striped.paste(255, (8, 0, 16, 32))
    start = sum(look.GROUPS[:2])
    edges = np.array(look.measure(striped)[start : start + look.GROUPS[2]]).reshape(-1, 8)
    assert edges[:, 0].sum() > 0
    assert not edges[:, 1:].any()


def made(colour: str, name: str, number: int) -> Picture:
    drawn = Image.new("RGB", (40, 30), COLOURS[colour])
    facts = {"width": 400, "height": 300, "num_bytes": 900, "entropy": 1.0, "flatness": 0.9}
    row = {"sha256": f"{colour}{number}", "look": look.measure(drawn), "blur": 1.0, **facts}
    return picture(f"https://e.com/{name}.png", row)


def pairs(number: int, names: Sequence[str] = ("1",)) -> list[Pair]:
    """Pages that name the colour of their picture; file names in turn."""
    chosen, found = random.Random(1), []
    for place in range(number):
        colour = chosen.choice(list(COLOURS))
        beside = Around((colour, *chosen.sample(FILLER, 5)), tuple(chosen.sample(FILLER, 5)),
                        frozenset(), 0.5)  # fmt: skip
        vector = text(beside)
        assert vector is not None
        name = names[place % len(names)]
        found.append(Pair(f"https://e.com/{place}", made(colour, name, place), vector))
    return found


def trained(some: Sequence[Pair]) -> Model:
    model = Model.train(some)
    assert model is not None
    return model


def test_a_picture_of_the_named_colour_is_worth_more_than_one_of_another() -> None:
    some = pairs(150)
    model = trained(some)
    others = {colour: made(colour, "x", -1) for colour in COLOURS}
    for pair in some[:40]:
        own, *strange = model.worth(
            [pair.picture, *(o for c, o in others.items() if c not in pair.picture.sha256)],
            pair.text, pair.page,
        )  # fmt: skip
        assert own > 0 > max(strange)


def test_worth_does_not_depend_on_the_order_of_pairs_or_on_what_is_measured_with_it() -> None:
    some = pairs(120)
    model, again = trained(some), trained(some[::-1])
    together = model.worth([one.picture for one in some[:9]], some[0].text, some[0].page)
    assert len(model.references) == REFERENCES
    for place in range(9):
        alone = again.worth([some[place].picture], some[0].text, some[0].page)
        assert alone[0] == together[place]


def test_a_model_is_stored_and_read_without_a_change() -> None:
    model, pair = trained(pairs(80)), pairs(81)[-1]
    data = saved.to_bytes(model)
    again = saved.from_bytes(data)
    assert saved.to_bytes(again) == data
    given = [pair.picture], pair.text, pair.page
    assert again.worth(*given)[0] == model.worth(*given)[0]


def test_a_page_is_measured_by_a_model_that_did_not_see_it() -> None:
    some = pairs(120)
    strange = some[0].page
    changed = [
        Pair(one.page, made("green", "other", place), one.text) if one.page == strange else one
        for place, one in enumerate(some)
    ]
    before, after = trained(some), trained(changed)
    space = [model.spaces[fold_of(strange)] for model in (before, after)]
    scaled = [model.scaling for model in (before, after)]
    assert scaled[0].means[0] == pytest.approx(scaled[1].means[0], abs=0.02)
    # Only the scaling, common to all folds, moves a little.
    assert space[0].text_mean == pytest.approx(space[1].text_mean)
    assert space[0].picture_mean == pytest.approx(space[1].picture_mean, abs=0.05)


def test_names_that_the_text_has_count_rare_ones_more() -> None:
    model = trained(pairs(100, FILLER))
    beside = text(Around(("zebra", "one"), ("two",), frozenset(), 0.5))
    assert beside is not None
    named = [made("red", name, number) for number, name in enumerate(("zebra", "one", "quux", ""))]
    rare, common, strange, none = model.measures(named, beside, 0)[:, 0]
    assert rare > strange
    assert none == 0
    assert common > strange


def test_a_run_with_few_pairs_has_no_model_and_a_text_without_words_no_vector() -> None:
    assert Model.train(pairs(LEAST_PAIRS - 1)) is None
    assert text(Around((), (), frozenset(), 0.0)) is None


@pytest.mark.parametrize("wanted", [True, False])
def test_the_fetch_measures_a_look_at_the_one_decode_if_it_is_asked_to(wanted: bool) -> None:
    settings = config.load("default", ["input=[x]", f"fetch.look={wanted}"]).fetch
    processor = ImageProcessor(settings, OptOutLists(settings.consent))
    out = io.BytesIO()
    Image.new("RGB", (300, 200), COLOURS["red"]).save(out, "PNG")
    outcomes = [Outcome("https://e.com/a", "https://e.com/a") for _ in range(2)]
    for outcome in outcomes:
        processor.process(out.getvalue(), outcome)
        processor.remember(outcome)  # equal bytes are not decoded again
    looks = [outcome.row()["look"] for outcome in outcomes]
    assert looks[0] == looks[1]
    assert (looks[0] is not None) == wanted
    if wanted:
        assert looks[0] == look.measure(Image.new("RGB", (300, 200), COLOURS["red"]))
    assert processor.decoder.decodes == 1
