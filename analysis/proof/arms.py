"""The arms of a proof: sets of rules to replay on one run, and one set without each of its rules.

Consent is no arm's to change: the rule on opt-outs of the base holds in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from benben.filters.declaration import SCOPES
from benben.filters.signal_table import read_rules, required_columns
from benben.pipeline.settings.signals import InheritSettings, RuleSettings

OPT_OUTS = "opt_outs"  # of scope document
UNFILTERED = "unfiltered"
OTHERS = ("obelics", "strict")  # shipped sets of rules beside the base
REPEATED = "deduplicate.nodes"  # in place of a rule: what deduplication dropped of kept documents


@dataclass(frozen=True)
class Arm:
    """A set of rules, and whether nodes that other documents repeat are dropped."""

    rules: RuleSettings
    repeated_dropped: bool = True


def shipped(base: str) -> dict[str, Arm]:
    """Return the arms by name: unfiltered, the base (a config), obelics and strict.

    Raises ConfigError for a base that is no config.
    """
    rules = read_rules(base)
    consent = {name: rule for name, rule in rules.document.items() if name == OPT_OUTS}
    found = {UNFILTERED: Arm(RuleSettings(document=consent), repeated_dropped=False)}
    found[base] = Arm(rules)
    for name in OTHERS:
        others = read_rules(name)
        document = {**others.document, **consent}
        found.setdefault(name, Arm(others.model_copy(update={"document": document})))
    return found


def without_each(arm: Arm) -> dict[str, Arm]:
    """Return the arm without each of its rules, by the name of what is left out."""
    found = {}
    for scope in SCOPES:
        rules = getattr(arm.rules, scope)
        for name in rules:
            if (scope, name) != ("document", OPT_OUTS):
                rest = {other: rule for other, rule in rules.items() if other != name}
                found[f"{scope}.{name}"] = Arm(arm.rules.model_copy(update={scope: rest}))
    for name in InheritSettings.model_fields:
        if getattr(arm.rules.inherit, name) is not None:
            inherit = arm.rules.inherit.model_copy(update={name: None})
            found[f"inherit.{name}"] = Arm(arm.rules.model_copy(update={"inherit": inherit}))
    found[REPEATED] = Arm(arm.rules, repeated_dropped=False)
    return found


def columns(arms: dict[str, Arm]) -> list[str]:
    """Return the columns of SIGNALS that the arms read."""
    return sorted({column for arm in arms.values() for column in required_columns(arm.rules)})
