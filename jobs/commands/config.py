"""`benben config`: look at a config, its keys and their meaning, without a run."""

from __future__ import annotations

import json
from typing import Any

import click
import yaml

from benben.common import config_reference
from benben.common.command_line import Command
from benben.common.text import did_you_mean
from benben.jobs.engine import script
from benben.pipeline import config
from benben.pipeline.errors import UserError
from benben.pipeline.settings import Config

NO_PLACE = ("input=nowhere", "output=nowhere")  # a config that names none can be looked at, too


@click.group(no_args_is_help=True)
def main() -> None:
    """Look at configs: show, explain, diff, validate, schema."""


@main.command("show", cls=Command)
@script.config_arguments
def show(path: str, overrides: tuple[str, ...]) -> int:
    """Print all values of a config, with those of its base, as YAML."""
    print(yaml.safe_dump(_values(path, overrides), sort_keys=False, allow_unicode=True), end="")
    return 0


@main.command("explain", cls=Command)
@click.argument("key", metavar="KEY", shell_complete=script.complete_keys)
def explain(key: str) -> int:
    """Print what a key of a config means, with its type, default and shipped value."""
    keys = list(config_reference.keys(Config))
    found = [one for one in keys if config_reference.same(one.name, key)]
    if not found:
        hint = did_you_mean(key, [one.name for one in keys])
        raise UserError(f"config: no key '{key}'{hint}")
    within = [one for one in keys if one.name.startswith(f"{found[0].name}.")]
    for one in found + within:
        print("\n".join(_explained(one, key if one is found[0] else one.name)))
    return 0


def _explained(one: config_reference.Key, name: str) -> list[str]:
    default = "needed" if one.default is None else f"default: {one.default}"
    facts = [one.type] if one.section else [one.type, default]
    shipped: Any = config.read_layers(config.find("default"))
    for part in name.split("."):
        shipped = shipped.get(part) if isinstance(shipped, dict) else None
    if shipped is not None and not isinstance(shipped, dict):
        facts.append(f"configs/default.yaml: {json.dumps(shipped, ensure_ascii=False)}")
    return [name, f"    {one.description}", f"    {'; '.join(facts)}"]


@main.command("diff", cls=Command)
@click.argument("first", metavar="A", shell_complete=script.complete_configs)
@click.argument("second", metavar="[B]", required=False, shell_complete=script.complete_configs)
def diff(first: str, second: str | None) -> int:
    """Print what differs between two configs, or between a config and its base."""
    base = second or config.parse_yaml(config.find(first)).get("base")
    if base is None:
        raise UserError(f"config: {first} has no base; name a second config")
    one, other = (_flat(_values(path, ())) for path in (str(base), first))
    for key in [*one, *(key for key in other if key not in one)]:
        before, after = one.get(key, "none"), other.get(key, "none")
        if before != after:
            print(f"{key}: {before} -> {after}")
    return 0


@main.command("validate", cls=Command)
@script.config_arguments
def validate(path: str, overrides: tuple[str, ...]) -> int:
    """Check a config: its keys, rules and model files. Nothing is run."""
    script.load_config(path, overrides)
    print(f"{path}: valid")
    return 0


@main.command("schema", cls=Command)
def schema() -> int:
    """Print the JSON Schema of a config, for editors that check YAML."""
    print(json.dumps(config_reference.schema(Config), indent=1))
    return 0


def _values(path: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    given = config.read_layers(config.find(path))
    named = [one for one in NO_PLACE if not given.get(one.partition("=")[0])]
    if given.get("index"):
        named = [one for one in named if not one.startswith("input=")]
    return config.load(path, [*named, *overrides]).model_dump(mode="json", exclude_defaults=False)


def _flat(values: Any, above: str = "") -> dict[str, str]:
    if not isinstance(values, dict):
        return {above: json.dumps(values, ensure_ascii=False)}
    return {
        key: text
        for name, value in values.items()
        for key, text in _flat(value, f"{above}.{name}" if above else str(name)).items()
    }
