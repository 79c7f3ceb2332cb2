"""Which documents of a cluster stay: visited in keep order, a duplicate of a kept one goes."""

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

# Documents that repeat a better one; aligned by part, only they have a row.
CLUSTERS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("reason", pa.string()),  # duplicate.url | duplicate.payload | duplicate.text | ...minhash
        ("kept_id", pa.string()),  # the document kept in its place
        ("similarity", pa.float32()),  # estimated Jaccard of the texts; null: one has no text
    ]
)
EXACT = {
    "url_key": "duplicate.url",
    "payload_key": "duplicate.payload",
    "text_key": "duplicate.text",
}
NODE_BYTES = 20  # of a graph node: capture second and doc_id
LARGEST = np.uint32(2**32 - 1)


def keep_ranks(keep: KeepSettings, batch: pa.RecordBatch) -> pa.Array:
    """Bytes that sort documents, the one to keep first: the criteria in order, then doc_id.

    `batch` has the columns node, quality (null: 0), images and words of FINGERPRINTS.
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


@dataclass
class Traits:
    """What two documents are compared by: exact keys, null as a mask, and compact signatures."""

    keys: dict[str, npt.NDArray[np.int64]]
    has: dict[str, npt.NDArray[np.bool_]]
    signature: npt.NDArray[np.uint8]  # [documents, slots]; zeros where there is none
    signed: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, batch: pa.RecordBatch, exact: Sequence[str], slots: int, suffix: str = ""
    ) -> Traits:
        """Read the exact keys and the signature, columns as in FINGERPRINTS plus a suffix."""
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

    def take(self, places: npt.NDArray[np.int64] | slice) -> Traits:
        """Choose rows."""
        return Traits(
            {name: values[places] for name, values in self.keys.items()},
            {name: values[places] for name, values in self.has.items()},
            self.signature[places],
            self.signed[places],
        )


@dataclass(frozen=True)
class Judge:
    """What makes two documents duplicates."""

    exact: Sequence[str]  # names of the keys that suffice alone, in the order they are named
    threshold: float | None  # least similarity of their texts; none: texts are not compared
    max_leaders: int  # kept documents of one group that others are compared with: bounds the work
    near: str = "duplicate.minhash"

    def compare(
        self, one: Traits, other: Traits
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """Tell row by row why two documents are duplicates, and how similar their texts are.

        Returns the place of the reason in `reasons`, -1 for none; and the estimated Jaccard
        similarity, NaN where a text is missing. `one` may be a single row.
        """
        similar = minhash.similarity(one.signature, other.signature)
        similar[~(one.signed & other.signed)] = np.nan
        reason = np.full(len(similar), -1, np.int8)
        if self.threshold is not None:
            reason[similar >= self.threshold] = len(self.exact)
        for place in reversed(range(len(self.exact))):
            name = self.exact[place]
            same = (one.keys[name] == other.keys[name]) & one.has[name] & other.has[name]
            reason[same] = place
        return reason, similar

    @property
    def reasons(self) -> list[str]:
        """Reasons by place."""
        return [*(EXACT[name] for name in self.exact), self.near]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that goes: its row, why, the node kept in its place, how similar they are."""

    row: int
    reason: str
    kept: bytes
    similarity: float | None


@dataclass
class Cluster:
    """The documents of one group, fed in keep order."""

    judge: Judge
    leaders: list[tuple[bytes, Traits]] = field(default_factory=list)

    def add(self, nodes: Sequence[bytes], traits: Traits, first_row: int = 0) -> list[Dropped]:
        """Decide on the next documents; returns those that go.

        Each is compared with the kept ones in keep order and goes to the first it duplicates; so
        a dropped document is always a duplicate of the one it names, not of a duplicate of it.
        """
        dropped: list[Dropped] = []
        reason_names = self.judge.reasons
        rest = np.arange(len(nodes))
        number = 0
        while len(rest):
            if number == self.judge.max_leaders:
                break
            if number == len(self.leaders):
                self.leaders.append((nodes[rest[0]], traits.take(rest[:1])))
                rest = rest[1:]
            name, leader = self.leaders[number]
            number += 1
            reasons, similar = self.judge.compare(leader, traits.take(rest))
            for row in np.flatnonzero(reasons >= 0):
                value = None if np.isnan(similar[row]) else float(similar[row])
                why = reason_names[reasons[row]]
                dropped.append(Dropped(first_row + int(rest[row]), why, name, value))
            rest = rest[reasons < 0]
        return dropped


# What clusters are found from: the keys that link documents, and the records they are compared by.


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
