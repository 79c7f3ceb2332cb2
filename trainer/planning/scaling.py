"""Scaling laws: fits to finished runs, with bootstrap intervals, and the published constants.

L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022), fitted by the Huber loss of log
residuals (delta 1e-3) from a grid of starts; L(C) = (C0 / C)^gamma (Kaplan et al. 2020).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.special import logsumexp
from scipy.stats import norm

from benben.common.config_files import ConfigError
from benben.common.text import lines
from benben.trainer.counter_rng import generator

DELTA = 1e-3
STARTS = (
    (2.0, 8.0),  # log A
    (2.0, 8.0),  # log B
    (0.0,),  # log E
    (0.2, 0.6),  # alpha
    (0.2, 0.6),  # beta
)


@dataclass(frozen=True)
class Run:
    """A finished run: parameters, tokens, final loss (nats per token, or a unit all runs share)."""

    parameters: float
    tokens: float
    loss: float


@dataclass(frozen=True)
class Law:
    """E + A / N^alpha + B / D^beta."""

    e: float
    a: float
    alpha: float
    b: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        return self.e + self.a / parameters**self.alpha + self.b / tokens**self.beta

    def optimum(self, flop: float) -> tuple[float, float]:
        """Return the parameters and tokens of least loss at 6 N D = flop (closed form)."""
        g = (self.alpha * self.a / (self.beta * self.b)) ** (1 / (self.alpha + self.beta))
        parameters = g * (flop / 6) ** (self.beta / (self.alpha + self.beta))
        return parameters, flop / 6 / parameters


CHINCHILLA = Law(e=1.69, a=406.4, alpha=0.34, b=410.7, beta=0.28)  # Hoffmann et al., approach 3
CHINCHILLA_TOKENS = 20.0  # per parameter, their approaches 1 and 2
KAPLAN = {"parameters": 1.3e9, "exponent": 0.73}  # N = 1.3e9 C^0.73, C in PF-days
PF_DAY = 1e15 * 86400


def kaplan_optimum(flop: float) -> tuple[float, float]:
    """Return Kaplan et al.'s parameters and tokens for 6 N D = flop."""
    parameters = KAPLAN["parameters"] * (flop / PF_DAY) ** KAPLAN["exponent"]
    return parameters, flop / 6 / parameters


def fit(runs: Sequence[Run]) -> Law:
    """Fit the law to at least six runs; raises ConfigError for fewer."""
    if len(runs) < 6:
        raise ConfigError(f"a fit of five numbers needs at least 6 runs, not {len(runs)}")
    logs = _logs(runs)
    found = [_solve(logs, np.array(start)) for start in itertools.product(*STARTS)]
    return _law(min(found, key=lambda r: r.cost).x)


def bootstrap(runs: Sequence[Run], law: Law, times: int = 200, seed: int = 0) -> list[Law]:
    """Return fits to runs resampled with replacement; each starts at the solution for all runs."""
    random = generator("bootstrap", seed)
    start = np.array([np.log(law.a), np.log(law.b), np.log(law.e), law.alpha, law.beta])
    logs = _logs(runs)
    laws = []
    for _ in range(times):
        drawn = random.integers(0, len(runs), len(runs))
        laws.append(_law(_solve(logs[:, drawn], start).x))
    return laws


def interval(estimate: float, values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the normal interval around an estimate, from the bootstrap's standard error.

    On the scale of logarithms, as the law is fitted (Efron and Tibshirani 1993, chapter 12); on
    the plain one where a value is not positive. Percentiles of 100 resamples covered less often.
    """
    scale = np.log if min(*values, estimate) > 0 else np.asarray
    middle = scale(np.array([estimate, *values], float))
    reach = norm.ppf((1 + level) / 2) * middle[1:].std(ddof=1)
    ends = np.array([middle[0] - reach, middle[0] + reach])
    low, high = np.exp(ends) if scale is np.log else ends
    return float(low), float(high)


def fit_compute(runs: Sequence[Run]) -> tuple[float, float]:
    """Return C0 and gamma of L(C) = (C0 / C)^gamma by least squares of logs, C = 6 N D."""
    flop = np.log([6 * r.parameters * r.tokens for r in runs])
    slope, level = np.polyfit(flop, np.log([r.loss for r in runs]), 1)
    return float(np.exp(level / -slope)), float(-slope)


def _logs(runs: Sequence[Run]) -> np.ndarray:
    values = np.array([(r.parameters, r.tokens, r.loss) for r in runs], float)
    if not (values > 0).all():
        raise ConfigError("parameters, tokens and losses of runs must be positive")
    return np.log(values).T


def _solve(logs: np.ndarray, start: np.ndarray) -> Any:
    n, d, loss = logs

    def residuals(x: np.ndarray) -> np.ndarray:
        a, b, e, alpha, beta = x
        terms = np.stack([a - alpha * n, b - beta * d, np.full_like(n, e)])
        return np.asarray(logsumexp(terms, axis=0) - loss)

    return least_squares(residuals, start, loss="huber", f_scale=DELTA, max_nfev=400)


def _law(x: np.ndarray) -> Law:
    a, b, e, alpha, beta = map(float, x)
    return Law(float(np.exp(e)), float(np.exp(a)), alpha, float(np.exp(b)), beta)


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read runs: JSON lines of `parameters`, `tokens`, `loss`, or folders of finished runs.

    A run's folder gives its newest checkpoint's tokens, its config's parameters, and the NLL of
    `evaluation.json`. Raises ConfigError for anything else.
    """
    runs: list[Run] = []
    for path in paths:
        if path.is_dir():
            runs.append(_read_folder(path))
            continue
        if not path.is_file():
            raise ConfigError(f"{path}: no such file or run folder")
        for number, line in enumerate(lines(path.read_text()), 1):
            try:
                row = json.loads(line)
                runs.append(Run(*(float(row[k]) for k in ("parameters", "tokens", "loss"))))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{path}, line {number}: needs parameters, tokens and loss ({error!r})"
                ) from None
    return runs


def _read_folder(folder: Path) -> Run:
    from benben.trainer.checkpoint import store
    from benben.trainer.planning.memory import parameter_count
    from benben.trainer.settings import Config

    newest, result = store.newest(folder), folder / "evaluation.json"
    if newest is None or not result.is_file():
        raise ConfigError(f"{folder}: no checkpoint and evaluation.json of a finished run")
    meta = store.manifest(newest)["meta"]
    count = parameter_count(Config.model_validate(meta["config"]).model)
    return Run(count, meta["tokens"], json.loads(result.read_text())["nll"])
