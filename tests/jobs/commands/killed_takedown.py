"""Run a takedown in a process that dies at a chosen change to the disk."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

from benben.jobs.commands import cli
from benben.pipeline import storage

KILLED = 77


def run(arguments: list[str], point: int) -> int:
    """Run a takedown that dies just before change number `point`, and return its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=_work, args=(arguments, point))
    child.start()
    child.join(120)
    assert child.exitcode is not None
    return child.exitcode


def _work(arguments: list[str], point: int) -> None:
    left = [point]

    def dying(change: Callable[..., Any]) -> Callable[..., Any]:
        def work(*values: Any, **names: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)
            return change(*values, **names)

        return work

    os.replace = dying(os.replace)  # type: ignore[assignment]
    os.link = dying(os.link)  # type: ignore[assignment]
    storage.delete_file = dying(storage.delete_file)
    storage.delete_folder = dying(storage.delete_folder)
    storage.swap = dying(storage.swap)
    os._exit(cli.main(["takedown", *arguments]))
