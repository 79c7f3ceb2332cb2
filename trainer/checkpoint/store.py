"""Saves and loads a run at any mesh; an incomplete or damaged checkpoint is refused.

A checkpoint is a folder `step_N` of torch's distributed checkpoint with a manifest. On a disk it is
written as `step_N.tmp`, synced, then renamed; in an object store its manifest is written last, and
deleted first. So a killed save leaves the previous one. Every file's digest is checked before
loading, every tensor's after.
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
from benben.trainer.distributed import torch_compat
from benben.trainer.distributed.shards import Shard, copy_full, local, parameters, shard_of
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model.vlm import VLM, zero_padding
from benben.trainer.object_stores import Place, RemotePath, names

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


def checkpoints(folder: Place) -> list[Place]:
    """Return the committed checkpoints of a run, oldest first."""
    if isinstance(folder, RemotePath):
        found = (name.split("/") for name in names(folder))
        return [folder / n[0] for n in found if n[1:] == [MANIFEST] and n[0].startswith("step_")]
    return sorted(p.parent for p in folder.glob(f"step_*/{MANIFEST}") if p.parent.suffix != ".tmp")


def newest(folder: Place) -> Place | None:
    found = checkpoints(folder)
    return found[-1] if found else None


def manifest(path: Place) -> dict[str, Any]:
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
    temporary: Place
    content: dict[str, Any]


class Saver:
    """Writes checkpoints of a run; with `asynchronous`, in the background.

    Then the training waits for a copy to host memory alone: files are written, and digests of
    tensors and files computed, on another thread.
    """

    def __init__(self, folder: Place, keep: int, asynchronous: bool = False) -> None:
        self.folder, self.keep, self.asynchronous = folder, keep, asynchronous
        self.pending: Pending | None = None
        distributed = dist.is_initialized() and asynchronous
        self.group = dist.new_group(backend="gloo") if distributed else None
        self.thread = ThreadPoolExecutor(1, "checkpoint") if asynchronous else None

    def save(self, step: int, state: Mapping[str, Tensor], meta: dict[str, Any]) -> None:
        """Save tensors and the manifest's entries; a collective call."""
        self.finish()
        temporary = _begin(self.folder, step)
        target: dict[str, Any] = {"checkpoint_id": temporary}
        if isinstance(temporary, RemotePath):
            target = {"storage_writer": torch_compat.store_writer(temporary.url)}
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
                dict(state), process_group=self.group, async_stager=stager, **target
            )
            assert isinstance(written, Future)
            copies = [
                dataclasses.replace(shard, local=local(stager.staged[name]))
                for name, shard in zip(state, shards, strict=True)
            ]
            work = self.thread.submit(_digests, copies, temporary, rank(), written)
            self.pending = Pending(work, temporary, content)
        else:
            save_sharded(dict(state), no_dist=not dist.is_initialized(), **target)
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
        self, temporary: Place, content: dict[str, Any], sums: Tensor, found: dict[str, str]
    ) -> None:
        content["tensors"] = digest.over_ranks(content["shapes"], sums)
        parts: list[Any] = [found]
        if dist.is_initialized():
            parts = [None] * dist.get_world_size()
            dist.all_gather_object(parts, found)
        if rank() == 0:
            files = {name: value for part in parts for name, value in part.items()}
            files[".metadata"] = digest.file(temporary / ".metadata")
            _publish(temporary, json.dumps({**content, "files": files}, indent=1))
            for old in checkpoints(self.folder)[: -self.keep]:
                _remove(old)
        barrier()


def _digests(
    shards: Sequence[Shard], folder: Place, rank: int, written: Future[Any] | None = None
) -> tuple[Tensor, dict[str, str]]:
    """Return the sums of a rank's tensors and, once written, the digests of its files."""
    sums = digest.sums(shards)
    if written is not None:
        written.result()
    mine = [name for name in names(folder) if name.startswith(f"__{rank}_")]
    return sums, {name: digest.file(folder / name) for name in mine}


def _begin(folder: Place, step: int) -> Place:
    """Return the empty folder in which a checkpoint is written; a collective call."""
    name = f"step_{step:08d}"
    temporary = folder / name if isinstance(folder, RemotePath) else folder / f"{name}.tmp"
    if rank() == 0:
        _remove(temporary)
        if isinstance(temporary, Path):
            temporary.mkdir(parents=True)
    barrier()
    return temporary


def _remove(path: Place) -> None:
    if isinstance(path, RemotePath):
        path.remove(MANIFEST)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _publish(temporary: Place, text: str) -> None:
    """Commit a checkpoint that is written, by its manifest; on a disk, by a rename."""
    if isinstance(temporary, RemotePath):
        (temporary / MANIFEST).write_text(text)
        return
    _write(temporary / MANIFEST, text)
    final = temporary.with_suffix("")
    shutil.rmtree(final, ignore_errors=True)
    os.rename(temporary, final)
    _sync(temporary.parent)


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


def verify_files(path: Place, files: Mapping[str, str]) -> None:
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


def read_tensors(path: Place, state: dict[str, Tensor], alone: bool) -> None:
    """Fill tensors from a checkpoint; `alone`: by this process, not a collective call."""
    place: dict[str, Any] = {"checkpoint_id": path}
    if isinstance(path, RemotePath):
        place = {"storage_reader": torch_compat.store_reader(path.url)}
    state_dict_loader.load(state, no_dist=alone, **place)


def load(path: Place, model: VLM, optimizer: AdamW | None = None) -> dict[str, Any]:
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
    read_tensors(path, target, alone=not dist.is_initialized())
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
