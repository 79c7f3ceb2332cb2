"""What processes have used, with all below them: processor time and largest memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from benben.jobs.engine.usage import descendants
from benben.jobs.engine.usage import processor_seconds as processor_seconds


def benben(arguments: list[str]) -> float:
    """Run a command of benben; processor seconds of its process and all below, Spark's among them.

    The process says what it used itself: Spark's JVM outlives it, unwaited for.
    """
    script = (
        "import os, sys; from benben.jobs.commands import cli; "
        "from benben.jobs.engine import usage; code = cli.main(sys.argv[1:]); "
        "print(usage.processor_seconds(os.getpid())); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


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
