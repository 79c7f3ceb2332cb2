"""The line rule on a host of 500,000 pages, against as many pages of 50,000 hosts.

Both tables have ten text nodes a page, three of them on every page of the host. The processor
time of the whole stage counts; a rule that skew slows down would cost more on the one host.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benben.jobs import deduplicate
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benchmarks.support import figure, process, synthetic

PAGES, LINES, SHARED = 500_000, 10, 3
OPTIONS = {"spark.driver.memory": "3g"}


def main(arguments: list[str]) -> None:
    """Measure both and report."""
    if arguments[:1] == ["--one"]:
        print(json.dumps(one(*map(int, arguments[1:]))))
        return
    pages = int(arguments[0]) if arguments else PAGES
    found = []
    for hosts in (max(1, pages // 10), 1):
        command = [
            sys.executable,
            "-m",
            "benchmarks.dedup_skew",
            "--one",
            str(hosts),
            str(pages),
        ]
        found.append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
        print(found[-1], file=sys.stderr)
    spread, single = (run["processor_seconds"] for run in found)
    unit = f"processor seconds for {pages} pages of one host, against {pages // 10} hosts"
    figure.report("dedup_skew", single, spread, unit=unit, runs=found)


def one(hosts: int, pages: int) -> dict[str, float]:
    """Generate, run the stage, check, measure."""
    folder = Path(figure.FOLDER / f"skew-{hosts}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    options = f"spark={json.dumps({'master': 'local[2]', 'options': OPTIONS})}"
    quiet = "deduplicate.lines.all_documents=null"  # counts what all hosts share: not measured here
    run = Run(config.load("default", ["input=[x]", f"output={folder}", options, quiet]))
    synthetic.write(run, pages, synthetic.line_parts(pages, hosts, LINES, SHARED))
    before, started = process.processor_seconds(os.getpid()), time.monotonic()
    found = run.execute(deduplicate.STAGE)
    wall = time.monotonic() - started
    used = process.processor_seconds(os.getpid()) - before
    shutil.rmtree(folder)
    return {
        "hosts": hosts,
        "pages": pages,
        "processor_seconds": round(used, 1),
        "wall_seconds": round(wall, 1),
        "lines_dropped": found.counts["nodes"].rejected["duplicate.host_line"],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
