"""Read the configuration of a run from a shipped config, a file or a URL, and from overrides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from benben.common import config_reference
from benben.common.config_files import ConfigError, ConfigFiles, Source, validate
from benben.pipeline import storage
from benben.pipeline.settings import Config
from benben.pipeline.settings.deduplicate import MinHashSettings
from benben.pipeline.settings.signals import RuleSettings

__all__ = [
    "CONFIGS",
    "ConfigError",
    "describe_rules",
    "find",
    "load",
    "of_run",
    "parse_yaml",
    "read_layers",
    "store",
    "validate",
]
RUN_CONFIG = "config.yaml"  # in the folder of a run
CONFIGS = resources.files("benben.configs")  # a folder, or part of the zip given to spark-submit


def _is_file(path: str) -> bool:
    return storage.exists(path) and not storage.is_folder(path)


def shipped() -> list[str]:
    """Return the names of the configs that come with the project."""
    return FILES.names()


def key_names() -> list[str]:
    """Return the dotted names of all keys that a config can have."""
    return [key.name for key in config_reference.keys(Config)]


_PAGE = """# Keys of a config

Made by `python -m benben.pipeline.config > docs/config.md`.

A config names another in its key `base` and states only what differs. `KEY=VALUE` on the command
line comes last. One text stands for a list of one. `NAME` stands for a name of your choice: that of
a signal (see [signals.md](signals.md)) or a language's code. Defaults are those of
`configs/default.yaml`. `benben config explain KEY` prints what a key means, `benben config diff
CONFIG` what a config changes, and `benben config schema > benben.schema.json` writes a schema for
editors.

"""


def reference() -> str:
    """Make docs/config.md."""
    return _PAGE + config_reference.document(Config, read_layers(find("default")))


def _bands(layer: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Bands and rows, for a layer that sets the threshold for which they are chosen."""
    given = _section(layer, "fingerprint").keys() & {"bands", "rows"}
    minhash = _section(_section(data, "deduplicate"), "minhash")
    if given or "threshold" not in _section(_section(layer, "deduplicate"), "minhash"):
        return {}
    try:
        chosen = MinHashSettings.model_validate(minhash).chosen
    except ValidationError:  # which is reported when all of the config is checked
        return {}
    return {"fingerprint.bands": chosen[0], "fingerprint.rows": chosen[1]} if chosen else {}


def _section(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


FILES = ConfigFiles(
    CONFIGS,
    example="fetch.enabled=no",
    is_file=_is_file,
    read_bytes=storage.read_bytes,
    implied=_bands,
)


def load(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a run's configuration.

    `path` is a file, a URL, the name of a config in `configs/`, or the folder of a run, whose own
    config is read. `overrides` are written `dotted.key=value`, with values in YAML. Raises
    ConfigError.
    """
    stored = of_run(path)
    if stored is not None:  # the folder may have been moved since
        return FILES.load(Config, stored, [f"output={json.dumps(path)}", *overrides])
    return FILES.load(Config, path, overrides)


def of_run(path: str) -> str | None:
    """Return the file with the config of a run's folder; None for any other path."""
    stored = storage.join(path, RUN_CONFIG)
    shipped = "/" not in path and path in FILES.names()
    return stored if not shipped and not _is_file(path) and _is_file(stored) else None


def store(config: Config) -> None:
    """Write the config of a run into its folder, where `load` finds it."""
    text = "# The config that this folder was made by; commands read it from here.\n"
    values = config.model_dump(mode="json")
    data = (text + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)).encode()
    path = storage.join(config.output, RUN_CONFIG)
    if not storage.exists(path) or storage.read_bytes(path) != data:
        storage.write_bytes(path, data)


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
    return of_run(path) or FILES.find(path)


def read_layers(path: Source) -> dict[str, Any]:
    """Read a config and merge it over the one that its key `base` names, key by key."""
    return FILES.read_layers(path)


def parse_yaml(path: Source) -> dict[str, Any]:
    """Read a YAML mapping. Raises ConfigError with the line of a syntax error."""
    return FILES.parse_yaml(path)


if __name__ == "__main__":
    print(reference(), end="")
