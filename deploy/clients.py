"""Makes requests through the clouds' own client libraries."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

DATAPROC = {  # service in `configs/cluster/` -> its client and type of request
    "dataproc": ("WorkflowTemplateServiceClient", "InstantiateInlineWorkflowTemplateRequest"),
    "dataproc-autoscaling": ("AutoscalingPolicyServiceClient", "CreateAutoscalingPolicyRequest"),
    "dataproc-batches": ("BatchControllerClient", "CreateBatchRequest"),
}


def request(
    service: str, action: str, body: dict[str, Any], values: Mapping[str, object]
) -> dict[str, Any]:
    """Make one request and return the response."""
    if service in DATAPROC:
        return _dataproc(service, action, body, str(values["region"]))
    boto3 = importlib.import_module("boto3")
    client = boto3.client(service, region_name=values.get("region"))
    response: dict[str, Any] = getattr(client, action)(**body)
    return {key: value for key, value in response.items() if key != "ResponseMetadata"}


def message(service: str, body: dict[str, Any]) -> Any:
    """Return a Dataproc request as its type. Raises ValueError for a key that the type lacks."""
    types = importlib.import_module("google.cloud.dataproc_v1.types")
    json_format = importlib.import_module("google.protobuf.json_format")
    kind = getattr(types, DATAPROC[service][1])
    return kind(json_format.ParseDict(body, kind.pb()(), ignore_unknown_fields=False))


def _dataproc(service: str, action: str, body: dict[str, Any], region: str) -> dict[str, Any]:
    dataproc = importlib.import_module("google.cloud.dataproc_v1")
    options = {"api_endpoint": f"{region}-dataproc.googleapis.com:443"}
    client = getattr(dataproc, DATAPROC[service][0])(client_options=options)
    response = getattr(client, action)(request=message(service, body))
    operation = getattr(response, "operation", None)  # of work that goes on after the response
    return {"name": operation.name if operation else response.name}
