"""Text nodes and images that many documents share, and documents with equal sets of images.

Each part counts its own documents for each key; the counts of all parts are added up in Spark
(`jobs.deduplication.duplicates_table`); then each part drops its nodes whose total is too high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benben.common.hashing import mix64
from benben.pipeline.schema import NODE_VERDICT
from benben.pipeline.settings.deduplicate import DeduplicateSettings, PictureSettings

Keys = npt.NDArray[np.int64]
COLUMNS = ["host_key", "text_nodes", "image_nodes"]
# Number of documents of one part that have a key; in `bound` documents or more it is dropped.
COUNTED = pa.schema(
    [("part", pa.int32()), ("key", pa.int64()), ("count", pa.int64()), ("bound", pa.int64())]
)
# The keys of a part that are dropped, with the number of documents of all parts that have them.
REPEATED = pa.schema([("key", pa.int64()), ("total", pa.int64())])


@dataclass(frozen=True)
class NodeRule:
    """Drops nodes that are in too many documents."""

    reason: str
    column: str
    bound: int  # least number of documents for which the node is dropped
    by_host: bool  # count the documents of each host separately

    @property
    def unit(self) -> str:
        """Unit of the counts: nodes or images."""
        return "nodes" if self.column == "text_nodes" else "images"

    def keys(self, batch: pa.RecordBatch) -> tuple[Keys, Keys]:
        """Return the keys of the batch's nodes, and the row of each."""
        nodes = batch[self.column]
        owners = pc.list_parent_indices(nodes).to_numpy().astype(np.int64)
        values = nodes.flatten().field("key").to_numpy().view(np.uint64) ^ self._salt
        if self.by_host:
            hosts = batch["host_key"].fill_null(0).to_numpy().view(np.uint64)
            values = values + mix64(hosts.copy())[owners]
        return mix64(values).view(np.int64), owners

    @property
    def _salt(self) -> np.uint64:
        return np.uint64(int.from_bytes(self.reason.encode()[-8:], "big"))


@dataclass(frozen=True)
class ImageSetRule:
    """Drops documents whose set of images is that of another."""

    reason: str
    column: str
    min_images: int  # in a set
    min_similarity: float  # of the texts


def node_rules(settings: DeduplicateSettings) -> list[NodeRule]:
    """Rules by text and URL; the first rule that drops a node gives the reason."""
    lines, images = settings.lines, settings.images
    found = []
    if lines.host_documents is not None:
        found.append(NodeRule("duplicate.host_line", "text_nodes", lines.host_documents, True))
    if lines.all_documents is not None:
        found.append(NodeRule("duplicate.any_line", "text_nodes", lines.all_documents, False))
    if images.max_documents is not None:
        found.append(
            NodeRule("duplicate.image_url", "image_nodes", images.max_documents + 1, False)
        )
    return found


def fetched_image_rules(settings: PictureSettings) -> list[NodeRule]:
    """Rules for fetched images, by their bytes and perceptual hashes."""
    found = []
    if settings.content_documents is not None:
        bound = settings.content_documents + 1
        found.append(NodeRule("duplicate.image_content", "content_nodes", bound, False))
    if settings.look_documents is not None:
        bound = settings.look_documents + 1
        found.append(NodeRule("duplicate.image_look", "look_nodes", bound, False))
    return found


def count_documents(
    batches: list[pa.RecordBatch], part: int, rules: Sequence[NodeRule]
) -> pa.Table:
    """Count the documents of one part that have each key: COUNTED."""
    tables = [COUNTED.empty_table()]
    for rule in rules:
        keys, owners, first = [], [], 0
        for batch in batches:
            found, rows = rule.keys(batch)
            keys.append(found)
            owners.append(rows + first)
            first += batch.num_rows
        values, numbers = _documents_by_key(keys, owners)
        columns = [
            np.full(len(values), part, np.int32),
            values,
            numbers,
            np.full(len(values), rule.bound, np.int64),
        ]
        tables.append(pa.table(columns, schema=COUNTED))
    return pa.concat_tables(tables)


def _documents_by_key(keys: list[Keys], owners: list[Keys]) -> tuple[Keys, Keys]:
    """Return the distinct keys and the number of distinct owners of each."""
    if not keys:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, rows = np.concatenate(keys), np.concatenate(owners)
    order = np.lexsort((rows, values))
    values, rows = values[order], rows[order]
    fresh = np.ones(len(values), np.bool_)
    fresh[1:] = (values[1:] != values[:-1]) | (rows[1:] != rows[:-1])
    distinct, numbers = np.unique(values[fresh], return_counts=True)
    return distinct, numbers.astype(np.int64)


@dataclass(frozen=True)
class RepeatedKeys:
    """The keys of a part that are in too many documents, sorted."""

    keys: Keys
    totals: Keys

    @classmethod
    def of(cls, table: pa.Table) -> RepeatedKeys:
        """Read REPEATED."""
        keys, totals = table["key"].to_numpy(), table["total"].to_numpy()
        order = np.argsort(keys)
        return cls(keys[order], totals[order])

    def totals_of(self, keys: Keys) -> Keys:
        """Number of documents that have each key; 0 for keys that are not in too many."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.totals[places], 0)


def dropped_nodes(
    batch: pa.RecordBatch, repeated: RepeatedKeys, rules: Sequence[NodeRule]
) -> pa.ListArray:
    """Return the nodes of each document to drop, as lists of NODE_VERDICT ordered by index."""
    owners, indexes, verdicts = [], [], []
    for rule in rules:
        keys, rule_owners = rule.keys(batch)
        totals = repeated.totals_of(keys)
        hit = totals > 0
        owners.append(rule_owners[hit])
        indexes.append(batch[rule.column].flatten().field("index").to_numpy()[hit])
        verdicts += [(rule.reason, float(total), float(rule.bound - 1)) for total in totals[hit]]
    if not verdicts:
        return pa.array([[]] * len(batch), pa.list_(NODE_VERDICT))
    owner, index = np.concatenate(owners), np.concatenate(indexes)
    order = np.lexsort((index, owner))  # stable: the verdict of the first rule comes first
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(owner[order]) != 0) | (np.diff(index[order]) != 0)
    order = order[fresh]
    picked = [
        {"index": int(index[place]), "reason": reason, "value": total, "bound": bound}
        for place in order
        for reason, total, bound in [verdicts[place]]
    ]
    values = pa.array(picked, NODE_VERDICT)
    sizes = np.bincount(owner[order], minlength=len(batch))
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def image_sets(
    batch: pa.RecordBatch, dropped: pa.ListArray, rule: ImageSetRule
) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """Return a key of each document's set of images without the dropped ones, and a mask.

    The mask is False where the set is too small to be compared.
    """
    nodes = batch[rule.column]
    owners = pc.list_parent_indices(nodes).to_numpy().astype(np.int64)
    fields = nodes.flatten()
    gone = pc.list_parent_indices(dropped).to_numpy().astype(np.int64) << 32
    gone = gone | dropped.flatten().field("index").to_numpy()
    kept = ~np.isin(owners << 32 | fields.field("index").to_numpy(), gone)
    keys = fields.field("key").to_numpy()[kept].view(np.uint64)
    pairs = np.unique(np.rec.fromarrays([owners[kept], keys]))
    sums, sizes = np.zeros(len(batch), np.uint64), np.zeros(len(batch), np.uint64)
    np.add.at(sums, pairs["f0"], mix64(pairs["f1"].copy()))  # a sum does not depend on the order
    np.add.at(sizes, pairs["f0"], np.uint64(1))
    return mix64(sums + mix64(sizes.copy())).view(np.int64), sizes >= rule.min_images
