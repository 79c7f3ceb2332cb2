"""`benben-train ablate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the `ablate` command."""
    parser = commands.add_parser("ablate", help="train every arm of a grid and compare the results")
    parser.add_argument("grid", type=Path, help="YAML with base, arms or grid, seeds, evaluate")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and tables")
    parser.set_defaults(run=_ablate)


def _ablate(options: argparse.Namespace) -> None:
    from benben.trainer.ablation import arms, compare
    from benben.trainer.distributed.parallel import close, is_first

    records = arms.run(arms.read(options.grid), options.out)
    compared = compare.compare(records)
    if is_first():
        text = compare.table(records, compared)
        (options.out / "ablation.md").write_text(text)
        content = {"runs": records, "compared": compared}
        (options.out / "ablation.json").write_text(json.dumps(content, indent=1) + "\n")
        print(text)
    close()
