"""Fits to made runs, and what budgets buy."""

from __future__ import annotations

import json
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from benben.trainer.commands import cli
from benben.trainer.config import ConfigError
from benben.trainer.planning import scaling
from benben.trainer.planning.budget import Budget, choices, least_tokens

TRUE = scaling.CHINCHILLA
FLOP = 1e22


def made(seed: int = 0) -> list[scaling.Run]:
    """400 runs on a grid of sizes and tokens, as many as Chinchilla's, with 1% of noise."""
    random = np.random.default_rng(seed)
    return [
        scaling.Run(n, d, TRUE.loss(n, d) * float(np.exp(random.normal(0, 0.01))))
        for n in np.geomspace(1e7, 1.6e10, 16)
        for d in np.geomspace(2e8, 5e11, 25)
    ]


NAMES = ("e", "a", "alpha", "b", "beta")


def covered(runs: list[scaling.Run], law: scaling.Law) -> list[bool]:
    """Whether each number's interval, and the best size's, holds the truth."""
    laws = scaling.bootstrap(runs, law, 100)
    found = []
    for value in (*map(attrgetter, NAMES), lambda one: one.optimum(FLOP)[0]):
        low, high = scaling.interval(value(law), [value(one) for one in laws])
        found.append(low <= value(TRUE) <= high)
    return found


def test_made_runs_give_their_law_back() -> None:
    """The bar: exponents within 0.02, the best size within 10%, intervals that cover.

    18 intervals of 95%: one outside is what to expect, three come by chance in one of fifteen.
    """
    held: list[bool] = []
    for seed in (0, 1, 2):
        runs = made(seed)
        law = scaling.fit(runs)
        assert law.alpha == pytest.approx(TRUE.alpha, abs=0.02)
        assert law.beta == pytest.approx(TRUE.beta, abs=0.02)
        assert law.optimum(FLOP)[0] == pytest.approx(TRUE.optimum(FLOP)[0], rel=0.1)
        held += covered(runs, law)
    assert sum(held) >= 16


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 40 intervals of 95%, fewer than 34 hold the truth once in a hundred times."""
    total = np.zeros(len(NAMES) + 1)
    for seed in range(40):
        runs = made(seed)
        total += covered(runs, scaling.fit(runs))
    assert total.min() >= 34
    assert total.mean() >= 36


def test_optimum_is_the_least_loss() -> None:
    best, tokens = TRUE.optimum(FLOP)
    assert 6 * best * tokens == pytest.approx(FLOP)
    for factor in (0.9, 1.1):
        assert TRUE.loss(best * factor, tokens / factor) > TRUE.loss(best, tokens)


def test_compute_law() -> None:
    runs = [
        scaling.Run(n, 20 * n, (1e8 / (120 * n * n)) ** 0.05) for n in np.geomspace(1e7, 1e9, 5)
    ]
    scale, gamma = scaling.fit_compute(runs)
    assert (scale, gamma) == (pytest.approx(1e8), pytest.approx(0.05))


def test_blooms_budget() -> None:
    """18 weeks of 384 A100 at 150 TFLOP/s: 445 billion tokens for 176 billion parameters."""
    budget = Budget(1_161_261, 150)
    assert budget.tokens(176e9) == pytest.approx(445e9, rel=0.01)
    assert budget.days(384) == pytest.approx(126, rel=0.01)
    assert Budget(1, 1, recompute=False).tokens(1) == pytest.approx(3.6e15 / 6)


def test_languages_may_need_more_tokens_than_compute_asks_for() -> None:
    least = least_tokens({"sw": 1e9, "en": 1e9}, {"en": 0.9, "sw": 0.01})
    assert least == pytest.approx(91e9)
    budget = Budget(10_000, 150)
    for parameters, tokens in choices(budget, TRUE, least).values():
        assert tokens >= least
        assert budget.tokens(parameters) == pytest.approx(tokens, rel=1e-6)
    with pytest.raises(ConfigError, match="no share given for yo"):
        least_tokens({"yo": 1.0}, {"en": 1.0})


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "runs.jsonl"
    log.write_text("\n".join(json.dumps(vars(run)) for run in made()[::4]))
    asked = ["--gpu-hours", "1161261", "--tflops", "150", "--gpus", "384", "--parameters", "176e9"]
    assert cli.main(["size", *asked, "--runs", str(log), "--language", "sw", "0.01", "1e9"]) == 0
    out = capsys.readouterr().out
    assert "4.454e+11 tokens" in out
    assert "languages need 1e+09 tokens" in out
    assert "alpha 0.3" in out
    log.write_text('{"parameters": 1}\n')
    assert cli.main(["size", "--runs", str(log)]) == 2
    assert "line 1: needs parameters, tokens and loss" in capsys.readouterr().err
    assert cli.main(["size"]) == 2
