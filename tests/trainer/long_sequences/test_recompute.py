from __future__ import annotations

import pytest
import torch

from benben.trainer.model.batch import to_batch
from tests.trainer.long_sequences.test_ulysses import (
    ALIBI,
    ROPE,
    gradients,
    make_model,
    make_pack,
)

OPTIONS = [
    {"recompute": "layer"},
    {"recompute": "layer", "group": 2, "offload": True, "tile_loss": 10, "tile_mlp": 7},
    {"recompute": "layer", "offload": True, "keep_on_device": 1},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("fusion", "switches"), [("early", ROPE), ("cross", ALIBI)])
def test_saving_memory_changes_no_gradient(
    fusion: str, switches: dict[str, object], options: dict[str, object]
) -> None:
    loss, plain = gradients(fusion, switches, torch.float64, 1)
    saved_loss, saved = gradients(fusion, switches, torch.float64, 1, **options)
    assert saved_loss == pytest.approx(loss, rel=1e-13)
    for name, grad in plain.items():
        assert torch.allclose(saved[name], grad, rtol=1e-9, atol=1e-14), name


def test_kept_states_lie_where_they_should_and_go() -> None:
    for offload, keep, expected in ((False, 0, (2, 0)), (True, 0, (0, 2)), (True, 1, (1, 1))):
        model = make_model(
            "early", ROPE, torch.float32, recompute="layer", offload=offload, keep_on_device=keep
        )
        batch = to_batch(make_pack(), model.fusion.spans(make_pack()))
        loss, _ = model(batch)
        size = 64 * 64 * 4  # tokens x hidden x bytes
        held = (model.store.device_bytes // size, model.store.host_bytes // size)
        assert held == expected
        loss.backward()
        assert (model.store.device_bytes, model.store.host_bytes) == (0, 0)
