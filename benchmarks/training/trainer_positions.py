"""Ablation of positions on a tiny decoder: NLL at 4 times the trained length over that at 1.

    python -m benchmarks.trainer_positions

The value is ALiBi's ratio, the baseline that of learned positions. Details hold every arm's, and
the processor seconds of all runs together.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from benben.trainer.ablation import arms, compare
from benben.trainer.config import CONFIGS
from benben.trainer.evaluation.synthetic import write_long
from benchmarks.support.figure import FOLDER, report

DOCUMENTS, SENTENCES = 400, 210


def main() -> None:
    """Run the shipped grid from its start and report."""
    out = FOLDER / "positions"
    shutil.rmtree(out, ignore_errors=True)
    write_long(FOLDER / "long", DOCUMENTS, SENTENCES)
    started, used = time.monotonic(), time.process_time()
    grid = arms.read(Path(CONFIGS / "grids" / "positions.yaml"))
    records = arms.run(grid, out)
    compared = compare.compare(records)
    (out / "ablation.md").write_text(compare.table(records, compared))
    near, far = compared["made x1 nll"], compared["made x4 nll"]
    ratios = {arm.split("=")[1]: far[arm]["mean"] / near[arm]["mean"] for arm in near}
    seconds = {"seconds": time.monotonic() - started, "cpu": time.process_time() - used}
    report("trainer_positions", ratios["alibi"], ratios["learned"], ratios=ratios, **seconds)
    print((out / "ablation.md").read_text())


if __name__ == "__main__":
    main()
