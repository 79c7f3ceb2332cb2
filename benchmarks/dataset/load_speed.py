"""What `benben.load` costs on one core: documents a second, and pictures against bare decoding.

    python -m benchmarks.load_speed [DOCUMENTS]

`load_documents`: documents a second with the bytes of their pictures, the slowest of both forms in
order and shuffled, against rows a second that pyarrow turns into Python objects. `load_decode`:
pictures a second of shuffled documents with decoded pictures, the slower of both forms, against
Pillow alone on the same bytes in memory. The cache for pictures by reference holds a quarter of
them. Processor time counts; the best of some rounds.
"""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

import benben
from benben.pipeline.dataset import self_contained
from benben.pipeline.dataset.webdataset import ImageIndex
from benchmarks.support import figure, photographs

FOLDER = figure.FOLDER / "load"
ROUNDS = 3
CACHED = 4  # one part in so many of the pictures' bytes is cached


def rate(work: Callable[..., int], *given: Any) -> float:
    """Units a second of processor time: the best of some rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        started = time.process_time()
        count = work(*given)
        best = max(best, count / (time.process_time() - started))
    return best


def rows(folder: Path) -> int:
    """Turn all rows into Python objects, without pictures."""
    return sum(
        len(batch.to_pylist())
        for path in sorted((folder / "data").glob("*.parquet"))
        for batch in pq.ParquetFile(path).iter_batches(32, use_threads=False)
    )


def bare(files: list[bytes]) -> int:
    """Decode files that are in memory."""
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            image.convert("RGB")
    return len(files)


def contain(folder: Path, target: Path) -> Path:
    """Write the self-contained form."""
    images = ImageIndex([str(path) for path in sorted((folder / "images").iterdir())])
    for path in sorted((folder / "data").iterdir()):
        self_contained.write(str(path), str(target / self_contained.FOLDER / path.name), images)
    return target


def main() -> int:
    """Measure and report."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    shutil.rmtree(FOLDER, ignore_errors=True)
    folder = photographs.write(FOLDER, documents)
    contained = contain(folder, FOLDER / "contained")
    stored = [picture for d in benben.load(str(folder), pictures="bytes") for picture in d.pictures]
    files = [picture.data for picture in stored if picture.data]
    cache = sum(map(len, files)) // CACHED

    def documents_of(path: Path, shuffle: bool) -> int:
        given = benben.load(str(path), pictures="bytes", shuffle=shuffle, cache_bytes=cache)
        return sum(1 for _ in given)

    def pictures_of(path: Path) -> int:
        given = benben.load(str(path), shuffle=True, cache_bytes=cache)
        return sum(len(document.pictures) for document in given)

    forms = {"by_reference": folder, "self_contained": contained}
    rates = {
        f"{form}_{'shuffled' if shuffle else 'in_order'}": rate(documents_of, path, shuffle)
        for form, path in forms.items()
        for shuffle in (False, True)
    }
    decoded = {form: rate(pictures_of, path) for form, path in forms.items()}
    alone = rate(bare, files)
    size = sum(map(len, files)) / len(files)
    figure.report("load_documents", min(rates.values()), rate(rows, folder), rates=rates)
    figure.report("load_decode", min(decoded.values()), alone, rates=decoded, picture_bytes=size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
