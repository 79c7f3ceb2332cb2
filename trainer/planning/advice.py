"""Which memory options a config needs on a GPU: the first of a ladder that fits."""

from __future__ import annotations

from typing import Any

from benben.trainer.planning.memory import GIB, Memory, run_memory
from benben.trainer.settings import Config

# Each rung costs more time, or more of the host, than the one before.
LADDER: tuple[dict[str, Any], ...] = (
    {},
    {"memory": {"tile_loss": 4096}},
    {"memory": {"tile_loss": 4096, "recompute": "layer"}},
    {"memory": {"tile_loss": 4096, "recompute": "layer", "tile_mlp": 8192}},
    {"memory": {"tile_loss": 4096, "recompute": "layer", "tile_mlp": 8192, "offload": True}},
    {
        "memory": {
            "tile_loss": 4096,
            "recompute": "layer",
            "tile_mlp": 8192,
            "offload": True,
            "group": 4,
        }
    },
)
LOW = {"optim": {"dtype": "bfloat16", "params": "bfloat16", "state": "bfloat16"}}


def advise(
    config: Config, device_gib: float, host_gib: float
) -> tuple[list[str], Config, Memory] | None:
    """Return what to switch on beyond the config, the config with it, and its need.

    None when nothing on the ladder fits: shard over more GPUs, or shorten the sequence.
    """
    for low in ({}, LOW):
        for rung in LADDER:
            changed = _with(config, {**rung, **low})
            need = run_memory(changed, config.data.seq_len)
            if need.device <= device_gib * GIB and need.host <= host_gib * GIB:
                return _named(config, changed), changed, need
    return None


def _with(config: Config, sections: dict[str, Any]) -> Config:
    data = config.model_dump()
    for section, values in sections.items():
        data[section] |= values
    return Config.model_validate(data)


def _named(before: Config, after: Config) -> list[str]:
    """Return the settings that differ, as overrides."""
    found = []
    for section in ("memory", "optim"):
        old, new = getattr(before, section).model_dump(), getattr(after, section).model_dump()
        found += [f"{section}.{key}={new[key]}" for key in old if old[key] != new[key]]
    return found
