"""Where each row of the dataset goes: its split, its shard, and what its archive is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from benben.jobs import tables
from benben.jobs.job import Run
from benben.pipeline import crawl, layout, storage
from benben.pipeline.archive import inputs
from benben.pipeline.layout import Layout
from benben.pipeline.splits import Splits

COUNTED = pa.schema([("split", pa.string()), ("bucket", pa.int32())])


class Placement:
    """What decides where a row goes, and what its archive is called. Goes to the tasks."""

    def __init__(self, run: Run) -> None:
        self.splits = Splits.read(run.paths("splits").values())
        self.layout = Layout(_counts(run, self.splits), run.config.assemble.rows_per_shard)
        self.archives = crawl.places(archive_urls(run))
        self.bytes_per_token = run.config.assemble.bytes_per_token
        self.redact = run.config.assemble.redact


def archive_urls(run: Run) -> list[str]:
    """The archives the documents were read from."""
    if run.config.index is None:
        found = inputs.find(run.config.input, run.config.archives)
        return [archive.url for archive in found]
    paths = run.paths("captures").values()
    named = (batch["archive"].unique() for path in paths for batch in _archives_of(path))
    return sorted({url for names in named for url in names.to_pylist()})


def _archives_of(path: str) -> Iterable[pa.RecordBatch]:
    return storage.iter_parquet(path, ["archive"], 100_000)


def _counts(run: Run, splits: Splits) -> Iterator[tuple[str, int, int]]:
    """Rows that ship by split and bucket of ids."""
    parts = run.parts("documents", "final_verdicts")
    tasks = [(part.number, "\n".join(part.paths.values())) for part in parts]

    def read(_: int, paths: str) -> tables.Batches:
        names: list[list[str] | None] = [["doc_id", "host"], ["kept"]]
        for documents, verdicts in storage.iter_aligned(paths.split("\n"), names, 10_000):
            chosen = documents.filter(verdicts["kept"])
            held = [splits.of(host) for host in chosen["host"].to_pylist()]
            buckets = map(layout.bucket, chosen["doc_id"].to_pylist())
            yield pa.RecordBatch.from_pydict({"split": held, "bucket": list(buckets)}, COUNTED)

    counted = tables.frame(run.spark, tasks, read, COUNTED).groupBy("split", "bucket").count()
    return ((row["split"], row["bucket"], row["count"]) for row in counted.collect())
