"""What a configuration can hold: every key with its type, default and description."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_LONGEST = 60  # characters of a default that the page shows
ANY_KEY = "NAME"  # stands for a key that the writer chooses


@dataclass(frozen=True)
class Key:
    """One key. `default` is None for a key that is needed, else its value as YAML writes it."""

    name: str  # dotted
    type: str
    default: str | None
    description: str
    section: bool  # whether it holds keys of its own


def keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[Key]:
    """Yield all keys of a model, each section before what it holds."""
    for name, field in model.model_fields.items():
        path = (*above, name)
        inner, names = _inner(field.annotation)
        yield Key(
            name=".".join(path),
            type=describe_type(field.annotation) + _limits(field),
            default=_default(field),
            description=field.description or _first_line(inner),
            section=inner is not None,
        )
        if inner is not None:
            yield from keys(inner, (*path, *[ANY_KEY] * names))


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, int]:
    """Return the model that a type holds, and in how many mappings it is a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, 0
    for argument in get_args(annotation):
        found, names = _inner(argument)
        if found is not None:
            return found, names + (get_origin(annotation) is dict)
    return None, 0


def _first_line(model: type[BaseModel] | None) -> str:
    text = (model.__doc__ or "").strip().partition("\n")[0] if model else ""
    return text.partition(": ")[2] or text


def describe_type(annotation: Any) -> str:
    """Return the name of a type in plain words, such as `list of text`."""
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in names:
        return names[annotation]
    if annotation is type(None):
        return "null"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(argument) for argument in arguments)
    if origin in (list, tuple):
        inner = describe_type(arguments[0])
        return f"list of {inner if ' or ' not in inner else f'({inner})'}"
    if origin is dict:
        return f"mapping of {describe_type(arguments[0])} to {describe_type(arguments[1])}"
    if origin is not None and arguments:  # Annotated
        return describe_type(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return str(getattr(annotation, "__name__", annotation))


def _limits(field: FieldInfo) -> str:
    """Return the bounds of a value, such as `, at least 1`."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = [
        f"{text} {getattr(one, name)}"
        for one in field.metadata
        for name, text in words.items()
        if getattr(one, name, None) is not None
    ]
    return "".join(f", {text}" for text in found)


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    words: dict[Any, str] = {None: "null", True: "true", False: "false"}
    return words[value] if isinstance(value, bool | None) else str(value)


def same(name: str, key: str) -> bool:
    """Tell whether a key that was asked for is the one of a name; NAME stands for any part."""
    parts, asked = name.split("."), key.split(".")
    return len(parts) == len(asked) and all(
        part in (ANY_KEY, one) for part, one in zip(parts, asked, strict=True)
    )


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a file: every key may be left to the config that `base` names."""
    made = _as_written(model.model_json_schema())
    for part in (made, *made.get("$defs", {}).values()):
        part.pop("required", None)
    base = {"type": "string", "description": "config whose values hold where none is given here"}
    made["properties"] = {"base": base, **made["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _as_written(node: Any) -> Any:
    """Allow what loading allows: one text for a list, and null for what a base has."""
    if isinstance(node, list):
        return [_as_written(one) for one in node]
    if not isinstance(node, dict):
        return node
    node = {name: _as_written(value) for name, value in node.items()}
    if "$ref" in node:
        return {"anyOf": [node, {"type": "null"}]}
    if node.get("type") == "array" and node.get("items", {}).get("type") == "string":
        return {"anyOf": [node, {"type": "string"}]}
    if node.get("type") == "object" and isinstance(node.get("additionalProperties"), dict):
        entry = {"anyOf": [node["additionalProperties"], {"type": "null"}]}
        return {"anyOf": [node | {"additionalProperties": entry}, {"type": "null"}]}
    return node


def document(model: type[BaseModel], shipped: Mapping[str, Any]) -> str:
    """Make a page with all keys, a table for each top section; `shipped` are a config's values."""
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    single, sections = [*head], list[str]()
    for key in keys(model):
        if key.section and "." not in key.name:
            sections += [f"\n## {key.name}", "", f"{_sentence(key.description)}", "", *head]
        elif not key.section:
            (sections if "." in key.name else single).append(_row(key, shipped))
    return "\n".join([*single, *sections]) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _row(key: Key, shipped: Mapping[str, Any]) -> str:
    value: Any = shipped
    for part in key.name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    default = key.default if value is None else yaml.safe_dump(value, default_flow_style=True)
    text = (default or "needed").removesuffix("\n").removesuffix("\n...").replace("\n", " ")
    short = text if len(text) <= _LONGEST else "a list"
    return (
        f"| `{key.name}` | {_cell(key.type)} | {_cell(f'`{short}`')} | {_cell(key.description)} |"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
