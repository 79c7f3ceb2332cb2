import json
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from pyspark.sql import SparkSession

from benben.jobs.engine.stage import Result, Run, Stage
from benben.jobs.engine.waves import WavesError, cut
from benben.pipeline import config, manifest, storage
from benben.pipeline.manifest import Count, PartFile, write_part

SCHEMA = pa.schema([("n", pa.int64())])
TASKS = 7
pytestmark = pytest.mark.spark


def run_in(folder: Path, **spark: object) -> Run:
    data = {"base": "default", "input": ["x"], "output": f"{folder}/run", "spark": spark}
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(data))
    return Run(config.load(str(path)))


def stage(folder: Path) -> Stage:
    """A part a task; a task leaves a mark when it runs and fails where `bad-N` lies."""

    def numbers(run: Run) -> Result:
        target = run.target("numbers")

        def work(n: int) -> Result:
            with open(folder / f"ran-{n}", "a") as mark:
                mark.write("x")
            if (folder / f"bad-{n}").exists():
                raise RuntimeError(f"task {n} is bad")
            file = write_part(target, n, SCHEMA, [pa.table({"n": [n]})])
            return Result({"numbers": [file]}, {"documents": Count(entered=1, kept=1)}, {"m": 0.5})

        return run.map(range(TASKS), work)

    return Stage("numbers", (), ("numbers",), (), numbers)


def runs(folder: Path) -> list[int]:
    """How often each task ran."""
    marks = [folder / f"ran-{n}" for n in range(TASKS)]
    return [len(mark.read_text()) if mark.exists() else 0 for mark in marks]


def test_waves_give_the_table_that_one_wave_gives(spark: SparkSession, tmp_path: Path) -> None:
    in_one = run_in(tmp_path).execute(stage(tmp_path))
    in_four = run_in(tmp_path, wave_tasks=2).execute(stage(tmp_path), force=True)
    assert in_four.model_copy(update={"seconds": in_one.seconds}) == in_one
    assert in_one.metrics == {"m": 0.5 * TASKS}
    assert storage.list_files(f"{tmp_path}/run/waves") == []


def test_only_failed_waves_run_again(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad-4").touch()
    with pytest.raises(WavesError, match=r"of 4 waves these failed: 3; run the same command again"):
        run_in(tmp_path, wave_tasks=2).execute(stage(tmp_path))
    assert manifest.read(f"{tmp_path}/run/numbers") is None
    (tmp_path / "bad-4").unlink()
    before = runs(tmp_path)
    found = run_in(tmp_path, wave_tasks=2).execute(stage(tmp_path))
    assert found.rows == TASKS
    again = [now - old for now, old in zip(runs(tmp_path), before, strict=True)]
    assert again == [0, 0, 0, 0, 1, 1, 0]
    assert "3 of 4 waves are done already" in capsys.readouterr().err


def test_a_stage_gives_up_after_so_many_failed_waves(spark: SparkSession, tmp_path: Path) -> None:
    for n in range(TASKS):
        (tmp_path / f"bad-{n}").touch()
    with pytest.raises(WavesError, match=r"first one's error: RuntimeError: task [01] is bad$"):
        run_in(tmp_path, wave_tasks=1, failed_waves=1).execute(stage(tmp_path))
    assert sum(count > 0 for count in runs(tmp_path)) < TASKS


def test_a_kept_wave_of_other_tasks_is_of_no_use(tmp_path: Path) -> None:
    first, _ = cut(["a", "b"], 1, str(tmp_path))
    other, _ = cut(["c", "b"], 1, str(tmp_path))
    result = Result({"t": [PartFile(part=0, name="p", rows=1, bytes=2)]}, {"d": Count()}, {"m": 1})
    first.keep(result)
    assert first.kept() == result
    assert other.kept() is None


def test_metrics_are_json_lines(spark: SparkSession, tmp_path: Path) -> None:
    run_in(tmp_path, wave_tasks=3).execute(stage(tmp_path))
    (path,) = storage.list_files(f"{tmp_path}/run/metrics")
    lines = [json.loads(line) for line in storage.read_bytes(path).splitlines()]
    assert [line["event"] for line in lines] == ["started", "wave", "wave", "wave", "committed"]
    assert sorted(line["wave"] for line in lines[1:4]) == [1, 2, 3]
    assert lines[3]["eta_seconds"] == 0
    assert lines[-1]["rows"] == {"numbers": TASKS}
    assert lines[-1]["counts"]["documents"]["kept"] == TASKS
    assert all(line["driver_peak_bytes"] > 1 << 20 for line in lines)


def test_a_commit_removes_what_killed_runs_left(spark: SparkSession, tmp_path: Path) -> None:
    storage.write_bytes(f"{tmp_path}/run/numbers/0123456789abcdef/part-00000.parquet", b"x")
    found = run_in(tmp_path).execute(stage(tmp_path))
    storage.write_bytes(f"{tmp_path}/run/numbers/{found.id}/part-00009.parquet.1a.tmp", b"x")
    run_in(tmp_path).execute(stage(tmp_path), force=True)
    names = [Path(name).name for name in storage.list_files(f"{tmp_path}/run/numbers")]
    assert sorted(names) == ["manifest.json", *(f"part-{n:05d}.parquet" for n in range(TASKS))]
