from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benben.trainer.long_sequences.tiling import tiled
from benben.trainer.model.batch import IGNORE
from benben.trainer.model.decoder import MLP
from benben.trainer.model.vlm import loss_sum, nll_each
from benben.trainer.settings import LMConfig


@pytest.mark.parametrize("tile", [1, 7, 16, 64])
@pytest.mark.parametrize("z", [0.0, 1e-2])
def test_tiled_loss_is_the_loss(tile: int, z: float) -> None:
    """Ragged tiles, and one tile (of 7: 14..20) without a label."""
    torch.manual_seed(0)
    hidden = torch.randn(50, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(33, 12, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 33, (50,))
    labels[14:21] = IGNORE
    results: list[tuple[Tensor, ...]] = []
    for size in (0, tile):
        loss, z_loss = loss_sum(hidden, weight, labels, size, z)
        grads = torch.autograd.grad(loss * 0.3, (hidden, weight))
        results.append((loss.detach(), z_loss, *grads))
    for plain, tiles in zip(*results, strict=True):
        assert float((plain - tiles).abs().max()) <= 1e-12 * max(1.0, float(plain.abs().max()))
    if z == 0:
        assert float(nll_each(hidden, weight, labels, tile).sum()) == pytest.approx(
            float(results[0][0]), rel=1e-12
        )


def test_frozen_head_gets_no_gradient() -> None:
    hidden = torch.randn(9, 4, requires_grad=True)
    loss, _ = loss_sum(hidden, torch.randn(5, 4), torch.zeros(9, dtype=torch.long), 4)
    loss.backward()
    assert hidden.grad is not None


def test_weight_gradients_of_low_precision_accumulate_wide() -> None:
    """Summing many small tiles in bfloat16 loses them; float32 does not."""
    torch.manual_seed(0)
    hidden = torch.randn(4096, 8).bfloat16()
    weight = torch.randn(16, 8).bfloat16().requires_grad_()
    labels = torch.randint(0, 16, (4096,))
    whole = weight.detach().float().requires_grad_()
    loss_sum(hidden.float(), whole, labels)[0].backward()
    loss_sum(hidden, weight, labels, 8)[0].backward()
    assert whole.grad is not None
    assert weight.grad is not None
    error = (weight.grad.float() - whole.grad).norm() / whole.grad.norm()
    assert float(error) < 0.01


@pytest.mark.parametrize("tile", [1, 7, 50, 64])
@pytest.mark.parametrize("activation", ["swiglu", "gelu"])
def test_tiled_mlp_is_the_mlp(tile: int, activation: str) -> None:
    torch.manual_seed(0)
    config = LMConfig(vocab_size=10, hidden=12, heads=2, activation=activation, bias=True)
    mlp = MLP(config, 0).double()
    x = torch.randn(50, 12, dtype=torch.float64, requires_grad=True)
    results = []
    for size in (0, tile):
        out = tiled(mlp, x, size)
        results.append((out, *torch.autograd.grad(out.sin().sum(), (x, *mlp.parameters()))))
    for plain, tiles in zip(*results, strict=True):
        assert float((plain - tiles).abs().max()) <= 1e-12 * max(1.0, float(plain.abs().max()))
