"""Pages a second and core from few archives to ten times as many, in waves: the pace must hold.

    python -m benchmarks.scale [archives] [pages an archive] [bytes of the longest pages taken]

Runs the whole chain but the download of images on a tenth of the archives and on all of them, ten
waves a stage. The archives hold real pages under rewritten addresses and come over HTTP from
archive_server. Value and baseline are pages a second of the tasks' processor time. A run that was
stopped goes on where it was.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benben.pipeline import storage
from benchmarks.support import figure

BY_WAVES = ("extract", "measure", "decide")


def main() -> None:
    """Run both sizes, report."""
    count, pages, *longest = map(int, sys.argv[1:] or ("100", "50"))
    folder = figure.FOLDER / "-".join(map(str, ("scale", count, pages, *longest)))
    with serve(count, pages, *longest) as port:
        runs = {size: run(folder, size, port) for size in (max(1, count // 10), count)}
    few, many = runs.values()
    figure.report(
        "scale",
        many["pages_a_core_second"],
        few["pages_a_core_second"],
        unit="pages a second of processor time",
        runs=runs,
    )
    shutil.rmtree(folder)


@contextmanager
def serve(*crawl: int) -> Iterator[int]:
    """The port of a server of archives, a process of its own: its time is not the tasks'."""
    command = [sys.executable, "-m", "benchmarks.archive_server", *map(str, crawl)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def run(folder: Path, archives: int, port: int) -> dict[str, Any]:
    """Run the chain on so many archives; what it took."""
    output = folder / f"run-{archives}"
    output.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{archives}.paths"
    urls = (f"http://127.0.0.1:{port}/part-{number:05d}.warc.gz" for number in range(archives))
    paths.write_text("".join(f"{url}\n" for url in urls))
    command = ["run", "default", f"input=[{paths}]", f"output={output}"]
    parts = max(10, archives)
    command += [f"spark.partitions={parts}", f"spark.wave_tasks={parts // 10}"]
    command += ["spark.master=local[2]", "fetch.enabled=no"]
    subprocess.run([sys.executable, "-m", "benben.jobs.commands.cli", *command], check=True)
    stages = {line["stage"]: line for line in last_lines(output)}
    pages = stages["extract"]["counts"]["documents"]["entered"]
    seconds = sum(line["task_cpu_seconds"] for line in stages.values())
    paged = sum(stages[name]["task_cpu_seconds"] for name in BY_WAVES)
    return {
        "archives": archives,
        "pages": pages,
        "core_seconds": seconds,  # of Python tasks
        "wall_seconds": sum(line["seconds"] for line in stages.values()),
        "shuffled_bytes": sum(line["shuffled_bytes"] for line in stages.values()),
        "pages_a_core_second": pages / seconds,
        "pages_a_core_second_to_decide": pages / paged,
        "driver_peak_bytes": {name: line["driver_peak_bytes"] for name, line in stages.items()},
        "stages": stages,
    }


def last_lines(output: Path) -> Iterator[dict[str, Any]]:
    """The last line of each stage's metrics."""
    for path in storage.list_files(f"{output}/metrics"):
        yield json.loads(storage.read_bytes(path).splitlines()[-1])


if __name__ == "__main__":
    main()
