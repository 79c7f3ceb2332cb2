"""`benben robots ARCHIVES --output TABLE`: a table of the robots.txt files of a crawl."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence

import click
import pyarrow as pa

from benben.common.command_line import Command
from benben.jobs.engine import session
from benben.pipeline import manifest, storage
from benben.pipeline.archive import inputs
from benben.pipeline.archive.inputs import Split
from benben.pipeline.consent.page_robots import read_robots
from benben.pipeline.manifest import Manifest, PartFile, write_part
from benben.pipeline.schema import ROBOTS
from benben.pipeline.settings.spark import SparkSettings
from benben.pipeline.storage.ranges import open_source

LIMIT = 512_000  # bytes of a robots.txt; RFC 9309, section 2.5, asks for 500 KiB at least


@click.command(cls=Command)
@click.argument("archives", metavar="ARCHIVES...", nargs=-1, required=True)
@click.option("--output", required=True, metavar="TABLE", help="Folder of the table.")
def main(archives: tuple[str, ...], output: str) -> int:
    """Read the robots.txt files that a crawl captured, to refuse pages by.

    ARCHIVES are archives, folders or lists of paths, such as Common Crawl's robotstxt.paths.gz.
    Name the table in a config, robots: [TABLE], to refuse the pages that their site's answer
    disallows.
    """
    made = build(archives, output)
    print(f"{output}: {made.rows:,} answers in {len(made.files)} files")
    return 0


def build(archives: Sequence[str], folder: str, settings: SparkSettings | None = None) -> Manifest:
    """Write the table as a Spark job, one file a task. Raises InputError."""
    started = time.monotonic()
    settings = settings or SparkSettings()
    found = inputs.find(archives)
    context = session.start(settings, "extract").sparkContext
    size = sum(archive.size for archive in found)
    parts = settings.partitions or max(context.defaultParallelism, -(-size // settings.part_bytes))
    tasks = list(enumerate(inputs.deal(found, parts)))
    identity = hashlib.blake2b(
        f"{manifest.code_version()} {inputs.fingerprint(found)}".encode(), digest_size=8
    ).hexdigest()
    target = storage.join(folder, identity)

    def work(task: tuple[int, list[Split]]) -> PartFile:
        part, splits = task
        return write_part(target, part, ROBOTS, _rows(splits))

    files = context.parallelize(tasks, max(1, len(tasks))).map(work).collect()
    record = Manifest(
        table="robots",
        id=identity,
        stage="robots",
        version=manifest.code_version(),
        config={},
        inputs={"archives": inputs.fingerprint(found)},
        files=[file.model_copy(update={"name": f"{identity}/{file.name}"}) for file in files],
        seconds=round(time.monotonic() - started, 3),
    )
    manifest.write(folder, record)
    return record


def _rows(splits: list[Split]) -> Iterator[pa.RecordBatch]:
    for split in splits:
        source = open_source(split.url)
        end = min(split.end, source.size)
        yield from read_robots(source, split.start, end, LIMIT)
