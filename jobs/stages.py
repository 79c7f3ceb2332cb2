"""The stages of a run, in order: their names, what each does, and how to load and run them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from benben.jobs.engine import lock, machine_code, script
from benben.jobs.engine.progress import say
from benben.jobs.engine.stage import Run, Stage
from benben.pipeline.manifest import Manifest
from benben.pipeline.settings import Config

# Name -> what the stage does, in the order of a run. `jobs/NAME.py` defines the stage.
STAGES = {
    "captures": "choose pages from a crawl's index, if the config names one",
    "extract": "turn the archives' captures into documents",
    "measure": "compute the signals of every node and document",
    "decide": "apply the rules to the signals: a verdict for each document",
    "fingerprint": "compute what deduplication compares, in one pass over the text",
    "cluster": "find documents that repeat a better one: by URL, bytes, text or MinHash",
    "deduplicate": "find repeated lines, images and image sets, and join all duplicates",
    "fetch": "download the images of kept documents, within the limits of each site",
    "pictures": "find downloaded images and image sets that repeat, and measure how images fit",
    "redecide": "apply the rules again, now that duplicates and images are known",
    "split": "hold hosts out of train that have no near-duplicates elsewhere",
    "assemble": "write the dataset in OBELICS's schema",
    "report": "write the HTML report of the run",
}


def load(name: str) -> Stage:
    """Import a stage's module and return the stage."""
    return importlib.import_module(f"benben.jobs.{name}").STAGE  # type: ignore[no-any-return]


def run(
    config: Config | str, overrides: Sequence[str] = (), force: bool = False
) -> dict[str, Manifest]:
    """Run all stages of a config in this process's Spark session, as `benben run` does.

    `config` is a loaded config, a YAML file or the name of a shipped config; `overrides` are
    `key=value` texts for the latter two. Stages whose tables are up to date are skipped, unless
    `force` is set. Returns, for each stage, the manifest of its first table. Raises UserError for
    anything that the user can mend.
    """
    if isinstance(config, str):
        settings = script.load_config(config, overrides)
    else:
        settings = script.checked(config)
    execution = Run(settings)
    stages = {name: load(name) for name in STAGES}
    wanted = [name for name, stage in stages.items() if stage.wanted(settings)]
    manifests = {}
    beside = () if settings.spark.master else ("signals",)  # compiled while pages are extracted
    with lock.kept(), machine_code.ahead(beside):
        for number, name in enumerate(wanted, 1):
            say(f"[{number}/{len(wanted)}] {STAGES[name]}")
            manifests[name] = execution.execute(stages[name], force)
    return manifests
