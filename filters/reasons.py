"""What each reason of the ledger means, and which key of a config changes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import yaml

from benben.filters.signal_table import CATALOGUE
from benben.pipeline.config import CONFIGS

TABLE = CONFIGS / "tables" / "reasons.yaml"
BOUNDS = {
    "min": "is below the least",
    "max": "is above the most",
    "below": "is not below the bound",
    "one_of": "is none of the names",
    "unmeasured": "could not be measured, so that it is not judged by what",
}
_ANY = re.compile(r"[A-Z]{2,}")  # a part of a name in the table that stands for any


@dataclass(frozen=True)
class Reason:
    """A reason: what it means, and the key of a config that changes it, if there is one."""

    name: str
    means: str
    change: str | None = None


@cache
def fixed() -> tuple[Reason, ...]:
    """Return the reasons that are not made from rules, in the order of the table."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return tuple(Reason(name, one["means"], one.get("change")) for name, one in table.items())


def explain(name: str) -> Reason | None:
    """Return what a reason means; None for one that no stage gives."""
    for reason in fixed():
        if re.fullmatch(_ANY.sub("[^.]+", re.escape(reason.name)), name):
            return Reason(name, reason.means, reason.change)
    scope, _, rest = name.partition(".")
    signal, _, bound = rest.rpartition(".")
    known = CATALOGUE.get(scope, {}).get(signal)  # type: ignore[call-overload]
    if known is None or bound not in BOUNDS:
        return None
    means = f"{signal} {BOUNDS[bound]} that the rule allows; {signal}: {known.meaning}"
    return Reason(name, f"{means} ({known.unit})", f"rules.{scope}.{signal}.{bound}")


_PAGE = """# Reasons

Made by `python -m benben.filters.reasons > docs/reasons.md`.

Every document, node, image and record that does not ship has one of these reasons in the tables of
its run. `benben reasons NAME` explains one, `benben reasons --run RUN` lists those of a run with
their numbers, `benben audit RUN` prints what each rule dropped, and `benben explain RUN DOCUMENT`
shows a page with the reason of each node.

## Reasons of rules

`SCOPE.SIGNAL.BOUND`, such as `text_node.words.min`: the signal SIGNAL of a text, an image or a
document is outside the BOUND of the rule `rules.SCOPE.SIGNAL`. The signals are in
[signals.md](signals.md). `rules.text_node.words.min=3` changes the bound;
`rules.text_node.words=null` removes the rule.

## Other reasons

| reason | meaning | changed by |
|---|---|---|
"""


def document() -> str:
    """Make docs/reasons.md."""
    rows = []
    for one in fixed():
        key = f"[`{one.change}`](config.md)" if one.change else ""
        rows.append(f"| `{one.name}` | {one.means} | {key} |\n")
    return _PAGE + "".join(rows)


if __name__ == "__main__":
    print(document(), end="")
