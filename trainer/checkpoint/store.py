"""Saves and loads a run at any mesh; an incomplete or damaged checkpoint is refused.

A checkpoint is a folder `step_N` of torch's distributed checkpoint with a manifest. It is written
as `step_N.tmp`, synced, then renamed: a killed save leaves the previous one. Every file's
digest is checked before loading, every tensor's after.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader
from torch.distributed.checkpoint.staging import BlockingAsyncStager
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.state_dict_saver import save as save_sharded

from benben.common.errors import UserError
from benben.trainer.checkpoint import digest
from benben.trainer.distributed.shards import Shard, copy_full, local, parameters, shard_of
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model.vlm import VLM, zero_padding

MANIFEST = "manifest.json"
VOCABULARY = {"lm.embed.weight", "lm.head.weight"}
FORMAT = 1


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names folder and part."""


def state_of(model: VLM, optimizer: AdamW | None) -> dict[str, Tensor]:
    """Return every tensor of a run: `model/NAME`, `exp_avg/NAME`, `exp_avg_sq/NAME`."""
    state: dict[str, Tensor] = {f"model/{n}": p.detach() for n, p in parameters(model)}
    for kind, moments in optimizer.moments().items() if optimizer else ():
        state |= {f"{kind}/{name}": moment for name, moment in moments.items()}
    return state


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


def checkpoints(folder: Path) -> list[Path]:
    """Return the committed checkpoints of a run, oldest first."""
    return sorted(p.parent for p in folder.glob(f"step_*/{MANIFEST}") if p.parent.suffix != ".tmp")


def newest(folder: Path) -> Path | None:
    found = checkpoints(folder)
    return found[-1] if found else None


def manifest(path: Path) -> dict[str, Any]:
    """Read a checkpoint's manifest. Raises CheckpointError when there is none."""
    try:
        data: dict[str, Any] = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no readable {MANIFEST} ({error})") from None
    if data.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {data.get('format')}, this code reads {FORMAT}")
    return data


class Stager(BlockingAsyncStager):  # type: ignore[misc]
    """Copies a state to host memory and keeps the copy, so that its digests can be computed."""

    def stage(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        self.staged: dict[str, Any] = super().stage(state_dict)
        return self.staged


@dataclass
class Pending:
    """A background save: what it gives are sums of the tensors' hashes and digests of files."""

    work: Future[tuple[Tensor, dict[str, str]]]
    temporary: Path
    content: dict[str, Any]


class Saver:
    """Writes checkpoints of a run; with `asynchronous`, in the background.

    Then the training waits for a copy to host memory alone: files are written, and digests of
    tensors and files computed, on another thread.
    """

    def __init__(self, folder: Path, keep: int, asynchronous: bool = False) -> None:
        self.folder, self.keep, self.asynchronous = folder, keep, asynchronous
        self.pending: Pending | None = None
        distributed = dist.is_initialized() and asynchronous
        self.group = dist.new_group(backend="gloo") if distributed else None
        self.thread = ThreadPoolExecutor(1, "checkpoint") if asynchronous else None

    def save(self, step: int, state: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
        """Save tensors and the manifest's entries; a collective call."""
        self.finish()
        temporary = self.folder / f"step_{step:08d}.tmp"
        if rank() == 0:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        barrier()
        content = {
            "format": FORMAT,
            "step": step,
            "meta": meta,
            "shapes": {name: list(t.shape) for name, t in state.items()},
            "dtypes": {name: str(t.dtype).removeprefix("torch.") for name, t in state.items()},
        }
        shards = [shard_of(tensor) for tensor in state.values()]
        if self.thread is not None:
            stager = Stager()
            written = async_save(
                dict(state),
                checkpoint_id=temporary,
                process_group=self.group,
                async_stager=stager,
            )
            assert isinstance(written, Future)
            copies = [
                dataclasses.replace(shard, local=local(stager.staged[name]))
                for name, shard in zip(state, shards, strict=True)
            ]
            work = self.thread.submit(_digests, copies, temporary, rank(), written)
            self.pending = Pending(work, temporary, content)
        else:
            save_sharded(dict(state), checkpoint_id=temporary, no_dist=not dist.is_initialized())
            self._commit(temporary, content, *_digests(shards, temporary, rank()))

    def ready(self) -> bool:
        """Tell whether a background save has been written (on this rank)."""
        return self.pending is not None and self.pending.work.done()

    def finish(self) -> None:
        """Wait for a background save and commit it; a collective call."""
        if self.pending:
            pending, self.pending = self.pending, None
            self._commit(pending.temporary, pending.content, *pending.work.result())

    def _commit(
        self, temporary: Path, content: dict[str, Any], sums: Tensor, found: dict[str, str]
    ) -> None:
        content["tensors"] = digest.over_ranks(content["shapes"], sums)
        parts: list[Any] = [found]
        if dist.is_initialized():
            parts = [None] * dist.get_world_size()
            dist.all_gather_object(parts, found)
        if rank() == 0:
            files = {name: value for part in parts for name, value in part.items()}
            files[".metadata"] = digest.file(temporary / ".metadata")
            _write(temporary / MANIFEST, json.dumps({**content, "files": files}, indent=1))
            final = temporary.with_suffix("")
            shutil.rmtree(final, ignore_errors=True)
            os.rename(temporary, final)
            _sync(self.folder)
            for old in checkpoints(self.folder)[: -self.keep]:
                shutil.rmtree(old)
        barrier()


def _digests(
    shards: Sequence[Shard], folder: Path, rank: int, written: Future[Any] | None = None
) -> tuple[Tensor, dict[str, str]]:
    """Return the sums of a rank's tensors and, once written, the digests of its files."""
    sums = digest.sums(shards)
    if written is not None:
        written.result()
    return sums, {path.name: digest.file(path) for path in sorted(folder.glob(f"__{rank}_*"))}


def _write(path: Path, text: str) -> None:
    with path.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify_files(path: Path, files: Mapping[str, str]) -> None:
    """Check every file's digest, shared among the ranks. Raises CheckpointError on all of them."""
    size = dist.get_world_size() if dist.is_initialized() else 1
    wrong = []
    for name in sorted(files)[rank() :: size]:
        target = path / name
        if not target.is_file() or digest.file(target) != files[name]:
            wrong.append(name)
    parts: list[Any] = [wrong]
    if dist.is_initialized():
        parts = [None] * size
        dist.all_gather_object(parts, wrong)
    bad = sorted(name for part in parts for name in part)
    if bad:
        raise CheckpointError(f"{path}: damaged or missing: {', '.join(bad)}")


def load(path: Path, model: VLM, optimizer: AdamW | None = None) -> dict[str, Any]:
    """Fill model and optimizer from a checkpoint saved at any mesh; return its `meta`.

    The vocabulary may be padded to another size. Raises CheckpointError for damage, missing or
    differently shaped tensors.
    """
    content = manifest(path)
    verify_files(path, content["files"])
    state = state_of(model, optimizer)
    missing = sorted(set(state) - set(content["shapes"]))
    if missing:
        raise CheckpointError(f"{path}: has no {', '.join(missing[:5])} ({len(missing)} in all)")
    repad: dict[str, Tensor] = {}
    for name, tensor in state.items():
        saved = content["shapes"][name]
        if saved == list(tensor.shape):
            continue
        if name.split("/", 1)[1] not in VOCABULARY or saved[1:] != list(tensor.shape[1:]):
            raise CheckpointError(f"{path}: {name} is {saved}, needed {list(tensor.shape)}")
        repad[name] = torch.zeros(saved, dtype=tensor.dtype)
    target = {**state, **repad}
    state_dict_loader.load(target, checkpoint_id=path, no_dist=not dist.is_initialized())
    found = digest.tensors({n: t for n, t in target.items() if _same_type(n, t, content)})
    wrong = [name for name, value in found.items() if content["tensors"][name] != value]
    if wrong:
        raise CheckpointError(f"{path}: loaded content differs: {', '.join(wrong[:5])}")
    for name, full in repad.items():
        copy_full(state[name], _resize(full, state[name].shape[0]))
    if repad:
        zero_padding(model)
    meta: dict[str, Any] = content["meta"]
    return meta


def _same_type(name: str, tensor: Tensor, content: dict[str, Any]) -> bool:
    return str(tensor.dtype).removeprefix("torch.") == content["dtypes"][name]


def _resize(full: Tensor, rows: int) -> Tensor:
    if full.shape[0] >= rows:
        return full[:rows]
    return torch.cat([full, full.new_zeros(rows - full.shape[0], *full.shape[1:])])
