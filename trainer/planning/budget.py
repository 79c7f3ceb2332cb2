"""Turns GPU-hours into parameters, tokens and days.

Hardware FLOP per token: 8 N with recomputed activations, 6 N without. This is BigScience's
convention: the TFLOP/s given must be counted in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benben.common.config_files import ConfigError
from benben.trainer.planning.scaling import CHINCHILLA_TOKENS, Law, kaplan_optimum


@dataclass(frozen=True)
class Budget:
    """GPU-hours at a measured speed per GPU; `recompute` says how the speed was counted."""

    gpu_hours: float
    tflops: float
    recompute: bool = True

    @property
    def flop_per_parameter(self) -> float:
        return 8.0 if self.recompute else 6.0

    @property
    def hardware_flop(self) -> float:
        return self.gpu_hours * 3600 * self.tflops * 1e12

    @property
    def model_flop(self) -> float:
        return self.hardware_flop * 6 / self.flop_per_parameter

    def tokens(self, parameters: float) -> float:
        """Return the number of tokens on which the budget trains a model of that size."""
        return self.hardware_flop / self.flop_per_parameter / parameters

    def parameters(self, tokens: float) -> float:
        return self.hardware_flop / self.flop_per_parameter / tokens

    def days(self, gpus: int) -> float:
        return self.gpu_hours / gpus / 24


def least_tokens(needs: Mapping[str, float], shares: Mapping[str, float]) -> float:
    """Return the tokens of a corpus in which every language has what it needs, by its share."""
    missing = [lang for lang in needs if shares.get(lang, 0) <= 0]
    if missing:
        raise ConfigError(f"no share given for {', '.join(sorted(missing))}")
    total = sum(shares.values())
    return max((need * total / shares[lang] for lang, need in needs.items()), default=0.0)


def choices(budget: Budget, law: Law | None, tokens: float = 0.0) -> dict[str, tuple[float, float]]:
    """Return (parameters, tokens) by rule: each spends the budget, with at least `tokens`."""
    flop = budget.model_flop
    twenty = (flop / 6 / CHINCHILLA_TOKENS) ** 0.5
    found = {
        "kaplan": kaplan_optimum(flop),
        "chinchilla, 20 tokens per parameter": (twenty, CHINCHILLA_TOKENS * twenty),
    }
    if law:
        found["fitted law"] = law.optimum(flop)
    return {
        name: (n, d) if d >= tokens else (budget.parameters(tokens), tokens)
        for name, (n, d) in found.items()
    }
