"""Ablation of positions on a tiny decoder: NLL at 4 times the trained length over that at 1.

    python -m benchmarks.trainer_positions [steps]

The value is ALiBi's ratio, the baseline that of learned positions. Details hold every arm's, and
the processor seconds of all runs together.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benben.trainer.ablation import arms, compare
from benben.trainer.config import CONFIGS
from benben.trainer.counter_rng import generator
from benben.trainer.evaluation.synthetic import COLOURS, SHAPES
from benchmarks.support.figure import FOLDER, report

DOCUMENTS, SENTENCES = 400, 210
FILLER = (
    "We drew this one on a rainy afternoon.",
    "The next picture hangs in the hall.",
    "Somebody asked for another drawing.",
    "There was still some paper left.",
)


def main() -> None:
    """Run the shipped grid from its start and report."""
    out = FOLDER / "positions"
    shutil.rmtree(out, ignore_errors=True)
    write_long(FOLDER / "long", DOCUMENTS, SENTENCES)
    started, used = time.monotonic(), time.process_time()
    grid = arms.read(Path(CONFIGS / "grids" / "positions.yaml"))
    if len(sys.argv) > 1:  # steps of each arm, in place of the shipped number
        grid = grid.model_copy(update={"set": {**grid.set, "run.steps": int(sys.argv[1])}})
    records = arms.run(grid, out)
    compared = compare.compare(records)
    (out / "ablation.md").write_text(compare.table(records, compared))
    near, far = compared["made x1 nll"], compared["made x4 nll"]
    ratios = {arm.split("=")[1]: far[arm]["mean"] / near[arm]["mean"] for arm in near}
    seconds = {"seconds": time.monotonic() - started, "cpu": time.process_time() - used}
    report("trainer_positions", ratios["alibi"], ratios["learned"], ratios=ratios, **seconds)
    print((out / "ablation.md").read_text())


def write_long(folder: Path, documents: int, sentences: int, seed: int = 0) -> Path:
    """Write documents of many short sentences, without images, as `data/` parquet.

    Every drawing is named twice with a sentence between, so that the second time nearby context
    gives it away.
    """
    random = generator("long", seed)
    rows: list[dict[str, object]] = []
    for number in range(documents):
        parts = []
        for _ in range(sentences // 3):
            colour, shape = str(random.choice(list(COLOURS))), str(random.choice(SHAPES))
            parts += [f"A {colour} {shape}.", str(random.choice(FILLER))]
            parts.append(f"The {shape} is {colour}.")
        text = " ".join(parts)
        row = {"images": [None], "texts": [text], "doc_id": f"long-{seed}-{number}", "lang": "en"}
        rows.append(row)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    schema = pa.schema(
        [
            ("images", pa.list_(pa.string())),
            ("texts", pa.list_(pa.string())),
            ("doc_id", pa.string()),
            ("lang", pa.string()),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "data" / "part-0.parquet")
    return folder


if __name__ == "__main__":
    main()
