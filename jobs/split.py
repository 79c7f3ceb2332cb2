"""Which hosts are held out of train: by hash, unless pages of theirs are near another split's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Result, Run, Stage, write_part
from benben.pipeline import storage
from benben.pipeline.dataset import splits
from benben.pipeline.deduplication.minhash import similarity
from benben.pipeline.manifest import Count
from benben.pipeline.schema import SPLITS
from benben.pipeline.settings.ship import SplitSettings

Batches = Iterator[pa.RecordBatch]
BATCH_ROWS = 10_000
HOSTS = pa.schema([("host", pa.int64()), ("place", pa.int8())])
KEYS = HOSTS.append(pa.field("node", pa.binary())).append(pa.field("key", pa.int64()))
SIGNATURES = pa.schema([("node", pa.binary()), ("signature", pa.binary())])


def split(run: Run) -> Result:
    """Hash hosts of the documents that ship; look for near pages of those that are held out."""
    settings = run.config.assemble.splits
    parts = run.parts("fingerprints", "final_verdicts")
    tasks = [(part.number, "\n".join(part.paths.values())) for part in parts]
    hosts = tables.frame(run.spark, tasks, hosts_reader(settings), HOSTS).where("place > 0")
    held = {row.host: splits.NAMES[row.place] for row in hosts.distinct().collect()}
    settled = splits.settle(held, near_hosts(run, tasks, settings) if held else [])
    rows = sorted((host, held[host], split) for host, split in settled.items())
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(c, field.type) for c, field in zip(columns, SPLITS, strict=True)], schema=SPLITS
    )
    count = Count(entered=len(rows), kept=sum(split != splits.TRAIN for *_, split in rows))
    if count.entered > count.kept:
        count.reject("split.near_another", count.entered - count.kept)
    file = write_part(run.target("splits"), 0, SPLITS, [batch])
    return Result({"splits": [file]}, {"held-out hosts": count})


def shipped(paths: str, columns: list[str]) -> Batches:
    """Fingerprints of a part's documents that ship; `paths`: fingerprints, verdicts, by lines."""
    fingerprints, verdicts = paths.split("\n")
    final = storage.read_parquet(verdicts, ["doc_id", "kept"])
    kept = final.filter(final["kept"])["doc_id"].combine_chunks()
    for batch in storage.iter_parquet(fingerprints, ["doc_id", *columns], BATCH_ROWS):
        yield batch.filter(pc.is_in(batch["doc_id"], value_set=kept))


def hosts_reader(settings: SplitSettings) -> Callable[[int, str], Batches]:
    """Read HOSTS: each host of a part once."""

    def read(_: int, paths: str) -> Batches:
        for batch in shipped(paths, ["host_key"]):
            hosts = np.unique(batch["host_key"].to_numpy())
            yield pa.RecordBatch.from_arrays(
                [pa.array(hosts), pa.array(splits.by_hash(hosts, settings))], schema=HOSTS
            )

    return read


def keys_reader(settings: SplitSettings) -> Callable[[int, str], Batches]:
    """Read KEYS: what documents with near texts share; short texts have none."""

    def read(_: int, paths: str) -> Batches:
        for batch in shipped(paths, ["host_key", "node", "signature"]):
            rows = batch.filter(batch["signature"].is_valid())
            if rows.num_rows:
                keys = splits.meeting_keys(_stacked(rows["signature"].to_pylist()))
                row = pa.array(np.repeat(np.arange(len(keys)), keys.shape[1]))
                hosts = rows["host_key"].take(row)
                places = pa.array(splits.by_hash(hosts.to_numpy(), settings))
                columns = [hosts, places, rows["node"].take(row), pa.array(keys.ravel())]
                yield pa.RecordBatch.from_arrays(columns, schema=KEYS)

    return read


def read_signatures(_: int, paths: str) -> Batches:
    """Read SIGNATURES of the documents whose text is long enough for one."""
    for batch in shipped(paths, SIGNATURES.names):
        rows = batch.select(SIGNATURES.names)
        yield rows.filter(rows["signature"].is_valid())


def near_hosts(
    run: Run, tasks: list[tuple[int, str]], settings: SplitSettings
) -> list[tuple[int, int]]:
    """Pairs of hosts, one of them held out, that ship documents with near texts.

    Only documents that share a key with one of a held-out host are looked at.
    """
    keyed = tables.frame(run.spark, tasks, keys_reader(settings), KEYS)
    held = keyed.where("place > 0").select(
        "key", F.col("node").alias("one"), F.col("host").alias("host_one")
    )
    met = keyed.select("key", F.col("node").alias("other"), F.col("host").alias("host_other"))
    pairs = held.join(met, "key").where("host_one != host_other").drop("key").distinct()
    found = _verified(run, tasks, pairs, settings.near).distinct().collect()
    return [(row.host_one, row.host_other) for row in found]


def _verified(run: Run, tasks: list[tuple[int, str]], pairs: DataFrame, least: float) -> DataFrame:
    """Hosts of the pairs of documents whose texts are near."""
    sketches = tables.frame(run.spark, tasks, read_signatures, SIGNATURES)
    one = sketches.withColumnsRenamed({"node": "one", "signature": "signature_one"})
    other = sketches.withColumnsRenamed({"node": "other", "signature": "signature_other"})

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            if batch.num_rows:
                sides = (batch[name].to_pylist() for name in ("signature_one", "signature_other"))
                left, right = (_stacked(side) for side in sides)
                near = pa.array(similarity(left, right) >= least)
                yield batch.select(["host_one", "host_other"]).filter(near)

    met = pairs.join(one, "one").join(other, "other")
    return tables.in_workers(met, work, "host_one long, host_other long")


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
