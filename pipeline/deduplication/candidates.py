"""Fingerprint files to what is shuffled: keys that link documents, records that judge them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.deduplication.clusters import Judge, keep_ranks
from benben.pipeline.settings.deduplicate import KeepSettings

Batches = Iterator[pa.RecordBatch]
Reader = Callable[[int, str], Batches]
BATCH_ROWS = 10_000
RANKED = ("node", "quality", "images", "words")  # what documents are ranked by
TRAITS = ("url_key", "payload_key", "text_key", "signature")
KEYED = pa.schema([("node", pa.binary()), ("keys", pa.list_(pa.int64()))])
RECORDS = pa.schema(
    [
        ("node", pa.binary()),
        ("part", pa.int32()),
        ("rank", pa.binary()),  # smaller is kept first
        ("url_key", pa.int64()),
        ("payload_key", pa.int64()),
        ("text_key", pa.int64()),
        ("signature", pa.binary()),
    ]
)


def clean(path: str, columns: Sequence[str]) -> Batches:
    """Fingerprints of the documents that contain no benchmark item."""
    wanted = list(dict.fromkeys([*columns, "contamination"]))
    for batch in storage.iter_parquet(path, wanted, BATCH_ROWS):
        yield batch.filter(batch["contamination"].is_null()).select(columns)


def key_reader(judge: Judge) -> Reader:
    """Read KEYED: what each document is looked up by, exact keys and bands alike."""
    near = judge.threshold is not None

    def read(part: int, path: str) -> Batches:
        columns = ["node", *judge.exact, *(["bands"] if near else [])]
        for batch in clean(path, columns):
            found = [(batch[name].is_valid(), batch[name].drop_null()) for name in judge.exact]
            if near:
                found.append((pc.list_value_length(batch["bands"]), batch["bands"].flatten()))
            yield pa.RecordBatch.from_arrays([batch["node"], _side_by_side(found)], schema=KEYED)

    return read


def _side_by_side(found: list[tuple[pa.Array, pa.Array]]) -> pa.ListArray:
    """One list a row of what several columns hold, given each one's counts and values."""
    counts = np.array([column.cast(pa.int64()).to_numpy() for column, _ in found])
    owners = [np.repeat(np.arange(counts.shape[1]), column) for column in counts]
    order = np.argsort(np.concatenate(owners), kind="stable")
    values = np.concatenate([values.to_numpy() for _, values in found])[order]
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=0)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def record_reader(keep: KeepSettings) -> Reader:
    """Read RECORDS: what a document is compared and ranked by."""

    def read(part: int, path: str) -> Batches:
        for batch in clean(path, [*RANKED, *TRAITS]):
            columns = {
                "node": batch["node"],
                "part": np.full(len(batch), part, np.int32),
                "rank": keep_ranks(keep, batch),
                **{name: batch[name] for name in TRAITS},
            }
            yield pa.RecordBatch.from_pydict(columns, RECORDS)

    return read
