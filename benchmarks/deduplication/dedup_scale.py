"""Clustering time a document at five million documents against one million, on two cores.

Fingerprints come from a generator: a tenth of the documents in clusters of 2 to 50, one cluster of
200,000. Each size runs in a process of its own; processor time of all its processes counts (the
machine may be shared), wall time is in the details. Two tasks and the driver share one Java
process: no task can take more than that process and the largest Python worker together.
`python -m benchmarks.dedup_scale 100000 ...` takes other sizes; the first is the baseline, the
last the value.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benben.jobs import cluster
from benben.jobs.engine import usage
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benchmarks.support import figure, process, synthetic

SIZES = (1_000_000, 2_000_000, 5_000_000)
OPTIONS = {"spark.driver.memory": "2g", "spark.sql.shuffle.partitions": "64"}


def main(arguments: list[str]) -> None:
    """Run every size, then compare the last with the first."""
    if arguments[:1] == ["--one"]:
        print(json.dumps(one(int(arguments[1]))))
        return
    sizes = [int(size) for size in arguments] or list(SIZES)
    found = []
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.dedup_scale", "--one", str(size)]
        found.append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
        print(found[-1], file=sys.stderr)
    micro = [run["processor_seconds"] / run["documents"] * 1e6 for run in found]
    unit = "processor microseconds a document, largest size against smallest; bar 1.3"
    figure.report("dedup_scale", micro[-1], micro[0], unit=unit, runs=found)


def one(documents: int) -> dict[str, float]:
    """Generate, cluster, check, measure."""
    folder = Path(figure.FOLDER / f"scale-{documents}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    options = f"spark={json.dumps({'master': 'local[2]', 'options': OPTIONS})}"
    run = Run(config.load("default", ["input=[x]", f"output={folder}", options]))
    synthetic.write(run, documents, synthetic.cluster_parts(documents, run.config.fingerprint))
    before, started = process.processor_seconds(os.getpid()), time.monotonic()
    with process.Memory() as memory:
        found = run.execute(cluster.STAGE)
    wall = time.monotonic() - started
    used = process.processor_seconds(os.getpid()) - before
    owners = synthetic.clusters(documents)
    planted = int((owners >= 0).sum() - len(set(owners[owners >= 0].tolist())))
    dropped = sum(found.counts["documents"].rejected.values())
    shutil.rmtree(folder)
    return {
        "documents": documents,
        "processor_seconds": round(used, 1),
        "wall_seconds": round(wall, 1),
        "planted": planted,
        "dropped": dropped,
        "rounds": found.metrics["component_rounds"],
        "largest_worker_bytes": memory.largest,
        "java_bytes": memory.java,
        "shuffled_bytes": usage.used().shuffled_bytes,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
