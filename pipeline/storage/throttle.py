"""One pace for all processes of a machine: a slot for each request, kept in a small locked file.

Spark runs a Python process a task, so a limit held in memory would multiply by the cores. When
the server says to slow down, the pace halves for all of them and creeps back afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_STATE = struct.Struct("<dd")  # when the next request may start (monotonic s), interval (s)
SLOWEST = 64  # times the interval of the settings
RECOVERY = 0.98  # of the interval after each request that went well
STALE = 3_600.0  # seconds; a slot further off was written before the machine started anew


class Throttle:
    """Spaces requests to one server evenly, over all processes that name the same file.

    `clock` gives seconds that all processes agree on, `sleep` waits: tests pass their own.
    """

    def __init__(
        self,
        key: str,
        per_second: float,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval, self._clock, self._sleep = 1 / per_second, clock, sleep
        name = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
        self._path = (folder or _own_folder()) / f"{name}.pace"

    def wait(self) -> None:
        """Take the next slot and sleep until it comes."""

        def take(slot: float, interval: float) -> tuple[float, float]:
            return max(slot, now) + interval, max(self._interval, interval * RECOVERY)

        now = self._clock()
        slot = self._change(take)
        if slot > now:
            self._sleep(slot - now)

    def slow_down(self, seconds: float) -> None:
        """Halve the pace, and let no process start a request for some seconds."""

        def punish(slot: float, interval: float) -> tuple[float, float]:
            return max(slot, now + seconds), min(interval * 2, self._interval * SLOWEST)

        now = self._clock()
        self._change(punish)

    def _change(self, change: Callable[[float, float], tuple[float, float]]) -> float:
        """Rewrite the shared state; returns the slot that stood there."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read(_STATE.size)
            whole = len(data) == _STATE.size
            slot, interval = map(float, _STATE.unpack(data) if whole else (0, 0))
            if not 0 <= slot < self._clock() + STALE:
                slot = 0.0
            if not self._interval <= interval <= self._interval * SLOWEST:
                interval = self._interval
            file.seek(0)
            file.write(_STATE.pack(*change(slot, interval)))
        return slot


def _own_folder() -> Path:
    """A folder only this user can write to."""
    folder = Path(tempfile.gettempdir()) / f"benben-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else: remove it or set TMPDIR")
    return folder
