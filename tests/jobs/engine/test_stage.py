import time
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from pyspark.sql import SparkSession

from benben.jobs.engine.stage import Result, Run, Stage
from benben.jobs.engine.tables import frame, write_by_part
from benben.pipeline import config, manifest, storage
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import ConservationError, Count, write_part

SCHEMA = pa.schema([("n", pa.int64())])


def run_in(folder: Path, **changes: object) -> Run:
    data = {"base": "default", "input": ["x"], "output": str(folder / "run"), **changes}
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(data))
    return Run(config.load(str(path)))


def numbers(run: Run) -> Result:
    """Write three parts of numbers."""
    target = run.target("numbers")

    def work(part: int) -> Result:
        file = write_part(target, part, SCHEMA, [pa.table({"n": [part, 10 * part]})])
        return Result({"numbers": [file]}, {"documents": Count(entered=2, kept=2)})

    return run.map([0, 1, 2], work)


NUMBERS = Stage("numbers", (), ("numbers",), ("extract",), numbers)


def losing(run: Run) -> Result:
    result = numbers(run)
    result.counts["documents"].kept -= 1
    return result


@pytest.mark.spark
def test_a_stage_commits_then_skips_and_a_change_replaces_it(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_in(tmp_path).execute(NUMBERS)
    assert first.rows == 6
    assert first.counts["documents"].kept == 6
    assert run_in(tmp_path).execute(NUMBERS).id == first.id
    assert "up to date, skipped" in capsys.readouterr().err
    other = run_in(tmp_path, extract={"limits": {"nodes": 1}}).execute(NUMBERS)
    assert other.id != first.id
    assert len(storage.list_files(f"{tmp_path}/run/numbers")) == 4


@pytest.mark.spark
def test_a_loss_fails_the_stage_and_commits_nothing(spark: SparkSession, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    with pytest.raises(ConservationError, match="stage losing, documents"):
        run.execute(Stage("losing", (), ("numbers",), ("extract",), losing))
    assert manifest.read(run.table("numbers")) is None


@pytest.mark.spark
def test_an_input_that_changes_while_it_is_read_commits_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    sizes = iter([{"input": "10"}, {"input": "20"}, {"input": "20"}, {"input": "20"}])
    stage = Stage("changing", (), ("numbers",), (), numbers, sources=lambda _: next(sizes))
    run = run_in(tmp_path)
    with pytest.raises(UserError, match="changing: what it reads changed meanwhile"):
        run.execute(stage)
    assert manifest.read(run.table("numbers")) is None
    assert run.execute(stage).rows == 6


def test_reading_a_table_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the stage that makes it first"):
        run_in(tmp_path).execute(Stage("late", ("numbers",), ("late",), (), numbers))


@pytest.mark.spark
def test_frames_are_read_in_workers_and_written_back_by_part(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = run_in(tmp_path)
    run.execute(NUMBERS)
    schema = pa.schema([("part", pa.int32()), ("n", pa.int64())])

    def read(part: int, path: str):
        for batch in storage.iter_parquet(path):
            yield pa.RecordBatch.from_arrays(
                [pa.array([part] * batch.num_rows, pa.int32()), batch["n"]], schema=schema
            )

    rows = frame(run.spark, list(run.paths("numbers").items()), read, schema)
    files = write_by_part(rows.where("part != 1"), f"{tmp_path}/out", SCHEMA)
    found = {
        f.part: storage.read_parquet(f"{tmp_path}/out/{f.name}")["n"].to_pylist() for f in files
    }
    assert found == {0: [0, 0], 2: [2, 20]}


def test_spark_s_jobs_bear_the_name_of_their_stage(spark: SparkSession, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.execute(NUMBERS)
    run.stage = f"named-{tmp_path.name}"
    batch = pa.RecordBatch.from_pydict({"n": [1]})
    rows = frame(run.spark, [(0, "")], lambda part, _: iter([batch]), batch.schema)
    assert rows.count() == 1
    assert spark.sparkContext.statusTracker().getJobIdsForGroup(run.stage)


def test_a_frame_s_task_that_hangs_is_ended(spark: SparkSession, tmp_path: Path) -> None:
    run, mark = run_in(tmp_path, spark={"task_seconds": 5}), tmp_path / "hung"

    def read(part: int, _: str):
        if not mark.exists():
            mark.touch()
            time.sleep(3600)
        yield pa.RecordBatch.from_pydict({"n": [7]})

    rows = frame(run.spark, [(0, "")], read, pa.schema([("n", pa.int64())]))
    with pytest.raises(Exception, match="exited unexpectedly"):
        rows.collect()
    assert [row.n for row in rows.collect()] == [7]
