"""`benben reasons`: what the reasons of the ledger mean, and how often a run gave each."""

from __future__ import annotations

import click

from benben.common.command_line import Command
from benben.common.text import did_you_mean
from benben.filters import reasons
from benben.pipeline.errors import UserError


@click.command(cls=Command)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--run", metavar="RUN", help="Folder of a run: the reasons it gave, with numbers.")
def main(names: tuple[str, ...], run: str | None) -> int:
    """Explain reasons: what each means, how to see examples, and what changes it.

    Without NAME, all that are not made from rules are listed.
    """
    if run:
        return _of_run(run)
    for reason in map(_known, names) if names else reasons.fixed():
        _show(reason, run)
    return 0


def _known(name: str) -> reasons.Reason:
    reason = reasons.explain(name)
    if reason is None:
        hint = did_you_mean(name, [one.name for one in reasons.fixed()])
        raise UserError(f"reasons: no stage gives '{name}'{hint}")
    return reason


def _of_run(run: str) -> int:
    """Print the reasons of a run's funnel, the most frequent of each stage first."""
    from benben.analysis.report import funnel

    for row in funnel.read(run):
        print(f"{row.stage}: {row.kept:,} of {row.entered:,} {row.unit} kept")
        for name, number in row.rejected.items():
            print(f"{number:>10,}  ", end="")
            _show(reasons.explain(name) or reasons.Reason(name, "not explained"), run)
    return 0


def _show(reason: reasons.Reason, run: str | None) -> None:
    print(f"{reason.name}: {reason.means}")
    if reason.change:
        print(f"            changed by {reason.change}")
    if reason.change and reason.change.startswith("rules."):
        print(f"            examples: benben audit {run or 'RUN'}")
