"""Read the configuration of a run from a shipped config, a file or a URL, and from overrides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from benben.common.config_files import ConfigError, ConfigFiles, Source, validate
from benben.pipeline import storage
from benben.pipeline.settings import Config
from benben.pipeline.settings.signals import RuleSettings

__all__ = [
    "CONFIGS",
    "ConfigError",
    "describe_rules",
    "find",
    "load",
    "parse_yaml",
    "read_layers",
    "validate",
]
CONFIGS = resources.files("benben.configs")  # a folder, or part of the zip given to spark-submit


def _is_file(path: str) -> bool:
    return storage.exists(path) and not storage.is_folder(path)


FILES = ConfigFiles(
    CONFIGS,
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


def describe_rules(path: str, rules: RuleSettings) -> str:
    """Tell how many rules a config has, and how many differ from its base's (or the file's own)."""
    source = find(path)
    base = parse_yaml(source).get("base")
    section = read_layers(find(base) if base else source).get("rules") or {}
    before = validate(RuleSettings, section, f"{base or source}: rules").by_name()
    now = rules.by_name()
    differ = sum(rule != before[name] for name, rule in now.items() if name in before)
    added, gone = len(now.keys() - before.keys()), len(before.keys() - now.keys())
    changes = f"{differ} differ from {base or path}, {added} added, {gone} of it removed"
    return f"{len(now)} rules: {changes}"


def find(path: str) -> Source:
    """Return where a config is. A name without a slash may be that of a shipped config."""
    return FILES.find(path)


def read_layers(path: Source) -> dict[str, Any]:
    """Read a config and merge it over the one that its key `base` names, key by key."""
    return FILES.read_layers(path)


def parse_yaml(path: Source) -> dict[str, Any]:
    """Read a YAML mapping. Raises ConfigError with the line of a syntax error."""
    return FILES.parse_yaml(path)
