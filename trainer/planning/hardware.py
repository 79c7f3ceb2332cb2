"""Figures of GPUs, from `hardware.yaml`."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from benben.common.config_files import ConfigError


class Gpu(BaseModel):
    """A GPU's figures: multiprocessors, dense bfloat16 TFLOP/s, GB/s, GiB, GPUs per node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sms: int
    tflops: float
    gbs: float
    gib: float
    node: int
    link_gbs: float
    net_gbs: float
    host_gbs: float


@functools.cache
def facts() -> dict[str, Any]:
    """Return the content of `hardware.yaml`."""
    text = (resources.files("benben.trainer.planning") / "hardware.yaml").read_text()
    return dict(yaml.safe_load(text))


def gpu(name: str) -> Gpu:
    """Return a GPU by its name; raises ConfigError for an unknown one."""
    known = facts()["gpus"]
    if name.lower() not in known:
        raise ConfigError(f"{name}: no such GPU here; known: {', '.join(known)}")
    return Gpu(name=name.lower(), **known[name.lower()])
