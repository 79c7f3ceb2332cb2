"""Measure the trainer on one CUDA GPU, in two commands of at most five minutes each.

    python -m benchmarks.gpu_session correctness
    python -m benchmarks.gpu_session speed
    python -m benchmarks.gpu_session store      (on a CPU: writes cpu_results.json anew)

Each stage runs in a process of its own, which is killed at its deadline. Results are written as
they come, with every exception, to `benchmarks/results/gpu-COMMAND-CARD.json`. `--tiny` runs all
stages at sizes for a CPU. What must be installed: `benchmarks/training/gpu_requirements.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support.figure import FOLDER

RESULTS = Path("benchmarks/results")
LIMIT = 295.0  # seconds of a whole command
STAGES: dict[str, dict[str, float]] = {  # by command: the stages and their seconds at most
    "correctness": {"smoke": 70, "mixed": 40, "resume": 75, "vlm": 75, "checkpoint": 35},
    "speed": {"attention": 40, "ladder": 140, "longest": 65, "whole": 45},
}
PLAN = "plan-{}"  # what the planner says of a command's runs: on CPU cores, beside the stages
TAIL = 4000  # characters of a failed stage's output that are kept


@dataclass
class Started:
    """A stage's process, its files and when it must have ended."""

    name: str
    process: subprocess.Popen[bytes]
    values: Path
    log: Path
    began: float
    seconds: float

    @staticmethod
    def of(name: str, folder: Path, seconds: float, tiny: bool) -> Started:
        values, log = folder / f"{name}.json", folder / f"{name}.log"
        values.unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.training.gpu_stage", name, str(folder)]
        command += ["--seconds", str(seconds), *(["--tiny"] if tiny else [])]
        environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if tiny else {})}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )
        return Started(name, process, values, log, time.monotonic(), seconds)

    def over(self) -> bool:
        """Tell whether it has ended; past its deadline it is killed with all its children."""
        if self.process.poll() is None and time.monotonic() - self.began < self.seconds:
            return False
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        return True

    def result(self) -> dict[str, Any]:
        """Return its status, seconds, values and exceptions so far."""
        found = json.loads(self.values.read_text()) if self.values.exists() else {}
        values, errors = found.get("values", {}), found.get("errors", [])
        code = self.process.returncode
        status = "running"
        if code is not None:
            late = code == -signal.SIGKILL and time.monotonic() - self.began >= self.seconds
            status = "ok" if code == 0 and not errors else "late" if late else "failed"
        result = {"status": status, "deadline": self.seconds, "values": values, "errors": errors}
        if code is not None:
            result["seconds"] = round(time.monotonic() - self.began, 1)
        if status == "failed" and not errors:
            result["output"] = self.log.read_text(errors="replace")[-TAIL:]
        return result


def write(path: Path, data: dict[str, Any]) -> None:
    """Replace a JSON file whole, so that a killed session leaves one that can be read."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1) + "\n")
    os.replace(part, path)


def run(command: str, stages: list[str], path: Path, tiny: bool, card: str) -> dict[str, Any]:
    """Run the stages one after another and write the results after each and meanwhile."""
    began = time.monotonic()
    folder = FOLDER / f"gpu-{command}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {"command": command, "card": card, "tiny": tiny, "stages": {}}
    limits = {name: 600.0 if tiny else STAGES[command][name] for name in stages}
    planning = PLAN.format(command)
    plan = Started.of(planning, folder, LIMIT if not tiny else 600.0, tiny)
    for name in stages:
        left = sum(limits.values()) if tiny else LIMIT - (time.monotonic() - began)
        if left < 5:
            data["stages"][name] = {"status": "no time left"}
            continue
        stage = Started.of(name, folder, min(limits[name], left), tiny)
        while not stage.over():
            data["stages"][name] = stage.result()
            write(path, data)
            time.sleep(0.5)
        data["stages"][name] = stage.result()
        print(f"{name}: {data['stages'][name]['status']}", flush=True)
        write(path, data)
    while tiny and not plan.over():
        time.sleep(0.2)
    plan.seconds = 0.0 if plan.process.poll() is None else plan.seconds
    plan.over()
    data["stages"][planning] = plan.result()
    data["seconds"] = round(time.monotonic() - began, 1)
    write(path, data)
    return data


def card_name() -> str | None:
    """Return the first GPU's name; None without one."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    return found[0].strip() or None


def main(arguments: list[str] | None = None) -> int:
    """Run a command; exit with 1 where a stage did not end well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=[*STAGES, "store"])
    parser.add_argument("--stages", nargs="*", help="some of the command's stages")
    parser.add_argument("--out", type=Path, help="the JSON file")
    parser.add_argument("--tiny", action="store_true", help="sizes for a CPU")
    options = parser.parse_args(arguments)
    if options.command == "store":
        from benchmarks.training import gpu_smoke

        gpu_smoke.store_results()
        return 0
    card = "CPU, tiny sizes" if options.tiny else card_name()
    if card is None:
        print("gpu_session: no CUDA GPU here, nothing measured")
        return 0
    name = f"gpu-{options.command}-{re.sub('[^a-z0-9]+', '-', card.lower())}.json"
    path = options.out or (FOLDER if options.tiny else RESULTS) / name
    stages = options.stages or list(STAGES[options.command])
    data = run(options.command, stages, path, options.tiny, card)
    print(path)
    return int(any(stage["status"] != "ok" for stage in data["stages"].values()))


if __name__ == "__main__":
    sys.exit(main())
