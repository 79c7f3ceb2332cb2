"""YAML and `key=value` overrides to a training run's settings.

Every mistake is reported at once with its dotted key.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from benben.trainer.settings import Config

CONFIGS = Path(__file__).parent.parent / "configs" / "trainer"


class ConfigError(Exception):
    """A setting the user has to mend; the message says which."""


def load(path: str, overrides: Sequence[str] = (), check: bool = True) -> Config:
    """Read a YAML file, or a name of `configs/trainer/`, with `dotted.key=value` overrides.

    Raises ConfigError listing every wrong key; with `check` also for shapes that cannot run, and
    warns of those that run slowly.
    """
    data = read(path)
    try:
        for override in overrides:
            _set(data, override)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    config = parse(data, path)
    if check:
        _check_shape(config, path)
    return config


def read(path: str) -> dict[str, Any]:
    """Read a YAML file or a name of `configs/trainer/` to a mapping. Raises ConfigError."""
    source = Path(path) if Path(path).is_file() else CONFIGS / f"{path}.yaml"
    if not source.is_file():
        names = sorted(entry.stem for entry in CONFIGS.glob("*.yaml"))
        raise ConfigError(f"{path}: no such config; shipped ones: {', '.join(names)}")
    try:
        return yaml.safe_load(source.read_text()) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def _check_shape(config: Config, source: str) -> None:
    from benben.trainer.planning import lint

    errors = [f"  {finding}" for finding in lint.report(config)]
    if errors:
        raise ConfigError("\n".join([f"{source}: shapes that cannot run", *errors]))


def parse(data: dict[str, Any], source: str = "config") -> Config:
    """Check a mapping against the settings. Raises ConfigError."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError("\n".join([f"{source}: {len(lines)} mistakes", *lines])) from None


def _set(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"override '{override}': write it as key=value, such as optim.lr=1e-3")
    put(data, key, yaml.safe_load(text))


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in place. Raises ConfigError where a section is a single value."""
    *parents, last = key.split(".")
    for name in parents:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError(f"override '{key}': {name} is a single value, not a section")
    data[last] = value


def _explain(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"  {key}: {problem['msg']}"
    names = list(Config.model_fields)
    for section in Config.model_fields.values():
        names += list(getattr(section.annotation, "model_fields", {}))
    close = difflib.get_close_matches(str(problem["loc"][-1]), names, 1)
    return f"  {key}: unknown" + (f"; did you mean {close[0]}?" if close else "")
