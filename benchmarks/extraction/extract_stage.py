"""The `extract` stage in Spark against the same work in a plain loop, on 20,000 real pages.

    python -m benchmarks.extract_stage [pages]

The archives hold real pages under rewritten addresses, and one page of 14 MB. Value: pages a second
under local[1], baseline: of the loop; the JSON has local[2] beside them and the largest memory of a
Python worker. Every run first extracts one archive, so that Spark, its workers and compiled code
are warm.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benben.jobs import extract
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benben.pipeline.archive import inputs
from benben.pipeline.page.extract import extractor
from benchmarks.support import figure
from benchmarks.support.archive_server import Crawl
from benchmarks.support.data import DATA
from benchmarks.support.process import Memory

ARCHIVES = 16
BIG_PAGE = DATA / "malformed" / "gen" / "payloads.warc.gz"
FOLDER = (figure.FOLDER / "extract_stage").resolve()


def main() -> int:
    """Make the archives, run the loop and the stage, report."""
    if len(sys.argv) > 2:
        print(json.dumps(one(sys.argv[1], Path(sys.argv[2]))))
        return 0
    if not BIG_PAGE.exists():
        print(f"extract_stage: no archives under {DATA} (set BENBEN_SHARED)")
        return 2
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = write_crawl(FOLDER / "crawl", -(-pages // ARCHIVES))
    paths = FOLDER / "all.paths"
    paths.write_text("".join(f"{path}\n" for path in (*made, BIG_PAGE)))
    (FOLDER / "first.paths").write_text(f"{made[0]}\n")
    runs = {mode: run(mode, paths) for mode in ("loop", "local[1]", "local[2]")}
    rates = {mode: found["pages"] / found["seconds"] for mode, found in runs.items()}
    figure.report(
        "extract_stage",
        rates["local[1]"],
        rates["loop"],
        unit="pages a second, archives to committed parquet",
        runs=runs,
        rates=rates,
        two_to_one=rates["local[2]"] / rates["local[1]"],
        worker_bytes=max(found["worker_bytes"] for found in runs.values()),
    )
    print(
        f"local[2] to local[1] {rates['local[2]'] / rates['local[1]']:.2f}, "
        f"largest worker {max(found['worker_bytes'] for found in runs.values()) / 1e6:.0f} MB"
    )
    return 0


def write_crawl(folder: Path, pages: int) -> list[Path]:
    """Write archives of real pages under rewritten addresses; returns their paths."""
    crawl = Crawl(ARCHIVES, pages)
    folder.mkdir(parents=True)
    paths = [folder / f"part-{number:05d}.warc.gz" for number in range(ARCHIVES)]
    for number, path in enumerate(paths):
        path.write_bytes(crawl.archive(number))
    return paths


def run(mode: str, paths: Path) -> dict[str, float]:
    """Measure one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.extract_stage", mode, str(paths)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    print(f"{mode}: {result}", flush=True)
    return result


def one(mode: str, paths: Path) -> dict[str, float]:
    """Pages, seconds and largest worker of the loop or of the stage under a Spark master."""
    work = loop if mode == "loop" else stage
    work(mode, paths.with_name("first.paths"))
    with Memory() as memory:
        pages, seconds = work(mode, paths)
    return {"pages": pages, "seconds": seconds, "worker_bytes": memory.largest}


def prepare(mode: str, paths: Path) -> Run:
    """A run of `extract` alone."""
    output = FOLDER / f"run-{mode}-{paths.stem}"
    overrides = [f"input=[{paths}]", f"output={output}", f"spark.partitions={ARCHIVES}"]
    if mode != "loop":
        overrides.append(f"spark.master={mode}")
    return Run(config.load("default", overrides), "extract")


_runs: dict[str, Run] = {}


def stage(mode: str, paths: Path) -> tuple[int, float]:
    """The stage; the second one uses the session of the first."""
    now = prepare(mode, paths)
    now._spark = _runs[mode].spark if mode in _runs else None
    _runs[mode] = now
    found = now.execute(extract.STAGE, force=True)
    return found.counts["documents"].entered, found.seconds


def loop(mode: str, paths: Path) -> tuple[int, float]:
    """One process, one archive after another, writing the same tables."""
    now = prepare(mode, paths)
    extractor(now.config.extract)
    folders = str(now.config.output) + "/documents", str(now.config.output) + "/dead_letters"
    found = inputs.find(now.config.input, now.config.archives)
    started = time.monotonic()
    pages = 0
    for part, splits in enumerate(inputs.deal(found, ARCHIVES)):
        task = extract.Task(part, tuple(splits))
        result = extract.extract_part(folders, now.config, task)
        pages += result.counts["documents"].entered
    return pages, time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
