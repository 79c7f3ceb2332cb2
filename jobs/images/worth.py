"""The table `image_worth`: train on a sample of the run's pairs, then measure every part.

Pairs are chosen by hash, and the model does not depend on their order, so the number of partitions
does not change a value. One task trains, on `worth.pairs` pairs at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa

from benben.jobs.engine import progress, tables
from benben.jobs.engine.stage import Part, Result, Run
from benben.pipeline import storage
from benben.pipeline.deduplication.duplicates import Duplicates
from benben.pipeline.images.image_facts import image_urls, url_key
from benben.pipeline.images.worth import saved
from benben.pipeline.images.worth.model import Model
from benben.pipeline.images.worth.tables import (
    PAIRS,
    PICTURES,
    KnownPictures,
    Shown,
    pictures_of,
    sampled,
    shown_images,
    to_batch,
    to_pairs,
    worth_of,
)
from benben.pipeline.manifest import write_part
from benben.pipeline.schema import IMAGE_WORTH

TABLE = "image_worth"
BATCH_DOCUMENTS = 500
WANTED = pa.schema([("part", pa.int32()), ("key", pa.binary())])
Task = tuple[Part, str | None]  # a part, and the file with the pictures that it shows


def write_worth(run: Run) -> Result:
    """Write IMAGE_WORTH; nothing unless the config asks for it."""
    if not run.config.worth.enabled:
        return Result({TABLE: []})
    target = run.target(TABLE)
    folders = [storage.join(target, name) for name in ("pictures", "pairs", "model")]
    parts = run.parts("documents", "verdicts", "duplicates")
    placed = place_pictures(run, parts, folders[0])
    tasks: list[Task] = [(part, placed.get(part.number)) for part in parts]
    run.map(tasks, _sampler(folders[1], share_of(run)), "worth: pairs")
    model = storage.join(folders[2], saved.NAME)
    train = _trainer(model, run.config.worth.pairs, len(parts))
    found = run.map([folders[1]], train, "worth: train")
    trained = model if found.metrics["worth.pairs"] else None
    found.add(run.map(tasks, _measurer(target, trained), "worth: measure"))
    for folder in folders:  # not after a failure: a run that goes on skips the tasks that are done
        storage.delete_folder(folder)
    found.files.setdefault(TABLE, [])
    return found


def share_of(run: Run) -> float:
    """Share of the pairs that are looked at: twice as many as are wanted, by what was decided."""
    images = run.manifest("verdicts").counts.get("images")
    return min(1.0, 2 * run.config.worth.pairs / max(1, images.kept)) if images else 1.0


def place_pictures(run: Run, parts: list[Part], folder: str) -> dict[int, str]:
    """Bring what is known of pictures to the parts that show them; the file of each part."""
    paths = {part.number: part for part in parts}

    def read_wanted(part: int, _: str) -> tables.Batches:
        for documents, _dropped in remaining(paths[part]):
            names = sorted({url_key(url) for url in image_urls(documents)[0]})
            yield pa.RecordBatch.from_pydict({"part": [part] * len(names), "key": names}, WANTED)

    def read_images(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path):
            yield pictures_of(batch)

    wanted = tables.frame(run.spark, [(part.number, "") for part in parts], read_wanted, WANTED)
    images = tables.frame(run.spark, sorted(run.paths("images").items()), read_images, PICTURES)
    files = tables.write_by_part(wanted.distinct().join(images, "key"), folder, PICTURES)
    return {file.part: storage.join(folder, file.name) for file in files}


def remaining(part: Part) -> Iterator[tuple[pa.RecordBatch, dict[int, set[int]]]]:
    """Yield the documents that are left, and the nodes that they lost, by their row."""
    duplicates = Duplicates.read(part.paths.get("duplicates"))
    for documents, verdicts in storage.iter_aligned(
        [part.paths[name] for name in ("documents", "verdicts")],
        [["doc_id", "url", "nodes"], ["kept", "dropped"]],
        BATCH_DOCUMENTS,
    ):
        kept = pa.array(np.asarray(verdicts["kept"]) & ~duplicates.is_dropped(documents))
        left = documents.filter(kept)
        columns = (verdicts["dropped"].filter(kept), duplicates.dropped_nodes(left))
        gone: dict[int, set[int]] = {}
        for column in columns:
            for row, entries in enumerate(column.to_pylist()):
                whole = {one["index"] for one in entries or () if one["paragraph"] is None}
                gone.setdefault(row, set()).update(whole)
        yield left, gone


def _shown(part: Part) -> Iterator[Shown]:
    for documents, dropped in remaining(part):
        yield from shown_images(documents, dropped)
        progress.report.add(documents.num_rows)


def _sampler(folder: str, share: float) -> Callable[[Task], Result]:
    def work(task: Task) -> Result:
        part, pictures = task
        known = KnownPictures(pictures)
        rows = (list(sampled(page, known, share)) for page in _shown(part))
        batches = (pa.RecordBatch.from_pylist(some, schema=PAIRS) for some in rows if some)
        write_part(folder, part.number, PAIRS, batches)
        return Result()

    return work


def _trainer(path: str, most: int, parts: int) -> Callable[[str], Result]:
    def work(folder: str) -> Result:
        files = [one for one in storage.list_files(folder) if one.endswith(".parquet")]
        if len(files) != parts:
            raise RuntimeError(f"{folder}: pairs of {len(files)} parts, not {parts}; use --force")
        rows = pa.concat_tables([storage.read_parquet(one) for one in files])
        model = Model.train(to_pairs(rows, most))
        if model is None:
            return Result(metrics={"worth.pairs": 0.0})
        storage.write_bytes(path, saved.to_bytes(model))
        return Result(metrics={"worth.pairs": float(min(most, rows.num_rows))})

    return work


def _measurer(target: str, path: str | None) -> Callable[[Task], Result]:
    def work(task: Task) -> Result:
        part, pictures = task
        known, model = KnownPictures(pictures), _load(path) if path else None
        rows = (list(worth_of(page, known, model)) for page in _shown(part))
        file = write_part(
            target, part.number, IMAGE_WORTH, (to_batch(some) for some in rows if some)
        )
        return Result({TABLE: [file]}, metrics={"worth.images": float(file.rows)})

    return work


@lru_cache(maxsize=1)
def _load(path: str) -> Model:
    return saved.from_bytes(storage.read_bytes(path))
