"""Tables as Spark frames: read through `storage`, shuffled by Spark, written back part by part."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVarTuple

import pyarrow as pa

from benben.jobs.engine import session, usage, worker
from benben.jobs.engine.stage import Run
from benben.pipeline import storage
from benben.pipeline.manifest import PartFile, part_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

Batches = Iterator[pa.RecordBatch]
Fields = TypeVarTuple("Fields")
FEW_TASKS = 1_000  # whose paths every worker may be sent
REPORT = "part int, name string, rows long, bytes long"


@dataclass(frozen=True)
class ShufflePlan:
    """How rows with equal keys are brought together: by a shuffle, or all rows in one task.

    In one task Spark's windows, joins and aggregations need no shuffle, and so no further stage.
    """

    one_task: bool = False

    @classmethod
    def of(cls, run: Run, table: str) -> ShufflePlan:
        """Choose by the number of rows of the table that the frames are made from."""
        return cls(run.manifest(table).rows <= run.config.spark.one_task_rows)

    def partitions(self, tasks: int) -> int:
        """Return the number of Spark partitions for so many tasks."""
        return 1 if self.one_task else max(1, tasks)

    def coalesce(self, rows: DataFrame) -> DataFrame:
        """Tell Spark that a frame just read is one partition, if it is."""
        return rows.coalesce(1) if self.one_task else rows

    def broadcast(self, rows: DataFrame) -> DataFrame:
        """Mark the frame of a join's other side as small, if it is."""
        from pyspark.sql import functions as F

        return F.broadcast(rows) if self.one_task else rows

    def repartition(self, rows: DataFrame, column: str) -> DataFrame:
        """Bring rows with equal values of a column to one task."""
        return rows.coalesce(1) if self.one_task else rows.repartition(column)


SHUFFLED = ShufflePlan()


def spark_schema(schema: pa.Schema) -> StructType:
    """Convert an Arrow schema to Spark's."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def in_workers(
    rows: DataFrame,
    work: Callable[[Iterable[pa.RecordBatch]], Batches],
    schema: pa.Schema | str,
) -> DataFrame:
    """Apply `work` with `mapInArrow`; a task that hangs ends its worker and runs again."""
    seconds = float(str(rows.sparkSession.conf.get(session.TASK_SECONDS)))
    clock = usage.frame_clock(rows.sparkSession.sparkContext)

    def watched(batches: Iterable[pa.RecordBatch]) -> Batches:
        with worker.task(seconds) as used:
            yield from work(batches)
            clock.add(used())

    return rows.mapInArrow(watched, schema if isinstance(schema, str) else spark_schema(schema))


def frame(
    spark: SparkSession,
    tasks: Sequence[tuple[*Fields]],
    read: Callable[[*Fields], Batches],
    schema: pa.Schema,
    plan: ShufflePlan = SHUFFLED,
) -> DataFrame:
    """Return a frame of what `read(*task)` yields for each task, one Spark partition a task.

    The worker opens the files, so neither Spark's readers nor their connectors are needed. A few
    tasks are sent with the code; Spark then needs no Python worker to hand them on.
    """
    partitions = plan.partitions(len(tasks))

    def rows(task: tuple[*Fields]) -> Batches:
        for out in read(*task):
            yield out.cast(schema) if out.schema != schema else out

    def by_number(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            for number in batch["id"].to_pylist():
                yield from rows(tasks[number])

    def unpickled(batches: Iterable[pa.RecordBatch]) -> Batches:
        for batch in batches:
            for pickled in batch["task"].to_pylist():
                yield from rows(pickle.loads(pickled))

    if len(tasks) <= FEW_TASKS:
        numbers = spark.range(0, len(tasks), 1, partitions)
        return plan.coalesce(in_workers(numbers, by_number, schema))
    pickled = [(pickle.dumps(tuple(task)),) for task in tasks]
    sent = spark.sparkContext.parallelize(pickled, partitions).mapPartitions(worker.unchanged)
    given = spark.createDataFrame(sent, "task binary")
    return plan.coalesce(in_workers(given, unpickled, schema))


def write_by_part(
    rows: DataFrame,
    folder: str,
    schema: pa.Schema,
    order: Sequence[str] = (),
    name: Callable[[int], str] = part_name,
    transform: Callable[[int, Batches], Batches] = lambda part, mine: mine,
    plan: ShufflePlan = SHUFFLED,
    options: Mapping[str, Any] | None = None,
) -> list[PartFile]:
    """Write a frame with a column `part`: one file a part, rows ordered by `order`.

    Without `order`, rows are ordered by the schema's first column. One task gets all rows of a part
    and writes what `transform` makes of them; parts without rows get no file. `options` are those
    of storage.ParquetWriter.
    """

    def work(batches: Iterable[pa.RecordBatch]) -> Batches:
        for part, mine in _runs(batches):
            path = storage.join(folder, name(part))
            with storage.ParquetWriter(path, schema, options=options) as writer:
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

    keys = order or schema.names[:1]
    ordered = plan.repartition(rows, "part").sortWithinPartitions("part", *keys)
    reports = in_workers(ordered, work, REPORT).collect()
    return [PartFile(**report.asDict()) for report in reports]


def _runs(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Batches]]:
    """Split a stream sorted by `part` into one stream for each part, to be read to its end."""
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
