import socketserver
from types import ModuleType

import pyspark.accumulators
import pytest
import yaml
from pyspark.sql import SparkSession

from benben.jobs import stages
from benben.jobs.engine import session
from benben.pipeline import config

STAGES = yaml.safe_load((config.CONFIGS / "cluster" / "stages.yaml").read_bytes())


def test_every_stage_has_settings_and_no_other_name_has() -> None:
    assert set(STAGES) == {"every", "small", "run"} | set(stages.STAGES)


def test_a_stage_adds_to_what_every_stage_has_in_sparks_own_form() -> None:
    pure, asking = session.defaults("extract"), session.defaults("fetch")
    assert (pure["spark.speculation"], asking["spark.speculation"]) == ("true", "false")
    assert (pure["spark.task.maxFailures"], asking["spark.task.maxFailures"]) == ("4", "8")
    assert all(isinstance(value, str) for value in pure.values())
    assert session.defaults("no such stage") == session.defaults("every")


@pytest.mark.spark
def test_spark_submits_own_log_is_quiet_unless_a_level_is_given(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session._submitted_options()["spark.log.level"] == "ERROR"
    given = [("spark.log.level", "INFO"), ("spark.app.name", "theirs")]
    monkeypatch.setattr(session.SparkConf, "getAll", lambda _: given)
    assert session._submitted_options() == {"spark.log.level": "INFO"}


def test_every_stage_is_a_script_for_spark_submit() -> None:
    for stage in stages.STAGES:
        text = (config.CONFIGS.parent / "jobs" / f"{stage}.py").read_text()
        assert f'sys.exit(script.main("benben.jobs.{stage}"))' in text


@pytest.mark.parametrize("names", [["AccumulatorServer"], ["TCPServer", "UnixServer"]])
def test_servers_of_any_version_of_pyspark_are_found(names: list[str]) -> None:
    """PySpark 3.5 has one; 4 has two, of other names."""
    module = ModuleType("accumulators")
    for name in names:
        made = type(name, (socketserver.TCPServer,), {"__module__": "accumulators"})
        setattr(module, name, made)
    setattr(module, "imported", socketserver.TCPServer)  # noqa: B010
    assert [kind.__name__ for kind in session.accumulator_servers(module)] == names
    assert session.accumulator_servers(pyspark.accumulators)
