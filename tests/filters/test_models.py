"""Model files: perplexity as CCNet has it, quality, and clear errors before a job starts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benben.filters.decide import decide_batch
from benben.filters.signals import models
from benben.filters.signals.text import character_tables
from benben.filters.signals.wordlists import hash_list
from benben.pipeline import language
from benben.pipeline.language import ModelError
from benben.pipeline.settings.signals import PerplexityModel, QualityModel
from tests.filters.pages import SETTINGS, measure, page, rules, text

# log10 probabilities of the words below, of others, and of the line's end; KenLM wants a bigram
ARPA = """\\data\\
ngram 1=6
ngram 2=1

\\1-grams:
-99\t<s>\t0
-1.0\t</s>\t0
-3.0\t<unk>\t0
-0.5\towl\t0
-0.7\tсова\t0
-0.25\t000\t0

\\2-grams:
-0.2\towl сова

\\end\\
"""


@pytest.fixture
def arpa(tmp_path: Path) -> str:
    path = tmp_path / "small.arpa"
    path.write_text(ARPA)
    return str(path)


def with_models(**models_by_language: str) -> Any:
    chosen = {code: PerplexityModel(path=path) for code, path in models_by_language.items()}
    return SETTINGS.model_copy(update={"perplexity": chosen})


def test_a_line_is_scored_by_its_words_and_its_end(arpa: str) -> None:
    model = models.load_perplexity(PerplexityModel(path=arpa))
    assert model.score("owl owl") == (pytest.approx(-0.5 * 2 - 1.0), 3)
    assert model.score("сова\nсова 123") == (pytest.approx(-3.0 - 0.25 - 1.0), 3)


def test_normalisation() -> None:
    assert models.normalise(" «Ab»\u00a0１9 — x…\x07 ") == '"Ab" 00  -  x...'


def test_a_documents_perplexity_is_that_of_the_paragraphs_it_keeps(arpa: str) -> None:
    first, second = "The owl slept in the old barn and owl owl", "owl owl"
    signals = measure(page(text(first), text(second)), settings=with_models(en=arpa))
    judged = rules(text_node={"words": {"min": 3}}, document={"perplexity": {"max": 0}})
    found = decide_batch(signals, judged).to_pylist()[0]
    expected = 10 ** ((0.5 * 3 + 3.0 * 7 + 1.0) / 11)
    assert found["values"] == [pytest.approx(expected, rel=1e-5)]


def test_a_language_without_a_model_is_not_judged(arpa: str) -> None:
    signals = measure(page(text("The owl slept in the barn")), settings=with_models(ru=arpa))
    judged = rules(document={"perplexity": {"max": 0}})
    assert decide_batch(signals, judged).to_pylist()[0]["unjudged"] == [
        "document.perplexity.unmeasured"
    ]


def test_a_linear_model_scores_pages_by_the_mean_weight_of_their_words(tmp_path: Path) -> None:
    tables = character_tables(SETTINGS.punctuation, SETTINGS.terminal)
    weights = np.zeros(1 << 16)
    slot = int(hash_list(["owl"], tables).by_length[1][0] & np.uint64((1 << 16) - 1))
    weights[slot] = 3.0
    path = str(tmp_path / "quality.npz")
    np.savez(path, weights=weights, bias=-0.5)
    settings = SETTINGS.model_copy(update={"quality": QualityModel(path=path)})
    found = measure(page(text("An owl!")), page(text("Nothing")), settings=settings)
    expected = [1 / (1 + math.exp(-(-0.5 + 1.5))), 1 / (1 + math.exp(0.5))]
    assert found.column("quality").to_pylist() == pytest.approx(expected)


def test_missing_and_broken_models_are_told_together(tmp_path: Path) -> None:
    broken = tmp_path / "broken.bin"
    broken.write_bytes(b"no model")
    settings = with_models(en=str(tmp_path / "none.arpa"), de=str(broken)).model_copy(
        update={"language_model": str(broken), "quality": QualityModel(path="s3://b/q.npz")}
    )
    with pytest.raises(ModelError) as caught:
        models.require(settings)
    told = str(caught.value)
    for part in ("none.arpa: no such model file", "not a KenLM", "not a fastText", "s3://b/q.npz"):
        assert part in told
    assert models.table(models.check(settings)).count("broken ") == 4


def test_the_shipped_model_is_listed_and_works() -> None:
    (status,) = models.check(SETTINGS)
    assert (status.use, status.problem) == ("language", None)
    assert "ok" in models.table([status])
    found = language.identify(
        [
            "The owl slept in the barn.",
            "Сова спала в сарае.",
            "我们在公园里看到了一只猫头鹰。",
            " ",
        ],
        language.load(),
    )
    assert [label for label, _ in found] == ["en", "ru", "zh", "und"]
    assert all(0 <= score <= 1 for _, score in found)
