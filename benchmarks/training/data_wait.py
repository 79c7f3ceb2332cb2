"""How long a step waits for its data: the share of its time, beside the bar of 2%.

    python -m benchmarks.data_wait [steps [workers]]

Trains the demonstration's model (`configs/trainer/demo.yaml`) on made documents with drawings of
its size, with 2 workers on the CPU. The first steps, in which the workers start, are left out. The
JSON holds the machine's load, the median step and the waits with and without workers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benben.trainer.config import load
from benben.trainer.evaluation.synthetic import examples
from benben.trainer.loop.train import Training
from benchmarks.support.figure import FOLDER, report

DOCUMENTS, PICTURES, WARM, BAR = 1200, 2, 10, 0.02


def main() -> None:
    """Report the share of the steps' time in which the training waited for data."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    corpus = write(FOLDER / "data-wait" / "corpus")
    load_before = os.getloadavg()[0]
    with_workers = waits(corpus, steps, workers)
    report(
        "data_wait",
        with_workers["share"],
        BAR,
        unit="share of a step's time",
        workers=workers,
        with_workers=with_workers,
        without=waits(corpus, min(steps, 20), 0),
        load=[load_before, os.getloadavg()[0]],
        cpus=os.cpu_count(),
    )


def waits(corpus: Path, steps: int, workers: int) -> dict[str, Any]:
    """Train and return the share of waiting, with the median step's seconds and images."""
    folder = FOLDER / "data-wait" / f"run{workers}"
    shutil.rmtree(folder, ignore_errors=True)
    mix = f"data.mix=[{{path: {corpus / 'data'}, images: {corpus / 'images'}}}]"
    changes = (f"data.workers={workers}", "run.eval_packs=0", f"checkpoint.dir={folder}")
    config = load("demo", [mix, "run.device=cpu", "run.tensorboard=false", *changes])
    training = Training(config)
    found = [training.one_step() for _ in range(WARM + steps)][WARM:]
    training.metrics.close()
    training.session.loader.restore(training.session.loader.state)  # ends the workers
    seconds = sum(step["seconds"] for step in found)
    return {
        "share": sum(step["data_wait"] * step["seconds"] for step in found) / seconds,
        "median_share": statistics.median(step["data_wait"] for step in found),
        "median_seconds": statistics.median(step["seconds"] for step in found),
        "images_per_step": sum(step["images"] for step in found) / steps,
    }


def write(folder: Path) -> Path:
    """Write documents of captioned drawings as Benben ships them."""
    shutil.rmtree(folder, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    store: dict[str, bytes] = {}
    drawings = iter(examples(DOCUMENTS * PICTURES, "data-wait"))
    for number in range(DOCUMENTS):
        images: list[str | None] = []
        texts: list[str | None] = []
        digests: list[str | None] = []
        for drawing in (next(drawings) for _ in range(PICTURES)):
            digest = hashlib.sha256(drawing.png).hexdigest()
            store[digest] = drawing.png
            images += [f"https://example.org/{digest}.png", None]
            texts += [None, drawing.caption]
            digests += [digest, None]
        columns = {"images": images, "texts": texts, "image_sha256": digests}
        rows.append({**columns, "doc_id": f"made-{number}", "lang": "en"})
    for name in ("data", "images"):
        (folder / name).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / "0.parquet", 64)
    stored = {"sha256": list(store), "bytes": list(store.values())}
    pq.write_table(pa.table(stored), folder / "images" / "0.parquet", 64)
    return folder


if __name__ == "__main__":
    main()
