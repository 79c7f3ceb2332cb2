"""Swaps two folders of a local disk, so that readers always find one of them under its name."""

from __future__ import annotations

import ctypes
import os

from benben.pipeline.storage.stores import local_path, resolve

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


def swap(one: str, other: str) -> None:
    """Swap the names of two local folders: in one step where the system can, else in three.

    In three steps there is a moment without `other`; a kill in it leaves `other` as `other.old`.
    """
    one, other = (resolve(folder)[1] for folder in (one, other))
    if not _swapped_at_once(one, other):
        os.rename(other, f"{other}.old")
        os.rename(one, other)
        os.rename(f"{other}.old", one)


def restore(folder: str) -> None:
    """Give a local folder its name back after a kill in the second of the three steps."""
    path = local_path(folder)
    if path is not None and not os.path.exists(path) and os.path.exists(f"{path}.old"):
        os.rename(f"{path}.old", path)


def _swapped_at_once(one: str, other: str) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return bool(call(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE) == 0)
