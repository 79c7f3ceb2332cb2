"""`benben trace` and `benben verify`: where what ships comes from, and whether it is right."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from benben.analysis.provenance import consent
from benben.analysis.provenance import trace as tracing
from benben.analysis.provenance import verify as verifying
from benben.analysis.provenance.archives import Archives
from benben.analysis.provenance.history import history
from benben.analysis.tables import RunTables
from benben.common.command_line import RUN, Command
from benben.pipeline import config as configs
from benben.pipeline import manifest
from benben.pipeline.errors import UserError


def archive_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that name archives: `inputs` and `config`."""
    named = click.option(
        "--input", "inputs", multiple=True, metavar="ARCHIVES",
        help="Archive, or folder or list of archives; default: the input of the run's config.",
    )  # fmt: skip
    return named(
        click.option("--config", metavar="CONFIG", help="Config to read the archives by.")(function)
    )


def archives_of(run: str, inputs: Iterable[str], config: str | None) -> Archives:
    """Return the archives that options name, or that the run's own config names.

    Without any of them there are none. Raises UserError.
    """
    given = list(inputs)
    if given and config:
        raise UserError("--input and --config: give one of them")
    if config is None and configs.of_run(run) is None:
        return Archives(given)
    settings = configs.load(config or run)
    return Archives(given or settings.input, settings.archives)


@click.command(cls=Command)
@RUN
@click.argument("name", metavar="NAME")
def trace(run: str, name: str) -> int:
    """Show where a document or image comes from, and every verdict on it.

    NAME is a document's id, the SHA-256 of an image, or a URL.
    """
    tables = RunTables(run)
    ids, urls = tracing.resolve(tables, name)
    for doc_id in ids:
        found = history(tables, doc_id)
        if found is None:
            raise UserError(f"{run}: no document {doc_id}")
        print("\n".join(tracing.describe(found, urls)))
    return 0


@click.command(cls=Command)
@RUN
@archive_options
@click.option(
    "--sample", type=click.IntRange(1), default=200, show_default=True, help="Rows to check."
)
@click.option(
    "--consent", "receipts", is_flag=True,
    help="Derive the verdicts on consent again from the receipts; needs no archives.",
)  # fmt: skip
def verify(
    run: str, inputs: tuple[str, ...], config: str | None, sample: int, receipts: bool
) -> int:
    """Rebuild rows of the dataset from their archives and compare.

    The exit code is 1 if some differ.
    """
    tables = RunTables(run)
    if receipts:
        found: Any = consent.verify(tables)
    else:
        archives = archives_of(run, inputs, config)
        if not archives.inputs:
            raise UserError(f"{run}: no config here; name the archives by --input or --config")
        found = verifying.verify(tables, archives, sample)
    checked = different = 0
    for name, what in found:
        checked += 1
        if what:
            different += 1
            print(f"{name}  {what}")
    said = "receipts are right" if receipts else "rows are equal"
    print(f"{checked - different} of {checked} {said}")
    made, now = tables.find("documents"), manifest.code_version()
    if different and made and made.version != now:
        print(f"benben: the run was made by version {made.version}, this is {now}", file=sys.stderr)
    return 1 if different else 0
