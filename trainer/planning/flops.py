"""Floating-point operations of a step, counted from the true lengths of its documents.

Model FLOP: forward 2 N per token; backward 2 N for the gradients by inputs, on the path to
anything that trains, and 2 N for the gradients by weights that train. Attention: forward 2 heads
dim len^2 (causal half), twice that backward. N leaves out the embedding and counts the head.
Hardware FLOP adds the recomputed forward passes. MFU and HFU are these over time x peak.
"""

from __future__ import annotations

from dataclasses import dataclass

from benben.trainer.distributed.shards import parameters
from benben.trainer.model.vlm import VLM, group_of
from benben.trainer.settings import LMConfig, MemoryConfig


@dataclass(frozen=True)
class Cost:
    """FLOP coefficients of a model."""

    lm: int  # weights a token passes, head included
    lm_trained: int
    vision: int
    vision_trained: int
    path: bool  # gradients flow through the decoder
    config: LMConfig
    memory: MemoryConfig
    patches: int

    def model(self, tokens: int, pairs: int, images: int) -> float:
        """Return the FLOP of a step on `tokens`, `pairs` (sum of squared lengths), `images`."""
        back = self.lm if self.path else 0
        flop = 2.0 * tokens * (self.lm + back + self.lm_trained)
        attention = 2.0 * self.config.layers * self.config.heads * self.config.dim * pairs
        flop += attention * (3 if self.path else 1)
        trained = self.vision_trained
        return flop + 2.0 * images * self.patches * (self.vision + 2 * trained)

    def hardware(self, tokens: int, pairs: int, images: int) -> float:
        """Return the FLOP with recomputation: one more pass of the layers, in groups two."""
        again = 0 if self.memory.recompute == "none" else 1 + (self.memory.group > 1)
        head = self.config.vocab_size * self.config.hidden
        forward = 2.0 * tokens * (self.lm - head)
        forward += 2.0 * self.config.layers * self.config.heads * self.config.dim * pairs
        return self.model(tokens, pairs, images) + again * forward


def cost_of(model: VLM) -> Cost:
    """Count a model's weights by what a token or patch passes."""
    counts = {"lm": 0, "lm_trained": 0, "vision": 0, "vision_trained": 0}
    trains = False
    for name, parameter in parameters(model):
        trains |= parameter.requires_grad
        if name in ("lm.embed.weight", "lm.places.weight") or parameter.dim() < 2:
            continue
        part = "vision" if group_of(name) == "vision" else "lm"
        if name.startswith("connector"):
            continue
        counts[part] += parameter.numel()
        counts[f"{part}_trained"] += parameter.numel() if parameter.requires_grad else 0
    config = model.config.lm
    if model.lm.head is None:
        counts["lm"] += config.vocab_size * config.hidden
        counts["lm_trained"] += (
            config.vocab_size * config.hidden if model.lm.embed.weight.requires_grad else 0
        )
    patches = model.vision.side**2 if model.vision is not None else 0
    return Cost(**counts, path=trains, config=config, memory=model.memory, patches=patches)
