"""The paths that only CUDA takes: run where a GPU is, skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benben.trainer.distributed import parallel
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.model.batch import Layout
from benben.trainer.model.decoder import attend
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.settings import AttentionKernel, LMConfig, ModelConfig, OptimConfig
from benchmarks.training import gpu_smoke
from tests.trainer.runs import settings

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU: the kernels exist nowhere else"
)


@pytest.mark.parametrize("case", gpu_smoke.CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gpu_computes_what_the_cpu_computed(case: str, dtype: torch.dtype) -> None:
    stored = gpu_smoke.stored()[case]
    found = gpu_smoke.error(gpu_smoke.results(case, "cuda", dtype), stored)
    for key, value in stored["bfloat16_error"].items():
        limit = 1e-3 if dtype == torch.float32 else max(3 * value, 1e-3)
        assert found[key] <= limit, (key, found)


@pytest.mark.parametrize("positions", ["rope", "alibi"])
def test_documents_do_not_leak(positions: str) -> None:
    assert not gpu_smoke.leaks("cuda", positions=positions)


@pytest.mark.parametrize("kernel", ["auto", "flex"])
def test_kernels_agree_with_a_call_for_each_document(kernel: AttentionKernel) -> None:
    layout = Layout.of((300, 1, 500, 223), torch.device("cuda"))
    random = torch.Generator("cuda").manual_seed(0)
    gradients = []
    kernels: tuple[AttentionKernel, ...] = (kernel, "documents")
    for name in kernels:
        random.manual_seed(0)
        q, k, v = (
            torch.randn(1024, heads, 64, generator=random, device="cuda", dtype=torch.bfloat16)
            for heads in (8, 2, 2)
        )
        for x in (q, k, v):
            x.requires_grad_()
        attend(q, k, v, layout, None, name).float().square().sum().backward()
        gradients.append([x.grad.float() for x in (q, k, v) if x.grad is not None])
    for a, b in zip(*gradients, strict=True):
        assert float((a - b).norm() / b.norm()) < 0.02


def test_memory_options_change_nothing() -> None:
    assert gpu_smoke.memory_options("cuda") < 0.02


def test_a_checkpoint_of_the_cpu_loads() -> None:
    assert gpu_smoke.cpu_checkpoint_loads("cuda")


def test_a_vocabulary_is_padded_anew(made: Path, tmp_path: Path) -> None:
    Training(settings(made, tmp_path, run={"steps": 1, "device": "cpu"})).run()
    lm = {"hidden": 32, "heads": 4, "layers": 2, "vocab_multiple": 7}
    model = {"lm": lm, "vision": {"hidden": 32, "heads": 2}}
    session = Session(settings(made, tmp_path, model=model, run={"device": "cuda"}))
    assert session.resume() is not None


def test_fused_updates_are_the_cpus() -> None:
    lm = LMConfig(vocab_size=500, hidden=64, heads=4)
    updated = []
    for device in ("cpu", "cuda"):
        model = VLM(ModelConfig(lm=lm, vision=None))
        initialise(model)
        optimizer = AdamW(model.to(device), OptimConfig(weight_decay=0.1))
        generator = torch.manual_seed(0)
        for number in range(1, 4):
            for parameter in optimizer.parameters.values():
                parameter.grad = torch.randn(parameter.shape, generator=generator).to(device)
            optimizer.step(number, 1e-3, 0.5)
        updated.append([p.detach().cpu() for p in optimizer.parameters.values()])
    for a, b in zip(*updated, strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-7)


def test_one_gpu_trains_in_mixed_precision(made: Path, tmp_path: Path) -> None:
    losses = {}
    for dtype in ("float32", "bfloat16"):
        folder = tmp_path / dtype
        config = settings(made, folder, optim={"dtype": dtype, "batch_packs": 4, "lr": 1e-3})
        run = config.run.model_copy(update={"device": "cuda"})
        training = Training(config.model_copy(update={"run": run}))
        losses[dtype] = [training.one_step()["loss"] for _ in range(8)]
        parallel.close()
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.03)
