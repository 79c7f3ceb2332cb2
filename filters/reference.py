"""The reference docs/signals.md: tables of all signals, and of the rules of the shipped configs."""

from __future__ import annotations

from benben.filters.declaration import SCOPES
from benben.filters.signal_table import CATALOGUE, read_rules
from benben.pipeline.settings.signals import Bounds, Rule, RuleSettings, group_name

CONFIGS = ("default", "obelics", "multilingual", "strict")


def signals_markdown() -> str:
    """Make a table of every signal: scope, name, unit, meaning, source."""
    lines = ["| scope | signal | unit | meaning | source |", "|---|---|---|---|---|"]
    for scope in SCOPES:
        for one in CATALOGUE[scope].values():
            when = " (once images are fetched)" if one.after_fetch else ""
            lines.append(
                f"| {scope} | `{one.name}` | {one.unit} | {one.meaning}{when} | {one.source} |"
            )
    return "\n".join(lines) + "\n"


def document() -> str:
    """Make docs/signals.md."""
    parts = [
        "# Signals and rules\n\nMade by `python -m benben.filters.reference > docs/signals.md`.\n"
    ]
    parts.append(f"\n## Signals\n\n{signals_markdown()}")
    for name in CONFIGS:
        parts.append(f"\n## Rules of `{name}`\n\n{rules_markdown(read_rules(name))}")
    return "".join(parts)


def rules_markdown(rules: RuleSettings) -> str:
    """Make a table of every rule of a config, in the order in which rules are judged."""
    lines = ["| scope | signal | bounds | other bounds |", "|---|---|---|---|"]
    for scope in SCOPES:
        for name, rule in getattr(rules, scope).items():
            others = "; ".join(f"{group_name(group)}: {_bounds(one)}"
                               for group, one in rule.groups().items())  # fmt: skip
            lines.append(f"| {scope} | `{name}` | {_bounds(rule)}{_when(rule)} | {others} |")
    return "\n".join(lines) + "\n"


def _bounds(bounds: Bounds) -> str:
    parts = [f"{end} {value:g}" for end in ("min", "max", "below")
             if (value := getattr(bounds, end)) is not None]  # fmt: skip
    parts += [f"one of {', '.join(bounds.one_of)}"] if bounds.one_of else []
    return ", ".join(parts) or "none"


def _when(rule: Rule) -> str:
    return "".join(f", where {name} has {_bounds(one)}" for name, one in rule.when.items())


if __name__ == "__main__":
    print(document(), end="")
