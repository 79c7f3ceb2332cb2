"""A stage reads tables, transforms them part by part, writes tables, and commits them last.

A table is committed by its manifest: readers do not see one without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from benben.jobs.engine import failure, lock, session, waves
from benben.jobs.engine import machine_code as compiling
from benben.jobs.engine.metrics import MetricsLog, Result
from benben.jobs.engine.progress import Shown, funnel, say
from benben.pipeline import config, manifest, storage
from benben.pipeline.archive import inputs
from benben.pipeline.archive.inputs import Archive
from benben.pipeline.errors import UserError
from benben.pipeline.manifest import Counts, Manifest
from benben.pipeline.settings import Config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Part", "Result", "Run", "Stage", "describe"]

Task = TypeVar("Task")


@dataclass(frozen=True)
class Stage:
    """What a stage's file declares; `run` does the work and returns what was written."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]  # the first table's manifest carries the stage's counts
    sections: tuple[str, ...]  # config sections that decide the result
    run: Callable[[Run], Result]
    sources: Callable[[Config], dict[str, str]] = lambda _: {}  # fingerprints of other inputs
    follows: str | None = None  # table whose kept documents are the ones that enter this stage
    wanted: Callable[[Config], bool] = lambda _: True  # whether a run of all stages includes it
    product: bool = False  # files lie in the table's folder itself, under names of their own


@dataclass(frozen=True)
class Part:
    """The same part of several tables, whose files hold the same documents in the same order."""

    number: int
    paths: Mapping[str, str]  # by table


@dataclass(frozen=True)
class Work:
    """What decides a stage's result, and an id that is equal for equal work."""

    id: str
    config: dict[str, Any]
    inputs: dict[str, str]


class Run:
    """One execution of stages under a config; `purpose` is a stage's name, or `run` for all."""

    def __init__(self, settings: Config, purpose: str = "run") -> None:
        self.config, self.purpose = settings, purpose
        self.stage = ""
        self._folders: dict[str, str] = {}  # of the present stage's tables
        self._waves = ""  # folder of the present stage's finished waves
        self._maps = 0  # calls of `map` in the present stage
        self._left: list[tuple[str, int, int]] = []  # documents of each stage: entered and kept
        self._stored = False  # whether the folder has the config
        self._spark: SparkSession | None = None

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started at first use; its jobs are named after the stage."""
        if self._spark is None:
            say("starting Spark")
            self._spark = session.start(self.config.spark, self.purpose, self._is_small)
        name = self.stage or self.purpose
        self._spark.sparkContext.setJobGroup(name, name)  # waves set a group of their own
        return self._spark

    @cached_property
    def archives(self) -> list[Archive]:
        """The input's archives, listed once. Raises InputError."""
        return inputs.find(self.config.input, self.config.archives)

    @property
    def input_bytes(self) -> int | None:
        """Size of the input's archives; None if they are gone, or chosen from an index."""
        try:
            return sum(archive.size for archive in self.archives) or None
        except UserError:
            return None

    def _is_small(self) -> bool:
        size = self.input_bytes
        return size is not None and size <= self.config.spark.small_bytes

    def table(self, name: str) -> str:
        """Return the folder of a table."""
        return storage.join(self.config.output, name)

    def target(self, name: str) -> str:
        """Return the folder for a table's files of the present stage, unseen until the commit."""
        return self._folders[name]

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of a table that an earlier stage committed. Raises UserError."""
        found = manifest.read(self.table(name))
        if found is None:
            raise UserError(
                f"{self.table(name)}: no such table yet; run the stage that makes it first "
                f"(`benben run` does all of them in order)"
            )
        return found

    def paths(self, name: str) -> dict[int, str]:
        """Return part number -> file, of a table with one file a part."""
        files = self.manifest(name).files
        return {file.part: storage.join(self.table(name), file.name) for file in files}

    def parts(self, *names: str) -> list[Part]:
        """Return the parts of the first table, each with the other tables' files that exist."""
        tables = {name: self.paths(name) for name in names}
        return [
            Part(number, {name: paths[number] for name, paths in tables.items() if number in paths})
            for number in sorted(tables[names[0]])
        ]

    def partitions(self, size: int) -> int:
        """Return the number of tasks for `size` bytes of input: as configured, or by size."""
        settings = self.config.spark
        if settings.partitions:
            return settings.partitions
        return max(self.spark.sparkContext.defaultParallelism, -(-size // settings.part_bytes))

    def map(
        self,
        tasks: Sequence[Task],
        work: Callable[[Task], Result],
        label: str = "",
        size: float | None = None,
        unit: str = "pages",
        machine_code: str = "",
    ) -> Result:
        """Run `work` on every task in Spark, wave by wave, and add up the results in task order.

        Tasks are plain data (see `waves.Wave`). `size` is all that they report as done (see
        `progress.Report`), `unit` names the rows that they report. `machine_code` is the part of
        `machine_code.PARTS` that a machine needs before its first task.
        """
        if not tasks:
            return Result()
        if machine_code:
            work = compiling.before(machine_code, work)
        settings, label = self.config.spark, label or self.stage
        self._maps += 1
        cut = waves.cut(tasks, settings.wave_tasks, storage.join(self._waves, f"{self._maps}"))
        shown = Shown(size, unit, funnel(self._left))
        context = self.spark.sparkContext
        return waves.Waves(context, settings, label, self._log, shown).run(cut, work)

    @property
    def log(self) -> MetricsLog:
        """Metrics of the stage that ran last."""
        return self._log

    def execute(self, stage: Stage, force: bool = False) -> Manifest:
        """Run a stage and commit its tables, unless they are up to date and `force` is not set."""
        self.stage = stage.name
        work = self._work(stage)
        committed = [manifest.read(self.table(name)) for name in stage.writes]
        if not force and all(found and found.id == work.id for found in committed):
            say(f"{stage.name}: up to date, skipped")
            assert committed[0] is not None
            return self._counted(committed[0])
        with lock.writing(self.config.output):
            return self._counted(self._execute(stage, work, force))

    def _counted(self, made: Manifest) -> Manifest:
        """Remember what a stage left of the documents, which progress shows."""
        found = made.counts.get("documents")
        if found:
            self._left.append((made.stage, found.entered, found.kept))
        return made

    def _store_config(self) -> None:
        if not self._stored:
            config.store(self.config)
            self._stored = True

    def _execute(self, stage: Stage, work: Work, force: bool) -> Manifest:
        self._prepare(stage, work.id, force)
        started = time.monotonic()
        self._store_config()
        say(f"{stage.name}: started")
        self._log = MetricsLog(self.config.output, stage.name)
        self._log.event("started", id=work.id)
        result = self._do(stage)
        lock.check(self.config.output)
        if self._work(stage).id != work.id:
            raise UserError(
                f"{stage.name}: what it reads changed meanwhile; run the same command again"
            )
        seconds = time.monotonic() - started
        for name in reversed(stage.writes):
            self._commit(stage, name, work, result, seconds)
        storage.delete_folder(storage.join(self.config.output, "waves", stage.name))
        self._log.event("committed", **result.as_numbers())
        say(f"{stage.name}: {describe(result.counts)} in {seconds:.1f} s")
        return self.manifest(stage.writes[0])

    def _work(self, stage: Stage) -> Work:
        inputs = {name: self.manifest(name).id for name in stage.reads} | stage.sources(self.config)
        sections = {name: getattr(self.config, name) for name in stage.sections}
        settings = {
            name: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
            for name, value in sections.items()
        }
        return Work(manifest.stage_id(stage.name, settings, inputs), settings, inputs)

    def _prepare(self, stage: Stage, identity: str, force: bool) -> None:
        """Choose where files go: a folder named by the identity, or a product's own folder."""
        self._waves = storage.join(self.config.output, "waves", stage.name, identity)
        self._maps = 0
        if force:
            storage.delete_folder(self._waves)
        for name in stage.writes:
            folder = self.table(name)
            if stage.product:
                storage.delete_folder(folder)  # no manifest: no dataset while it is rewritten
            self._folders[name] = folder if stage.product else storage.join(folder, identity)

    def _do(self, stage: Stage) -> Result:
        """Run the stage and check its counts. Raises UserError also for one raised in a task."""
        try:
            result = stage.run(self)
            self._check(stage, result)
        except Exception as error:
            with suppress(Exception):  # it asks Spark, which may be what has ended
                self._log.event("failed", error=f"{type(error).__name__}: {error}"[:1000])
            mistake = failure.user_error(error)
            if mistake is None or mistake is error:
                raise
            raise mistake from error
        return result

    def _check(self, stage: Stage, result: Result) -> None:
        for unit, count in result.counts.items():
            count.check(f"stage {stage.name}, {unit}")
        if stage.follows and "documents" in result.counts:
            before = self.manifest(stage.follows).counts["documents"].kept
            entered = result.counts["documents"].entered
            if before != entered:
                raise manifest.ConservationError(
                    f"stage {stage.name}: {stage.follows} kept {before} documents, "
                    f"but {entered} entered here"
                )

    def _commit(self, stage: Stage, table: str, work: Work, result: Result, seconds: float) -> None:
        prefix = "" if stage.product else f"{work.id}/"
        files = [
            file.model_copy(update={"name": prefix + file.name})
            for file in sorted(result.files.get(table, []), key=lambda file: file.name)
        ]
        first = table == stage.writes[0]
        record = Manifest(
            table=table,
            id=work.id,
            stage=stage.name,
            version=manifest.code_version(),
            config=work.config,
            inputs=work.inputs,
            files=files,
            counts=result.counts if first else {},
            metrics=result.metrics if first else {},
            seconds=round(seconds, 3),
        )
        manifest.write(self.table(table), record)
        if not stage.product:
            self._clean(table, work.id)

    def _clean(self, table: str, identity: str) -> None:
        """Delete the table's older versions, and unfinished files that killed runs left."""
        folder = self.table(table)
        for other in storage.list_folders(folder):
            name = other.rsplit("/", 1)[-1]
            if name != identity and manifest.is_id(name):
                storage.delete_folder(other)
        for file in storage.list_files(storage.join(folder, identity)):
            if file.endswith(storage.UNFINISHED):
                storage.delete_file(file)


def describe(counts: Counts) -> str:
    """Return one line: how many of the entered were kept, for each unit."""
    return ", ".join(f"{c.kept:,} of {c.entered:,} {unit} kept" for unit, c in counts.items())
