"""Ablation of two filter configs of the pipeline, from pages to bits a byte.

    python -m benchmarks.trainer_filters [pages [steps]]

Builds the sample with 400 pages of drawings, runs `benben run` with `shapes` and with
`unfiltered`, trains on both datasets at equal tokens and compares on both. The value is the bits
a byte of captions after training on captions, the baseline those after training on everything.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benben.sample.build import build
from benben.sample.demo import free_port
from benben.sample.serve import serving
from benben.trainer.ablation import arms as ablation
from benben.trainer.ablation import compare
from benben.trainer.config import CONFIGS
from benchmarks.support.figure import FOLDER, report

PAGES, PORT = 400, 8933
RULES = ("shapes", "unfiltered")


def main() -> None:
    """Make both datasets, run the shipped grid and report."""
    site, port = FOLDER / "site", free_port(PORT)
    build(site, port=port, pages=int(sys.argv[1]) if len(sys.argv) > 1 else PAGES)
    with serving(site, port):
        for rules in RULES:
            _run(rules, site, port)
    out = FOLDER / "filters"
    shutil.rmtree(out, ignore_errors=True)
    grid = ablation.read(Path(CONFIGS / "grids" / "filters.yaml"))
    if len(sys.argv) > 2:  # steps of each arm, in place of the shipped number
        grid = grid.model_copy(update={"set": {**grid.set, "run.steps": int(sys.argv[2])}})
    records = ablation.run(grid, out)
    compared = compare.compare(records)
    text = compare.table(records, compared)
    (out / "ablation.md").write_text(text)
    arms = compared["captions x1 bits/byte"]
    means = [arms[arm]["mean"] for arm in ("captions", "everything")]
    report("trainer_filters", *means, unit="bits a byte", compared=compared)
    print(text)


def _run(rules: str, site: Path, port: int) -> None:
    """Run the pipeline's chain with one rule set."""
    command = [
        *(sys.executable, "-m", "benben.jobs.commands.cli", "run", rules),
        f"input=[{site / 'crawl-data'}]",
        f"output={FOLDER / rules}",
        f"fetch.allow_hosts=['127.0.0.1:{port}']",
        f"fetch.politeness.unlimited_hosts=['127.0.0.1:{port}']",
    ]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
