"""Searches for shapes with the same number of parameters that would train faster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benben.trainer.planning.gemm import Measured
from benben.trainer.planning.hardware import Gpu, facts
from benben.trainer.planning.lint import nearest, vocabulary_multiple
from benben.trainer.planning.shape import Work, parameters, step_seconds
from benben.trainer.settings import LMConfig

WITHIN = 0.02  # of the parameters
SPREAD = 0.15  # of hidden and layers searched
LARGEST, WIDE = 24576, 2048  # hidden sizes: the largest tried, the least with heads of 128
ASPECT = (64, 256)  # hidden over layers, the range of published decoders


@dataclass(frozen=True)
class Candidate:
    """A shape with its parameters, its predicted speed, and its speedup over the given shape."""

    lm: LMConfig
    parameters: int
    tokens_per_second: float
    speedup: float


def neighbours(
    lm: LMConfig, work: Work, gpu: Gpu, measured: Measured | None = None
) -> list[Candidate]:
    """Return the Pareto front of shapes with the same parameters within 2%, fastest first.

    For no shape on it is there another that is both faster and nearer to the given depth.
    """
    base = step_seconds(lm, work, gpu, measured)
    target = parameters(lm)
    found = []
    for shape in _shapes(lm, work):
        count = parameters(shape)
        if abs(count / target - 1) <= WITHIN:
            seconds = step_seconds(shape, work, gpu, measured)
            found.append(Candidate(shape, count, work.tokens / seconds, base / seconds))
    return _front(sorted(found, key=lambda c: -c.tokens_per_second), lm)


def _shapes(lm: LMConfig, work: Work) -> Iterator[LMConfig]:
    """Yield lint-clean shapes: hidden, depth and heads varied, the MLP's ratio kept."""
    limits = facts()["lint"]
    step = max(limits["elements"] * work.tp, 128)
    multiple = vocabulary_multiple(work.tp)
    low, high = int(lm.hidden * (1 - SPREAD)), int(lm.hidden * (1 + SPREAD))
    ratio, groups = lm.ffn / lm.hidden, lm.heads / lm.kv
    for hidden in range(nearest(low, step), high + 1, step):
        ideal = lm.layers * (lm.hidden / hidden) ** 2
        for layers in {max(1, int(ideal)), max(1, int(ideal) + 1)}:
            for dim in limits["head_dims"]:
                heads = hidden // dim
                kv = max(1, round(heads / groups))
                if hidden % dim or heads % work.tp or heads % kv or kv % work.tp:
                    continue
                width = nearest(round(hidden * ratio), step * 2)
                for ffn in (width - step * 2, width, width + step * 2):
                    yield lm.model_copy(
                        update={
                            "hidden": hidden,
                            "layers": layers,
                            "heads": heads,
                            "kv_heads": kv,
                            "head_dim": None,
                            "intermediate": ffn,
                            "vocab_multiple": multiple,
                        }
                    )


def _front(ordered: list[Candidate], lm: LMConfig) -> list[Candidate]:
    """Keep candidates for which no faster one is as near in depth."""
    kept: list[Candidate] = []
    for candidate in ordered:
        distance = abs(candidate.lm.layers - lm.layers)
        if all(distance < abs(k.lm.layers - lm.layers) for k in kept):
            kept.append(candidate)
    return kept


def of_size(count: float, like: LMConfig, work: Work, gpu: Gpu, most: int = 5) -> list[Candidate]:
    """Return the fastest lint-clean shapes of about `count` parameters."""
    step = max(facts()["lint"]["elements"] * work.tp, 128)
    found = []
    for hidden in range(step, LARGEST + 1, step):
        dim = 128 if hidden >= WIDE else 64
        if hidden % dim or hidden // dim % work.tp:
            continue
        update = {"hidden": hidden, "layers": 1, "heads": hidden // dim, "kv_heads": None}
        one = like.model_copy(update={**update, "head_dim": None, "intermediate": None})
        layer = parameters(one.model_copy(update={"layers": 2})) - parameters(one)
        layers = round((count - parameters(one)) / layer) + 1
        if layers < 1 or not ASPECT[0] <= hidden / layers <= ASPECT[1]:
            continue
        shape = one.model_copy(update={"layers": layers})
        if abs(parameters(shape) / count - 1) <= WITHIN:
            seconds = step_seconds(shape, work, gpu)
            found.append(Candidate(shape, parameters(shape), work.tokens / seconds, 1.0))
    return sorted(found, key=lambda c: -c.tokens_per_second)[:most]
