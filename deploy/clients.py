"""The clouds' own clients, by the names that `configs/cluster/` gives services."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

DATAPROC = {  # service -> client, and the message of each action
    "dataproc": ("WorkflowTemplateServiceClient", "InstantiateInlineWorkflowTemplateRequest"),
    "dataproc-autoscaling": ("AutoscalingPolicyServiceClient", "CreateAutoscalingPolicyRequest"),
    "dataproc-batches": ("BatchControllerClient", "CreateBatchRequest"),
}


def ask(
    service: str, action: str, body: dict[str, Any], values: Mapping[str, object]
) -> dict[str, Any]:
    """Make one request; returns the answer."""
    if service in DATAPROC:
        return _dataproc(service, action, body, str(values["region"]))
    boto3 = importlib.import_module("boto3")
    client = boto3.client(service, region_name=values.get("region"))
    answer: dict[str, Any] = getattr(client, action)(**body)
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def message(service: str, body: dict[str, Any]) -> Any:
    """The typed request of a Dataproc service. Raises ValueError for what its schema lacks."""
    types = importlib.import_module("google.cloud.dataproc_v1.types")
    json_format = importlib.import_module("google.protobuf.json_format")
    kind = getattr(types, DATAPROC[service][1])
    return kind(json_format.ParseDict(body, kind.pb()(), ignore_unknown_fields=False))


def _dataproc(service: str, action: str, body: dict[str, Any], region: str) -> dict[str, Any]:
    dataproc = importlib.import_module("google.cloud.dataproc_v1")
    options = {"api_endpoint": f"{region}-dataproc.googleapis.com:443"}
    client = getattr(dataproc, DATAPROC[service][0])(client_options=options)
    answer = getattr(client, action)(request=message(service, body))
    operation = getattr(answer, "operation", None)  # of long work; a plain answer has a name
    return {"name": operation.name if operation else answer.name}
