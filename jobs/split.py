"""Chooses the hosts held out of train: by hash, unless their pages are near another split's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.dataset import splits
from benben.pipeline.deduplication.minhash import similarity
from benben.pipeline.manifest import Count, write_part
from benben.pipeline.schema import SPLITS
from benben.pipeline.settings.ship import SplitSettings

Batches = Iterator[pa.RecordBatch]
Tasks = list[tuple[Part]]  # parts with `fingerprints` and `final_verdicts`
BATCH_ROWS = 10_000
HOSTS = pa.schema([("host", pa.int64()), ("split", pa.int8())])  # by hash, an index of splits.NAMES
KEYS = HOSTS.append(pa.field("node", pa.binary())).append(pa.field("key", pa.int64()))
SIGNATURES = pa.schema([("node", pa.binary()), ("signature", pa.binary())])


def split(run: Run) -> Result:
    """Hash the hosts of documents that ship, and look for near pages of the held-out ones."""
    settings = run.config.assemble.splits
    tasks = [(part,) for part in run.parts("fingerprints", "final_verdicts")]
    hosts = tables.frame(run.spark, tasks, hosts_reader(settings), HOSTS).where("split > 0")
    held_out = {row.host: splits.NAMES[row.split] for row in hosts.distinct().collect()}
    found = splits.resolve(held_out, near_hosts(run, tasks, settings) if held_out else [])
    rows = sorted((host, held_out[host], split) for host, split in found.items())
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(c, field.type) for c, field in zip(columns, SPLITS, strict=True)], schema=SPLITS
    )
    count = Count(entered=len(rows), kept=sum(split != splits.TRAIN for *_, split in rows))
    if count.entered > count.kept:
        count.reject("split.near_another", count.entered - count.kept)
    file = write_part(run.target("splits"), 0, SPLITS, [batch])
    return Result({"splits": [file]}, {"held-out hosts": count})


def shipped(part: Part, columns: list[str]) -> Batches:
    """Yield the fingerprints of a part's documents that ship."""
    final = storage.read_parquet(part.paths["final_verdicts"], ["doc_id", "kept"])
    kept = final.filter(final["kept"])["doc_id"].combine_chunks()
    wanted = ["doc_id", *columns]
    for batch in storage.iter_parquet(part.paths["fingerprints"], wanted, BATCH_ROWS):
        yield batch.filter(pc.is_in(batch["doc_id"], value_set=kept))


def hosts_reader(settings: SplitSettings) -> Callable[[Part], Batches]:
    """Return a reader of HOSTS: the distinct hosts of each batch of a part."""

    def read(part: Part) -> Batches:
        for batch in shipped(part, ["host_key"]):
            hosts = np.unique(batch["host_key"].to_numpy())
            yield pa.RecordBatch.from_arrays(
                [pa.array(hosts), pa.array(splits.by_hash(hosts, settings))], schema=HOSTS
            )

    return read


def keys_reader(settings: SplitSettings) -> Callable[[Part], Batches]:
    """Return a reader of KEYS, which documents with near texts share; short texts have none."""

    def read(part: Part) -> Batches:
        for batch in shipped(part, ["host_key", "node", "signature"]):
            rows = batch.filter(batch["signature"].is_valid())
            if rows.num_rows:
                keys = splits.near_text_keys(_stacked(rows["signature"].to_pylist()))
                row = pa.array(np.repeat(np.arange(len(keys)), keys.shape[1]))
                hosts = rows["host_key"].take(row)
                by_hash = pa.array(splits.by_hash(hosts.to_numpy(), settings))
                columns = [hosts, by_hash, rows["node"].take(row), pa.array(keys.ravel())]
                yield pa.RecordBatch.from_arrays(columns, schema=KEYS)

    return read


def read_signatures(part: Part) -> Batches:
    """Yield SIGNATURES of the documents whose text is long enough for one."""
    for batch in shipped(part, SIGNATURES.names):
        rows = batch.select(SIGNATURES.names)
        yield rows.filter(rows["signature"].is_valid())


def near_hosts(run: Run, tasks: Tasks, settings: SplitSettings) -> list[tuple[int, int]]:
    """Return pairs of hosts, one of them held out, that ship documents with near texts.

    Only documents that share a key with a document of a held-out host are compared.
    """
    keyed = tables.frame(run.spark, tasks, keys_reader(settings), KEYS)
    held_out = keyed.where("split > 0").select(
        "key", F.col("node").alias("one"), F.col("host").alias("host_one")
    )
    others = keyed.select("key", F.col("node").alias("other"), F.col("host").alias("host_other"))
    pairs = held_out.join(others, "key").where("host_one != host_other").drop("key").distinct()
    found = _near(run, tasks, pairs, settings.near).distinct().collect()
    return [(row.host_one, row.host_other) for row in found]


def _near(run: Run, tasks: Tasks, pairs: DataFrame, least: float) -> DataFrame:
    """Return the hosts of the pairs of documents whose texts have the least similarity."""
    signatures = tables.frame(run.spark, tasks, read_signatures, SIGNATURES)
    one = signatures.withColumnsRenamed({"node": "one", "signature": "signature_one"})
    other = signatures.withColumnsRenamed({"node": "other", "signature": "signature_other"})

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            if batch.num_rows:
                sides = (batch[name].to_pylist() for name in ("signature_one", "signature_other"))
                left, right = (_stacked(side) for side in sides)
                near = pa.array(similarity(left, right) >= least)
                yield batch.select(["host_one", "host_other"]).filter(near)

    joined = pairs.join(one, "one").join(other, "other")
    return tables.in_workers(joined, work, "host_one long, host_other long")


def _stacked(signatures: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(signatures), np.uint8).reshape(len(signatures), -1)


STAGE = Stage(
    name="split",
    reads=("fingerprints", "final_verdicts"),
    writes=("splits",),
    sections=("assemble",),
    run=split,
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.split"))
