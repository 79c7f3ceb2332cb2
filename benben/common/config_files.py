"""Read YAML configurations into typed settings.

A config may name another one in its key `base`, and then states only what differs; `key=value`
overrides come last. All mistakes are reported together, each with the file and the dotted key, and
an unknown key with the most similar known one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError

from benben.common.errors import UserError
from benben.common.text import did_you_mean

Model = TypeVar("Model", bound=BaseModel)
Source = str | Traversable  # a path or URL, or a config shipped with the project


Layer = tuple[str, dict[str, Any]]  # the name of a file, and what it says
_MERGE, _BOOL = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:bool"
_SPECIAL = ("*", "&", "!", "%", "@", "`")  # YAML's signs, which begin a path in an override
_TRUTH = "; YAML takes yes, no, on and off for truth values: write them in quotes, as 'no'"


class ConfigError(UserError):
    """A mistake in a configuration. The message says what to correct and where."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, and one that is a truth value, as `no` is."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping as it is written. Raises ConstructorError with a refused key's line."""
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], int] = {}
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.tag == _MERGE:
                continue
            if name.tag == _BOOL:
                raise ConstructorError(None, None, f"key '{name.value}'{_TRUTH}", name.start_mark)
            key = (name.tag, name.value)
            if key in seen:
                said = f"key '{name.value}' stands twice, first in line {seen[key]}"
                raise ConstructorError(None, None, said, name.start_mark)
            seen[key] = name.start_mark.line + 1
        return node


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
    # What a layer implies: (the layer, all up to it) -> values by dotted key.
    implied: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = lambda layer, data: {}

    def load(self, model: type[Model], path: str, overrides: Sequence[str] = ()) -> Model:
        """Read and check a configuration.

        `path` is a file or the name of a shipped config. `overrides` are written
        `dotted.key=value`, with values in YAML. Raises ConfigError, which names for each mistake
        the file or the override that holds it.
        """
        layers = self._layers(self.find(path))
        data = self._merged(layers)
        last: dict[str, Any] = {}
        for override in overrides:
            self.apply_override(data, override)
            self.apply_override(last, override)
        self._add_implied(last, data)

        def origin(location: list[str]) -> str:
            return _override_of(location, overrides) or _layer_of(location, layers)

        return validate(model, data, origin)

    def names(self) -> list[str]:
        """Return the names of the shipped configs, sorted."""
        found = (entry.name for entry in self.shipped.iterdir())
        return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))

    def find(self, path: str) -> Source:
        """Return where a config is. A name without a slash may be that of a shipped config.

        Raises ConfigError if there is none.
        """
        if self.is_file(path):
            return path
        shipped = self.shipped / f"{path}.yaml"
        if "/" not in path and shipped.is_file():
            return shipped
        names = self.names()
        known = ", ".join(names)
        raise ConfigError(
            f"{path}: no such config file{did_you_mean(path, names)}; shipped configs: {known}"
        )

    def read_layers(self, path: Source) -> dict[str, Any]:
        """Read a config and merge it over the one that its key `base` names.

        Sections are merged key by key, except those in `replaced`.
        """
        return self._merged(self._layers(path))

    def _layers(self, path: Source, above: tuple[str, ...] = ()) -> list[Layer]:
        """Read a config and those that it is based on; the lowest first.

        `above` holds the configs that are based on this one, to detect a circle.
        """
        data = self.parse_yaml(path)
        base = data.pop("base", None)
        if base is None:
            return [(str(path), data)]
        if not isinstance(base, str):
            raise ConfigError(f"{path}: base: expected the name or path of a config; got {base!r}")
        source = self.find(base)
        here = (*above, str(path))
        if str(source) in here:
            raise ConfigError(f"{path}: base: {base} is based on this config itself")
        return [*self._layers(source, here), (str(path), data)]

    def _merged(self, layers: list[Layer]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for _, data in layers:
            merged = self._merge(merged, data)
            self._add_implied(data, merged)
        return merged

    def _add_implied(self, layer: dict[str, Any], data: dict[str, Any]) -> None:
        for key, value in self.implied(layer, data).items():
            set_key(data, key, value)

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
            data = yaml.load(text, _Loader)  # a SafeLoader
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
            value = text if text.startswith(_SPECIAL) else yaml.load(text, _Loader)
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


def _override_of(location: list[str], overrides: Sequence[str]) -> str | None:
    """Return the name of the last override that sets a location, or what is in or above it."""
    for override in reversed(overrides):
        key = override.partition("=")[0].split(".")
        if all(one == other for one, other in zip(key, location, strict=False)):
            return f"override '{override}'"
    return None


def _layer_of(location: list[str], layers: list[Layer]) -> str:
    """Return the name of the highest layer that has a location; of the config itself if none."""
    for name, data in reversed(layers):
        value: Any = data
        for part in location:
            if not isinstance(value, dict):
                return name
            if part not in value:
                break
            value = value[part]
        else:
            return name
    return layers[-1][0]


def validate(
    model: type[Model], data: dict[str, Any], source: str | Callable[[list[str]], str]
) -> Model:
    """Check data against a pydantic model. Raises ConfigError with one line per mistake.

    `source` names what was read, or returns this name for the path of a key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            location = [str(part) for part in problem["loc"]]
            name = source if isinstance(source, str) else source(location)
            lines.append(f"{name}: {_explain(model, problem)}")
        raise ConfigError("\n".join(lines)) from None


def _explain(model: type[BaseModel], problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    where = ".".join(location)
    if problem["type"] == "extra_forbidden":
        names = _fields(model, location[:-1])
        return f"{where}: unknown key{did_you_mean(location[-1], names)}"
    if problem["type"] == "missing":
        return f"{where}: this key is needed; add it"
    value = problem.get("input")
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(value, dict):
        return f"{where}: {message}"
    hint = _TRUTH if problem["type"] == "string_type" and isinstance(value, bool) else ""
    return f"{where}: {message}; got {value!r}{hint}"


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
