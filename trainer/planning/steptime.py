"""Predicts the seconds of a step on a given GPU: products, attention, memory, links, optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benben.trainer.model.vlm import VLM
from benben.trainer.planning.flops import cost_of
from benben.trainer.planning.gemm import ELEMENT
from benben.trainer.planning.hardware import Gpu, facts
from benben.trainer.planning.memory import TOKENS_PER_IMAGE
from benben.trainer.planning.shape import Work, gemm_seconds, head_gemm, layer_seconds
from benben.trainer.settings import Config


@dataclass(frozen=True)
class Step:
    """Seconds of a step by part; links and host copies overlap with computation."""

    compute: float
    links: float
    host: float
    optimizer: float
    tokens: int  # of all GPUs
    mfu: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.links, self.host) + self.optimizer

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


def images(config: Config) -> int:
    """Return the images that a plan assumes in a pack: one per 1,024 tokens, at least one."""
    return max(1, config.data.seq_len // TOKENS_PER_IMAGE) if config.model.vision else 0


def predict(config: Config, gpu: Gpu, gpus: int, host_bytes: float) -> Step:
    """Predict a step of `optim.batch_packs` packs, each one document, where attention costs most.

    `host_bytes`: what a GPU keeps in host memory for a pack.
    """
    with torch.device("meta"):
        model = VLM(config.model, config.memory)
    cost, packs = cost_of(model), config.optim.batch_packs
    length = config.data.seq_len
    work = (packs * length, packs * length**2, packs * images(config))
    turns = -(
        -packs * config.parallel.sp * config.parallel.tp // gpus
    )  # packs of a GPU, one after another
    compute = turns * _pack_seconds(config, gpu)
    see = cost.model(*work) - cost.model(*work[:2], 0)
    compute += see / gpus / (gpu.tflops * 1e12 * facts()["reach"]["attention"])
    parameters = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    links = turns * _link_seconds(config, gpu, gpus, parameters)
    host = turns * 2 * host_bytes / (gpu.host_gbs * 1e9)
    optimizer = trained * _update_bytes(config) / gpus / (gpu.gbs * 1e9)
    seconds = max(compute, links, host) + optimizer
    mfu = cost.model(*work) / seconds / (gpus * gpu.tflops * 1e12)
    return Step(compute, links, host, optimizer, packs * length, mfu)


def _pack_seconds(config: Config, gpu: Gpu) -> float:
    """Return the seconds of a GPU's part of a pack: a share of the tokens, then of the heads."""
    lm, memory = config.model.lm, config.memory
    recompute = memory.recompute != "none"
    work = Work(1, config.data.seq_len, config.parallel.tp, recompute=recompute)
    layers = lm.layers * layer_seconds(lm, work, gpu)
    if recompute and memory.group > 1:
        layers *= 5 / 4  # forward, two recomputations, backward as two
    return (layers + gemm_seconds(head_gemm(lm, work), gpu, 1)) / config.parallel.sp


def _link_seconds(config: Config, gpu: Gpu, gpus: int, parameters: int) -> float:
    """Return the seconds of a pack's communication: FSDP, tensor and sequence parallelism."""
    lm, parallel = config.model.lm, config.parallel
    passes = 2 + (config.memory.recompute != "none")
    speed = (gpu.link_gbs if gpus <= gpu.node else gpu.net_gbs) * 1e9
    tokens, shards = config.data.seq_len / parallel.sp, gpus // parallel.tp
    size = parameters * ELEMENT / parallel.tp * passes * (shards - 1) / shards
    if parallel.sp > 1:
        heads = 2 * lm.heads + 2 * max(lm.kv, parallel.sp)
        size += passes * lm.layers * tokens * heads * lm.dim / parallel.tp * ELEMENT
    tensor = 0.0
    if parallel.tp > 1:
        tensor = 2 * passes * lm.layers * tokens * lm.hidden * ELEMENT * 2
    return size / speed + tensor / (gpu.link_gbs * 1e9)


def _update_bytes(config: Config) -> float:
    """Return the bytes the optimizer moves per parameter; all but the gradient are written too."""
    wide, moment = (
        torch.empty((), dtype=getattr(torch, name)).element_size()
        for name in (config.optim.params, config.optim.state)
    )
    return 3.0 * wide + 4.0 * moment
