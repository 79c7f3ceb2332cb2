"""Sequence parallelism is exact: packed documents, images, one of them straddling two ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from benben.trainer.distributed import parallel
from benben.trainer.distributed.shards import parameters
from benben.trainer.model.batch import IGNORE, Pack, to_batch
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.settings import (
    LMConfig,
    MemoryConfig,
    ModelConfig,
    ParallelConfig,
    VisionConfig,
)
from tests.trainer.ranks import Ranks

TOKENS, VOCABULARY = 64, 131
ROPE = {"kv_heads": 2}
ALIBI = {
    "kv_heads": 2,
    "positions": "alibi",
    "activation": "gelu",
    "norm": "layernorm",
    "bias": True,
    "embed_norm": True,
    "tie": True,
}
KEY_BIASES = ("k_proj.bias", "k.bias")  # exactly zero but for rounding: softmax ignores shifts
CASES = [("early", ROPE), ("early", ALIBI), ("cross", ROPE)]


def make_pack(seed: int = 0) -> Pack:
    """Three documents; the second image's four tokens lie at 30..33, across 2 and 4 ranks' cut."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, VOCABULARY, TOKENS)
    labels[random.random(TOKENS) < 0.3] = IGNORE
    labels[48:] = IGNORE  # the last of four ranks has no label at all
    pixels = random.standard_normal((2, 3, 32, 32)).astype(np.float32)
    ids = random.integers(0, VOCABULARY, TOKENS)
    return Pack(ids, labels, (20, 30, 14), pixels, (5, 30))


def make_model(fusion: str, switches: dict[str, Any], dtype: torch.dtype, **memory: Any) -> VLM:
    lm = LMConfig(vocab_size=VOCABULARY, hidden=64, heads=8, layers=2, **switches)
    config = ModelConfig(lm=lm, vision=VisionConfig(), fusion=fusion, cross_every=2)
    return VLM(config, MemoryConfig(**memory)).to(dtype)


def gradients(
    fusion: str, switches: dict[str, Any], dtype: torch.dtype, sp: int, **memory: Any
) -> tuple[float, dict[str, Tensor]]:
    mesh = parallel.make_mesh(ParallelConfig(dp=1, sp=sp), torch.device("cpu"))
    model = make_model(fusion, switches, dtype, **memory)
    parallel.distribute(model, mesh, dtype)
    initialise(model)
    with torch.no_grad():
        for name, parameter in parameters(model):
            if "alpha_" in name:
                parameter.fill_(0.5)
    pack = make_pack()
    batch = to_batch(pack, model.fusion.spans(pack), "cpu", dtype, mesh.sp_rank, mesh.sp)
    (count,) = mesh.total(batch.valid)
    loss, _ = model(batch, 1e-4)
    (loss / count).backward()
    (total,) = mesh.total(float(loss.detach()))
    found = {}
    for name, parameter in parameters(model):
        grad = parameter.grad
        assert grad is not None, name
        found[name] = (grad.full_tensor() if isinstance(grad, DTensor) else grad).clone()
    return total / count, found


def compare_at(folder: str, sp: int) -> None:
    """Run in every rank: the same as one process computed."""
    for fusion, switches in CASES:
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
            loss, found = gradients(fusion, switches, dtype, sp)
            reference = torch.load(f"{folder}/{fusion}-{switches.get('positions')}-{dtype}.pt")
            assert abs(loss - reference["loss"]) <= tolerance * abs(reference["loss"]), (
                fusion,
                switches,
                loss,
                reference["loss"],
            )
            scale = max(float(g.abs().max()) for g in reference["grads"].values())
            for name, grad in found.items():
                expected = reference["grads"][name]
                floor = scale if name.endswith(KEY_BIASES) else 1e-3 * scale
                size = max(float(expected.abs().max()), floor)
                worst = float((grad - expected).abs().max()) / size
                assert worst <= tolerance, (fusion, switches, dtype, name, worst)


@pytest.mark.timeout(1200)
def test_loss_and_gradients_are_those_of_one_process(
    ranks: Ranks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("reference")
    for fusion, switches in CASES:
        for dtype in (torch.float64, torch.float32):
            loss, found = gradients(fusion, switches, dtype, 1)
            name = f"{fusion}-{switches.get('positions')}-{dtype}.pt"
            torch.save({"loss": loss, "grads": found}, folder / name)
    for sp in (2, 4):
        ranks.run(compare_at, sp, str(folder), sp)
