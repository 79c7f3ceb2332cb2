"""The training loop: steps, spikes, checkpoints, a clean stop."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from typing import Any

import torch

from benben.common.errors import UserError
from benben.trainer.data.order import DataState
from benben.trainer.distributed.parallel import gradient_norm
from benben.trainer.evaluation import evaluate
from benben.trainer.loop.loss_spikes import SpikeGuard
from benben.trainer.loop.metrics import Metrics
from benben.trainer.loop.optimizer import batch_packs, learning_rate
from benben.trainer.loop.session import Session
from benben.trainer.model.batch import Pack
from benben.trainer.object_stores import download, local_folder, upload
from benben.trainer.planning.flops import cost_of
from benben.trainer.settings import Config


class TrainingError(UserError):
    """A run cannot go on; the message says why."""


class Training:
    """A run from its newest checkpoint (or its start) to its last step."""

    def __init__(self, config: Config) -> None:
        self.session = Session(config)
        self.config = self.session.config
        self.guard = SpikeGuard(self.config.guard)
        self.rollbacks = 0
        self.stopped = False  # agreed: some rank was asked to stop
        self.cost = cost_of(self.session.model)
        folder = None
        if self.session.mesh.rank == 0:
            download(self.session.folder, "metrics.jsonl")
            folder = local_folder(self.session.folder)
        self.metrics = Metrics(folder, self.config.run.tensorboard, self.config.run.steps)

    def run(self) -> dict[str, Any]:
        """Train to the last step; return the last step's values. SIGTERM saves and ends the run."""
        values: dict[str, Any] = {}
        with stop_on_sigterm(self.session), self._naming_lost_ranks():
            try:
                self._restore()
                if self.session.newest() is None:
                    self.save()  # for a rollback before the first regular checkpoint
                while self.session.step < self.config.run.steps and not self._stopping():
                    values = self.one_step()
                if self._unsaved():
                    self.save()
                self.session.saver.finish()
            finally:
                self.metrics.close()
                if self.session.mesh.rank == 0:
                    upload(self.session.folder, ("metrics.jsonl",))
        return values

    def _unsaved(self) -> bool:
        self.session.saver.finish()
        path = self.session.newest()
        return path is None or path.name != f"step_{self.session.step:08d}"

    def _stopping(self) -> bool:
        self.stopped = self.session.stopping()
        return self.stopped

    @contextlib.contextmanager
    def _naming_lost_ranks(self) -> Iterator[None]:
        """Say which rank is lost where a collective call of a step fails on the others."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise TrainingError(out_of_memory(self.config, error)) from None
        except RuntimeError as error:
            lost = self.session.mesh.agreement.lost()
            if lost is None:
                raise
            raise lost from error

    def save(self) -> None:
        """Save the whole run; a collective call."""
        self.session.save({"guard": self.guard.to_json(), "rollbacks": self.rollbacks})

    def _restore(self) -> None:
        meta = self.session.resume()
        if meta:
            self.guard.restore(meta["guard"])
            self.rollbacks = max(self.rollbacks, meta["rollbacks"])

    def one_step(self) -> dict[str, Any]:
        """Train on the next packs and return the step's values."""
        session, run = self.session, self.config.run
        started, position = time.monotonic(), session.loader.state
        total = batch_packs(self.config.optim, session.tokens)
        packs = session.take(session.loader, total)
        waited = time.monotonic() - started
        values = self.forward_backward(packs)
        norm = float(gradient_norm(session.model))
        spike = not math.isfinite(norm) or self.guard.spikes(values["loss"])
        if session.mesh.agreement.any(spike)[0]:
            self._roll_back(position, packs, {**values, "grad_norm": norm})
            return values
        lr = learning_rate(self.config.optim, session.tokens + values["tokens"], self._horizon())
        clip = self.config.optim.clip
        scale = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        session.step += 1
        session.optimizer.step(session.step, lr, scale)
        session.tokens += int(values["tokens"])
        seconds = time.monotonic() - started
        values |= {"lr": lr, "grad_norm": norm, "packs": total, "seconds": seconds}
        values |= self._rates(values, seconds, waited)
        self.metrics.write(session.step, values)
        if session.step % run.log_every == 0 or session.step == run.steps:
            shown = ("loss", "lr", "grad_norm", "tokens_per_second", "mfu")
            self.metrics.show(session.step, {k: values[k] for k in shown})
        self._after(session.step)
        return values

    def _after(self, step: int) -> None:
        saver = self.session.saver
        if saver.pending and self.session.mesh.agreement.all(saver.ready()):
            saver.finish()
        if step % self.config.checkpoint.every == 0:
            self.save()
        every = self.config.run.eval_every
        if every and step % every == 0:
            result = evaluate.held_out(self.session, self.config.run.eval_packs)
            self.metrics.write(step, {f"eval/{k}": v for k, v in evaluate.flat(result).items()})

    def forward_backward(self, packs: list[Pack]) -> dict[str, Any]:
        """Accumulate gradients of the mean loss over the whole step's tokens, on all ranks.

        Everything is counted on the host, and the losses are read from the device once, at the end.
        """
        session, micro = self.session, self.config.run.micro_packs
        mesh = session.mesh
        pieces = [session.cut(packs[i : i + micro]) for i in range(0, len(packs), micro)]
        valid = sum(piece.valid for piece in pieces)
        pairs = sum(piece.layout.pairs for piece in pieces) / mesh.sp
        images = sum(piece.images for piece in pieces)
        tokens = sum(len(p.ids) - p.padding for p in packs) / mesh.sp
        sums = mesh.total(valid, tokens, pairs, images)
        seen = torch.zeros(2, dtype=torch.float64, device=mesh.device)
        for piece in pieces:
            batch = piece.to(mesh.device, session.dtype)
            loss, z_loss = session.model(batch, self.config.optim.z_loss)
            (loss / max(sums[0], 1)).backward()
            seen += torch.stack([loss.detach(), z_loss])
        loss_sum, z_sum = mesh.total(*seen.tolist())
        count = max(sums[0], 1)
        return {
            "loss": (loss_sum - z_sum) / count,
            "z_loss": z_sum / count,
            "predicted": int(sums[0]),
            "tokens": int(sums[1]),
            "pairs": sums[2],
            "images": int(sums[3]),
        }

    def _rates(self, values: dict[str, Any], seconds: float, waited: float) -> dict[str, float]:
        peak = self.config.run.peak_tflops * 1e12 * max(1, self.session.mesh.shards)
        peak *= self.session.mesh.tp
        work = (values["tokens"], values["pairs"], values["images"])
        return {
            "tokens_per_second": values["tokens"] / seconds,
            "mfu": self.cost.model(*work) / seconds / peak,
            "hfu": self.cost.hardware(*work) / seconds / peak,
            "data_wait": waited / seconds,
        }

    def _horizon(self) -> float:
        """Return the tokens of the whole run, so that the rate depends on tokens alone."""
        return float(
            self.config.run.steps * self.config.optim.batch_packs * self.config.data.seq_len
        )

    def _roll_back(self, position: DataState, packs: list[Pack], values: dict[str, Any]) -> None:
        """Return to the last checkpoint and never train on this step's packs again."""
        session = self.session
        session.optimizer.clear()
        self.rollbacks += 1
        skipped = (position.next, session.loader.state.next)
        names = sorted({name for pack in packs for name in pack.names})
        self.metrics.write(
            session.step + 1,
            {"spike": values, "limit": self.guard.limit(), "skip": skipped, "documents": names},
        )
        if self.rollbacks > self.config.guard.rollbacks:
            raise TrainingError(
                f"step {session.step + 1}: loss {values['loss']:.4g}, and "
                f"{self.config.guard.rollbacks} rollbacks were not enough; see metrics.jsonl"
            )
        skip = (*session.loader.state.skip, skipped)
        self._restore()
        state = session.loader.state
        kept = tuple(dict.fromkeys((*state.skip, *skip)))
        session.loader.restore(DataState(state.next, state.lanes, kept))


def out_of_memory(config: Config, error: Exception) -> str:
    """Return one line: what ran out of memory, and which options to switch on next."""
    memory, optim = config.memory, config.optim
    steps = (
        (config.run.micro_packs > 1, "run.micro_packs=1"),
        (not memory.tile_loss, "memory.tile_loss=4096"),
        (memory.recompute == "none", "memory.recompute=layer"),
        (not memory.tile_mlp, "memory.tile_mlp=8192"),
        (not memory.offload, "memory.offload=true"),
        (memory.group == 1, "memory.group=4"),
        (optim.state != "bfloat16", "optim.params=bfloat16 optim.state=bfloat16"),
    )
    todo = [option for off, option in steps if off]
    told = " ".join(todo[:3]) or "a shorter data.seq_len, or more GPUs (dp, sp)"
    first = (str(error).splitlines() or [""])[0].split(". GPU")[0]
    return f"out of memory ({first}): switch on {told}; `benben-train plan CONFIG --advise` chooses"


@contextlib.contextmanager
def stop_on_sigterm(session: Session) -> Iterator[None]:
    """Let SIGTERM ask the session to stop after its step or pack, not end the process."""

    def ask(*_: object) -> None:
        session.stop_asked = True

    previous = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def train(config: Config) -> dict[str, Any]:
    """Run a training; return its last step's values and an evaluation on held-out documents."""
    training = Training(config)
    with stop_on_sigterm(training.session):
        values = training.run()
        if training.stopped or not config.run.eval_packs:
            return values
        result = evaluate.held_out(training.session, config.run.eval_packs)
    if training.session.mesh.rank == 0 and "stopped" not in result:
        evaluate.write(result, training.session.folder)
    return {**values, "evaluation": result}
