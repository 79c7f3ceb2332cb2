"""Read a training run's configuration: shipped configs, files, layers and overrides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from benben.common.config_files import ConfigError, ConfigFiles, set_key, validate
from benben.trainer.planning import lint
from benben.trainer.settings import Config

__all__ = ["CONFIGS", "FILES", "ConfigError", "load", "parse", "read", "set_key"]
CONFIGS = Path(str(resources.files("benben.configs") / "trainer"))
FILES = ConfigFiles(
    CONFIGS,
    replaced=frozenset({"languages", "rope_scaling"}),  # weights and factors belong together
    example="optim.lr=1e-3",
)


def load(path: str, overrides: Sequence[str] = (), check: bool = True) -> Config:
    """Read a YAML file, or a config shipped in `configs/trainer/`, with `dotted.key=value` changes.

    With `check`, a shape that cannot run is refused and one that runs slowly is warned of. Raises
    ConfigError with one line for each mistake.
    """
    config = FILES.load(Config, path, overrides)
    if check:
        errors = lint.report(config)
        if errors:
            raise ConfigError("\n".join(f"{path}: {finding}" for finding in errors))
    return config


def read(path: str) -> dict[str, Any]:
    """Read a YAML file, or a config shipped in `configs/trainer/`, without checking its keys."""
    return FILES.read_layers(FILES.find(path))


def parse(data: dict[str, Any], source: str = "config") -> Config:
    """Check a mapping against the settings. Raises ConfigError."""
    return validate(Config, data, source)
