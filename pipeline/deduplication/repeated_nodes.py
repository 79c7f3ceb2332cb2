"""Lines and images that many documents share: counted part by part, then found again."""

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
# A key's number of documents in one part, and the number of documents from which it is dropped.
COUNTED = pa.schema(
    [("part", pa.int32()), ("key", pa.int64()), ("count", pa.int64()), ("bound", pa.int64())]
)
# The keys of a part that are dropped, with their number of documents in all parts.
REPEATED = pa.schema([("key", pa.int64()), ("total", pa.int64())])


@dataclass(frozen=True)
class Rule:
    """One way for a node to be repeated too often."""

    reason: str
    column: str
    bound: int  # documents from which the node is dropped
    by_host: bool

    @property
    def unit(self) -> str:
        """What its nodes are counted as."""
        return "nodes" if self.column == "text_nodes" else "images"

    def keys(self, batch: pa.RecordBatch) -> tuple[Keys, Keys]:
        """Keys of the batch's nodes, and the row each belongs to."""
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
class SetRule:
    """Documents whose sets of images are equal."""

    reason: str
    column: str
    least: int  # images in a set
    min_similarity: float  # of the texts


def rules(settings: DeduplicateSettings) -> list[Rule]:
    """The rules in use; a node that several drop gets the first one's reason."""
    lines, images = settings.lines, settings.images
    found = []
    if lines.host_documents is not None:
        found.append(Rule("duplicate.host_line", "text_nodes", lines.host_documents, True))
    if lines.all_documents is not None:
        found.append(Rule("duplicate.any_line", "text_nodes", lines.all_documents, False))
    if images.max_documents is not None:
        found.append(Rule("duplicate.image_url", "image_nodes", images.max_documents + 1, False))
    return found


def picture_rules(settings: PictureSettings) -> list[Rule]:
    """The rules in use once images are fetched."""
    found = []
    if settings.content_documents is not None:
        bound = settings.content_documents + 1
        found.append(Rule("duplicate.image_content", "content_nodes", bound, False))
    if settings.look_documents is not None:
        bound = settings.look_documents + 1
        found.append(Rule("duplicate.image_look", "look_nodes", bound, False))
    return found


def count(batches: list[pa.RecordBatch], part: int, chosen: Sequence[Rule]) -> pa.Table:
    """Count the documents of one part that hold each key: COUNTED."""
    tables = [COUNTED.empty_table()]
    for rule in chosen:
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
    """Distinct keys and the number of distinct owners of each."""
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
class Repeated:
    """The keys of a part that are repeated too often, sorted."""

    keys: Keys
    totals: Keys

    @classmethod
    def of(cls, table: pa.Table) -> Repeated:
        """Read REPEATED."""
        keys, totals = table["key"].to_numpy(), table["total"].to_numpy()
        order = np.argsort(keys)
        return cls(keys[order], totals[order])

    def totals_of(self, keys: Keys) -> Keys:
        """Number of documents of each key; 0 for those that are not repeated."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.totals[places], 0)


def dropped_nodes(
    batch: pa.RecordBatch, repeated: Repeated, chosen: Sequence[Rule]
) -> pa.ListArray:
    """Repeated nodes of each document, as NODE_VERDICT ordered by index."""
    owners, indexes, rows = [], [], []
    for rule in chosen:
        keys, rule_owners = rule.keys(batch)
        totals = repeated.totals_of(keys)
        hit = totals > 0
        owners.append(rule_owners[hit])
        indexes.append(batch[rule.column].flatten().field("index").to_numpy()[hit])
        rows += [(rule.reason, float(total), float(rule.bound - 1)) for total in totals[hit]]
    if not rows:
        return pa.array([[]] * len(batch), pa.list_(NODE_VERDICT))
    owner, index = np.concatenate(owners), np.concatenate(indexes)
    order = np.lexsort((index, owner))  # stable: the first rule's verdict comes first
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(owner[order]) != 0) | (np.diff(index[order]) != 0)
    order = order[fresh]
    picked = [
        {"index": int(index[place]), "reason": reason, "value": total, "bound": bound}
        for place in order
        for reason, total, bound in [rows[place]]
    ]
    verdicts = pa.array(picked, NODE_VERDICT)
    sizes = np.bincount(owner[order], minlength=len(batch))
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), verdicts)


def image_sets(
    batch: pa.RecordBatch, dropped: pa.ListArray, rule: SetRule
) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """Key of each document's set of images that are left; False where they are too few."""
    nodes = batch[rule.column]
    owners = pc.list_parent_indices(nodes).to_numpy().astype(np.int64)
    fields = nodes.flatten()
    gone = pc.list_parent_indices(dropped).to_numpy().astype(np.int64) << 32
    gone = gone | dropped.flatten().field("index").to_numpy()
    left = ~np.isin(owners << 32 | fields.field("index").to_numpy(), gone)
    keys = fields.field("key").to_numpy()[left].view(np.uint64)
    pairs = np.unique(np.rec.fromarrays([owners[left], keys]))
    sums, sizes = np.zeros(len(batch), np.uint64), np.zeros(len(batch), np.uint64)
    np.add.at(sums, pairs["f0"], mix64(pairs["f1"].copy()))  # a sum does not depend on the order
    np.add.at(sizes, pairs["f0"], np.uint64(1))
    return mix64(sums + mix64(sizes.copy())).view(np.int64), sizes >= rule.least
