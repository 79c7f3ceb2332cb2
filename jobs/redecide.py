"""Judge again once duplicates and images are known: rules apply to what is then left.

`final_verdicts` has a row for every document, with the reasons of the stage that dropped it or the
nodes that it lost on the way to the dataset.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from benben.filters.decide import decide_batch
from benben.filters.signal_table import required_columns
from benben.filters.verdicts import count_unjudged, count_verdicts, unjudged_metrics
from benben.jobs.engine import script, tables
from benben.jobs.engine.stage import Part, Result, Run, Stage
from benben.pipeline import storage
from benben.pipeline.deduplication.duplicates import TABLES, Duplicates
from benben.pipeline.images.image_facts import ImageFacts, image_urls, url_key, uses_of
from benben.pipeline.manifest import Counts, PartFile, add_counts, write_part
from benben.pipeline.schema import IMAGE_USES, VERDICTS
from benben.pipeline.takedown import apply_tombstones

BATCH_DOCUMENTS = 1_000
WANTED = pa.schema([("part", pa.int32()), ("key", pa.binary())])


def redecide(run: Run) -> Result:
    """Bring the facts about images to the parts that show them, then judge each part."""
    uses = place_images(run)
    rules, target = run.config.rules, run.target("final_verdicts")
    wanted = required_columns(rules)
    known = {file.part: storage.join(run.target("image_uses"), file.name) for file in uses}
    fetched = run.config.fetch.enabled
    worth = run.paths("image_worth") if run.config.worth.enabled else {}

    def work(part: Part) -> Result:
        counts: Counts = {}
        unjudged: Counter[str] = Counter()
        facts = ImageFacts.read(known.get(part.number), worth.get(part.number))
        known_duplicates = [Duplicates.read(part.paths.get(name)) for name in TABLES]

        def batches() -> Iterator[pa.RecordBatch]:
            for documents, signals, decided in storage.iter_aligned(
                [part.paths[name] for name in ("documents", "signals", "verdicts")],
                [["doc_id", "nodes"], wanted, ["kept", "reasons", "dropped"]],
                BATCH_DOCUMENTS,
            ):
                dropped = [duplicates.dropped_nodes(documents) for duplicates in known_duplicates]
                before = [decided["dropped"], *dropped]
                if fetched:
                    verdicts = decide_batch(signals, rules, facts.of_images(documents), before)
                else:
                    refused = [*before, facts.refused_nodes(documents)]
                    verdicts = decide_batch(signals, rules, None, refused, final=True)
                judged_now = np.asarray(decided["kept"])
                for duplicates in known_duplicates:
                    verdicts = duplicates.replace_verdicts(verdicts)
                    judged_now = judged_now & ~duplicates.is_dropped(documents)
                verdicts = apply_tombstones.reject_documents(
                    verdicts, apply_tombstones.takedown_reasons(decided)
                )
                entered = pa.array(judged_now)
                seen, judged = signals.filter(entered), verdicts.filter(entered)
                gone = [column.filter(entered) for column in before]
                add_counts(counts, count_verdicts(seen, judged, gone))
                unjudged.update(count_unjudged(judged.filter(judged["kept"])))
                yield verdicts

        file = write_part(target, part.number, VERDICTS, batches())
        return Result({"final_verdicts": [file]}, counts, unjudged_metrics(unjudged))

    parts = run.parts("documents", "signals", "verdicts", *TABLES)
    result = run.map(parts, work)
    result.files["image_uses"] = uses
    return result


def place_images(run: Run) -> list[PartFile]:
    """Join the URLs of each part with `images` by key, and write their facts, one file per part."""
    parts = run.parts("documents", "verdicts", "duplicates")
    paths = {part.number: dict(part.paths) for part in parts}

    def read_wanted(part: int, _: str) -> tables.Batches:
        duplicates = Duplicates.read(paths[part].get("duplicates"))
        for documents, verdicts in storage.iter_aligned(
            [paths[part][name] for name in ("documents", "verdicts")],
            [["doc_id", "nodes"], ["kept"]],
            BATCH_DOCUMENTS,
        ):
            kept = pa.array(np.asarray(verdicts["kept"]) & ~duplicates.is_dropped(documents))
            urls = image_urls(documents.filter(kept))[0]
            names = sorted({url_key(url) for url in urls})
            yield pa.RecordBatch.from_pydict({"part": [part] * len(names), "key": names}, WANTED)

    def read_images(_: int, path: str) -> tables.Batches:
        for batch in storage.iter_parquet(path):
            yield uses_of(batch)

    wanted = tables.frame(run.spark, [(part.number, "") for part in parts], read_wanted, WANTED)
    images = tables.frame(run.spark, sorted(run.paths("images").items()), read_images, IMAGE_USES)
    placed = wanted.distinct().join(images, "key")
    return tables.write_by_part(placed, run.target("image_uses"), IMAGE_USES)


STAGE = Stage(
    name="redecide",
    reads=("documents", "signals", "verdicts", *TABLES, "images"),
    writes=("final_verdicts", "image_uses"),
    sections=("rules", "fetch", "worth"),
    run=redecide,
    follows="picture_duplicates",
)

if __name__ == "__main__":
    sys.exit(script.main("benben.jobs.redecide"))
