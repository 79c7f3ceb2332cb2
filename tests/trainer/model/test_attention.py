"""The kernels of attention agree, and a step's work never makes the host wait for the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benben.trainer.model.batch import Layout, to_batch
from benben.trainer.model.decoder import alibi_slopes, attend, compile_parts
from benben.trainer.settings import MemoryConfig
from tests.trainer.model.test_vlm import logits, make, pack

LENGTHS = (37, 1, 130, 60, 28)


@pytest.mark.parametrize("alibi", [False, True], ids=["plain", "alibi"])
@pytest.mark.parametrize("kv", [4, 2, 1])
def test_flex_attention_is_attention_by_document(alibi: bool, kv: int) -> None:
    """With grouped heads, and documents that end inside a block of its mask."""
    random = torch.Generator().manual_seed(0)
    total = sum(LENGTHS)
    q, k, v = (torch.randn(total, h, 16, generator=random) for h in (4, kv, kv))
    slopes = torch.tensor(alibi_slopes(4)) if alibi else None
    layout = Layout.of(LENGTHS, torch.device("cpu"))
    with torch.no_grad():
        found = attend(q, k, v, layout, slopes, "flex")
        expected = attend(q, k, v, layout, slopes, "documents")
    assert torch.allclose(found, expected, atol=2e-6)
    assert torch.equal(attend(q, k, v, layout, slopes), expected), "the CPU's choice"


def test_a_model_is_the_same_with_either(monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = make(), pack(lengths=(20, 30))
    expected = logits(model, given)
    model.memory = MemoryConfig(attention="flex")
    assert torch.allclose(logits(model, given), expected, atol=1e-5)


@pytest.mark.parametrize("memory", [{}, {"recompute": "layer", "group": 2, "tile_mlp": 16}])
def test_compiled_parts_change_nothing(memory: dict[str, Any]) -> None:
    """Loss and gradients, by the part of torch.compile that needs no C++ compiler."""
    gradients = []
    for compiled in (False, True):
        model = make()
        model.memory = MemoryConfig(**memory)
        if compiled:
            assert compile_parts(model.lm, "aot_eager") == 2 * 3 + 1
        given = pack()
        loss, _ = model(to_batch(given, model.fusion.spans(given)))
        loss.backward()
        gradients.append(
            [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]
        )
    assert len(gradients[0]) == len(gradients[1])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


class Waits(TorchDispatchMode):
    """Notes operations for which a host waits for its device: values read, sizes that depend."""

    NAMES = ("_local_scalar_dense", "nonzero", "repeat_interleave", "masked_select", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        sized = name == "repeat_interleave" and (kwargs or {}).get("output_size") is not None
        if name in self.NAMES and not sized:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("fusion", ["early", "cross"])
@pytest.mark.parametrize(
    "lm", [{}, {"positions": "alibi"}, {"embed_scale": 5.65}], ids=["rope", "alibi", "scaled"]
)
def test_no_micro_batch_makes_the_host_wait(fusion: str, lm: dict[str, Any]) -> None:
    model, given = make(fusion, lm=lm), pack()
    batch = to_batch(given, model.fusion.spans(given))
    with Waits() as waits:
        loss, z_loss = model(batch, 1e-4)
        loss.backward()
    assert isinstance(z_loss, Tensor)
    assert waits.found == []


def test_waits_are_seen() -> None:
    with Waits() as waits:
        x = torch.arange(3)
        x.sum().item()
        torch.repeat_interleave(x, x)
    assert waits.found[:1] == ["_local_scalar_dense"]
    assert "repeat_interleave" in waits.found
