import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.validate import ParamValidator
from moto import mock_aws

from benben.jobs import stages
from benben.pipeline import config, storage
from benben.pipeline.errors import UserError
from deploy import clients, launch, publish, requests

VALUES = {
    "account": "123456789012",
    "bucket": "b",
    "code": "s3://b/benben",
    "config": "s3://b/run.yaml",
    "execution_role": "arn:aws:iam::123456789012:role/benben-job",
    "image": "registry.example/benben:1",
    "instance_profile": "benben-job",
    "project": "p",
    "region": "us-east-1",
    "service_account": "benben@p.example",
    "service_role": "benben-service",
    "subnet": "subnet-1",
    "token": "0123456789ab",
}
CALLS = [(name, call) for name in requests.platforms() for call in requests.calls(name, VALUES)]
AWS = [call for _, call in CALLS if call["service"] not in clients.DATAPROC]
GOOGLE = [call for _, call in CALLS if call["service"] in clients.DATAPROC]
STAGES = [name for name in stages.STAGES if name != "captures"]  # that one wants an index


def action(call: Mapping[str, Any]) -> str:
    return str(call["action"])


def test_every_platform_has_requests() -> None:
    assert {name for name, _ in CALLS} == {
        "dataproc",
        "dataproc-autoscaling",
        "dataproc-serverless",
        "emr-ec2",
        "emr-serverless",
    }


@pytest.mark.parametrize("call", AWS, ids=action)
def test_bodies_fit_aws_own_service_models(call: dict[str, Any]) -> None:
    service = botocore.session.get_session().get_service_model(call["service"])
    operation = "".join(word.title() for word in call["action"].split("_"))
    shape = service.operation_model(operation).input_shape
    report = ParamValidator().validate(call["body"], shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("call", GOOGLE, ids=action)
def test_bodies_fit_dataproc_own_types(call: dict[str, Any]) -> None:
    assert clients.message(call["service"], call["body"])
    with pytest.raises(Exception, match="no field named"):
        clients.message(call["service"], call["body"] | {"misspelt": 1})


def test_clusters_run_every_stage_in_order() -> None:
    emr, dataproc = (requests.calls(name, VALUES)[0]["body"] for name in ("emr-ec2", "dataproc"))
    assert [step["Name"] for step in emr["Steps"]] == STAGES
    chosen = requests.calls("emr-ec2", VALUES | {"stages": ["captures", "extract"]})[0]["body"]
    assert [step["Name"] for step in chosen["Steps"]] == ["captures", "extract"]
    jobs = dataproc["template"]["jobs"]
    assert [job["step_id"] for job in jobs] == STAGES
    assert [job.get("prerequisite_step_ids") for job in jobs] == [None, *([s] for s in STAGES[:-1])]


def test_nothing_is_requested_without_run(capsys: pytest.CaptureFixture[str]) -> None:
    def request(*_: Any) -> dict[str, Any]:
        raise AssertionError("requested")

    launch.start("emr-ec2", VALUES, False, request)
    printed = capsys.readouterr()
    assert "emr run_job_flow {" in printed.out
    assert "nothing was started" in printed.err


def test_missing_values_and_unknown_platforms_are_named() -> None:
    with pytest.raises(UserError, match=r"add code=\.\.\. config=\.\.\."):
        requests.calls("dataproc", {})
    with pytest.raises(UserError, match="known ones: dataproc, "):
        requests.calls("azure", VALUES)


@mock_aws
@pytest.mark.usefixtures("keys")
def test_emr_takes_the_cluster_and_its_steps() -> None:
    launch.start("emr-ec2", VALUES, True)
    client = boto3.client("emr", region_name="us-east-1")
    (cluster,) = client.list_clusters()["Clusters"]
    steps = client.list_steps(ClusterId=cluster["Id"])["Steps"]
    assert sorted(step["Name"] for step in steps) == sorted(STAGES)


@mock_aws
@pytest.mark.usefixtures("keys")
def test_emr_serverless_runs_on_the_application_it_made() -> None:
    launch.start("emr-serverless", VALUES, True)
    client = boto3.client("emr-serverless", region_name="us-east-1")
    (application,) = client.list_applications()["applications"]
    (run,) = client.list_job_runs(applicationId=application["id"])["jobRuns"]
    assert run["executionRole"] == VALUES["execution_role"]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


@mock_aws
@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("name", ["emr-job", "emr-launch"])
def test_policies_are_sound_and_least(name: str) -> None:
    text = (config.CONFIGS / "cluster" / "iam" / f"{name}.json").read_text()
    document = requests.fill(json.loads(text), VALUES)
    boto3.client("iam").create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
    assert "${" not in json.dumps(document)
    for statement in document["Statement"]:
        assert "*" not in json.dumps(statement["Action"]), "no wildcard in what is allowed"
        assert statement["Resource"] != "*" or "Condition" in statement


def test_what_is_published_is_all_that_the_requests_name(tmp_path: Path) -> None:
    publish.publish(str(tmp_path))
    there = {name[len(str(tmp_path)) + 1 :] for name in storage.list_files(str(tmp_path))}
    text = json.dumps([call["body"] for _, call in CALLS])
    named = {part.split('"')[0].split(" ")[0] for part in text.split("s3://b/benben/")[1:]}
    assert {name for name in named if not name.startswith("logs")} <= there
    lines = (tmp_path / "dependencies.txt").read_text().split()
    assert {"pyarrow", "pandas<3"} <= set(lines)  # what PySpark asks for
    assert not any(line.startswith("pyspark") for line in lines), "the cluster has its own"
