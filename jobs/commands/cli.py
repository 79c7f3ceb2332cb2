"""The command `benben`: one verb for each stage, `run` for all of them, and tools around a run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from benben.common import command_line
from benben.common.command_line import LazyGroup
from benben.jobs import stages
from benben.jobs.engine import script
from benben.jobs.engine.progress import say
from benben.pipeline import config
from benben.pipeline.manifest import code_version


@click.command(cls=command_line.Command)
@script.config_arguments
@click.option("--force", is_flag=True, help="Run stages that are up to date, too.")
@click.option("--details", is_flag=True, help="Print the counts of every stage at the end.")
def run(path: str, overrides: tuple[str, ...], force: bool, details: bool) -> int:
    """Run every stage in order, then print what ships, why the rest does not, and where it is.

    CONFIG is a YAML file or the name of a shipped config; KEY=VALUE changes one of its values, such
    as input=crawl/*.warc.gz. Stages whose tables are up to date are skipped. The exit code is 1 if
    no document ships.
    """
    from benben.analysis.report import funnel, summary
    from benben.jobs.commands import estimate

    started = time.monotonic()
    settings = script.load_config(path, overrides)
    say(config.describe_rules(path, settings.rules))
    stages.run(settings, force=force)
    output = settings.output
    if details:
        print("\n".join([*summary.details(output), *estimate.compared(output), ""]))
    print("\n".join(summary.lines(output, time.monotonic() - started)))
    if not funnel.shipped_documents(funnel.read(output)):
        print("benben: nothing ships: no document passed; see the reasons above", file=sys.stderr)
        return 1
    return 0


def _show_version(context: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        click.echo(f"benben {code_version()}")
        context.exit()


HERE = "benben.jobs.commands"
benben = LazyGroup(
    "benben",
    {
        "Run": {
            "run": (run, "run all stages in order"),
            "estimate": (f"{HERE}.estimate.main", "estimate core-hours, time and price of a run"),
            "config": (f"{HERE}.config.main", "look at configs, and what their keys mean"),
            "models": (f"{HERE}.tools.models", "list the model files that a config names"),
            "robots": (f"{HERE}.robots.main", "read the robots.txt files that a crawl captured"),
            "slice": (f"{HERE}.slice.main", "copy some captures of a crawl to a small archive"),
            "precompile": (f"{HERE}.precompile.main", "make machine code for other machines"),
        },
        "Run one stage": {
            name: (script.stage_command(f"benben.jobs.{name}", text), text)
            for name, text in stages.STAGES.items()
        },
        "Look into a run": {
            "explore": (f"{HERE}.explore.main", "look into a finished run in a browser"),
            "explain": (f"{HERE}.tools.explain", "show what happened to one page, node by node"),
            "trace": (f"{HERE}.provenance.trace", "show where a document or image comes from"),
            "verify": (f"{HERE}.provenance.verify", "rebuild rows of the dataset and compare"),
            "tune": (f"{HERE}.tools.tune", "tune the rules, from labels or by hand in a browser"),
            "compare": (f"{HERE}.tools.compare", "show what each of two configs keeps alone"),
            "reasons": (f"{HERE}.reasons.main", "explain why something does not ship"),
            "audit": (f"{HERE}.tools.audit", "print a sample of what each rule dropped"),
            "proof": (f"{HERE}.tools.proof", "write what sets of rules keep, to train on each"),
        },
        "Change or export a dataset": {
            "takedown": (f"{HERE}.takedown.main", "remove documents and images for good"),
            "consent": (f"{HERE}.consent.main", "ask sites again for consent to what a run uses"),
            "export": (f"{HERE}.export.main", "write the dataset in another form"),
            "push": (f"{HERE}.push.main", "publish the dataset on the Hugging Face Hub"),
        },
    },
    help="Turn Common Crawl archives into an interleaved text/image dataset.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version.",
        )
    ],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (see `script.exit_code`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return script.exit_code(lambda: command_line.call(benben, given, "benben"), "--debug" in given)


if __name__ == "__main__":
    sys.exit(main())
