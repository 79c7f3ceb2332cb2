"""Pages a second and core from few archives to ten times as many, in waves: the pace must hold.

    python -m benchmarks.scale [archives] [pages an archive]

The archives hold real pages under rewritten addresses. Runs extract, measure and decide on a
tenth of them and on all; value and baseline are pages a second of the tasks' processor time.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import figure
from pipeline import storage

SHARED = Path(os.environ.get("BENBEN_SHARED", Path(__file__).parents[2] / "shared"))
STAGES = ("extract", "measure", "decide")
TARGET = b"WARC-Target-URI: "


def main() -> None:
    """Make the archives, run both sizes, report."""
    count, pages = (int(text) for text in (sys.argv[1:] + ["100", "50"][len(sys.argv) - 1 :]))
    folder = figure.FOLDER / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    archives = make(folder / "crawl", count, pages)
    runs = {size: run(folder, archives[:size]) for size in (max(1, count // 10), count)}
    few, many = runs.values()
    figure.report(
        "scale",
        many["pages_a_core_second"],
        few["pages_a_core_second"],
        unit="pages a second of processor time, extract to decide",
        runs=runs,
    )


def make(folder: Path, count: int, pages: int) -> list[Path]:
    """Write archives of real pages, each address under a host of its own."""
    folder.mkdir(parents=True)
    records = itertools.cycle(list(read_records()))
    paths = []
    for number in range(count):
        path = folder / f"part-{number:05d}.warc.gz"
        with open(path, "wb") as archive:
            for record in itertools.islice(records, pages):
                host = b"://n%d." % number
                moved = record.replace(b"://", host, 1) if TARGET in record[:2000] else record
                archive.write(gzip.compress(moved, 1, mtime=0))
        paths.append(path)
    return paths


def read_records() -> Iterator[bytes]:
    """Real response records, the target's address first among their headers."""
    for path in sorted((SHARED / "data" / "warc").glob("TEST-MAIN-*.warc.gz")):
        with gzip.open(path) as stream:
            data = stream.read()
        for text in data.split(b"WARC/1.0\r\n")[1:]:
            head, gap, body = text.partition(b"\r\n\r\n")
            lines = sorted(head.split(b"\r\n"), key=lambda line: not line.startswith(TARGET))
            if b"WARC-Type: response" in lines:
                yield b"WARC/1.0\r\n" + b"\r\n".join(lines) + gap + body


def run(folder: Path, archives: list[Path]) -> dict[str, float]:
    """Run the stages on the archives in ten waves; what it took."""
    output = folder / f"run-{len(archives)}"
    paths = folder / f"{len(archives)}.paths"
    paths.write_text("".join(f"{path.resolve()}\n" for path in archives))
    for stage in STAGES:
        command = [sys.executable, "-m", "jobs.cli", stage, "default", f"input=[{paths}]"]
        command += [f"output={output}", "spark.master=local[2]"]
        parts = max(10, len(archives))
        command += [f"spark.partitions={parts}", f"spark.wave_tasks={parts // 10}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    last = [json.loads(line) for line in ends(output)]
    pages = last[0]["counts"]["documents"]["entered"]
    seconds = sum(line["task_cpu_seconds"] for line in last)
    return {
        "archives": len(archives),
        "pages": pages,
        "core_seconds": seconds,
        "pages_a_core_second": pages / seconds,
        "driver_peak_bytes": max(line["driver_peak_bytes"] for line in last),
        "bytes": sum(sum(line["bytes"].values()) for line in last),
    } | {f"{line['stage']}_core_seconds": line["task_cpu_seconds"] for line in last}


def ends(output: Path) -> Iterator[bytes]:
    """The last line of each stage's metrics."""
    for stage in STAGES:
        (path,) = (p for p in storage.list_files(f"{output}/metrics") if f"/{stage}-" in p)
        yield storage.read_bytes(path).splitlines()[-1]


if __name__ == "__main__":
    main()
