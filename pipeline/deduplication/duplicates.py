"""What deduplication says about one part's documents and nodes, laid beside its rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.schema import DUPLICATES, VERDICTS

DROPPED = VERDICTS.field("dropped").type


class Duplicates:
    """One part of `duplicates`, looked up by document."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self._gone = rows.filter(pc.is_valid(rows["reason"]))

    @classmethod
    def read(cls, path: str | None) -> Duplicates:
        """Read a part's file; a part without duplicates has none."""
        return cls(storage.read_parquet(path) if path else DUPLICATES.empty_table())

    def gone(self, batch: pa.RecordBatch) -> np.ndarray:
        """Mask of the batch's documents that deduplication dropped."""
        mask = pc.is_in(batch["doc_id"], value_set=self._gone["doc_id"].combine_chunks())
        return np.asarray(mask)

    def dropped(self, batch: pa.RecordBatch) -> pa.ListArray:
        """Nodes that deduplication dropped of each of the batch's documents."""
        place = pc.index_in(batch["doc_id"], value_set=self._rows["doc_id"].combine_chunks())
        return self._rows["dropped"].take(place).combine_chunks().cast(DROPPED).fill_null([])

    def overrule(self, verdicts: pa.RecordBatch) -> pa.RecordBatch:
        """Replace the verdicts of dropped documents: their reason is the duplicate's alone."""
        place = pc.index_in(verdicts["doc_id"], value_set=self._gone["doc_id"].combine_chunks())
        gone = place.is_valid()
        reasons = self._gone["reason"].take(place).to_pylist()
        similarity = self._gone["similarity"].take(place).to_pylist()
        columns = dict(zip(verdicts.schema.names, verdicts.columns, strict=True))
        columns["kept"] = pc.and_(verdicts["kept"], pc.invert(gone))
        for name, values, kind in (
            ("reasons", [[reason] for reason in reasons], pa.list_(pa.string())),
            ("values", [[value] for value in similarity], pa.list_(pa.float64())),
            ("bounds", [[None] for _ in reasons], pa.list_(pa.float64())),
        ):
            columns[name] = _choose(gone, pa.array(values, kind), verdicts[name])
        return pa.RecordBatch.from_pydict(columns, schema=verdicts.schema)


def _choose(mask: pa.BooleanArray, ours: pa.Array, theirs: pa.Array) -> pa.Array:
    """Rows of `ours` where the mask is set; pc.if_else does not take lists."""
    both = pa.concat_arrays([ours, theirs.cast(ours.type)])
    rows = np.arange(len(ours))
    return both.take(pa.array(np.where(np.asarray(mask), rows, rows + len(ours))))
