"""A rate limit that all processes of a machine share through a small locked file.

Spark runs one Python process per task, so a limit held in memory would multiply by the number of
cores. When a server asks to slow down, the rate halves for all processes; it recovers gradually.
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

_STATE = struct.Struct("<dd")  # earliest start of the next request (monotonic s), interval (s)
SLOWEST = 64  # longest interval, as a multiple of the configured one
RECOVERY = 0.98  # factor of the interval with each further request
STALE = 3_600.0  # seconds; a later start was written before the machine was restarted


class Throttle:
    """Spaces the requests to one server evenly, over all processes with the same key.

    `clock` returns seconds that all processes agree on; tests pass their own `clock` and `sleep`.
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
        self._path = (folder or _own_folder()) / f"{name}.rate"

    def wait(self) -> None:
        """Reserve the next start and sleep until then."""

        def take(start: float, interval: float) -> tuple[float, float]:
            return max(start, now) + interval, max(self._interval, interval * RECOVERY)

        now = self._clock()
        start = self._change(take)
        if start > now:
            self._sleep(start - now)

    def slow_down(self, seconds: float) -> None:
        """Halve the rate, and let no process start a request for some seconds."""

        def halve(start: float, interval: float) -> tuple[float, float]:
            return max(start, now + seconds), min(interval * 2, self._interval * SLOWEST)

        now = self._clock()
        self._change(halve)

    def _change(self, change: Callable[[float, float], tuple[float, float]]) -> float:
        """Rewrite the shared state and return the start it held before."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read(_STATE.size)
            complete = len(data) == _STATE.size
            start, interval = map(float, _STATE.unpack(data) if complete else (0, 0))
            if not 0 <= start < self._clock() + STALE:
                start = 0.0
            if not self._interval <= interval <= self._interval * SLOWEST:
                interval = self._interval
            file.seek(0)
            file.write(_STATE.pack(*change(start, interval)))
        return start


def _own_folder() -> Path:
    """A folder only this user can write to."""
    folder = Path(tempfile.gettempdir()) / f"benben-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else: remove it or set TMPDIR")
    return folder
