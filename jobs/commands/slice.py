"""`benben slice ARCHIVES --output FILE`: a small archive of a crawl, to tune on."""

from __future__ import annotations

import click

from benben.common.command_line import Command
from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.archive import inputs, slice
from benben.pipeline.archive.slice import Choice, Place, Slice
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT

COLUMNS = ("warc_filename", "warc_record_offset", "warc_record_length")


@click.command(cls=Command)
@click.argument("archives", metavar="[ARCHIVES]...", nargs=-1)
@click.option("--output", required=True, metavar="FILE", help="Archive to write, .warc.gz.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the captures, chosen by a hash of URL and date.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed gives another share.")
@click.option("--urls", metavar="FILE", help="Take the URLs in this file, one a line.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="Take this host and its subdomains; may be repeated.",
)
@click.option(
    "--index",
    metavar="TABLE",
    help="Columnar index of the crawl, a parquet file or folder, instead of ARCHIVES.",
)
@click.option("--where", default="true", metavar="SQL", help="Condition on rows of the index.")
@click.option("--prefix", metavar="URL", help="What paths in the index are below.")
def main(
    archives: tuple[str, ...],
    output: str,
    share: float,
    seed: int,
    urls: str | None,
    hosts: tuple[str, ...],
    index: str | None,
    where: str,
    prefix: str | None,
) -> int:
    """Copy some captures of a crawl to a small archive, to tune a config on.

    ARCHIVES are archives, folders, lists of paths or patterns; all of them are read. With an index,
    only the chosen records are requested, such as --index INDEX --where
    "content_languages = 'deu'" --prefix s3://commoncrawl. Conditions given together must all be
    met. Equal arguments give an equal file.
    """  # fmt: skip
    if bool(archives) == bool(index):
        raise click.UsageError("name archives or an index, and not both")
    if not output.endswith(".warc.gz"):
        raise click.BadParameter("must end in .warc.gz", param_hint="--output")
    wanted = frozenset(filter(None, map(str.strip, _lines(urls)))) if urls else frozenset()
    if urls and not wanted:
        raise InputError(f"--urls: {urls}: names no URL")
    choice = Choice(share, seed, wanted, tuple(map(str.lower, hosts)))
    access = DEFAULT.model_copy(update={"prefix": prefix})
    made = _write(archives, index, where, choice, output, access)
    print(f"{output}: {made.records.kept:,} of {made.records.entered:,} records, "
          f"{made.bytes / 1e6:,.1f} MB")  # fmt: skip
    for reason, number in sorted(made.records.rejected.items()):
        print(f"  {number:>10,}  {reason}")
    if not made.records.kept:
        storage.delete_file(output)
        raise InputError(f"{output}: no capture was chosen")
    return 0


def _write(
    archives: tuple[str, ...],
    index: str | None,
    where: str,
    choice: Choice,
    output: str,
    access: ArchiveSettings,
) -> Slice:
    """Write the slice. Raises InputError for what cannot be read."""
    try:
        if index:
            found = slice.of_places(places(index, where), access)
        else:
            found = slice.of_archives([one.url for one in inputs.find(archives, access)], access)
        return slice.write(found, choice, output)
    except OSError as error:
        raise InputError(f"slice: {error}") from None


def places(index: str, where: str) -> list[Place]:
    """Return where the captures lie that rows of an index name. Raises InputError."""
    import duckdb
    import pyarrow.dataset as ds

    paths = [index] if index.endswith(".parquet") else storage.list_files(index)
    paths = [path for path in paths if path.endswith(".parquet")]
    if not paths or not storage.exists(paths[0]):
        raise InputError(f"--index: {index}: no parquet files there")
    filesystem, _ = storage.arrow_filesystem(paths[0])
    names = [storage.arrow_filesystem(path)[1] for path in paths]
    rows = ds.dataset(names, format="parquet", filesystem=filesystem, partitioning="hive")
    connection = duckdb.connect()
    connection.register("captures", rows)
    try:
        return connection.execute(
            f"select {', '.join(COLUMNS)} from captures where {where}"
        ).fetchall()
    except duckdb.Error as error:
        raise InputError(f"--where: {error}") from None


def _lines(path: str) -> list[str]:
    try:
        return lines(storage.read_bytes(path).decode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"--urls: {path}: cannot be read: {error}") from None
