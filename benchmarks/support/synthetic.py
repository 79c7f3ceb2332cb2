"""Tables of made-up fingerprints, for measuring deduplication at sizes no sample has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from benben.common.hashing import mix64
from benben.jobs.engine.stage import Run
from benben.pipeline import manifest, storage
from benben.pipeline.deduplication import minhash
from benben.pipeline.deduplication.fingerprint import FINGERPRINTS, NODE_KEY
from benben.pipeline.manifest import Count, Manifest, PartFile, part_name
from benben.pipeline.settings.deduplicate import FingerprintSettings

PART_DOCUMENTS = 50_000
GIANT, DUPLICATES, SIZES = 200_000, 0.1, (2, 50)
CHANGED = 0.04  # share of a copy's slots that differ from its cluster's
Chunk = dict[str, pa.Array]


def clusters(documents: int) -> np.ndarray:
    """Cluster of each document, -1 for none: a tenth in clusters of 2 to 50, one of 200,000."""
    draw = np.random.default_rng(1)
    places = draw.permutation(documents)
    sizes = draw.integers(*SIZES, endpoint=True, size=documents // 10)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), documents * DUPLICATES)]
    members = np.repeat(np.arange(len(sizes) + 1), [min(GIANT, documents // 2), *sizes])
    found = np.full(documents, -1)
    found[places[: len(members)]] = members
    return found


def cluster_parts(
    documents: int, settings: FingerprintSettings, part_documents: int = PART_DOCUMENTS
) -> Callable[[int], pa.Table]:
    """Fingerprints with MinHash bands and signatures, a part at a time."""
    owner = clusters(documents)

    def part(number: int) -> pa.Table:
        start = number * part_documents
        mine = owner[start : start + part_documents]
        own = np.arange(start, start + len(mine), dtype=np.uint64)
        draw = np.random.default_rng([2, number])
        source = np.where(mine < 0, own + np.uint64(documents), mine.astype(np.uint64))
        slot = np.arange(settings.slots, dtype=np.uint64)
        slots = mix64(source[:, None] * np.uint64(settings.slots) + slot).astype(np.uint32)
        changed = draw.random(slots.shape) < CHANGED
        slots[changed] = draw.integers(2**32, size=int(changed.sum()), dtype=np.uint32)
        keys = minhash.band_keys(slots, settings.bands)
        lists = np.arange(len(mine) + 1, dtype=np.int32) * settings.bands
        columns = {
            "bands": pa.ListArray.from_arrays(pa.array(lists), pa.array(keys.ravel())),
            "signature": pa.array([row.tobytes() for row in minhash.compact(slots)], pa.binary()),
            "text_key": pa.array(mix64(own + np.uint64(2 * documents)).view(np.int64)),
        }
        return table(own, columns)

    return part


def line_parts(documents: int, hosts: int, lines: int, shared: int) -> Callable[[int], pa.Table]:
    """Fingerprints of pages with `lines` text nodes; `shared` of them are those of all its host."""

    def part(number: int) -> pa.Table:
        start = number * PART_DOCUMENTS
        own = np.arange(start, min(start + PART_DOCUMENTS, documents), dtype=np.uint64)
        place = np.arange(lines, dtype=np.uint64)
        keys = mix64(own[:, None] * np.uint64(lines) + place)
        keys[:, :shared] = mix64(place[:shared] + np.uint64(2**60))
        index = pa.array(np.tile(np.arange(lines, dtype=np.int32), len(own)))
        nodes = pa.StructArray.from_arrays(
            [index, pa.array(keys.ravel().view(np.int64))], fields=list(NODE_KEY)
        )
        lists = np.arange(len(own) + 1, dtype=np.int32) * lines
        columns = {
            "host_key": pa.array(mix64(own % np.uint64(hosts)).view(np.int64)),
            "text_nodes": pa.ListArray.from_arrays(pa.array(lists), nodes),
        }
        return table(own, columns)

    return part


def table(own: np.ndarray, columns: Chunk) -> pa.Table:
    """FINGERPRINTS with names and the given columns, null or empty elsewhere."""
    names = [mix64(own + np.uint64(salt)).astype(">u8") for salt in (2**61, 2**62)]
    ids = np.stack(names, axis=1).tobytes()
    docs = [ids[place : place + 16] for place in range(0, len(ids), 16)]
    seconds = [int(second).to_bytes(4, "big") for second in own]
    found = {
        "doc_id": pa.array([doc.hex() for doc in docs]),
        "node": pa.array([second + doc for second, doc in zip(seconds, docs, strict=True)]),
        "words": pa.array((mix64(own.copy()) % np.uint64(1000)).astype(np.int32)),
        "images": pa.array(np.ones(len(own), np.int32)),
        "url_key": pa.array(mix64(own + np.uint64(2**59)).view(np.int64)),
        **columns,
    }
    for field in FINGERPRINTS:
        if field.name not in found:
            empty: list[Any] | None = [] if pa.types.is_list(field.type) else None
            found[field.name] = pa.array([empty] * len(own), field.type)
    return pa.table({name: found[name] for name in FINGERPRINTS.names}, FINGERPRINTS)


def write(
    run: Run,
    documents: int,
    part: Callable[[int], pa.Table],
    first: int = 0,
    part_documents: int = PART_DOCUMENTS,
) -> None:
    """Write the table `fingerprints` of a run, and the tables that stages look at beside it.

    `first`: number of the first part, of those that hold the documents.
    """
    files = []
    for number in range(first, first + -(-documents // part_documents)):
        name = part_name(number)
        path = storage.join(run.table("fingerprints"), name)
        with storage.ParquetWriter(path, FINGERPRINTS) as writer:
            writer.write(part(number))
        files.append(PartFile(part=number, name=name, rows=writer.rows, bytes=writer.bytes))
    for name, mine in (("fingerprints", files), ("verdicts", []), ("clusters", [])):
        counts = {"documents": Count(entered=documents, kept=documents)}
        record = {"table": name, "id": f"synthetic-{documents}", "stage": "synthetic"}
        found = Manifest.model_validate(
            record | {"version": "", "config": {}, "inputs": {}, "files": mine, "counts": counts}
        )
        manifest.write(run.table(name), found)
