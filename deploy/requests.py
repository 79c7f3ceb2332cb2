"""Requests to a cloud's API, from `configs/cluster/PLATFORM.yaml` with values filled in.

`${name}` stands for a value. An entry `each_stage: X` of a list is repeated for each stage in
order, with ${stage} and ${previous} filled in; the first stage has no values with ${previous}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from benben.pipeline import config
from benben.pipeline.errors import UserError

FOLDER = resources.files("benben.configs") / "cluster"
_NAME = re.compile(r"\$\{(\w+)\}")


def platforms() -> list[str]:
    """Return the names of the files that hold requests."""
    files = [entry for entry in FOLDER.iterdir() if entry.name.endswith(".yaml")]
    return sorted(file.name[:-5] for file in files if "calls" in config.parse_yaml(file))


def calls(platform: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return a platform's calls in order, each with `service`, `action`, `body` and maybe `keep`.

    `keep` names values of the response; ${...} of these are filled in when the response is there.
    Raises UserError for an unknown platform and for missing values.
    """
    if platform not in platforms():
        raise UserError(f"{platform}: unknown platform; known ones: {', '.join(platforms())}")
    data = config.parse_yaml(FOLDER / f"{platform}.yaml")
    known = data.get("defaults", {}) | dict(values)
    known = {name: fill(value, known) for name, value in known.items()}
    stages = known.get("stages", data.get("stages", ()))
    filled: list[dict[str, Any]] = fill(expand(data["calls"], stages), known)
    later = {name for call in filled for name in call.get("keep", {})}
    missing = sorted(set(_NAME.findall(json.dumps(filled))) - later)
    if missing:
        raise UserError(f"{platform}: add " + " ".join(f"{name}=..." for name in missing))
    return filled


def expand(value: Any, stages: Sequence[str]) -> Any:
    """Repeat the `each_stage` entries of lists for each stage."""
    if isinstance(value, dict):
        return {key: expand(inner, stages) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    entries: list[Any] = []
    for entry in value:
        if isinstance(entry, dict) and "each_stage" in entry:
            entries += [_of_stage(entry["each_stage"], stages, n) for n in range(len(stages))]
        else:
            entries.append(expand(entry, stages))
    return entries


def _of_stage(entry: dict[str, Any], stages: Sequence[str], number: int) -> Any:
    if number == 0:
        entry = {key: value for key, value in entry.items() if "${previous}" not in str(value)}
    return fill(entry, {"stage": stages[number], "previous": stages[number - 1]})


def fill(value: Any, names: Mapping[str, object]) -> Any:
    """Replace ${name} everywhere; a text that is only ${name} becomes the value, of any type."""
    if isinstance(value, dict):
        return {key: fill(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _NAME.fullmatch(value)
    if whole:
        return names.get(whole[1], value)
    return _NAME.sub(lambda found: str(names.get(found[1], found[0])), value)
