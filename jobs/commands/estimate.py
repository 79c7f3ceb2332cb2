"""Estimates what a run will take: `benben estimate CONFIG --sample 0.1%`.

Runs the config on a random sample of the archives, on this machine, and scales up what each stage
took. The estimate is written to OUTPUT/estimate.json; `benben run` compares it at its end.
"""

from __future__ import annotations

import json
import os
import tempfile
import time

import click

from benben.analysis import estimate as figures
from benben.analysis.estimate import Estimate, SampleRuns, StageCost
from benben.common.command_line import Command
from benben.jobs import stages
from benben.jobs.engine import script, usage
from benben.jobs.engine.progress import say
from benben.jobs.engine.stage import Run
from benben.pipeline import config, manifest, storage
from benben.pipeline.archive import inputs, sample
from benben.pipeline.archive.sample import Taken
from benben.pipeline.errors import UserError
from benben.pipeline.settings import Config

START = "start"  # name for what a run takes before its first stage
SMALLER = 4  # the large sample is this many times the small one
COPIES = 8  # of the large sample, in one of the runs
MOST_TASKS = 8  # of a stage that runs on a sample


@click.command(cls=Command)
@script.config_arguments
@click.option("--crawl", metavar="ARCHIVES", help="Archives in place of the config's input.")
@click.option(
    "--sample", "part", default="0.1%", show_default=True, help="Share of the archives' bytes."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random sample.")
@click.option("--machines", type=click.IntRange(1), default=1, show_default=True)
@click.option("--prices", metavar="FILE", help="YAML file; default: configs/tables/prices.yaml.")
def main(
    path: str,
    overrides: tuple[str, ...],
    crawl: str | None,
    part: str,
    seed: int,
    machines: int,
    prices: str | None,
) -> int:
    """Estimate what a run will take, from a random sample of its archives on this machine.

    The estimate is written to OUTPUT/estimate.json; `benben run` compares it at its end.
    """
    settings = script.load_config(path, overrides)
    if crawl:
        settings = settings.model_copy(update={"input": [crawl], "index": None})
    if settings.index is not None:
        raise UserError("estimate: pages chosen from an index cannot be sampled; use --crawl")
    source = config.find(prices) if prices else figures.PRICES
    found = estimate(settings, share(part), seed)
    priced = figures.price(found, config.parse_yaml(source), machines)
    print(figures.as_text(found, priced))
    storage.write_bytes(storage.join(settings.output, figures.FILE), figures.as_json(found))
    return 0


def share(text: str) -> float:
    """Parse a share, such as 0.001 or 0.1%. Raises UserError."""
    try:
        value = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise UserError(f"--sample: expected a share such as 0.1% or 0.001; got {text!r}")
    return value


def estimate(settings: Config, part: float, seed: int) -> Estimate:
    """Run the config on a sample, a part of it and copies of it, and scale up to the whole."""
    found = inputs.find(settings.input, settings.archives)
    total = sum(archive.size for archive in found)
    chosen = sample.windows(found, part, seed)
    limit, access = settings.extract.limits.page_bytes, settings.archives
    with tempfile.TemporaryDirectory(prefix="benben-estimate-") as folder:
        taken = []
        for name, windows in (("small", chosen[: -(-len(chosen) // SMALLER)]), ("large", chosen)):
            path = os.path.join(folder, f"{name}.warc.gz")
            taken.append(sample.take(windows, path, access, limit))
            say(f"estimate: {name} sample of {taken[-1].captures:,} captures")
        if not taken[0].captures:
            raise UserError("estimate: the sample has no captures; take a larger --sample")
        paths = [one.path for one in taken]
        copies = [os.path.join(folder, f"copy-{number}.warc.gz") for number in range(COPIES)]
        for copy in copies:
            os.link(paths[1], copy)
        order = ([paths[1]], [paths[0]], [paths[1]], copies)
        scaled = _scaled_down(settings, taken[1], total)
        first, small, large, many = (
            _run(scaled, given, folder, number) for number, given in enumerate(order)
        )
    sizes = (taken[0].bytes, taken[1].bytes)
    samples = SampleRuns(first, small, large, many, COPIES, taken[1].captures, sizes)
    return figures.estimate(samples, total)


def _scaled_down(settings: Config, sample: Taken, total: int) -> Config:
    """Return settings under which the sample is processed as the whole input would be."""
    tasks = settings.spark.partitions or -(-total // settings.spark.part_bytes)
    few = sample.captures * total / sample.bytes <= settings.spark.one_task_rows
    rows = settings.spark.one_task_rows if few else 0
    changed = {"partitions": min(tasks, MOST_TASKS), "one_task_rows": rows}
    return settings.model_copy(update={"spark": settings.spark.model_copy(update=changed)})


def _run(settings: Config, given: list[str], folder: str, number: int) -> list[StageCost]:
    """Run all stages on the archives, in a new folder."""
    output = os.path.join(folder, f"run-{number}")
    run = Run(settings.model_copy(update={"input": given, "output": output}))
    begun = 0.0 if number else usage.processor_seconds(os.getpid())
    ran = [StageCost(START, begun, 0.0, 0.0, (), 0, 0, None)]
    for name in stages.STAGES:
        stage = stages.load(name)
        if stage.wanted(run.config):
            all_before, driver_before = usage.processor_seconds(os.getpid()), time.process_time()
            made = run.execute(stage)
            files = [file for table in stage.writes for file in run.manifest(table).files]
            documents = made.counts.get("documents")
            ran.append(
                StageCost(
                    stage=name,
                    all_seconds=usage.processor_seconds(os.getpid()) - all_before,
                    task_seconds=run.log.task_cpu_seconds,
                    driver_seconds=time.process_time() - driver_before,
                    tasks=tuple(run.log.task_seconds),
                    written=sum(file.bytes for file in files),
                    shuffled=run.log.used.shuffled_bytes,
                    kept=documents.kept if documents else None,
                    requests=int(made.metrics.get("requests", 0)),
                )
            )
    return ran


def actual(output: str) -> dict[str, float]:
    """Return what a finished run took, under the names of an estimate."""
    tables = [manifest.read(storage.join(output, name)) for name in written_tables()]
    made = [one for one in tables if one]
    by_stage = {one.stage: one for one in made if one.counts}
    values = {
        "captures": by_stage["extract"].counts["documents"].entered,
        "documents": by_stage["assemble"].counts["documents"].kept,
        "bytes_written": sum(file.bytes for one in made for file in one.files),
        "requests": sum(one.metrics.get("requests", 0) for one in made),
    }
    return {name: float(value) for name, value in values.items()} | _used(output)


def written_tables() -> list[str]:
    """Return the tables that the stages write, in order."""
    return [table for name in stages.STAGES for table in stages.load(name).writes]


def _used(output: str) -> dict[str, float]:
    """Return the seconds and shuffled bytes of all stages, each as it ran last."""
    from benben.analysis.report.headline import last_executions

    last = last_executions(output)
    return {
        "task_seconds": sum(float(event["task_cpu_seconds"]) for event in last.values()),
        "bytes_shuffled": sum(float(event["shuffled_bytes"]) for event in last.values()),
    }


def compared(output: str) -> list[str]:
    """Return lines that compare the estimate with the run; none without an estimate."""
    path = storage.join(output, figures.FILE)
    if not storage.exists(path):
        return []
    estimated = json.loads(storage.read_bytes(path))
    return figures.compare(estimated, actual(output))
