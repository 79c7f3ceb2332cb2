"""Commands that only read a run or a config."""

from __future__ import annotations

import sys

import click

from benben.analysis.tables import RunTables
from benben.analysis.tuning.audit import PER_REASON
from benben.analysis.tuning.audit import audit as audit_sample
from benben.analysis.tuning.learn import MIN_DOCUMENTS
from benben.common.command_line import RUN, Command
from benben.jobs.commands.provenance import archive_options, archives_of
from benben.jobs.engine import script
from benben.jobs.engine.progress import say
from benben.pipeline import config as configs
from benben.pipeline import storage
from benben.pipeline.errors import UserError

DOCUMENTS = 30_000  # that the tuning app loads


@click.command(cls=Command)
@RUN
@click.argument("name", metavar="DOCUMENT")
@click.option("--html", is_flag=True, help="Print an HTML page instead of coloured lines.")
def explain(run: str, name: str, html: bool) -> int:
    """Show what happened to one page, node by node.

    DOCUMENT is the id or the URL of a page of the folder RUN.
    """
    from benben.analysis.provenance.explain import describe

    colour = sys.stdout.isatty()  # the text is free of control characters, but for our own colours
    text = describe(run, name, html, colour)
    print(text, file=sys.__stdout__ if colour else sys.stdout)
    return 0


@click.command(cls=Command)
@RUN
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
def compare(run: str, first: str, second: str) -> int:
    """Show what each of two configs keeps that the other drops, by rule.

    RUN is the folder of a run that has signals; A and B are files or names of configs.
    """
    from benben.analysis.tuning.compare import between

    print(between(run, first, second))
    return 0


@click.command(cls=Command)
@script.config_arguments
def models(path: str, overrides: tuple[str, ...]) -> int:
    """List the model files a config names, load each, and show where to get it.

    CONFIG is a YAML file or the name of a shipped config. The exit code is 2 if one does not load.
    """
    from benben.filters.signals.models import check, table

    statuses = check(configs.load(path, overrides).signals)
    print(table(statuses))
    return 2 if any(status.problem for status in statuses) else 0


@click.command(cls=Command)
@RUN
@click.option(
    "--per-reason", type=click.IntRange(1), default=PER_REASON, show_default=True, metavar="N",
    help="Rows for each reason.",
)  # fmt: skip
def audit(run: str, per_reason: int) -> int:
    """Print a limited sample of what each rule dropped, with its text, as JSON lines."""
    rows = audit_sample(RunTables(run), per_reason)
    rows.to_pandas().to_json(sys.stdout, orient="records", lines=True, force_ascii=False)
    return 0


@click.command(cls=Command)
@RUN
@click.option("--labels", metavar="FILE", help="Labels to learn the bounds from.")
@click.option("--config", "rules", metavar="CONFIG", help="Rules to start from, if not the run's.")
@click.option("--write", metavar="FILE", help="Config to write, if not RUN/tuned.yaml.")
@click.option("--keep-harmful", is_flag=True, help="Leave bounds that remove more gold than rest.")
@click.option("--serve", is_flag=True, help="Tune by hand in a browser instead.")
@click.option("--after-fetch", is_flag=True, help="Serve with what is known of fetched images.")
@click.option("--port", type=int, default=8801, show_default=True, help="0 chooses a free port.")
@click.option(
    "--documents", type=click.IntRange(1), default=DOCUMENTS, show_default=True, metavar="N",
    help="Documents of a larger run that --serve loads, from parts spread evenly.",
)  # fmt: skip
@click.option(
    "--min-documents", type=click.IntRange(1), default=MIN_DOCUMENTS, show_default=True,
    metavar="N", help="Labelled documents for which a language gets bounds of its own.",
)  # fmt: skip
def tune(
    run: str,
    labels: str | None,
    rules: str | None,
    write: str | None,
    keep_harmful: bool,
    min_documents: int,
    serve: bool,
    after_fetch: bool,
    port: int,
    documents: int,
) -> int:
    """Tune the rules of a finished run, from labels or by hand, and write a config.

    Labels are JSON lines with `url` and `gold_text`, the main text that people marked, or verdicts
    on documents and nodes as CSV, JSON lines, or JSON of Label Studio or Argilla.
    """
    from benben.analysis.tuning.from_labels import tune as learn_bounds

    if serve == (labels is not None):
        raise UserError("tune: give --labels FILE or --serve")
    if labels is None:
        return _serve_tuning(run, rules, write, port, (documents, after_fetch))
    print("\n".join(learn_bounds(run, labels, rules, write, min_documents, keep_harmful)))
    return 0


def _serve_tuning(
    run: str, rules: str | None, write: str | None, port: int, read: tuple[int, bool]
) -> int:
    from benben.analysis.tuning.app import server
    from benben.analysis.tuning.app.site import Site
    from benben.analysis.tuning.from_labels import TUNED
    from benben.analysis.tuning.tuner import Tuner

    say(f"reading the signals of {run}")
    tuner = Tuner(run, rules, documents=read[0], fetched=read[1])
    site = Site(tuner, write or storage.join(run, TUNED))
    server.make_server(site, port).run(f"tuning {run}")
    return 0


@click.command(cls=Command)
@RUN
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--gold",
    multiple=True,
    required=True,
    metavar="FILE",
    help="JSON lines with url and gold_text: the main text of pages.",
)
@click.option(
    "--base",
    default="default",
    show_default=True,
    metavar="CONFIG",
    help="The config whose rules are judged one by one.",
)
@click.option("--language", default="en", show_default=True, help="Of documents and gold texts.")
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Share of the gold's sites that are scored on and not trained on.",
)
@click.option(
    "--documents", type=click.IntRange(1), default=20_000, show_default=True, metavar="N",
    help="In a larger run, parts that hold about so many documents, evenly spread.",
)  # fmt: skip
@archive_options
def proof(
    run: str,
    folder: str,
    gold: tuple[str, ...],
    base: str,
    language: str,
    held_out: float,
    documents: int,
    inputs: tuple[str, ...],
    config: str | None,
) -> int:
    """Write what several sets of rules keep of a run, to train a small model on each.

    RUN is a run of `no_rules`, so that no rule has dropped anything yet; FOLDER is then the input
    of `benben-train prove`.
    """
    from benben.analysis.proof import datasets
    from benben.analysis.proof.other_text import OTHERS

    fetched = configs.load(run).fetch.enabled
    request = datasets.Request(base, language, gold, held_out, fetched)
    archives = archives_of(run, inputs, config)
    others = {}
    for name, make in OTHERS.items():
        extract = make(archives)
        if extract is None:
            say(f"{name} is not installed: no arm with its text")
        else:
            others[name] = extract
    made = datasets.write(RunTables(run, documents=documents), folder, request, others)
    for name, facts in made["arms"].items():
        print(f"{name}: {facts['documents']:,} documents, {facts['bytes']:,} bytes of text")
    for name, facts in made["rules"].items():
        print(f"without {name}: +{facts['added']:,} -{facts['lost']:,} bytes")
    print(f"{folder}: {made['gold']['documents']:,} gold texts held out")
    return 0
