"""An estimate from a small sample beside the measured whole: `python -m benchmarks.estimate`.

The archives of BENBEN_SHARED are repeated until they hold `--pages` pages; the whole is run and
measured once, and estimated from `--sample` of it with each of five seeds. Prints, for the worst
seed, one line: NAME estimated measured ratio, in processor seconds of all processes. Fetching is
off. Exit code 1: an estimate is further off than a fifth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benben.pipeline import manifest
from benchmarks.support.data import ROOT, archives, pages
from benchmarks.support.figure import report
from benchmarks.support.process import benben

BAR = 0.2


def repeat(folder: Path, wanted: int) -> int:
    """Link the archives into a folder until they hold enough pages; returns how many they hold."""
    once = pages(archives())
    times = -(-wanted // once)
    for number in range(times):
        for path in archives():
            (folder / f"{number:02d}-{path.name}").symlink_to(path)
    return times * once


def command(verb: str, crawl: Path, output: Path, *more: str) -> list[str]:
    """A command line of benben on the repeated archives."""
    given = [f"input=[{crawl}]", f"output={output}", "fetch.enabled=false", *more]
    return [verb, "default", *given]


def main() -> None:
    """Measure, estimate, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pages", type=int, default=20_000)
    options.add_argument("--sample", default="2%")
    options.add_argument("--seeds", type=int, default=5)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        crawl = Path(folder, "crawl")
        crawl.mkdir()
        held = repeat(crawl, chosen.pages)
        whole = benben(command("run", crawl, Path(folder, "run")))
        made = manifest.read(str(Path(folder, "run", "dataset")))
        assert made is not None
        documents = made.counts["documents"].kept
        found = []
        for seed in range(chosen.seeds):
            output = Path(folder, f"estimate-{seed}")
            line = command("estimate", crawl, output, "--sample", chosen.sample, f"--seed={seed}")
            subprocess.run(
                [sys.executable, "-m", "benben.jobs.commands.cli", *line], check=True, cwd=ROOT
            )
            said = json.loads((output / "estimate.json").read_text())
            found.append(said["core_seconds"]["value"])
            print(f"seed {seed}: {found[-1]:.0f} of {whole:.0f} s, ratio {found[-1] / whole:.3f}; "
                  f"documents {said['documents']['value']:.0f} of {documents}; "
                  f"captures {said['captures']['value']:.0f} of {held}")  # fmt: skip
        worst = max(found, key=lambda value: abs(value / whole - 1))
        ratios = [value / whole for value in found]
        report("estimate", worst, whole, ratios=ratios, pages=held, sample=chosen.sample)
    sys.exit(abs(worst / whole - 1) > BAR)


if __name__ == "__main__":
    main()
