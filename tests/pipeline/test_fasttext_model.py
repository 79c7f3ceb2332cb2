"""fastText's models applied in compiled code give what fastText's library gives."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import fasttext
import pytest

from benben.pipeline import fasttext_model, language
from benben.pipeline.language import ModelError

# fastText's own names, an end of a line inside a text, and all that separates words.
ODD = [
    "</s>", "owl </s> barn", "__label__en", "__label__xx owl", "owl\0barn\tin\r\vthe\f wood",
    "a", "好 我 é", "🦉", "<owl>", "", " ", "qqqq",
]  # fmt: skip
WORDS = {
    "en": ["the", "owl", "slept", "in", "an", "old", "barn", "and", "woke", "at", "night"],
    "de": ["die", "eule", "schlief", "über", "der", "alten", "scheune", "und", "wachte", "nachts"],
    "ru": ["сова", "спала", "в", "старом", "сарае", "и", "просыпалась", "ночью"],
}


def texts(number: int, seed: int) -> list[str]:
    """Random lines of one language each, with a label before them."""
    chance = random.Random(seed)
    chosen = [chance.choice(list(WORDS)) for _ in range(number)]
    return [f"__label__{one} " + " ".join(chance.choices(WORDS[one], k=8)) for one in chosen]


def train(folder: Path, **settings: Any) -> Any:
    lines = folder / "lines.txt"
    lines.write_text("\n".join(texts(300, 1)), encoding="utf-8")
    chosen = {
        "dim": 6,
        "lr": 0.5,
        "epoch": 20,
        "minn": 2,
        "maxn": 4,
        "bucket": 500,
        "thread": 1,
        "verbose": 0,
    }
    return fasttext.train_supervised(str(lines), **{**chosen, **settings})


def same_as_library(path: str) -> None:
    own, library = fasttext_model.read(path), fasttext.FastText._FastText(model_path=path)
    assert own is not None
    asked = [*ODD, *(text.split(" ", 1)[1] for text in texts(50, 2))]
    for text, found in zip(asked, own.best(asked), strict=True):
        predicted = library.f.predict(text, 1, 0.0, "strict")
        expected = (
            (predicted[0][1], pytest.approx(predicted[0][0], abs=2e-6)) if predicted else None
        )
        assert found == expected, text


@pytest.mark.parametrize("settings", [
    {"loss": "hs"}, {"loss": "softmax"}, {"minn": 0, "maxn": 0}, {"minn": 1, "maxn": 2}, {"dim": 1},
])  # fmt: skip
def test_a_model_gives_what_the_library_gives(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = str(tmp_path / "model.bin")
    train(tmp_path, **settings).save_model(path)
    same_as_library(path)


@pytest.mark.parametrize("settings", [
    {"dsub": 2}, {"dsub": 4, "qnorm": True}, {"cutoff": 300}, {"cutoff": 280, "qnorm": True},
])  # fmt: skip
def test_a_compressed_model_does_too(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = str(tmp_path / "model.ftz")
    model = train(tmp_path, loss="hs")
    model.quantize(**settings)
    model.save_model(path)
    same_as_library(path)


@pytest.mark.parametrize("settings", [{"wordNgrams": 2}, {"loss": "ova"}])
def test_models_of_other_kinds_are_left_to_the_library(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    path = str(tmp_path / "model.bin")
    train(tmp_path, **settings).save_model(path)
    assert fasttext_model.read(path) is None
    found = language.identify(["The old owl", "старом сарае", ""], language.load(path))
    assert [label for label, _ in found] == ["en", "ru", "und"]


def test_a_model_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "model.bin"
    train(tmp_path, loss="hs").save_model(str(whole))
    for size in (0, 4, 40, 90, 300, 5000):
        short = tmp_path / f"{size}.bin"
        short.write_bytes(whole.read_bytes()[:size])
        assert fasttext_model.read(str(short)) is None
    with pytest.raises(ModelError):
        language.load(str(tmp_path / "0.bin"))
