"""Ranks that stop, fail or vanish: the others do what it takes, and none waits for ever.

`BENBEN_TRIALS=20 pytest -m slow tests/trainer/loop/test_agreement.py` tries every mesh so often.
"""

from __future__ import annotations

import json
import os
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from benben.trainer.checkpoint import store
from benben.trainer.counter_rng import generator
from benben.trainer.data.loader import NoDocuments
from benben.trainer.distributed.agreement import LostRank
from benben.trainer.loop.train import Training, train
from tests.trainer.ranks import Ranks
from tests.trainer.runs import settings

TRIALS = int(os.environ.get("BENBEN_TRIALS", "1"))
MESHES = ((4, 1, 1), (1, 4, 1), (1, 1, 4), (2, 2, 1), (2, 1, 2), (1, 2, 2))  # dp, sp, tp
STEPS = 6


def config(made: str, folder: str, shape: tuple[int, int, int], **changes: Any) -> Any:
    parallel = dict(zip(("dp", "sp", "tp"), shape, strict=True))
    lm = {"hidden": 32, "heads": 4, "layers": 2, "intermediate": 64}
    run = {"steps": STEPS, "micro_packs": 1, **changes.pop("run", {})}
    model = {"lm": lm, "vision": {"hidden": 32, "heads": 2}}
    return settings(Path(made), Path(folder), model=model, parallel=parallel, run=run, **changes)


class Signalled(Training):
    """One rank gets SIGTERM at a moment of a step: before its data, or in its forward pass."""

    victim, at, moment = 0, 0, ""

    def one_step(self) -> dict[str, Any]:
        self._signal("data")
        return super().one_step()

    def forward_backward(self, packs: list[Any]) -> dict[str, Any]:
        self._signal("forward")
        return super().forward_backward(packs)

    def _signal(self, moment: str) -> None:
        session = self.session
        if (session.mesh.rank, session.step, moment) == (self.victim, self.at, self.moment):
            os.kill(os.getpid(), signal.SIGTERM)


def signalled(
    made: str, folder: str, shape: tuple[int, int, int], victim: int, at: int, moment: str
) -> dict[str, Any]:
    training = Signalled(
        config(made, folder, shape, checkpoint={"dir": folder, "asynchronous": True, "every": 2})
    )
    training.victim, training.at, training.moment = victim, at, moment
    began = time.monotonic()
    training.run()
    return {
        "step": training.session.step,
        "stopped": training.stopped,
        "seconds": time.monotonic() - began,
        "next": training.session.loader.state.next,
    }


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("shape", MESHES, ids=str)
def test_sigterm_to_any_rank_saves_and_ends(
    ranks: Ranks, made: Path, tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    """The step is finished, all of it is saved, and no rank's state differs."""
    random = generator("sigterm", *shape)
    for trial in range(TRIALS):
        folder = tmp_path / str(trial)
        victim, at = int(random.integers(0, 4)), int(random.integers(0, STEPS - 1))
        moment = str(random.choice(["data", "forward"]))
        found = ranks.run(signalled, 4, str(made), str(folder), shape, victim, at, moment)
        told = f"{shape} {victim=} {at=} {moment=}"
        assert {(f["step"], f["stopped"], f["next"]) for f in found} == {
            (at + 1, True, 4 * (at + 1))
        }, told
        path = store.newest(folder)
        assert path is not None
        content = store.manifest(path)
        assert (content["step"], content["meta"]["data"]["next"]) == (at + 1, 4 * (at + 1)), told
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(1, at + 2)), told


def evaluated(made: str, folder: str, shape: tuple[int, int, int], victim: int) -> dict[str, Any]:
    """A rank is asked to stop while the run is evaluated."""
    made_config = config(made, folder, shape, run={"steps": 1, "eval_packs": 4})

    def stop(self: Any, packs: Any) -> None:
        if self.mesh.rank == victim:
            self.stop_asked = True

    from benben.trainer.loop import session as module

    taken = module.Session.take

    def take(self: Any, loader: Any, packs: int) -> Any:
        if loader is not self.loader:
            stop(self, packs)
        return taken(self, loader, packs)

    module.Session.take = take  # type: ignore[method-assign]
    try:
        return train(made_config)
    finally:
        module.Session.take = taken  # type: ignore[method-assign]


def test_an_evaluation_ends_on_all_ranks(ranks: Ranks, made: Path, tmp_path: Path) -> None:
    found = ranks.run(evaluated, 2, str(made), str(tmp_path), (1, 1, 2), 1)
    assert [f["evaluation"]["stopped"] for f in found] == [True, True]
    assert not (tmp_path / "evaluation.json").exists()


def exhausted(made: str, folder: str, shape: tuple[int, int, int]) -> str:
    """The second rank's data end at the third step."""
    training = Training(config(made, folder, shape))
    session = training.session
    if session.mesh.rank == 1:
        whole = session.loader.take

        def take(total: int) -> Any:
            if session.step == 2:
                raise NoDocuments("the data has no usable document for this split")
            return whole(total)

        session.loader.take = take  # type: ignore[method-assign]
    try:
        training.run()
    except NoDocuments as error:
        return f"{session.step} {error}"
    return "trained"


def test_data_that_end_on_one_rank_end_the_run_on_all(
    ranks: Ranks, made: Path, tmp_path: Path
) -> None:
    first, second = ranks.run(exhausted, 2, str(made), str(tmp_path), (2, 1, 1))
    assert first == "2 rank 1: the data has no usable document for this split"
    assert second == "2 the data has no usable document for this split"


def _vanishing(rank: int, made: str, folder: str, how: str, answers: Any) -> None:
    """Train on three processes, of which the last dies or hangs in its second step."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    os.environ.update(WORLD_SIZE="3", RANK=str(rank), LOCAL_RANK=str(rank))
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    made_config = settings(
        Path(made),
        Path(folder),
        parallel={"dp": 3, "timeout": 8.0},
        data={"lanes": 3},
        optim={"batch_packs": 3},
    )
    training = Training(made_config)
    take = training.session.loader.take

    def vanish(total: int) -> Any:
        if training.session.step == 1 and rank == 2:
            if how == "dies":
                os._exit(1)
            time.sleep(600)
        return take(total)

    training.session.loader.take = vanish  # type: ignore[method-assign]
    try:
        training.run()
    except LostRank as error:
        answers.put((rank, str(error)))
        answers.close()
        answers.join_thread()
    os._exit(0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_a_lost_rank_is_named(made: Path, tmp_path: Path, how: str) -> None:
    context = get_context("spawn")
    answers = context.Queue()
    started = [
        context.Process(target=_vanishing, args=(r, str(made), str(tmp_path), how, answers))
        for r in range(3)
    ]
    for process in started:
        process.start()
    found = dict(answers.get(timeout=300) for _ in range(2))
    for process in started:
        process.kill()
        process.join()
    assert set(found) == {0, 1}
    for message in found.values():
        assert message.startswith("rank 2 of 3 did not answer within 8 s")
