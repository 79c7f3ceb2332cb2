"""Read YAML configurations into typed settings.

A config may name another one in its key `base`, and then states only what differs; `key=value`
overrides come last. All mistakes are reported together, each with the file and the dotted key, and
an unknown key with the most similar known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from benben.common.errors import UserError

Model = TypeVar("Model", bound=BaseModel)
Source = str | Traversable  # a path or URL, or a config shipped with the project


class ConfigError(UserError):
    """A mistake in a configuration. The message says what to correct and where."""


def _is_local_file(path: str) -> bool:
    return Path(path).is_file()


def _read_local_file(path: str) -> bytes:
    return Path(path).read_bytes()


@dataclass(frozen=True)
class ConfigFiles:
    """Finds and reads configs: those shipped in one folder, and files elsewhere."""

    shipped: Traversable  # a folder, or a folder inside a zip
    replaced: frozenset[str] = frozenset()  # keys whose value replaces the base's
    example: str = "section.key=value"  # a valid override, for the message about an invalid one
    is_file: Callable[[str], bool] = _is_local_file
    read_bytes: Callable[[str], bytes] = _read_local_file

    def load(self, model: type[Model], path: str, overrides: Sequence[str] = ()) -> Model:
        """Read and check a configuration.

        `path` is a file or the name of a shipped config. `overrides` are written
        `dotted.key=value`, with values in YAML. Raises ConfigError.
        """
        source = self.find(path)
        data = self.read_layers(source)
        for override in overrides:
            self.apply_override(data, override)
        return validate(model, data, str(source))

    def find(self, path: str) -> Source:
        """Return where a config is. A name without a slash may be that of a shipped config.

        Raises ConfigError if there is none.
        """
        if self.is_file(path):
            return path
        shipped = self.shipped / f"{path}.yaml"
        if "/" not in path and shipped.is_file():
            return shipped
        found = (entry.name for entry in self.shipped.iterdir())
        names = sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))
        known = ", ".join(names)
        raise ConfigError(
            f"{path}: no such config file{_suggest(path, names)}; shipped configs: {known}"
        )

    def read_layers(self, path: Source, above: tuple[str, ...] = ()) -> dict[str, Any]:
        """Read a config and merge it over the one that its key `base` names.

        Sections are merged key by key, except those in `replaced`. `above` holds the configs that
        are based on this one, to detect a circle.
        """
        data = self.parse_yaml(path)
        base = data.pop("base", None)
        if base is None:
            return data
        if not isinstance(base, str):
            raise ConfigError(f"{path}: base: expected the name or path of a config; got {base!r}")
        source = self.find(base)
        here = (*above, str(path))
        if str(source) in here:
            raise ConfigError(f"{path}: base: {base} is based on this config itself")
        return self._merge(self.read_layers(source, here), data)

    def _merge(self, base: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        merged = dict(base)
        for key, value in data.items():
            old = base.get(key)
            sections = isinstance(old, dict) and isinstance(value, dict)
            merge = sections and key not in self.replaced
            merged[key] = self._merge(old or {}, value) if merge else value
        return merged

    def parse_yaml(self, path: Source) -> dict[str, Any]:
        """Read a YAML mapping. Raises ConfigError, with the line of a syntax error."""
        try:
            text = self.read_bytes(path) if isinstance(path, str) else path.read_bytes()
            data = yaml.safe_load(text)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
        if not isinstance(data, dict):
            raise ConfigError(f"{path}: expected keys and values, found {type(data).__name__}")
        return data

    def apply_override(self, data: dict[str, Any], override: str) -> None:
        """Apply one `dotted.key=value` in place. Raises ConfigError."""
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"override '{override}': write it as key=value, such as {self.example}"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"override '{override}': '{text}' is not a YAML value") from None
        set_key(data, key, value)


def set_key(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in place. Raises ConfigError if it leads through a single value."""
    *parents, last = key.split(".")
    for depth, name in enumerate(parents):
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            where = ".".join(parents[: depth + 1])
            raise ConfigError(f"override '{key}': {where} is a single value, not a section")
    data[last] = value


def validate(model: type[Model], data: dict[str, Any], source: str) -> Model:
    """Check data against a pydantic model. Raises ConfigError with one line per mistake."""
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
    """Return the field names of the model at a location; empty if there is no model."""
    for name in location:
        models = _models(model)
        if not models or name not in models[0].model_fields:
            continue  # the key of a dictionary or the index of a list, which `_models` looks into
        model = models[0].model_fields[name].annotation
    models = _models(model)
    return sorted(models[0].model_fields) if models else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models in an annotation, such as the values of `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _suggest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
