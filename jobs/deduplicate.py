"""All that deduplication drops by text and URL: clusters, repeated lines and images, image sets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow as pa

from benben.jobs.deduplication import duplicates_table, revisions
from benben.jobs.deduplication.duplicates_table import Gone, Repeats
from benben.jobs.engine import script
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.deduplication import repeated_nodes as repeats
from benben.pipeline.deduplication.repeated_nodes import SetRule
from benben.pipeline.settings.deduplicate import DeduplicateSettings

UNITS = {"nodes": "text_nodes", "images": "image_nodes"}


def run(run: Run) -> Result:
    """Count repeats over the documents that clusters leave, then image sets, then write."""
    clusters = run.paths("clusters")
    files = sorted(run.paths("fingerprints").items())
    tasks = [(part, f"{path}\n{clusters.get(part, '')}") for part, path in files]
    folder = storage.join(run.target("duplicates"), "revised")
    tasks = duplicates_table.also(tasks, folder, revisions.place(run, folder))
    chosen = run.config.deduplicate
    found = Repeats(entering, repeats.rules(chosen), set_rule(chosen), UNITS)
    result = duplicates_table.write(run, tasks, found, "duplicates")
    storage.delete_folder(folder)
    return result


def set_rule(settings: DeduplicateSettings) -> SetRule | None:
    """How image sets are compared; none when they are not."""
    sets = settings.image_sets
    if not sets.enabled:
        return None
    return SetRule("duplicate.image_set", "image_nodes", sets.min_images, sets.min_similarity)


def entering(files: str) -> Iterator[tuple[pa.RecordBatch, Gone]]:
    """Fingerprints of a part, and the rows of its clustered and contaminated documents."""
    path, clusters, revised = files.split("\n")
    clustered = duplicates_table.rows_by_document(clusters) | duplicates_table.rows_by_document(
        revised
    )
    gone = {name: row for name, row in clustered.items() if row["reason"]}
    for batch in storage.iter_parquet(path, duplicates_table.COLUMNS, duplicates_table.BATCH_ROWS):
        items = zip(batch["doc_id"].to_pylist(), batch["contamination"].to_pylist(), strict=True)
        dirty = {name: duplicates_table.contaminated(name, item) for name, item in items if item}
        yield batch, gone | dirty


STAGE = Stage(
    name="deduplicate",
    reads=("fingerprints", "clusters"),
    writes=("duplicates",),
    sections=("deduplicate", "fingerprint", "revised_by"),
    run=run,
    sources=revisions.sources,
    follows="verdicts",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.deduplicate"))
