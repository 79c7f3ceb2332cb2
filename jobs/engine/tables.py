"""Tables as Spark frames: read through `storage`, shuffled by Spark, written back by part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from benben.jobs.engine import session, usage, worker
from benben.jobs.engine.stage import Run, part_name
from benben.pipeline import storage
from benben.pipeline.manifest import PartFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]
REPORT = "part int, name string, rows long, bytes long"


@dataclass(frozen=True)
class Meeting:
    """How rows of one key come together: by a shuffle, or all in one task where they are few.

    In one task Spark's windows, joins and aggregations need no shuffle, so no stage of their own.
    """

    one_task: bool = False

    @classmethod
    def of(cls, run: Run, table: str) -> Meeting:
        """Choose by the rows of a table that the frames are made from."""
        return cls(run.manifest(table).rows <= run.config.spark.one_task_rows)

    def slices(self, tasks: int) -> int:
        """Spark partitions that so many files are read in."""
        return 1 if self.one_task else max(1, tasks)

    def gather(self, rows: DataFrame) -> DataFrame:
        """Tell Spark of a frame that was just read that it is one partition, if it is."""
        return rows.coalesce(1) if self.one_task else rows

    def beside(self, rows: DataFrame) -> DataFrame:
        """A frame that another is joined with."""
        from pyspark.sql import functions as F

        return F.broadcast(rows) if self.one_task else rows

    def by(self, rows: DataFrame, column: str) -> DataFrame:
        """Bring the rows of one value of a column to one task."""
        return rows.coalesce(1) if self.one_task else rows.repartition(column)


SHUFFLED = Meeting()


def spark_schema(schema: pa.Schema) -> StructType:
    """Spark's form of an Arrow schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def in_workers(
    rows: DataFrame,
    work: Callable[[Iterable[pa.RecordBatch]], Batches],
    schema: pa.Schema | str,
) -> DataFrame:
    """`mapInArrow` of tasks that end their worker and run again when they hang."""
    seconds = float(str(rows.sparkSession.conf.get(session.TASK_SECONDS)))
    clock = usage.frame_clock(rows.sparkSession.sparkContext)

    def watched(batches: Iterable[pa.RecordBatch]) -> Batches:
        with worker.task(seconds) as used:
            yield from work(batches)
            clock.add(used())

    return rows.mapInArrow(watched, schema if isinstance(schema, str) else spark_schema(schema))


def frame(
    spark: SparkSession,
    tasks: Sequence[tuple[int, str]],
    read: Callable[[int, str], Batches],
    schema: pa.Schema,
    meeting: Meeting = SHUFFLED,
) -> DataFrame:
    """A frame of what `read(part, text)` yields for each task, one Spark partition a task.

    The file is opened in the worker: neither Spark's readers nor their connectors are needed.
    """

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            for part, text in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                for out in read(part, text):
                    yield out.cast(schema) if out.schema != schema else out

    rows = spark.sparkContext.parallelize(list(tasks), meeting.slices(len(tasks)))
    given = spark.createDataFrame(rows.mapPartitions(worker.passed), "part int, text string")
    return meeting.gather(in_workers(given, work, schema))


def write_by_part(
    rows: DataFrame,
    folder: str,
    schema: pa.Schema,
    order: Sequence[str] = (),
    name: Callable[[int], str] = part_name,
    transform: Callable[[int, Batches], Batches] = lambda part, mine: mine,
    meeting: Meeting = SHUFFLED,
) -> list[PartFile]:
    """Write a frame with a column `part`, one file a part, rows ordered by `order`.

    Without `order` rows are ordered by the schema's first column. Rows of one part meet in one
    task, which writes what `transform` makes of them; only parts that have rows get a file.
    """

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for part, mine in _runs(batches):
            path = storage.join(folder, name(part))
            with storage.ParquetWriter(path, schema) as writer:
                for batch in transform(part, mine):
                    writer.write(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
            yield pa.RecordBatch.from_pydict(
                {
                    "part": pa.array([part], pa.int32()),
                    "name": [name(part)],
                    "rows": [writer.rows],
                    "bytes": [writer.bytes],
                }
            )

    ordered = meeting.by(rows, "part").sortWithinPartitions("part", *(order or schema.names[:1]))
    reports = in_workers(ordered, work, REPORT).collect()
    return [PartFile(**report.asDict()) for report in reports]


def _runs(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Batches]]:
    """Split a stream sorted by `part` into one stream a part; each must be read to its end."""
    pending = iter(batches)
    batch = next(pending, None)
    while batch is not None:
        if batch.num_rows == 0:
            batch = next(pending, None)
            continue
        part = batch["part"][0].as_py()
        rest: list[pa.RecordBatch | None] = [None]

        def mine(first: pa.RecordBatch, part: int = part, rest: list = rest) -> Batches:  # type: ignore[type-arg]
            current: pa.RecordBatch | None = first
            while current is not None:
                same = (current["part"].to_numpy() == part).sum()
                if same:
                    yield current.slice(0, same)
                if same < current.num_rows:
                    rest[0] = current.slice(same)
                    return
                current = next(pending, None)

        yield part, mine(batch)
        batch = rest[0]
