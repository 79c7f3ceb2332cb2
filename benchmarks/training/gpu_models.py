"""Models and steps of the GPU measurements: a Llama-8B shape and a 2B-class early-fusion VLM."""

from __future__ import annotations

import gc
import time
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model.batch import Pack, to_batch
from benben.trainer.model.decoder import Attention, Block, Context
from benben.trainer.model.vlm import VLM
from benben.trainer.planning.flops import cost_of
from benben.trainer.settings import (
    LMConfig,
    MemoryConfig,
    ModelConfig,
    OptimConfig,
    VisionConfig,
)

PEAK = 989e12  # H100 and H200, dense bfloat16
GIB = 2**30
RUNGS: dict[str, dict[str, Any]] = {
    "baseline": {"recompute": "layer"},
    "tiled loss": {"recompute": "layer", "tile_loss": 4096},
    "tiled mlp": {"recompute": "layer", "tile_loss": 4096, "tile_mlp": 8192},
    "offload": {"recompute": "layer", "tile_loss": 4096, "tile_mlp": 8192, "offload": True},
    "two-level offload": {
        "recompute": "layer",
        "tile_loss": 4096,
        "tile_mlp": 8192,
        "offload": True,
        "group": 4,
    },
}
LLAMA8B: dict[str, Any] = {
    "vocab_size": 128256,
    "hidden": 4096,
    "layers": 32,
    "heads": 32,
    "kv_heads": 8,
    "intermediate": 14336,
    "rope_theta": 500000.0,
}
OPTIM = OptimConfig(params="bfloat16", state="bfloat16", dtype="bfloat16", lr=1e-5)


class Bench:
    """A full-parameter bfloat16 model with its optimizer on the GPU."""

    def __init__(self, lm: dict[str, Any], memory: dict[str, Any], vision: Any = None) -> None:
        free()
        config = ModelConfig(lm=LMConfig(**lm), vision=vision)
        with torch.device("meta"):
            model = VLM(config, MemoryConfig(**memory))
        self.model = model.to(torch.bfloat16).to_empty(device="cuda")
        with torch.no_grad():  # the values do not matter, their scale does
            for parameter in self.model.parameters():
                parameter.normal_(std=0.02) if parameter.dim() > 1 else parameter.fill_(1.0)
            for name, buffer in self.model.named_buffers():
                if "position_ids" in name:
                    buffer.copy_(torch.arange(buffer.numel()).view(buffer.shape))
        self.optimizer = AdamW(self.model, OPTIM)
        self.cost, self.steps = cost_of(self.model), 0

    def step(self, pack: Pack) -> dict[str, float]:
        """Train one step; return seconds, tokens/s, MFU, HFU and the peak of memory."""
        batch = to_batch(pack, self.model.fusion.spans(pack), "cuda", torch.bfloat16)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        loss, _ = self.model(batch)
        (loss / batch.valid).backward()
        self.steps += 1
        self.optimizer.step(self.steps, 1e-5)
        value = float(loss.detach()) / batch.valid
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        work = (len(pack.ids), batch.layout.pairs, batch.images)
        return {
            "loss": value,
            "seconds": seconds,
            "tokens_per_second": len(pack.ids) / seconds,
            "mfu": self.cost.model(*work) / seconds / PEAK,
            "hfu": self.cost.hardware(*work) / seconds / PEAK,
            "device_gib": torch.cuda.max_memory_allocated() / GIB,
            "host_gib": self.model.host_peak / GIB,
        }

    def attention_in_one_layer(self) -> None:
        """Replace all but the first layer's attention by a copy of its queries.

        Every tensor keeps its shape, so memory is a real step's and time is not quadratic.
        """
        blocks = [m for m in self.model.modules() if isinstance(m, Block)]
        for block in blocks[1:]:
            setattr(block.attn, "forward", types.MethodType(_without_attention, block.attn))  # noqa: B010


def _without_attention(self: Attention, x: Tensor, context: Context) -> Tensor:
    q, k, v = self.q(x), self.k(x), self.v(x)
    repeated = v.repeat(1, q.shape[1] // v.shape[1])
    out: Tensor = self.o(q + repeated + k.mean())
    return out


def text(tokens: int, documents: int = 1, vocabulary: int = 128256) -> Pack:
    """Return a pack of random tokens in equal documents."""
    random = np.random.default_rng(0)
    ids = random.integers(0, vocabulary, tokens)
    lengths = (tokens // documents,) * documents
    return Pack(ids, np.roll(ids, -1), lengths, np.zeros((0, 3, 8, 8), np.float32), ())


def interleaved(tokens: int, vision: VisionConfig, per_image: int, vocabulary: int) -> Pack:
    """Return documents of 1,024 tokens with two images each."""
    pack = text(tokens, tokens // 1024, vocabulary)
    slots = tuple(d + at for d in range(0, tokens, 1024) for at in (64, 576))
    random = np.random.default_rng(0)
    shape = (len(slots), 3, vision.image_size, vision.image_size)
    labels = pack.labels.copy()
    for slot in slots:
        labels[slot - 1 : slot + per_image] = -100
    pixels = random.standard_normal(shape, np.float32)
    return Pack(pack.ids, labels, pack.lengths, pixels, slots)


def free() -> None:
    gc.collect()
    torch.cuda.empty_cache()
