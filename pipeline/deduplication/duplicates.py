"""Tables of duplicates, looked up for one part: which documents and nodes they drop."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.schema import DUPLICATES, VERDICTS

TABLES = ("duplicates", "picture_duplicates")  # of this form, by their stages' order
DROPPED = VERDICTS.field("dropped").type


class Duplicates:
    """One part of `duplicates`, looked up by document."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self._dropped_documents = rows.filter(pc.is_valid(rows["reason"]))

    @classmethod
    def read(cls, path: str | None) -> Duplicates:
        """Read a part's file; None for a part without duplicates."""
        return cls(storage.read_parquet(path) if path else DUPLICATES.empty_table())

    def is_dropped(self, batch: pa.RecordBatch) -> np.ndarray:
        """Mask of the batch's documents that deduplication dropped."""
        dropped = self._dropped_documents["doc_id"].combine_chunks()
        return np.asarray(pc.is_in(batch["doc_id"], value_set=dropped))

    def dropped_nodes(self, batch: pa.RecordBatch) -> pa.ListArray:
        """Nodes of each of the batch's documents that deduplication dropped."""
        place = pc.index_in(batch["doc_id"], value_set=self._rows["doc_id"].combine_chunks())
        return self._rows["dropped"].take(place).combine_chunks().cast(DROPPED).fill_null([])

    def replace_verdicts(self, verdicts: pa.RecordBatch) -> pa.RecordBatch:
        """Mark dropped documents as not kept, with the duplicate's reason as their only one."""
        documents = self._dropped_documents
        place = pc.index_in(verdicts["doc_id"], value_set=documents["doc_id"].combine_chunks())
        dropped = place.is_valid()
        reasons = documents["reason"].take(place).to_pylist()
        similarity = documents["similarity"].take(place).to_pylist()
        columns = dict(zip(verdicts.schema.names, verdicts.columns, strict=True))
        columns["kept"] = pc.and_(verdicts["kept"], pc.invert(dropped))
        for name, values, kind in (
            ("reasons", [[reason] for reason in reasons], pa.list_(pa.string())),
            ("values", [[value] for value in similarity], pa.list_(pa.float64())),
            ("bounds", [[None] for _ in reasons], pa.list_(pa.float64())),
        ):
            columns[name] = _choose(dropped, pa.array(values, kind), verdicts[name])
        return pa.RecordBatch.from_pydict(columns, schema=verdicts.schema)


def _choose(mask: pa.BooleanArray, ours: pa.Array, theirs: pa.Array) -> pa.Array:
    """Take rows of `ours` where the mask is set; pc.if_else does not accept lists."""
    both = pa.concat_arrays([ours, theirs.cast(ours.type)])
    rows = np.arange(len(ours))
    return both.take(pa.array(np.where(np.asarray(mask), rows, rows + len(ours))))
