"""Stage `deduplicate`: what is dropped by text and URL.

Documents go as clusters decided, or because their set of images is that of another; text nodes
and images go that too many documents share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow as pa

from benben.jobs.deduplication import duplicates_table, revisions
from benben.jobs.deduplication.duplicates_table import (
    DroppedDocuments,
    DuplicateSearch,
    PartInputs,
    contamination_row,
    rows_by_document,
)
from benben.jobs.engine import script
from benben.jobs.engine.stage import Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.deduplication.repeated_nodes import ImageSetRule, node_rules
from benben.pipeline.settings.deduplicate import DeduplicateSettings

UNITS = {"nodes": "text_nodes", "images": "image_nodes"}


def run(run: Run) -> Result:
    """Apply clusters and revisions, search the remaining documents, and write `duplicates`."""
    clusters = run.paths("clusters")
    folder = storage.join(run.target("duplicates"), "revised")
    revised = duplicates_table.paths_by_part(folder, revisions.write_revisions(run, folder))
    inputs: dict[int, PartInputs] = {
        part: (path, clusters.get(part), revised.get(part))
        for part, path in sorted(run.paths("fingerprints").items())
    }
    settings = run.config.deduplicate
    search = DuplicateSearch(read_documents, node_rules(settings), image_set_rule(settings), UNITS)
    result = duplicates_table.write_duplicates(run, inputs, search, "duplicates")
    storage.delete_folder(folder)
    return result


def image_set_rule(settings: DeduplicateSettings) -> ImageSetRule | None:
    """Return the rule for image sets; None if it is off."""
    sets = settings.image_sets
    if not sets.enabled:
        return None
    return ImageSetRule("duplicate.image_set", "image_nodes", sets.min_images, sets.min_similarity)


def read_documents(inputs: PartInputs) -> Iterator[tuple[pa.RecordBatch, DroppedDocuments]]:
    """Read a part's fingerprints, with the rows of its clustered and contaminated documents."""
    path, clusters, revised = inputs
    decided = rows_by_document(clusters) | rows_by_document(revised)
    clustered = {name: row for name, row in decided.items() if row["reason"]}
    for batch in storage.iter_parquet(path, duplicates_table.COLUMNS, duplicates_table.BATCH_ROWS):
        items = zip(batch["doc_id"].to_pylist(), batch["contamination"].to_pylist(), strict=True)
        contaminated = {name: contamination_row(name, item) for name, item in items if item}
        yield batch, clustered | contaminated


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
