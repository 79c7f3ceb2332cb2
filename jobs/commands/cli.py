"""The command `benben`: one verb a stage, and `run` for all of them."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Sequence

from benben.jobs.engine import progress
from benben.jobs.engine.progress import say
from benben.jobs.engine.stage import Run, Stage
from benben.pipeline import config
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import ConservationError, code_version
from benben.pipeline.settings import Config

# In the order of a run. One file in jobs/ each.
STAGES = {
    "captures": "pages chosen from an index, when one is given",
    "extract": "captures of the archives to documents",
    "measure": "signals of every node and document",
    "decide": "rules over signals to verdicts",
    "fingerprint": "what deduplication compares, from one pass over the text",
    "cluster": "documents that repeat a better one: URL, bytes, text, MinHash",
    "deduplicate": "repeated lines, repeated images and image sets besides",
    "fetch": "images of kept documents, politely",
    "pictures": "images and image sets repeated by bytes or look, once they are fetched",
    "redecide": "verdicts again, now that images are known",
    "split": "which hosts are held out of train, clear of near pages elsewhere",
    "assemble": "the dataset in OBELICS's schema",
    "report": "one HTML page about the run",
}


# Commands that take their own arguments and need no Spark.
TOOLS = {
    "explore": ("benben.analysis.explore.server.main", "look into a finished run in a browser"),
    "explain": ("benben.jobs.commands.tools.explain", "the story of one page, node by node"),
    "trace": (
        "benben.analysis.provenance.trace.main",
        "where a document or image comes from, every verdict",
    ),
    "verify": (
        "benben.analysis.provenance.verify.main",
        "make shipped rows again from their archives and compare",
    ),
    "takedown": (
        "benben.jobs.commands.takedown.main",
        "remove documents and images for good, and keep them out",
    ),
    "export": ("benben.jobs.commands.export.main", "the dataset as WebDataset tar files"),
    "estimate": (
        "benben.jobs.commands.estimate.main",
        "core-hours, time and price of a run, from a sample",
    ),
    "compare": (
        "benben.jobs.commands.tools.compare",
        "what each of two configs keeps that the other drops",
    ),
    "audit": (
        "benben.jobs.commands.tools.audit",
        "a sample of what each rule dropped, as JSON lines",
    ),
    "models": (
        "benben.jobs.commands.tools.models",
        "the model files a config names, and where to get each",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failed, 2 a mistake to mend."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in TOOLS:
            module, _, name = TOOLS[given[0]][0].rpartition(".")
            return int(getattr(importlib.import_module(module), name)(given[1:]))
        options = parser().parse_args(given)
        return int(options.act(options))
    except UserError as error:
        print(f"benben: {error}", file=sys.stderr)
        return 2
    except ConservationError as error:
        print(f"benben: counts do not add up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benben: stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except Exception as error:
        return explain_failure(error, "--debug" in given)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = argparse.ArgumentParser(
        prog="benben",
        description="Common Crawl archives to an interleaved text/image dataset.",
    )
    top.add_argument("--version", action="version", version=f"benben {code_version()}")
    top.add_argument("--debug", action="store_true", help="print stack traces")
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    everything = verbs.add_parser("run", help="all stages in order")
    _add_run_arguments(everything)
    everything.set_defaults(act=run_all)
    for name, text in STAGES.items():
        verb = verbs.add_parser(name, help=text)
        _add_run_arguments(verb)
        verb.set_defaults(act=run_one, stage=name)
    for name, (_, text) in TOOLS.items():
        verbs.add_parser(name, help=text)
    return top


def _add_run_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("config", metavar="CONFIG", help="YAML file, or the name of a shipped config")
    verb.add_argument("overrides", nargs="*", metavar="key=value", help="override a config value")
    verb.add_argument("--force", action="store_true", help="do the work even if it is up to date")


def load_stage(name: str) -> Stage:
    """Import a job file and return its stage."""
    return importlib.import_module(f"benben.jobs.{name}").STAGE  # type: ignore[no-any-return]


def configured(options: argparse.Namespace) -> Config:
    """The config, with its rules and model files checked before any work. Raises UserError."""
    from benben.filters import models, rule

    settings = config.load(options.config, options.overrides)
    rule.check(settings.rules)
    models.require(settings.signals)
    return settings


def run_one(options: argparse.Namespace) -> int:
    """Run one stage."""
    Run(configured(options), options.stage).execute(load_stage(options.stage), options.force)
    return 0


def run_all(options: argparse.Namespace) -> int:
    """Run every stage in order, then print the funnel and where things are."""
    from benben.analysis.report import funnel

    settings = configured(options)
    started = time.monotonic()
    run = Run(settings)
    stages = {name: load_stage(name) for name in STAGES}
    wanted = [name for name, stage in stages.items() if stage.wanted(settings)]
    for number, name in enumerate(wanted, 1):
        say(f"[{number}/{len(wanted)}] {STAGES[name]}")
        run.execute(stages[name], options.force)
    print(funnel.as_text(funnel.read(settings.output)))
    estimate = importlib.import_module("benben.jobs.commands.estimate")
    print("\n".join(["", *estimate.compared(settings.output)]))
    print(f"\nseconds  {time.monotonic() - started:.1f}")
    print(f"dataset  {run.table('dataset')}")
    print(f"report   {run.table('report')}/report.html")
    return 0


def explain_failure(error: Exception, debug: bool) -> int:
    """Print what failed: an error of the user's inside a Spark task, or one of ours."""
    if debug:
        traceback.print_exc()
    text = str(error)
    for line in reversed(text.splitlines()):
        name, _, message = line.strip().partition(": ")
        if message and name.startswith("benben.pipeline.errors."):
            print(f"benben: {message}", file=sys.stderr)
            return 2
    print(f"benben: {progress.cause(error)}", file=sys.stderr)
    print("benben: run again with --debug for the whole trace", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
