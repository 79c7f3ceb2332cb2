"""YAML and `key=value` overrides to typed settings; all mistakes are reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from benben.pipeline import storage
from benben.pipeline.errors import UserError
from benben.pipeline.settings import Config

Model = TypeVar("Model", bound=BaseModel)
Source = str | Traversable  # a path or URL, or a config shipped with the project
CONFIGS = resources.files("benben.configs")  # a folder, or inside the zip spark-submit was given


class ConfigError(UserError):
    """A configuration the user has to mend; the message says what, where and how."""


def load(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a run's configuration.

    `path` is a file, a URL or the name of a config shipped in `configs/`; `overrides` are
    `dotted.key=value` with YAML values. Raises ConfigError.
    """
    source = find(path)
    data = read_layers(source)
    for override in overrides:
        apply_override(data, override)
    return validate(Config, data, str(source))


def find(path: str) -> Source:
    """Return where a config is; a bare name means one shipped with the project."""
    if storage.exists(path) and not storage.is_folder(path):
        return path
    shipped = CONFIGS / f"{path}.yaml"
    if "/" not in path and shipped.is_file():
        return shipped
    found = (entry.name for entry in CONFIGS.iterdir())
    names = sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))
    raise ConfigError(
        f"{path}: no such config file{_suggest(path, names)}; shipped configs: {', '.join(names)}"
    )


def read_layers(path: Source, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a config and, under it, the one its key `base` names.

    Sections merge key by key; `rules` are taken whole, since a rule more is another decision.
    """
    data = parse_yaml(path)
    base = data.pop("base", None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: expected the name or path of a config; got {base!r}")
    source = find(base)
    here = (*above, str(path))
    if str(source) in here:
        raise ConfigError(f"{path}: base: {base} is based on this config itself")
    return _merge(read_layers(source, here), data)


def _merge(base: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in data.items():
        below = base.get(key)
        whole = key == "rules" or not (isinstance(below, dict) and isinstance(value, dict))
        merged[key] = value if whole else _merge(below or {}, value)
    return merged


def parse_yaml(path: Source) -> dict[str, Any]:
    """Read a YAML mapping. Raises ConfigError with the line of a syntax error."""
    try:
        text = storage.read_bytes(path) if isinstance(path, str) else path.read_bytes()
        data = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(data).__name__}")
    return data


def apply_override(data: dict[str, Any], override: str) -> None:
    """Set one `dotted.key=value` in place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override '{override}': write it as key=value, such as fetch.enabled=no")
    *parents, last = key.split(".")
    target = data
    for depth, name in enumerate(parents):
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            where = ".".join(parents[: depth + 1])
            raise ConfigError(f"override '{override}': {where} is a single value, not a section")
    try:
        target[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"override '{override}': '{text}' is not a YAML value") from None


def validate(model: type[Model], data: dict[str, Any], source: str) -> Model:
    """Check data against a pydantic model. Raises ConfigError with a line for each mistake."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [f"{source}: {_explain(model, problem)}" for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _explain(model: type[BaseModel], problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    where = ".".join(location)
    if problem["type"] == "extra_forbidden":
        names = _fields(model, location[:-1])
        return f"{where}: unknown key{_suggest(location[-1], names)}"
    if problem["type"] == "missing":
        return f"{where}: this key is needed; add it"
    value = problem.get("input")
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}; got {value!r}"


def _fields(model: Any, location: list[str]) -> list[str]:
    """Field names of the (nested) model at a location; empty when it is no model."""
    for name in location:
        models = _models(model)
        if not models or name not in models[0].model_fields:
            continue  # a dictionary's key or a list's index: the annotation is unwrapped already
        model = models[0].model_fields[name].annotation
    models = _models(model)
    return sorted(models[0].model_fields) if models else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _suggest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
