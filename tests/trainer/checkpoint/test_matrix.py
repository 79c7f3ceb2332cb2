"""A run saved at any mesh continues at any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.tensor import DTensor

from benben.trainer.checkpoint import store
from benben.trainer.distributed.parallel import gradient_norm
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.settings import Config
from tests.trainer.ranks import Ranks

MESHES = [(1, 1, 1), (2, 1, 1), (4, 1, 1), (1, 2, 1), (2, 1, 2), (1, 2, 2)]  # dp, sp, tp
BEFORE, AFTER = 2, 5


def settings(made: str, folder: str, mesh: tuple[int, int, int], multiple: int = 8) -> Config:
    """Sizes that do not divide by the ranks, tied embedding, a frozen tower."""
    lm = {
        "hidden": 66,
        "heads": 8,
        "kv_heads": 2,
        "head_dim": 8,
        "intermediate": 102,
        "layers": 2,
        "tie": True,
        "vocab_multiple": multiple,
    }
    dp, sp, tp = mesh
    return Config.model_validate(
        {
            "model": {"lm": lm, "freeze": ["vision"], "vision": {"hidden": 30, "heads": 2}},
            "data": {
                "mix": [{"path": f"{made}/data", "images": f"{made}/images"}],
                "tokenizer": f"{made}/tokenizer.json",
                "seq_len": 128,
                "window": 16,
                "lanes": 4,
            },
            "parallel": {"dp": dp, "sp": sp, "tp": tp},
            "optim": {"batch_packs": 4, "lr": 1e-3, "warmup_tokens": 1000},
            "checkpoint": {"dir": folder},
            "run": {"device": "cpu", "tensorboard": False},
        }
    )


def steps(training: Training, count: int) -> tuple[list[float], list[str]]:
    losses, names = [], []
    session = training.session
    for _ in range(count):
        packs = session.loader.take(4)
        losses.append(training.forward_backward(packs)["loss"])
        gradient_norm(session.model)
        session.step += 1
        session.optimizer.step(session.step, 1e-3)
        session.tokens += 512
        names += [f"{p.number}:{','.join(p.names)}" for p in packs]
    return losses, names


def whole(session: Session) -> dict[str, torch.Tensor]:
    state = store.state_of(session.model, session.optimizer)
    full = {n: t.full_tensor() if isinstance(t, DTensor) else t for n, t in state.items()}
    return {n: t.clone() for n, t in full.items()}


def save_and_continue(made: str, folder: str, mesh: tuple[int, int, int]) -> dict[str, Any]:
    training = Training(settings(made, folder, mesh))
    steps(training, BEFORE)
    training.session.save({"guard": {"losses": []}, "rollbacks": 0})
    state = whole(training.session)
    if training.session.mesh.rank == 0:
        torch.save(state, Path(folder) / "whole.pt")
    losses, names = steps(training, AFTER)
    return {"losses": losses, "names": names}


def load_each(
    made: str, folder: str, sources: list[str], mesh: tuple[int, int, int]
) -> list[dict[str, Any]]:
    training = Training(settings(made, folder, mesh))
    results = []
    for source in sources:
        training.session.resume(store.newest(Path(source)))
        expected = torch.load(Path(source) / "whole.pt")
        found = whole(training.session)
        equal = found.keys() == expected.keys()
        equal &= all(torch.equal(found[n], expected[n]) for n in expected)
        losses, names = steps(training, AFTER)
        results.append({"equal": equal, "losses": losses, "names": names})
    return results


def merged(parts: list[dict[str, Any]], mesh: tuple[int, int, int]) -> list[str]:
    """Put the data ranks' pack names into the run's order."""
    _, sp, tp = mesh
    names = [name for part in parts[:: sp * tp] for name in part["names"]]
    return sorted(names, key=lambda name: int(name.split(":")[0]))


@pytest.mark.timeout(1200)
def test_any_mesh_resumes_at_any_other(ranks: Ranks, made: Path, tmp_path: Path) -> None:
    from benben.trainer.data.packing import train_vocabulary

    train_vocabulary(["A red circle. A blue square. We drew this one."], 300).save(
        made / "tokenizer.json"
    )
    folders, saved = [], []
    for mesh in MESHES:
        folder = tmp_path / "-".join(map(str, mesh))
        folder.mkdir()
        world = mesh[0] * mesh[1] * mesh[2]
        parts = ranks.run(save_and_continue, world, str(made), str(folder), mesh)
        folders.append(str(folder))
        saved.append((parts[0]["losses"], merged(parts, mesh)))
    assert all(names == saved[0][1] for _, names in saved), "the data order depends on the mesh"
    for target, mesh in enumerate(MESHES):
        world = mesh[0] * mesh[1] * mesh[2]
        parts = ranks.run(load_each, world, str(made), str(tmp_path / "t"), folders, mesh)
        for source, origin in enumerate(MESHES):
            label = f"{origin} -> {mesh}"
            mine = [part[source] for part in parts]
            assert all(part["equal"] for part in mine), f"{label}: parameters or moments differ"
            losses, names = saved[source]
            assert merged(mine, mesh) == names, f"{label}: other data"
            for got, wanted in zip(mine[0]["losses"], losses, strict=True):
                assert abs(got - wanted) <= 1e-6 * abs(wanted), f"{label}: {got} {wanted}"
            if source == target:
                assert mine[0]["losses"] == losses, f"{label}: not bitwise"
