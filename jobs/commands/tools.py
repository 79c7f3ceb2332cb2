"""Commands that only read a run or a config; each parses its own arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benben.pipeline import config


def explain(arguments: Sequence[str]) -> int:
    """Show what happened to one page, node by node."""
    from benben.analysis.provenance.explain import describe

    parser = argparse.ArgumentParser(prog="benben explain", description=explain.__doc__)
    parser.add_argument("run", help="folder of a run")
    parser.add_argument("name", help="document id or URL")
    parser.add_argument(
        "--html", action="store_true", help="print an HTML page instead of coloured lines"
    )
    given = parser.parse_args(arguments)
    colour = sys.stdout.isatty()  # the text is free of control characters, but for our own colours
    text = describe(given.run, given.name, given.html, colour)
    print(text, file=sys.__stdout__ if colour else sys.stdout)
    return 0


def compare(arguments: Sequence[str]) -> int:
    """Show what each of two configs keeps that the other drops, by rule."""
    from benben.analysis.tuning.compare import between

    parser = argparse.ArgumentParser(prog="benben compare", description=compare.__doc__)
    parser.add_argument("run", help="folder of a run that has signals")
    parser.add_argument("a", metavar="A", help="file or name of a config")
    parser.add_argument("b", metavar="B", help="file or name of another config")
    given = parser.parse_args(arguments)
    print(between(given.run, given.a, given.b))
    return 0


def models(arguments: Sequence[str]) -> int:
    """List the model files a config names, load each, and show where to get it."""
    from benben.filters.signals.models import check, table

    parser = argparse.ArgumentParser(prog="benben models", description=models.__doc__)
    parser.add_argument("config", metavar="CONFIG", help="YAML file, or name of a shipped config")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override a value")
    given = parser.parse_args(arguments)
    statuses = check(config.load(given.config, given.overrides).signals)
    print(table(statuses))
    return 2 if any(status.problem for status in statuses) else 0


def audit(arguments: Sequence[str]) -> int:
    """Print a limited sample of what each rule dropped, with its text, as JSON lines."""
    from benben.analysis.tables import RunTables
    from benben.analysis.tuning.audit import PER_REASON
    from benben.analysis.tuning.audit import audit as sample

    parser = argparse.ArgumentParser(prog="benben audit", description=audit.__doc__)
    parser.add_argument("run", help="folder of a run")
    parser.add_argument(
        "--per-reason", type=int, default=PER_REASON, metavar="N", help="rows for each reason"
    )
    given = parser.parse_args(arguments)
    rows = sample(RunTables(given.run), given.per_reason)
    rows.to_pandas().to_json(sys.stdout, orient="records", lines=True, force_ascii=False)
    return 0
