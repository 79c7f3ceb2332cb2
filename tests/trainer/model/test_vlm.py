"""What may influence what: documents, images, gates, frozen parts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benben.trainer.distributed.shards import parameters
from benben.trainer.model.batch import IGNORE, Pack, join, to_batch
from benben.trainer.model.vlm import VLM, group_of, initialise
from benben.trainer.settings import LMConfig, ModelConfig, VisionConfig

BLOOM = {"positions": "alibi", "activation": "gelu", "norm": "layernorm", "bias": True}


def make(fusion: str = "early", open_gates: bool = True, **changes: Any) -> VLM:
    switches = changes.pop("lm", {})
    lm = LMConfig(vocab_size=97, hidden=32, heads=4, kv_heads=2, layers=2, **switches)
    vision = VisionConfig(**changes.pop("vision", {}))
    model = VLM(ModelConfig(lm=lm, vision=vision, fusion=fusion, cross_every=2, **changes))
    initialise(model)
    for name, parameter in model.named_parameters():
        if open_gates and "alpha_" in name:
            parameter.data.fill_(0.7)
    return model


def pack(
    seed: int = 0, lengths: tuple[int, ...] = (20, 30), slots: tuple[int, ...] = (5, 26, 37)
) -> Pack:
    random = np.random.default_rng(seed)
    total = sum(lengths)
    labels = random.integers(0, 97, total)
    labels[random.random(total) < 0.3] = IGNORE
    pixels = random.standard_normal((len(slots), 3, 32, 32)).astype(np.float32)
    return Pack(random.integers(0, 97, total), labels, lengths, pixels, slots)


def logits(model: VLM, p: Pack) -> Tensor:
    with torch.no_grad():
        out = model(to_batch(p, model.fusion.spans(p)), want="logits")
    assert isinstance(out, Tensor)
    return out


@pytest.mark.parametrize("switches", [{}, BLOOM], ids=["rope", "alibi"])
@pytest.mark.parametrize("connector", ["pixel_shuffle", "perceiver"])
@pytest.mark.parametrize("fusion", ["early", "cross"])
def test_nothing_leaks(fusion: str, connector: str, switches: dict[str, Any]) -> None:
    model = make(fusion, lm=switches, vision={"connector": connector, "latents": 4})
    base = pack()
    before = logits(model, base)

    ids = base.ids.copy()
    ids[:20] = (ids[:20] + 1) % 97
    pixels = base.pixels.copy()
    pixels[0] += 1
    after = logits(model, dataclasses.replace(base, ids=ids, pixels=pixels))
    assert torch.equal(after[20:], before[20:]), "the first document changed the second"
    assert not torch.equal(after[:20], before[:20])

    pixels = base.pixels.copy()
    pixels[2] += 1  # the later image of the second document, at 37
    after = logits(model, dataclasses.replace(base, pixels=pixels))
    assert torch.equal(after[:37], before[:37]), "an image changed what stands before it"
    assert not torch.equal(after[37:], before[37:])


def test_cross_fusion_sees_the_last_image_alone() -> None:
    model = make("cross")
    base = pack()
    batch = to_batch(base, model.fusion.spans(base))
    pixels = batch.pixels.requires_grad_()
    out = model(batch, want="logits")
    (grad,) = torch.autograd.grad(out[45].sum(), pixels)
    assert [bool(g.any()) for g in grad] == [False, True, True]  # by attention over earlier text
    single = make("cross", lm={"positions": "none"})
    for block in single.lm.groups:
        block.get_submodule(block.names[-1]).attn.o.weight.data.zero_()
    batch = to_batch(base, single.fusion.spans(base))
    pixels = batch.pixels.requires_grad_()
    (grad,) = torch.autograd.grad(single(batch, want="logits")[45].sum(), pixels)
    assert [bool(g.any()) for g in grad] == [False, False, True]


def test_cross_fusion_starts_as_the_language_model() -> None:
    model = make("cross", open_gates=False, freeze=["lm", "vision"])
    alone = VLM(ModelConfig(lm=model.config.lm, vision=None))
    initialise(alone)
    base = pack()
    without = to_batch(base, alone.fusion.spans(base))
    with torch.no_grad():
        assert torch.equal(logits(model, base), alone(without, want="logits"))
    loss, _ = model(to_batch(base, model.fusion.spans(base)))
    loss.backward()
    moved = {group_of(n) for n, p in parameters(model) if p.grad is not None and p.grad.any()}
    assert moved == {"cross"}
    frozen = {group_of(n) for n, p in parameters(model) if not p.requires_grad}
    assert frozen == {"lm", "vision"}


@pytest.mark.parametrize("fusion", ["early", "cross"])
def test_packed_loss_is_that_of_the_documents_alone(fusion: str) -> None:
    model = make(fusion).double()
    first, second = pack(1, (20,), (5,)), pack(2, (31,), (3, 17))
    sums, count = [], 0
    for p in (first, second, join([first, second])):
        batch = to_batch(p, model.fusion.spans(p), dtype=torch.float64)
        loss, _ = model(batch)
        sums.append(loss.item())
        count = batch.valid
    assert sums[2] / count == pytest.approx((sums[0] + sums[1]) / count, rel=1e-12)


def test_order_of_images_matters_early() -> None:
    model, base = make(), pack()
    swapped = dataclasses.replace(base, pixels=base.pixels[[0, 2, 1]])
    assert not torch.equal(logits(model, base)[26:], logits(model, swapped)[26:])


def test_lora_starts_at_zero_and_trains_alone() -> None:
    plain, adapted = make(), make(lora_rank=4, freeze=["vision", "connector"])
    assert torch.equal(logits(plain, pack()), logits(adapted, pack()))
    loss, _ = adapted(to_batch(pack(), adapted.fusion.spans(pack())))
    loss.backward()
    assert {group_of(n) for n, p in parameters(adapted) if p.grad is not None} == {"lora"}


def test_clip_towers_work() -> None:
    model = make(vision={"family": "clip"})
    assert model.tokens_per_image == 4
    assert torch.isfinite(logits(model, pack())).all()


@pytest.mark.parametrize("family", ["siglip", "clip"])
def test_a_stem_gives_as_many_features_and_trains(family: str) -> None:
    model = make(vision={"family": family, "stem": 4})
    assert model.tokens_per_image == 4
    loss, _ = model(to_batch(pack(), model.fusion.spans(pack())))
    loss.backward()
    moved = [
        p.grad is not None and bool(p.grad.any()) for n, p in parameters(model) if ".early" in n
    ]
    assert moved == [True] * 6  # weights and biases of log2(8) convolutions


def test_a_stem_halves_and_is_no_part_of_published_weights() -> None:
    with pytest.raises(ValueError, match="power of two"):
        VisionConfig(stem=4, patch_size=14)
    with pytest.raises(ValueError, match="published weights"):
        VisionConfig(stem=4, huggingface="google/siglip-base-patch16-512")
