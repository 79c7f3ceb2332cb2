"""Four gloo processes that stay, so that torch is imported once for all distributed tests."""

from __future__ import annotations

import importlib
import os
import tempfile
import traceback
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

WORLD = 4


def _work(rank: int, pipe: Connection) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    while (task := pipe.recv()) is not None:
        module, function, world, store, arguments = task
        os.environ.update(WORLD_SIZE=str(world), RANK=str(rank), LOCAL_RANK=str(rank))
        try:
            if world > 1:
                dist.init_process_group(
                    "gloo", init_method=f"file://{store}", rank=rank, world_size=world
                )
            result = getattr(importlib.import_module(module), function)(*arguments)
            if dist.is_initialized():
                dist.barrier()
            pipe.send((True, result))
        except BaseException:
            pipe.send((False, f"rank {rank}:\n{traceback.format_exc()}"))
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()


class Ranks:
    """Runs a module's function on the first `world` processes; returns what each returned."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.folder, self.count = tempfile.TemporaryDirectory(), 0
        self.pipes, self.processes = [], []
        for rank in range(WORLD):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(rank, theirs), daemon=True)
            process.start()
            self.pipes.append(mine)
            self.processes.append(process)

    def run(self, function: Any, world: int, *arguments: Any) -> list[Any]:
        self.count += 1
        store = str(Path(self.folder.name) / f"store{self.count}")
        task = (function.__module__, function.__name__, world, store, arguments)
        for pipe in self.pipes[:world]:
            pipe.send(task)
        answers = [pipe.recv() for pipe in self.pipes[:world]]
        failures = [answer for ok, answer in answers if not ok]
        if failures:
            raise AssertionError("\n".join(failures))
        return [answer for _, answer in answers]

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(10)
            if process.is_alive():
                process.kill()
        self.folder.cleanup()
