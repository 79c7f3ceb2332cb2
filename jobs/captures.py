"""Stage `captures`: pages chosen from Common Crawl's columnar index, dealt to parts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pyarrow as pa

from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.archive.captures import CAPTURES, INDEX
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Count
from benben.pipeline.settings import Config
from benben.pipeline.settings.archives import IndexSettings

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

PLACED = CAPTURES.append(pa.field("part", pa.int32()))


def captures(run: Run) -> Result:
    """Write `captures`. Raises InputError if the config names no index."""
    index = run.config.index
    if index is None:
        raise InputError("index: not set in this config, so there is nothing to choose from")
    from pyspark.sql import functions as F

    rows = read_index(run, index)
    total = rows.count()
    chosen = rows.where(condition(index)).select(
        F.col("warc_filename").alias("archive"),
        F.col("warc_record_offset").alias("offset"),
        F.col("warc_record_length").alias("length"),
        "url",
    )
    size = chosen.agg(F.sum("length")).first()
    parts = run.partitions(size[0] if size and size[0] else 0)
    names = sorted(row[0] for row in chosen.select("archive").distinct().collect())
    dealt = [(name, number % parts) for number, name in enumerate(names)]
    owners = run.spark.createDataFrame(dealt, "archive string, part int")
    placed = chosen.join(F.broadcast(owners), "archive").select(PLACED.names)
    files = tables.write_by_part(placed, run.target("captures"), CAPTURES)
    kept = sum(file.rows for file in files)
    count = Count(entered=total, kept=kept)
    count.reject("index.not-chosen", total - kept)
    return Result({"captures": files}, {"captures": count})


def read_index(run: Run, index: IndexSettings) -> DataFrame:
    """Read the columns of INDEX, those in folder names (`crawl=X/`) included."""
    paths = index_files(index.table)

    def read(_: int, path: str) -> tables.Batches:
        stated = dict(name.split("=", 1) for name in path.split("/") if "=" in name)
        present = set(storage.footer(path).schema.to_arrow_schema().names)
        names = [name for name in INDEX.names if name in present]
        for batch in storage.iter_parquet(path, names, 100_000):
            columns = [
                batch[name].cast(kind)
                if name in present
                else pa.array([stated.get(name)] * batch.num_rows, pa.string()).cast(kind)
                for name, kind in zip(INDEX.names, INDEX.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=INDEX)

    return tables.frame(run.spark, list(enumerate(paths)), read, INDEX)


def index_files(table: str) -> list[str]:
    """List the files of the index. Raises InputError."""
    found = [table] if table.endswith(".parquet") else storage.list_files(table)
    found = [path for path in found if path.endswith(".parquet")]
    if not found or not storage.exists(found[0]):
        raise InputError(f"index.table: {table}: no parquet files there")
    return found


def condition(index: IndexSettings) -> Column:
    """Return the condition that the settings put on a row."""
    from pyspark.sql import functions as F

    wanted = F.coalesce(F.col("subset"), F.lit("warc")) == "warc"
    for column, values in (
        ("crawl", index.crawls),
        ("content_mime_detected", index.mimes),
        ("fetch_status", index.statuses),
    ):
        wanted = wanted & F.col(column).isin(*values) if values else wanted
    if index.languages:
        languages = F.split("content_languages", ",")
        wanted = wanted & F.arrays_overlap(languages, F.array(*map(F.lit, index.languages)))
    if index.hosts:
        host = F.col("url_host_name")
        chosen = host.isin(*index.hosts)
        for name in index.hosts:
            chosen = chosen | host.endswith(f".{name}")
        wanted = wanted & chosen
    return wanted & F.expr(index.where) if index.where else wanted


def sources(config: Config) -> dict[str, str]:
    """Return the files of the index and their sizes: with another index, the stage runs again."""
    if config.index is None:
        return {}
    table = config.index.table
    return {path.removeprefix(table): str(storage.size(path)) for path in index_files(table)}


STAGE = Stage(
    name="captures",
    reads=(),
    writes=("captures",),
    sections=("index",),
    run=captures,
    sources=sources,
    wanted=lambda config: config.index is not None,
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.captures"))
