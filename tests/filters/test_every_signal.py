"""Every signal of the catalogue on one page in three scripts, with values worked out by hand.

The page shows its five-line paragraph twice (the second time as boilerplate) and two images with
one URL. Counts that several values are made of stand in COUNTS.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benben.filters.decide import decide_batch
from benben.filters.declaration import SCOPES
from benben.filters.signal_table import CATALOGUE, measure_batch
from benben.filters.signals import page as page_signals
from benben.filters.signals.text import character_tables
from benben.filters.signals.wordlists import hash_list
from benben.pipeline.images import image_facts
from benben.pipeline.settings.signals import PerplexityModel, QualityModel
from tests.filters.pages import SETTINGS, batch, image, page, rules, text

END = "8.8.8.8\n+44 20 7946 0958 AKIAIOSFODNN7EXAMPLE"


def lines(owl: str, full_stop: str, last: str) -> str:
    return "\n".join([f"- {owl}{full_stop}", f"{owl}…", f"{owl}…", f"{last} {END}"])


PARAGRAPHS = {
    "en": lines("The old owl # sleeps", ".", "share a@b.org to"),
    "ru": lines("Старая сова # спит", ".", "почта a@b.org и"),
    "zh": lines("老猫头鹰 # 睡觉", "。", "邮箱 a@b.org 和"),
}
ALTS = {"en": "an old owl", "ru": "старая сова", "zh": "老猫头鹰"}
CAPTIONS = {"en": "The owl of 1998", "ru": "Сова, 1998", "zh": "猫头鹰 1998"}
URL = "https://e.com/logo.jpg"
FACTS = {"width": 400, "height": 200, "format": "jpeg", "num_bytes": 5000, "blur": 12.5,
         "entropy": 6.0, "flatness": 0.25, "worth": 1.5, "page_worth": 0.5,
         "alt_overlap": 0.5, "caption_overlap": 0.75, "name_overlap": 0.0,
         "position": 1.0}  # fmt: skip
KNOWN = {"reason", "nsfw", *FACTS}
# Of the paragraph. Letters and marks are `chars` without `special`; all words have a letter.
COUNTS: dict[str, dict[str, int]] = {
    "en": {"chars": 130, "words": 16, "word_chars": 79, "special": 54, "tokens": 31, "upper": 22,
           "stop": 7, "common": 14, "twice": 21, "lines": 126},
    "ru": {"chars": 123, "words": 13, "word_chars": 75, "special": 51, "tokens": 28, "upper": 22,
           "stop": 1, "common": 11, "twice": 19, "lines": 119},
    "zh": {"chars": 93, "words": 23, "word_chars": 48, "special": 48, "tokens": 25, "upper": 19,
           "stop": 1, "common": 21, "twice": 10, "lines": 89},
}  # fmt: skip
# 10-grams of characters: "The old owl # sleeps" has 11 that occur three times, "\nThe old o" and
# two at the lines' ends occur twice: of 121 grams 96 differ, so the nine most frequent count.
# Of the whole page everything occurs twice as often. 老猫头鹰 # 睡觉 is too short for a 10-gram.
CHAR_REPETITION = {"en": (27 / 121, 54 / 242), "ru": (27 / 114, 54 / 228), "zh": (6 / 84, 24 / 168)}
WORD_REPETITION = {"en": 8 / 12, "ru": 4 / 9, "zh": 14 / 19}
PERPLEXITY = {"en": 10 ** (56.5 / 22), "ru": 10 ** (48.1 / 19), "zh": 10 ** (46 / 16)}
OWLS = {"en": 3 / 16, "ru": 3 / 13, "zh": 3 / 23}  # owl, сова, 猫 among the words
TOP_GRAMS = {  # characters of the most frequent, the longest of those, of all words' characters
    "en": (6 * 9 / 158, 6 * 12 / 158, 6 * 15 / 158),
    "ru": (6 * 10 / 150, 6 * 14 / 150, 4 * 20 / 150),
    "zh": (6 * 2 / 96, 6 * 3 / 96, 6 * 4 / 96),
}
ARPA = """\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-99\t<s>\t0
-1.0\t</s>\t0
-3.0\t<unk>\t0
-0.5\towl\t0
-0.7\tсова\t0

\\2-grams:
-0.2\towl сова

\\end\\
"""


def both_scopes(code: str, times: int) -> dict[str, float | None]:
    """Text signals of the paragraph (`times` 1) and of the page that shows it twice (2)."""
    n, page_ = COUNTS[code], times == 2
    chars, words = times * n["chars"] + 2 * page_, times * n["words"]
    special = times * n["special"] + 2 * page_  # the page's blank line
    repeated_lines = (1 + 5) / 10 if page_ else 1 / 5
    twice = n["twice"] + n["lines"] if page_ else n["twice"]
    return {
        "words": words,
        "chars": chars,
        "char_repetition": CHAR_REPETITION[code][times - 1],
        "word_repetition": 1.0 if page_ else WORD_REPETITION[code],
        "special_ratio": special / chars,
        "stopword_ratio": n["stop"] / n["words"],
        "flagged_word_ratio": 0.0,
        "common_word_ratio": n["common"] / n["words"],
        "spam_word_ratio": 1 / 16 if code == "en" else None,  # "share"; others have no list
        "punctuation_ratio": 5 / n["tokens"],
        "tokens": times * n["tokens"],
        "perplexity": PERPLEXITY[code],
        "mean_word_length": n["word_chars"] / n["words"],
        "alpha_word_ratio": 1.0,
        "symbol_ratio": 5 / n["words"],
        "upper_ratio": times * n["upper"] / chars,
        "digit_ratio": times * 17 / chars,
        "lines": times * 5,
        "terminal_line_ratio": 1 / 5,
        "short_line_ratio": 4 / 5,
        "bullet_line_ratio": 1 / 5,
        "ellipsis_line_ratio": 2 / 5,
        "duplicate_line_ratio": repeated_lines,
        "duplicate_line_char_ratio": twice / chars,
        **dict.fromkeys(("emails", "ips", "phones", "credentials"), times),
    }


def expected(scope: str, code: str) -> dict[str, Any]:
    """Every signal of a scope: of the first paragraph, of the first image, of the page."""
    if scope == "text_node":
        of_node = {"link_share": 0.5, "content_score": 0.9, "comment": 1, "kind": "text"}
        ratios = {"link_ratio": 0.5, "boilerplate_ratio": 0.0}
        return both_scopes(code, 1) | {"duplicate": 0} | of_node | ratios
    if scope == "image_node":
        words = {"en": (3, 4), "ru": (2, 2), "zh": (1, 2)}[code]
        sizes = {"rendered_width": 640, "rendered_height": 480, "aspect_ratio": 2.0, "nsfw": 0.1}
        return {"content_score": 0.8, "in_figure": 0, "url_words": 1, "url_format": "jpeg",
                "duplicate": 0, "alt_words": words[0], "caption_words": words[1],
                "in_metadata": 1, "link_target": "other_host",
                **sizes, **FACTS}  # fmt: skip
    chars, whole = COUNTS[code]["chars"], 2 * COUNTS[code]["chars"] + 2
    top = {f"top_{size}gram_ratio": TOP_GRAMS[code][size - 2] for size in (2, 3, 4)}
    all_repeated = {f"duplicate_{size}gram_ratio": 1.0 for size in range(5, 11)}
    return both_scopes(code, 2) | top | all_repeated | {
        "images": 2, "image_nodes": 2, "text_nodes": 2, "opt_outs": 1, "truncated": 1,
        "nsfw_images": 1,
        "words_per_image": COUNTS[code]["words"], "image_text_ratio": 1.0,
        "duplicate_paragraph_ratio": 1 / 2, "duplicate_paragraph_char_ratio": chars / whole,
        "boilerplate_ratio": chars / whole, "link_ratio": chars / 2 / whole,
        "alt_ratio": 1 / 2, "caption_ratio": 1 / 2, "line_word_ratio": 5 / COUNTS[code]["words"],
        "language": code, "language_score": 0.9, "curly_brackets": 0, "lorem_ipsum": 0,
        "page_type": "forum", "confidence": 0.75,
        "gopher_stop_words": 2 if code == "en" else 0,  # the, to
        "quality": 1 / (1 + math.exp(0.5 - 3 * OWLS[code])),
    }  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The default settings with a language model and a quality model of a few words."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "small.arpa").write_text(ARPA)
    weights = np.zeros(1 << 16)
    tables = character_tables(SETTINGS.punctuation, SETTINGS.terminal)
    for one in hash_list(["owl", "сова", "猫"], tables).by_length[1]:
        weights[int(one & np.uint64(len(weights) - 1))] = 3.0
    np.savez(folder / "quality.npz", weights=weights, bias=-0.5)
    perplexity = dict.fromkeys(PARAGRAPHS, PerplexityModel(path=str(folder / "small.arpa")))
    quality = QualityModel(path=str(folder / "quality.npz"))
    return SETTINGS.model_copy(update={"perplexity": perplexity, "quality": quality})


def measured(code: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> pa.RecordBatch:
    """Signals of the page in one language."""
    monkeypatch.setattr(page_signals, "_identify", lambda *_: ([code], [0.9]))
    shown = PARAGRAPHS[code]
    made = page(
        text(shown, link_share=0.5, content_score=0.9, comment=True),
        image(
            URL,
            width=640,
            height=480,
            alt=ALTS[code],
            caption=CAPTIONS[code],
            content_score=0.8,
            link_target="other_host",
        ),
        text(shown, content_score=0.2),
        image(URL),
        opt_outs=["robots-meta:noai"],
        truncated="length",
        page_images=[URL],
        page_type="forum",
        confidence=0.75,
    )
    return measure_batch(batch(made), settings)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("code", PARAGRAPHS)
def test_value_by_hand(
    scope: str, code: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = measured(code, settings, monkeypatch)
    kinds = {field.name: field.type for field in image_facts.FACTS if field.name in KNOWN}
    known = [[{**FACTS, "nsfw": 0.1}, {**FACTS, "nsfw": 0.9}]]
    facts = pa.array(known, pa.list_(pa.struct(kinds.items())))
    by_hand = expected(scope, code)
    assert by_hand.keys() == CATALOGUE[scope].keys()  # type: ignore[index]
    for name, value in by_hand.items():
        bounds = {"one_of": ["none"]} if isinstance(value, str) else {"max": -1}
        judged: dict[str, Any] = {scope: {name: bounds}}
        if name == "nsfw_images":
            judged["image_node"] = {"nsfw": {"max": 0.5}}
        verdict = decide_batch(signals, rules(**judged), facts).to_pylist()[0]
        if value is None:
            assert verdict["unjudged"] == [f"{scope}.{name}.unmeasured"]
        elif isinstance(value, str):
            kept = decide_batch(signals, rules(**{scope: {name: {"one_of": [value]}}}), facts)
            assert verdict["reasons"] or verdict["dropped"], name
            assert kept.to_pylist()[0]["kept"], name
            assert kept.to_pylist()[0]["dropped"] == [], name
        elif scope == "document":
            assert verdict["values"] == [pytest.approx(value, rel=1e-5)], name
        else:
            assert verdict["dropped"][0]["value"] == pytest.approx(value, rel=1e-5), name
