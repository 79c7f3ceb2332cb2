"""Read the configuration of a run from a shipped config, a file or a URL, and from overrides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from benben.common.config_files import ConfigError, ConfigFiles, Source, validate
from benben.pipeline import storage
from benben.pipeline.settings import Config

__all__ = ["CONFIGS", "ConfigError", "find", "load", "parse_yaml", "read_layers", "validate"]
CONFIGS = resources.files("benben.configs")  # a folder, or part of the zip given to spark-submit


def _is_file(path: str) -> bool:
    return storage.exists(path) and not storage.is_folder(path)


FILES = ConfigFiles(
    CONFIGS,
    # A config states all its rules: with rules added from the base, it would keep other documents.
    replaced=frozenset({"rules"}),
    example="fetch.enabled=no",
    is_file=_is_file,
    read_bytes=storage.read_bytes,
)


def load(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a run's configuration.

    `path` is a file, a URL or the name of a config in `configs/`. `overrides` are written
    `dotted.key=value`, with values in YAML. Raises ConfigError.
    """
    return FILES.load(Config, path, overrides)


def find(path: str) -> Source:
    """Return where a config is. A name without a slash may be that of a shipped config."""
    return FILES.find(path)


def read_layers(path: Source) -> dict[str, Any]:
    """Read a config and merge it over the one that its key `base` names, except for `rules`."""
    return FILES.read_layers(path)


def parse_yaml(path: Source) -> dict[str, Any]:
    """Read a YAML mapping. Raises ConfigError with the line of a syntax error."""
    return FILES.parse_yaml(path)
