"""The command `benben`: one verb for each stage, `run` for all of them, and tools around a run."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence

from benben.jobs import stages
from benben.jobs.engine import script
from benben.jobs.engine.progress import say
from benben.jobs.engine.stage import Run
from benben.pipeline import config, storage
from benben.pipeline.manifest import code_version

# Verbs that parse their own arguments and need no Spark: name -> (function, help).
TOOLS = {
    "explore": ("benben.analysis.explore.server.main", "look into a finished run in a browser"),
    "explain": (
        "benben.jobs.commands.tools.explain",
        "show what happened to one page, node by node",
    ),
    "trace": (
        "benben.analysis.provenance.trace.main",
        "show where a document or image comes from, and every verdict on it",
    ),
    "verify": (
        "benben.analysis.provenance.verify.main",
        "rebuild rows of the dataset from their archives and compare",
    ),
    "takedown": (
        "benben.jobs.commands.takedown.main",
        "remove documents and images for good, and keep them out of later runs",
    ),
    "robots": (
        "benben.jobs.commands.robots.main",
        "read the robots.txt files that a crawl captured, to refuse pages by",
    ),
    "consent": (
        "benben.jobs.commands.consent.main",
        "ask sites again for consent to what a run uses",
    ),
    "export": ("benben.jobs.commands.export.main", "write the dataset as WebDataset tar files"),
    "estimate": (
        "benben.jobs.commands.estimate.main",
        "estimate core-hours, time and price of a run from a sample",
    ),
    "compare": (
        "benben.jobs.commands.tools.compare",
        "show what each of two configs keeps that the other drops",
    ),
    "audit": (
        "benben.jobs.commands.tools.audit",
        "print a sample of what each rule dropped, as JSON lines",
    ),
    "precompile": (
        "benben.jobs.commands.precompile.main",
        "make the machine code of extraction and signals for other machines",
    ),
    "models": (
        "benben.jobs.commands.tools.models",
        "list the model files a config names, and where to get each",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (see `script.exit_code`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return script.exit_code(lambda: _act(given), "--debug" in given)


def _act(given: list[str]) -> int:
    if given and given[0] in TOOLS:
        module, _, name = TOOLS[given[0]][0].rpartition(".")
        return int(getattr(importlib.import_module(module), name)(given[1:]))
    options = parser().parse_args(given)
    return int(options.act(options))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    top = argparse.ArgumentParser(
        prog="benben",
        description="Turn Common Crawl archives into an interleaved text/image dataset.",
    )
    top.add_argument("--version", action="version", version=f"benben {code_version()}")
    top.add_argument("--debug", action="store_true", help="print stack traces")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    everything = verbs.add_parser("run", help="run all stages in order")
    script.add_arguments(everything)
    everything.set_defaults(act=run_all)
    for name, text in stages.STAGES.items():
        verb = verbs.add_parser(name, help=text)
        script.add_arguments(verb)
        verb.set_defaults(act=run_one, stage=name)
    for name, (_, text) in TOOLS.items():
        verbs.add_parser(name, help=text)
    return top


def run_one(options: argparse.Namespace) -> int:
    """Run one stage."""
    settings = script.load_config(options.config, options.overrides)
    if "rules" in stages.load(options.stage).sections:
        say(config.describe_rules(options.config, settings.rules))
    Run(settings, options.stage).execute(stages.load(options.stage), options.force)
    return 0


def run_all(options: argparse.Namespace) -> int:
    """Run every stage in order, then print the funnel and where the results are.

    Returns 1 if no document ships.
    """
    from benben.analysis.report import funnel
    from benben.jobs.commands import estimate

    started = time.monotonic()
    settings = config.load(options.config, options.overrides)
    say(config.describe_rules(options.config, settings.rules))
    stages.run(settings, force=options.force)
    output = settings.output
    rows = funnel.read(output)
    print(funnel.as_text(rows))
    for rule, number in funnel.unjudged(output).items():
        print(f"not judged: {rule} of {number:,} documents that ship")
    print("\n".join(["", *estimate.compared(output)]))
    print(f"\nseconds  {time.monotonic() - started:.1f}")
    print(f"dataset  {storage.join(output, 'dataset')}")
    print(f"report   {storage.join(output, 'report')}/report.html")
    if not funnel.shipped_documents(rows):
        print("benben: nothing ships: no document passed; see the reasons above", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
