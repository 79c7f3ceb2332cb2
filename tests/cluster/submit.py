"""Runs spark-submit as a user would: the zip, any working directory, nothing installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyspark

from benben.jobs.engine import session
from deploy import bundle

ROOT = Path(__file__).parent.parent.parent
SPARK_HOME = Path(pyspark.__file__).parent
_started: list[subprocess.Popen[bytes]] = []
_STARTED = re.compile(r"Starting task \d+\.(\d+) in stage \S+ \(TID (\d+)\) \(([\d.]+),")
_ENDED = re.compile(r"(?:Finished|Lost) task \S+ in stage \S+ \(TID (\d+)\)")


@dataclass(frozen=True)
class Driver:
    """A submitted job and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def done(self, seconds: float = 900) -> None:
        """Wait for its good end."""
        assert self.process.wait(seconds) == 0, self.text[-5000:]

    def busy(self) -> list[str]:
        """Hosts whose executors have a task now."""
        text = self.text
        ended = set(_ENDED.findall(text))
        return [host for _, task, host in _STARTED.findall(text) if task not in ended]

    def attempts(self) -> int:
        """The most attempts that any task took."""
        return 1 + max(int(attempt) for attempt, _, _ in _STARTED.findall(self.text))


def environment(**more: str) -> dict[str, str]:
    """Environment of a cluster's processes: no PYTHONPATH, this Python for the workers."""
    session.use_bundled_java()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own = {"SPARK_HOME": str(SPARK_HOME), "PYSPARK_PYTHON": sys.executable}
    return kept | own | {"SPARK_LOCAL_IP": "127.0.0.1"} | more


def start(
    folder: Path, script: Path, *arguments: str, master: str = "local[2]", **env: str
) -> Driver:
    """Submit and go on; the driver has a process group of its own and an empty folder to be in."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    zipped = bundle.build(folder / "benben.zip")
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", master]
    # `Driver.busy` and `attempts` read the log, which is quiet unless it is asked for.
    command += ["--conf", "spark.log.level=INFO", "--conf", "spark.ui.enabled=false"]
    command += ["--py-files", str(zipped)]
    log = folder / f"driver-{time.time_ns()}.log"
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            [*command, str(script), *arguments],
            cwd=elsewhere,
            env=environment(**env),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    _started.append(process)
    return Driver(process, log)


def stop() -> None:
    """Kill the drivers that still run."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(condition: Callable[[], object], seconds: float = 280) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
