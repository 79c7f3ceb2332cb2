"""Read a run's configuration: shipped configs, files and URLs, layers and overrides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from benben.common.config_files import ConfigError, ConfigFiles, Source, validate
from benben.pipeline import storage
from benben.pipeline.settings import Config

__all__ = ["CONFIGS", "ConfigError", "find", "load", "parse_yaml", "read_layers", "validate"]
CONFIGS = resources.files("benben.configs")  # a folder, or inside the zip spark-submit was given


def _is_file(path: str) -> bool:
    return storage.exists(path) and not storage.is_folder(path)


FILES = ConfigFiles(
    CONFIGS,
    whole=frozenset({"rules"}),  # one more rule is another decision about what is kept
    example="fetch.enabled=no",
    is_file=_is_file,
    read_bytes=storage.read_bytes,
)


def load(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a run's configuration.

    `path` is a file, a URL or the name of a config shipped in `configs/`; `overrides` are
    `dotted.key=value` with YAML values. Raises ConfigError.
    """
    return FILES.load(Config, path, overrides)


def find(path: str) -> Source:
    """Return where a config is; a name without a slash may be that of a shipped config."""
    return FILES.find(path)


def read_layers(path: Source) -> dict[str, Any]:
    """Read a config and, below it, the one that its key `base` names; `rules` are not merged."""
    return FILES.read_layers(path)


def parse_yaml(path: Source) -> dict[str, Any]:
    """Read a YAML mapping. Raises ConfigError with the line of a syntax error."""
    return FILES.parse_yaml(path)
