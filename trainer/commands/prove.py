"""`benben-train prove`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the `prove` command."""
    parser = commands.add_parser("prove", help="train small models to see which rules help")
    parser.add_argument("data", type=Path, help="folder that `benben proof` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of trials and tables")
    parser.add_argument("--seeds", type=int, default=10, help="orders of the documents (10)")
    parser.add_argument("--bytes", type=int, help="trained on; default: all of the least arm")
    parser.add_argument("--model", default="ngrams", help="ngrams, or a config such as proof")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="overrides of that config"
    )
    parser.add_argument("--arms", nargs="+", default=[], help="some of the arms; default: all")
    parser.add_argument("--processes", type=int, default=2, help="trials at a time (2)")
    parser.set_defaults(run=_prove)


def _prove(options: argparse.Namespace) -> None:
    from benben.trainer.ablation import proof, proof_data, proof_table

    started = time.monotonic()
    contents = proof_data.read(options.data)
    request = proof.Request(
        options.data,
        options.out,
        tuple(range(options.seeds)),
        options.bytes,
        options.model,
        tuple(options.set),
        tuple(options.arms),
        options.processes,
    )
    records = proof.run(contents, request)
    found = proof_table.compare(records, contents)
    text = proof_table.table(found)
    (options.out / "proved.md").write_text(text)
    (options.out / "proved.json").write_text(json.dumps(found, indent=1) + "\n")
    print(text)
    print(f"{len(records)} trials, {time.monotonic() - started:.0f} s", file=sys.stderr)
