"""Clusters of duplicate documents, and which document of each cluster is kept.

Fingerprint files are read twice: for the keys that link documents into clusters, and for the
records by which the documents of a cluster are ranked and compared. A cluster's documents are
visited in keep order; a duplicate of a document that was kept before is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import storage
from benben.pipeline.deduplication import minhash
from benben.pipeline.settings.deduplicate import KeepSettings

# One row for each document that is dropped as a duplicate; written part by part.
CLUSTERS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("reason", pa.string()),  # duplicate.url, .payload, .text or .minhash
        ("kept_id", pa.string()),  # the document kept in its place
        ("similarity", pa.float32()),  # estimated Jaccard of the texts; null: unknown
    ]
)
EXACT = {
    "url_key": "duplicate.url",
    "payload_key": "duplicate.payload",
    "text_key": "duplicate.text",
}
NODE_BYTES = 20  # length of `node`: capture time in seconds, then doc_id
LARGEST = np.uint32(2**32 - 1)  # criteria where more is better are subtracted from it
Batches = Iterator[pa.RecordBatch]
Reader = Callable[[int, str], Batches]
BATCH_ROWS = 10_000
RANKED = ("node", "quality", "images", "words")  # columns that keep_ranks reads
COMPARED = ("url_key", "payload_key", "text_key", "signature")
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


@dataclass(frozen=True)
class DuplicateTest:
    """What makes two documents duplicates."""

    exact: Sequence[str]  # columns of keys; one equal key is enough; the first names the reason
    threshold: float | None  # least similarity of the texts; None: texts are not compared
    max_leaders: int  # kept documents of a cluster that others are compared with: limits the work
    similar_reason: str = "duplicate.minhash"

    def compare(
        self, one: ComparedColumns, other: ComparedColumns
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """Compare documents row by row; `one` may be a single row.

        Returns the index of the reason in `reasons`, -1 if they are no duplicates; and the
        estimated Jaccard similarity, NaN where a document has no signature.
        """
        similar = minhash.similarity(one.signature, other.signature)
        similar[~(one.has_signature & other.has_signature)] = np.nan
        reason = np.full(len(similar), -1, np.int8)
        if self.threshold is not None:
            reason[similar >= self.threshold] = len(self.exact)
        for place in reversed(range(len(self.exact))):
            name = self.exact[place]
            same = (one.keys[name] == other.keys[name]) & one.has_key[name] & other.has_key[name]
            reason[same] = place
        return reason, similar

    @property
    def reasons(self) -> list[str]:
        """Reasons, by the index that `compare` returns."""
        return [*(EXACT[name] for name in self.exact), self.similar_reason]


@dataclass
class ComparedColumns:
    """What documents are compared by: exact keys and compact signatures, with masks of nulls."""

    keys: dict[str, npt.NDArray[np.int64]]
    has_key: dict[str, npt.NDArray[np.bool_]]
    signature: npt.NDArray[np.uint8]  # [documents, slots]; zeros where there is none
    has_signature: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, batch: pa.RecordBatch, exact: Sequence[str], slots: int, suffix: str = ""
    ) -> ComparedColumns:
        """Read the exact keys and the signature; columns are named as in FINGERPRINTS + suffix."""
        columns = {name: batch[name + suffix] for name in exact}
        signature = batch["signature" + suffix]
        blank = bytes(slots)
        joined = b"".join(row or blank for row in signature.to_pylist())
        return cls(
            {name: column.fill_null(0).to_numpy() for name, column in columns.items()},
            {name: column.is_valid().to_numpy(False) for name, column in columns.items()},
            np.frombuffer(joined, np.uint8).reshape(len(batch), slots),
            signature.is_valid().to_numpy(False),
        )

    def take(self, places: npt.NDArray[np.int64] | slice) -> ComparedColumns:
        """Select rows."""
        return ComparedColumns(
            {name: values[places] for name, values in self.keys.items()},
            {name: values[places] for name, values in self.has_key.items()},
            self.signature[places],
            self.has_signature[places],
        )


def uncontaminated(path: str, columns: Sequence[str]) -> Batches:
    """Read the fingerprints of documents that contain no benchmark item."""
    wanted = list(dict.fromkeys([*columns, "contamination"]))
    for batch in storage.iter_parquet(path, wanted, BATCH_ROWS):
        yield batch.filter(batch["contamination"].is_null()).select(columns)


def key_reader(test: DuplicateTest) -> Reader:
    """Return a reader of KEYED: the exact keys and band keys that link a document to others."""
    with_bands = test.threshold is not None

    def read(part: int, path: str) -> Batches:
        columns = ["node", *test.exact, *(["bands"] if with_bands else [])]
        for batch in uncontaminated(path, columns):
            found = [(batch[name].is_valid(), batch[name].drop_null()) for name in test.exact]
            if with_bands:
                found.append((pc.list_value_length(batch["bands"]), batch["bands"].flatten()))
            yield pa.RecordBatch.from_arrays([batch["node"], _joined_lists(found)], schema=KEYED)

    return read


def _joined_lists(found: list[tuple[pa.Array, pa.Array]]) -> pa.ListArray:
    """Join columns into one list for each row; a column is its values and their count per row."""
    counts = np.array([column.cast(pa.int64()).to_numpy() for column, _ in found])
    owners = [np.repeat(np.arange(counts.shape[1]), column) for column in counts]
    order = np.argsort(np.concatenate(owners), kind="stable")
    values = np.concatenate([values.to_numpy() for _, values in found])[order]
    offsets = np.concatenate(([0], np.cumsum(counts.sum(axis=0)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def record_reader(keep: KeepSettings) -> Reader:
    """Return a reader of RECORDS: what a document is ranked and compared by."""

    def read(part: int, path: str) -> Batches:
        for batch in uncontaminated(path, [*RANKED, *COMPARED]):
            columns = {
                "node": batch["node"],
                "part": np.full(len(batch), part, np.int32),
                "rank": keep_ranks(keep, batch),
                **{name: batch[name] for name in COMPARED},
            }
            yield pa.RecordBatch.from_pydict(columns, RECORDS)

    return read


def keep_ranks(keep: KeepSettings, batch: pa.RecordBatch) -> pa.Array:
    """Return bytes that sort documents into keep order: by the criteria in turn, then by doc_id.

    `batch` has the columns RANKED of FINGERPRINTS; a null quality counts as 0.
    """
    joined = b"".join(batch["node"].to_pylist())
    nodes = np.frombuffer(joined, np.uint8).reshape(len(batch), NODE_BYTES)
    seconds = np.ascontiguousarray(nodes[:, :4]).view(">u4").ravel()
    steps = batch["quality"].fill_null(0).to_numpy() / keep.quality_step
    values = {
        "quality": LARGEST - np.round(steps).astype(np.uint32),
        "images": LARGEST - batch["images"].to_numpy().astype(np.uint32),
        "words": LARGEST - batch["words"].to_numpy().astype(np.uint32),
        "newest": LARGEST - seconds.astype(np.uint32),
        "oldest": seconds,
    }
    columns = [values[name].astype(">u4").view(np.uint8).reshape(-1, 4) for name in keep.order]
    rows = np.ascontiguousarray(np.concatenate([*columns, nodes[:, 4:]], axis=1))
    width = rows.shape[1]
    data = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(rows), [None, pa.py_buffer(rows)]
    )
    return data.cast(pa.binary())


@dataclass(frozen=True, slots=True)
class Dropped:
    """A dropped document: its row, the reason, the node kept in its place, and their similarity."""

    row: int
    reason: str
    kept: bytes
    similarity: float | None


@dataclass
class Cluster:
    """One cluster, to which documents are added in keep order."""

    test: DuplicateTest
    # Kept documents. The method is leader clustering (Hartigan, "Clustering Algorithms", 1975).
    leaders: list[tuple[bytes, ComparedColumns]] = field(default_factory=list)

    def add(
        self, nodes: Sequence[bytes], columns: ComparedColumns, first_row: int = 0
    ) -> list[Dropped]:
        """Decide on the next documents; return those that are dropped.

        Each is compared with the kept documents in keep order, and is dropped for the first one
        that it duplicates. So a dropped document always duplicates the document it names, and is
        never linked to it only through others.
        """
        dropped: list[Dropped] = []
        reason_names = self.test.reasons
        rest = np.arange(len(nodes))
        number = 0
        while len(rest):
            if number == self.test.max_leaders:
                break
            if number == len(self.leaders):
                self.leaders.append((nodes[rest[0]], columns.take(rest[:1])))
                rest = rest[1:]
            name, leader = self.leaders[number]
            number += 1
            reasons, similar = self.test.compare(leader, columns.take(rest))
            for row in np.flatnonzero(reasons >= 0):
                value = None if np.isnan(similar[row]) else float(similar[row])
                why = reason_names[reasons[row]]
                dropped.append(Dropped(first_row + int(rest[row]), why, name, value))
            rest = rest[reasons < 0]
        return dropped
