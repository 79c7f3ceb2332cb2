"""Bytes to upload after a takedown of one document in a hundred, as a share of the dataset's.

    python -m benchmarks.incremental_upload [DOCUMENTS]

Counted by chunks of about 64 KiB, each of which the store keeps once. The documents are spread over
the whole dataset, which is the worst case; `hosts` takes whole hosts down, as requests do. `plain`
is the same with files written as Parquet is written by default, and rows cut into equal groups.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from benben.pipeline.takedown import rewrite_dataset
from benben.pipeline.takedown.takedown_log import PendingTakedown
from benchmarks.dataset.load_speed import contain
from benchmarks.support import chunks, figure, photographs

FOLDER = figure.FOLDER / "upload"
SHARE = 100  # one in so many is taken down
BAR = 0.05


def take_down(folder: Path, target: Path, chosen: Callable[[int, str], bool]) -> Path:
    """Copy a dataset and take down the documents that are chosen by place and host."""
    shutil.copytree(folder, target / "dataset")
    ids, hosts = [], []
    for path in sorted((folder / "data").iterdir()):
        rows = pq.read_table(path, columns=["doc_id", "host"], partitioning=None)
        ids += rows["doc_id"].to_pylist()
        hosts += rows["host"].to_pylist()
    names = zip(ids, hosts, strict=True)
    picked = {i: "takedown.document" for n, (i, host) in enumerate(names) if chosen(n, host)}
    takedown = PendingTakedown(
        number=1, started="2026-01-01", note="", tombstones=[], documents=picked
    )
    removed, _ = rewrite_dataset.find_removed(str(target / "dataset"), takedown.removal)
    unused = rewrite_dataset.find_unused_images(str(target / "dataset"), takedown.removal, removed)
    takedown.unused = sorted(unused)
    made = rewrite_dataset.write_new_dataset(str(target), takedown)
    assert made.manifest.counts["documents"].kept == len(ids) - len(picked)
    return Path(made.folder)


def share(before: Path, after: Path) -> float:
    """New bytes of all bytes."""
    new, total = chunks.new_bytes(before, after)
    return new / total


def plain(folder: Path, target: Path) -> Path:
    """Write the files again as pyarrow does by default, in equal row groups."""
    for path in sorted(folder.rglob("*.parquet")):
        (target / path.parent.name).mkdir(parents=True, exist_ok=True)
        group = photographs.ROW_GROUP if path.parent.name == "data" else 64
        rows = pq.read_table(path, partitioning=None)
        pq.write_table(rows, target / path.parent.name / path.name, group, compression="zstd")
    return target


def main() -> int:
    """Measure and report."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    shutil.rmtree(FOLDER, ignore_errors=True)
    before = photographs.write(FOLDER / "before", documents)
    spread = take_down(before, FOLDER / "spread", lambda place, host: place % SHARE == 50)
    hosts = take_down(
        before, FOLDER / "hosts", lambda place, host: int(host[4:].split(".")[0]) % SHARE == 50
    )
    parts = {name: share(before / name, spread / name) for name in ("data", "images")}
    contained = share(
        contain(before, FOLDER / "contained-before"), contain(spread, FOLDER / "contained-after")
    )
    figure.report(
        "incremental_upload",
        share(before, spread),
        BAR,
        hosts=share(before, hosts),
        parts=parts,
        self_contained=contained,
        plain=share(plain(before, FOLDER / "plain-before"), plain(spread, FOLDER / "plain-after")),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
