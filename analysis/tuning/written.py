"""Configs of tuned rules: they state what differs from their base, with evidence as comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from benben.analysis.tuning.labels import bounds_of
from benben.analysis.tuning.learn import Evidence
from benben.filters.declaration import SCOPES, Scope
from benben.pipeline import config
from benben.pipeline.settings.signals import (
    UNGROUPED,
    Bounds,
    Rule,
    RuleSettings,
    group_name,
)


def base_of(output: str, source: str) -> str:
    """The base of a config that is written for a run: the run's own config, else `source`."""
    return str(config.of_run(output) or source)


def config_text(
    base: str,
    before: RuleSettings,
    after: RuleSettings,
    evidence: Sequence[Evidence] = (),
    head: Sequence[str] = (),
) -> str:
    """A config that runs: the rules that differ from those of its base, or that have evidence.

    `before` are the rules of the base; null removes one of them.
    """
    lines = [f"# {line}" for line in head]
    lines.append(f"base: {_inline(base)}")
    body: list[str] = []
    for scope in SCOPES:
        rules = list(_rules(scope, getattr(before, scope), getattr(after, scope), evidence))
        if rules:
            body += [f"  {scope}:", *rules]
    lines += ["rules:", *body] if body else ["rules: {}"]
    return "\n".join(lines) + "\n"


def _rules(
    scope: Scope, before: dict[str, Rule], after: dict[str, Rule], evidence: Sequence[Evidence]
) -> Iterator[str]:
    for name in [*before, *(name for name in after if name not in before)]:
        found = [one for one in evidence if (one.scope, one.signal) == (scope, name)]
        if after.get(name) != before.get(name) or found:
            for one in found:
                yield f"    # {describe(one)}"
            yield f"    {name}: {_inline(_stated(before.get(name), after.get(name), bool(found)))}"


def describe(one: Evidence) -> str:
    """One line on what a bound does to the labelled rows."""
    where = f" in {group_name(one.group)}" if one.group != UNGROUPED else ""
    if one.before == one.after:
        head = f"{one.end} {_number(one.after)}{where} stays"
    else:
        head = f"{one.end}{where} from {_number(one.before)} to {_number(one.after)}"
    if not one.lost + one.removed + one.held_out_lost + one.held_out_removed:
        return f"{head}: nothing that is labelled is beyond it"
    unit = "tokens" if one.scope == "text_node" else "labelled rows"
    said = [
        f"{head}: drops {one.lost:,.0f} {unit} of gold, {one.removed:,.0f} others",
        f"precision {one.precision:.2f}, recall {one.recall:.2f}",
        f"on other domains {one.held_out_lost:,.0f} and {one.held_out_removed:,.0f}",
    ]
    if one.harmful:
        what = "so it is off" if one.after is None else "WARNING: it harms"
        said.append(f"more gold than other text goes, {what}")
    return "; ".join(said)


def _stated(before: Rule | None, after: Rule | None, whole: bool) -> Any:
    """What a config states of a rule: what differs from its base's, or all of it."""
    if after is None or not any(map(_has_bounds, [after, *after.groups().values()])):
        return None
    new = after.model_dump(mode="json")
    old = before.model_dump(mode="json") if before else Rule().model_dump(mode="json")
    empty = Rule().model_dump(mode="json")
    stated = {
        key: value
        for key, value in new.items()
        if value != old[key] or (whole and value != empty[key])
    }
    if "languages" in stated:
        stated["languages"] = _table(new["languages"], old["languages"])
    if "by" in stated:
        stated["by"] = {
            grouping: _table(new["by"].get(grouping, {}), old["by"].get(grouping, {}))
            for grouping in {**old["by"], **new["by"]}
        }
    if "when" in stated:
        stated["when"] = {name: _ends(bounds, {}) for name, bounds in stated["when"].items()}
    return stated


def _table(groups: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The bounds of groups, with null for each group that the base has and there is no more."""
    return {
        name: _ends(groups[name], before.get(name, {})) if name in groups else None
        for name in {**before, **groups}
    }


def _ends(bounds: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The bounds of a group, with null for each that its base has and it does not."""
    return {
        key: value
        for key, value in bounds.items()
        if value is not None or before.get(key) is not None
    }


def _has_bounds(bounds: Bounds) -> bool:
    return bool(bounds_of(bounds)) or bounds.one_of is not None


def _inline(value: Any) -> str:
    """A value as YAML on one line; whole numbers without a fraction."""
    text = yaml.safe_dump(_plain(value), default_flow_style=True, sort_keys=False,
                          width=1_000_000, allow_unicode=True)  # fmt: skip
    return text.removesuffix("...\n").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.6g}"
