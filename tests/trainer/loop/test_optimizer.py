from __future__ import annotations

import torch

from benben.trainer import counter_rng
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.settings import LMConfig, ModelConfig, OptimConfig


def model(dtype: torch.dtype) -> VLM:
    lm = LMConfig(vocab_size=20, hidden=16, heads=2, layers=1, vocab_multiple=4)
    made = VLM(ModelConfig(lm=lm, vision=None))
    initialise(made)
    return made.to(dtype)


def run(optimizer: AdamW, steps: int) -> None:
    torch.manual_seed(0)
    for number in range(1, steps + 1):
        for parameter in optimizer.parameters.values():
            parameter.grad = torch.randn(parameter.shape).to(parameter.dtype)
        optimizer.step(number, 1e-3, 0.5)


def test_updates_are_torchs() -> None:
    ours, theirs = model(torch.float32), model(torch.float32)
    config = OptimConfig(weight_decay=0.1)
    run(AdamW(ours, config), 5)
    flat = list(theirs.parameters())
    groups = [
        {"params": [p for p in flat if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in flat if p.dim() == 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=1e-3, betas=config.betas, eps=config.eps)
    torch.manual_seed(0)
    for _ in range(5):
        for parameter in flat:
            parameter.grad = torch.randn(parameter.shape) * 0.5
        reference.step()
    for a, b in zip(ours.parameters(), flat, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_fused_updates_are_ours() -> None:
    """Of matrices with decay and of norms without, at rates of two groups."""
    ours, fused = model(torch.float32), model(torch.float32)
    config = OptimConfig(weight_decay=0.1, lr_scale={"lm": 0.5})
    run(AdamW(ours, config, fused=False), 5)
    run(AdamW(fused, config, fused=True), 5)
    start = model(torch.float32)
    for a, b, c in zip(ours.parameters(), fused.parameters(), start.parameters(), strict=True):
        assert not torch.equal(a, c)
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_low_precision_follows_high_precision() -> None:
    """200 steps of 1e-3 in bfloat16: rounding to nearest would lose most of the small ones."""
    low, high = model(torch.bfloat16), model(torch.float32)
    for a, b in zip(low.parameters(), high.parameters(), strict=True):
        b.data.copy_(a.data)
    run(AdamW(low, OptimConfig(params="bfloat16", state="bfloat16")), 200)
    run(AdamW(high, OptimConfig()), 200)
    a, b = (torch.cat([p.detach().float().flatten() for p in m.parameters()]) for m in (low, high))
    assert float((a - b).norm() / b.norm()) < 0.05


def test_stochastic_rounding_is_unbiased_and_repeatable() -> None:
    x = torch.full((100_000,), 1.001)
    noise = counter_rng.bits(counter_rng.key("x"), torch.arange(100_000))
    rounded = counter_rng.round_stochastic(x, noise)
    assert torch.equal(rounded, counter_rng.round_stochastic(x, noise))
    assert set(rounded.float().unique().tolist()) == {1.0, 1.0078125}
    assert abs(float(rounded.float().mean()) - 1.001) < 1e-4
    odd = torch.tensor([float("inf"), float("nan"), 0.0])
    kept = counter_rng.round_stochastic(odd, torch.full((3,), 0xFFFF))
    assert kept[0] == float("inf")
    assert kept[1] != kept[1]
