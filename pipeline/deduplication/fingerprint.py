"""Fingerprints of documents: keys, counts and signatures, all that deduplication compares.

The text is read once, here; later stages of deduplication read only these columns.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from benben.pipeline.deduplication import decontamination, minhash
from benben.pipeline.deduplication.shingles import (
    sequence_hashes,
    shingle_hashes,
    token_hashes,
)
from benben.pipeline.settings.deduplicate import FingerprintSettings

NODE_KEY = pa.struct([("index", pa.int32()), ("key", pa.int64())])

# One row for each document that the verdicts keep, in the files of its part.
FINGERPRINTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("node", pa.binary()),  # 20 bytes: capture time in seconds, doc_id; older ones sort first
        ("words", pa.int32()),  # tokens of the kept text nodes
        ("images", pa.int32()),  # kept image nodes
        ("quality", pa.float32()),  # classifier's, else mean content score; null: neither
        ("host_key", pa.int64()),
        ("url_key", pa.int64()),
        ("payload_key", pa.int64()),
        ("text_key", pa.int64()),  # of the normalised text; null: the text is too short
        ("bands", pa.list_(pa.int64())),  # MinHash band keys
        ("signature", pa.binary()),  # 8 bits per slot
        # Benchmark item that the text contains; later stages leave such a document out.
        ("contamination", pa.struct([("set", pa.string()), ("item", pa.string())])),
        ("text_nodes", pa.list_(NODE_KEY)),
        ("image_nodes", pa.list_(NODE_KEY)),
    ]
)

CHUNK_CHARACTERS = 1_000_000  # of the texts in one batch; memory: about 100 bytes per character
COLUMNS = ["doc_id", "url_key", "host", "captured_at", "payload_digest", "nodes"]
LAST_SECOND = 2**32 - 1


def key(kind: str, value: str) -> int:
    """Return a signed 64-bit key of a value; equal values of different kinds get different keys."""
    digest = xxhash.xxh3_64_intdigest(f"{kind}\0{value}".encode("utf-8", "surrogatepass"))
    return digest - 2**64 if digest >= 2**63 else digest


def seconds(captured_at: str | None) -> int:
    """Convert an ISO 8601 time to seconds since 1970; 0 for None and for an invalid time."""
    try:
        return min(max(int(datetime.fromisoformat(captured_at or "").timestamp()), 0), LAST_SECOND)
    except (ValueError, OverflowError):
        return 0


def graph_node(doc_id: str, captured: int) -> bytes:
    """Return the 20 bytes that name a document in a graph; older captures sort first."""
    return captured.to_bytes(4, "big") + bytes.fromhex(doc_id)


def doc_id(node: bytes) -> str:
    """Return the doc_id of a graph node."""
    return node[4:].hex()


def fingerprints(
    documents: pa.RecordBatch,
    dropped: pa.ListArray,
    quality: pa.Array,
    settings: FingerprintSettings,
) -> pa.RecordBatch:
    """Compute the fingerprints of kept documents; all arguments have one row per document.

    `dropped` holds the nodes that the verdicts drop. `quality` is the classifier's score; where it
    is null, the mean content score of the kept text is used, weighted by length.
    """
    nodes = documents["nodes"]
    owners = pc.list_parent_indices(nodes).to_numpy()
    fields = nodes.flatten()
    kept = _not_dropped(owners, fields.field("index"), dropped)
    words = kept & pc.equal(fields.field("kind"), "text").to_numpy(zero_copy_only=False)
    images = kept & pc.equal(fields.field("kind"), "image").to_numpy(zero_copy_only=False)
    texts = _grouped(fields.field("text").filter(pa.array(words)), owners[words], len(documents))
    captured = [seconds(moment) for moment in documents["captured_at"].to_pylist()]
    names = documents["doc_id"].to_pylist()
    joined = pc.binary_join(texts, "\n\n").to_pylist()
    columns = {
        "doc_id": documents["doc_id"],
        "node": [graph_node(name, second) for name, second in zip(names, captured, strict=True)],
        "url_key": _keys("url", documents["url_key"]),
        "payload_key": _keys("payload", documents["payload_digest"]),
        "host_key": _keys("host", documents["host"]),
        "images": np.bincount(owners[images], minlength=len(documents)).astype(np.int32),
        "quality": pc.coalesce(quality, _content_score(fields, words, owners, len(documents))),
        "text_nodes": _node_keys("line", fields, "text", words, owners, len(documents)),
        "image_nodes": _node_keys("image", fields, "url", images, owners, len(documents)),
        "contamination": _contamination(joined, settings),
        **sketches(joined, settings),
    }
    return pa.RecordBatch.from_pydict(columns, FINGERPRINTS)


def _content_score(
    fields: pa.StructArray,
    chosen: npt.NDArray[np.bool_],
    owners: npt.NDArray[np.int64],
    rows: int,
) -> pa.Array:
    """Mean content score of each document's chosen nodes, weighted by their characters."""
    score = fields.field("content_score").to_numpy(zero_copy_only=False).astype(np.float64)
    chosen = chosen & ~np.isnan(score)
    length = pc.utf8_length(fields.field("text")).to_numpy(zero_copy_only=False)[chosen]
    sums = np.bincount(owners[chosen], score[chosen] * length, rows)
    total = np.bincount(owners[chosen], length, rows)
    return pa.array(sums / np.maximum(total, 1), pa.float32(), mask=total == 0)


def _contamination(texts: list[str], settings: FingerprintSettings) -> pa.Array:
    benchmarks = decontamination.load_ngrams(settings.decontaminate)
    found = [
        item
        for chunk in _chunks(texts)
        for item in decontamination.find_contamination(chunk, benchmarks, settings.decontaminate)
    ]
    return pa.array(found, FINGERPRINTS.field("contamination").type)


def sketches(texts: list[str], settings: FingerprintSettings) -> dict[str, pa.Array]:
    """Compute the columns words, text_key, bands and signature of texts.

    Texts with fewer than `min_words` tokens have no text_key, bands or signature.
    """
    slots = settings.bands * settings.rows
    words, keys, bands, compact = [], [], [], []
    for chunk in _chunks(texts):
        tokens, offsets = token_hashes(chunk)
        words.append(np.diff(offsets))
        keys.append(sequence_hashes(tokens, offsets).view(np.int64))
        shingles = shingle_hashes(tokens, offsets, settings.shingle_words)
        signature = minhash.signatures(*shingles, slots, settings.seed)
        bands.append(minhash.band_keys(signature, settings.bands))
        compact.append(minhash.compact(signature))
    counts = np.concatenate(words) if words else np.zeros(0, np.int64)
    short = counts < settings.min_words
    return {
        "words": pa.array(counts.astype(np.int32)),
        "text_key": pa.array(np.concatenate(keys), mask=short)
        if words
        else pa.array([], pa.int64()),
        "bands": _rows(np.concatenate(bands), short) if words else pa.array([]),
        "signature": _bytes(np.concatenate(compact), short) if words else pa.array([], pa.binary()),
    }


def _chunks(texts: list[str]) -> list[list[str]]:
    chunks: list[list[str]] = []
    room = 0
    for text in texts:
        if room < len(text) or not chunks:
            chunks.append([])
            room = CHUNK_CHARACTERS
        chunks[-1].append(text)
        room -= len(text)
    return chunks


def _rows(values: npt.NDArray[np.int64], short: npt.NDArray[np.bool_]) -> pa.ListArray:
    sizes = np.where(short, 0, values.shape[1])
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[~short].ravel()))


def _bytes(values: npt.NDArray[np.uint8], short: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.array(
        [None if gone else row.tobytes() for row, gone in zip(values, short, strict=True)]
    )


def _keys(kind: str, values: pa.Array) -> pa.Array:
    keys = [None if value is None else key(kind, value) for value in values.to_pylist()]
    return pa.array(keys, pa.int64())


def _not_dropped(
    owners: npt.NDArray[np.int64], indexes: pa.Array, dropped: pa.ListArray
) -> npt.NDArray[np.bool_]:
    gone = pc.list_parent_indices(dropped).to_numpy().astype(np.int64) << 32
    gone = gone | dropped.flatten().field("index").to_numpy()
    return ~np.isin(owners.astype(np.int64) << 32 | indexes.to_numpy(), gone)


def _grouped(values: pa.Array, owners: npt.NDArray[np.int64], rows: int) -> pa.ListArray:
    """Group values into one list per row; `owners` are their rows, in ascending order."""
    counts = np.bincount(owners, minlength=rows)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _node_keys(
    kind: str,
    fields: pa.StructArray,
    column: str,
    chosen: npt.NDArray[np.bool_],
    owners: npt.NDArray[np.int64],
    rows: int,
) -> pa.ListArray:
    picked = pa.array(chosen)
    index = fields.field("index").filter(picked)
    keys = _keys(kind, fields.field(column).filter(picked))
    struct = pa.StructArray.from_arrays([index, keys], ["index", "key"])
    return _grouped(struct, owners[chosen], rows)
