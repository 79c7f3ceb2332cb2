"""A Spark cluster of separate processes on one machine, with no more than pip's pyspark.

    python -m deploy.standalone FOLDER [workers] [cores]

starts a master and workers, prints the master's URL and runs until it is stopped.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

SPARK_HOME = Path(pyspark.__file__).parent
START_SECONDS = 120


DEFAULT_SIZE = ("2", "1")  # workers, cores of each


@dataclass
class Cluster:
    """A master at 127.0.0.1 and workers at 127.0.0.2, 127.0.0.3 ..., separate hosts for Spark."""

    folder: Path
    cores: int = 1
    memory: str = "1g"
    port: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The value for spark-submit's --master."""
        return f"spark://127.0.0.1:{self.port}"

    def start(self, workers: int = 2) -> Cluster:
        """Start the master and its workers, and wait until all have registered."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._launch("master", "127.0.0.1", "master.Master", "--port", str(self.port))
        self._await("master", "I have been elected leader", 1)
        for number in range(1, workers + 1):
            self.add_worker(number)
        self._await("master", "Registering worker", workers)
        return self

    def add_worker(self, number: int, **env: str) -> None:
        """Start worker `number`; it and its executors get the environment variables `env`."""
        limits = ["-c", str(self.cores), "-m", self.memory]
        folder = str(self.folder / f"worker-{number}")
        host = self.host(number)
        self._launch(
            f"worker-{number}", host, "worker.Worker", *limits, "-d", folder, self.url, **env
        )

    @property
    def workers(self) -> dict[int, str]:
        """Number -> process name, for the workers that were not killed."""
        names = [name for name in self.processes if name != "master"]
        return {int(name.removeprefix("worker-")): name for name in names}

    @staticmethod
    def host(number: int) -> str:
        """Return the address of worker `number`."""
        return f"127.0.0.{number + 1}"

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and its executors."""
        os.killpg(self.processes[name].pid, number)

    def kill(self, name: str) -> None:
        """Kill a process and all that it started, at once."""
        self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait()

    def stop(self) -> None:
        """Kill all processes that still run."""
        for name in list(self.processes):
            self.kill(name)

    def _launch(self, name: str, host: str, kind: str, *arguments: str, **env: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}"]
        command += ["--host", host, "--webui-port", "0", *arguments]
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that killing the group kills the executors too
                env=os.environ
                | {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": host}
                | {"SPARK_DAEMON_MEMORY": "256m", "PYSPARK_PYTHON": sys.executable}
                | env,
            )

    def _await(self, name: str, text: str, times: int) -> None:
        log = self.folder / f"{name}.log"
        for _ in range(START_SECONDS * 5):
            if log.read_text(errors="replace").count(text) >= times:
                return
            time.sleep(0.2)
        raise TimeoutError(f"{log}: less than {times} times '{text}' in {START_SECONDS} s")


if __name__ == "__main__":
    folder, *counts = sys.argv[1:4]
    workers, cores = (int(text) for text in (*counts, *DEFAULT_SIZE[len(counts) :]))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    cluster = Cluster(Path(folder), cores)
    try:
        cluster.start(workers)
        print(cluster.url, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        cluster.stop()
