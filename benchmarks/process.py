"""What a process and its descendants have used: processor time and largest memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def descendants(root: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def processor_seconds(root: int) -> float:
    """Processor time of the living descendants and of the children they have waited for."""
    total = 0
    for pid in descendants(root):
        fields = _stat(pid)
        total += sum(map(int, fields[11:15])) if fields else 0
    return total / TICKS


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the command's name; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Memory:
    """Watches the largest resident memory below this process, in bytes: of a worker, of Java."""

    def __init__(self) -> None:
        self.largest = 0  # of any Python worker
        self.java = 0  # the driver's and all local tasks' together
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(2):
            for pid in descendants(os.getpid())[1:]:
                try:
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    command = Path(f"/proc/{pid}/cmdline").read_text()
                except OSError:
                    continue
                peak = next((line for line in lines if line.startswith("VmHWM")), "VmHWM: 0 kB")
                used = int(peak.split()[1]) * 1024
                if "java" in command.split("\0")[0]:
                    self.java = max(self.java, used)
                else:
                    self.largest = max(self.largest, used)
