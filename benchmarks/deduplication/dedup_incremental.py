"""Adding a dump to a large index against adding it to a small one: processor time of `cluster`.

The index is that of an earlier run of made-up documents; the dump is 100,000 more of the same
generator, so some repeat documents of the index. `python -m benchmarks.dedup_incremental 200000
1000000` takes the sizes of the earlier run: the first is the baseline, the last the value.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benben.jobs import cluster
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benchmarks.support import figure, process, synthetic

SIZES = (200_000, 1_000_000)
ADDED = 100_000
OPTIONS = {"spark.driver.memory": "2g", "spark.sql.shuffle.partitions": "32"}


def main(arguments: list[str]) -> None:
    """Measure every size in a process of its own, then compare the last with the first."""
    if arguments[:1] == ["--one"]:
        print(json.dumps(one(*map(int, arguments[1:]))))
        return
    found = []
    for size in [int(size) for size in arguments] or SIZES:
        command = [
            sys.executable,
            "-m",
            "benchmarks.dedup_incremental",
            "--one",
            str(size),
        ]
        found.append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
        print(found[-1], file=sys.stderr)
    first, *_, last = (run["processor_seconds"] for run in found)
    unit = f"processor seconds to add {ADDED} documents, largest index against smallest"
    figure.report("dedup_incremental", last, first, unit=unit, runs=found)


def one(documents: int, added: int = ADDED) -> dict[str, float]:
    """Make an index of so many documents, then add a dump to it."""
    folder = Path(figure.FOLDER / f"incremental-{documents}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    total = documents + added
    old, new = configured(folder / "old"), configured(folder / "new", folder / "old")
    size = min(synthetic.PART_DOCUMENTS, documents, added)
    parts = synthetic.cluster_parts(total, old.config.fingerprint, size)
    synthetic.write(old, documents, parts, part_documents=size)
    old.execute(cluster.STAGE)
    synthetic.write(new, added, parts, documents // size, size)
    before = process.processor_seconds(os.getpid())
    found = new.execute(cluster.STAGE)
    used = process.processor_seconds(os.getpid()) - before
    shutil.rmtree(folder)
    return {
        "documents": documents,
        "processor_seconds": round(used, 1),
        "dropped": sum(found.counts["documents"].rejected.values()),
    }


def configured(folder: Path, *against: Path) -> Run:
    """A run that leaves an index."""
    options = f"spark={json.dumps({'master': 'local[2]', 'options': OPTIONS})}"
    known = f"deduplicate.against={json.dumps([str(path) for path in against])}"
    chosen = ["input=[x]", f"output={folder}", options, known]
    return Run(config.load("default", [*chosen, "deduplicate.index=true"]))


if __name__ == "__main__":
    main(sys.argv[1:])
