"""Learning rate and batch size as functions of tokens seen (BLOOM counts tokens, not steps)."""

from __future__ import annotations

import math

from benben.trainer.settings import OptimConfig


def learning_rate(config: OptimConfig, tokens: float, total: float) -> float:
    """Return the rate: linear warm-up, then cosine or linear to `floor` of the peak, then flat.

    `total` tokens of the run stand in for an unset `decay_tokens`. The cosine runs from the end
    of the warm-up to `decay_tokens`, as Megatron's.
    """
    if tokens < config.warmup_tokens:
        return config.lr * tokens / config.warmup_tokens
    if config.schedule == "constant":
        return config.lr
    end = config.decay_tokens or total
    span = max(end - config.warmup_tokens, 1.0)
    done = min(max((tokens - config.warmup_tokens) / span, 0.0), 1.0)
    shape = 0.5 * (1 + math.cos(math.pi * done)) if config.schedule == "cosine" else 1 - done
    return config.lr * (config.floor + (1 - config.floor) * shape)


def batch_packs(config: OptimConfig, tokens: float) -> int:
    """Return the packs of the next step: from `ramp_from` in steps of `ramp_step` to the whole."""
    if not config.ramp_from or tokens >= config.ramp_tokens:
        return config.batch_packs
    rises = (config.batch_packs - config.ramp_from) / max(config.ramp_step, 1)
    risen = int(tokens / config.ramp_tokens * rises)
    return min(config.ramp_from + risen * config.ramp_step, config.batch_packs)
