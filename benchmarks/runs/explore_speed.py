"""Search of the explorer over 10 million documents: `python -m benchmarks.explore_speed`.

Prints `explore_search`: seconds of the slowest of several searches against the bar of 2 s, with the
facets and the first page of hits; `explore_text`: the same for searches that read texts and
addresses in the files, each for the first time; `explore_long_text`: the same where documents have
2,000 characters and there are a fifth as many, so that a search looks through a part of them and
says so; `explore_load`: seconds to read what searches look at, once when the explorer starts;
`explore_memory`: peak resident GB. The tables are synthetic and have the columns that searches
read, and no images. The JSON has each search: those for texts with their seconds, the processor's
seconds, hits, and how many documents they looked through.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.explore import hits
from benben.analysis.explore.index import Index
from benben.analysis.explore.search import Search, find
from benben.analysis.tables import RunTables
from benben.pipeline import manifest, schema, storage
from benben.pipeline.manifest import Manifest, PartFile
from benchmarks.support.figure import report

ROWS, PART_ROWS, BAR_SECONDS = 10_000_000, 250_000, 2.0
HOSTS, LANGUAGES = 200_000, ("en", "de", "fr", "zh", "ja", "es", "ru", "ar")
TYPES = ("article", "forum", "product", "listing")
REASONS = ("document.words.min", "document.images.min", "duplicate.minhash")
ROW_GROUP = 2_000  # documents
SEARCHES = {
    "all": Search(),
    "language": Search(lang="de"),
    "four facets": Search(lang="de", page_type="forum", status="rejected", reason=REASONS[0]),
    "host": Search(host="host7.example"),
    "last page": Search(lang="en", page="1000"),
    "sample": Search(lang="en", sample="1"),
    "sort": Search(lang="en", sort="-quality"),
}
TEXT_SEARCHES = {
    "rare": Search(words="NUMBER 424242 "),
    "frequent": Search(words="number 42"),
    "with a facet": Search(words="number 24", lang="de"),
    "address": Search(url="host7.example/4242"),
    "both": Search(words="number 17", url="host17."),
}
LONG_TEXTS, LONG_WORDS, LONG_SHARE = 1_000, 300, 5


def main(rows: str = str(ROWS)) -> None:
    """Write the tables, load them, and time each search twice: the slower time counts."""
    with tempfile.TemporaryDirectory(prefix="explore-speed-") as folder:
        write(Path(folder), int(rows))
        start = time.perf_counter()
        index = Index(RunTables(folder))
        load = time.perf_counter() - start
        seconds = {name: max(timed(index, one)[0] for _ in "12") for name, one in SEARCHES.items()}
        texts = {name: timed(index, one) for name, one in TEXT_SEARCHES.items()}
        facts = {"rows": len(index), "load_average": os.getloadavg()[0]}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with tempfile.TemporaryDirectory(prefix="explore-speed-") as folder:
        write(Path(folder), int(rows) // LONG_SHARE, long=True)
        index = Index(RunTables(folder))
        long = {name: timed(index, one) for name, one in TEXT_SEARCHES.items()}
    for figure, found in (("explore_text", texts), ("explore_long_text", long)):
        slowest = max(one[0] for one in found.values())
        report(figure, slowest, BAR_SECONDS, unit="s", searches=found, **facts)
    report("explore_search", max(seconds.values()), BAR_SECONDS, unit="s", searches=seconds,
           **facts)  # fmt: skip
    report("explore_load", load, load, unit="s", **facts)
    report("explore_memory", memory, memory, unit="GB", **facts)


def timed(index: Index, search: Search) -> tuple[float, float, int, int]:
    """Seconds of a search with its page of hits, those of all cores, hits, documents looked at."""
    start, used = time.perf_counter(), time.process_time()
    found = find(index, search)
    hits.read(index, found.rows, found.values)
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    return seconds, processor, found.total, found.part.looked if found.part else len(index)


def write(folder: Path, rows: int, long: bool = False) -> None:
    """Write documents, verdicts and signals in parts."""
    random = np.random.default_rng(0)
    words = [f"word{number}" for number in range(5_000)]
    texts = [" ".join(random.choice(words, LONG_WORDS if long else 0)) for _ in range(LONG_TEXTS)]
    starts = range(0, rows, PART_ROWS)
    files: dict[str, list[PartFile]] = {"documents": [], "final_verdicts": [], "signals": []}
    for part, start in enumerate(starts):
        batches = _part(random, start, min(PART_ROWS, rows - start), pa.array(texts))
        for table, batch in zip(files, batches, strict=True):
            name = f"part-{part:05d}.parquet"
            path = str(folder / table / name)
            with storage.ParquetWriter(path, batch.schema, row_group_rows=ROW_GROUP) as writer:
                writer.write(batch)
            files[table].append(
                PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes)
            )
    for table, made in files.items():
        manifest.write(str(folder / table), Manifest(
            table=table, id=table, stage=table, version="1", config={}, inputs={}, files=made,
            counts={}, seconds=0.0,
        ))  # fmt: skip


def _part(
    random: np.random.Generator, start: int, rows: int, texts: pa.Array
) -> tuple[pa.RecordBatch, ...]:
    """A batch of documents, one of their verdicts, and one of their signals."""
    digits = random.bytes(16 * rows).hex()
    ids = pa.array([digits[place : place + 32] for place in range(0, len(digits), 32)])
    number = pc.cast(pa.array(np.arange(start, start + rows)), pa.string())
    host = _joined(
        "host", pc.cast(pa.array(random.zipf(1.3, rows) % HOSTS), pa.string()), ".example"
    )
    text = _joined("Document number ", number, " is short.",
                   texts.take(pa.array(random.integers(0, len(texts), rows))))  # fmt: skip
    own = {"kind": pa.array(["text"] * rows), "index": pa.array(np.zeros(rows, np.int32)),
           "text": text}  # fmt: skip
    fields = list(schema.NODE)
    values = [own.get(field.name, pa.nulls(rows, field.type)) for field in fields]
    nodes = pa.StructArray.from_arrays(values, fields=fields)
    columns = {
        "doc_id": ids,
        "url": _joined("http://", host, "/", number),
        "host": host,
        "title": _joined("Title ", number),
        "page_type": pa.array(random.choice(TYPES, rows)),
        "nodes": pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32), nodes),
    }
    kept = random.random(rows) < 0.6
    ends = np.concatenate([[0], np.cumsum(~kept)]).astype(np.int32)
    verdicts = {
        "doc_id": ids,
        "lang": pa.array(random.choice(LANGUAGES, rows)),
        "kept": pa.array(kept),
        "reasons": pa.ListArray.from_arrays(ends, pa.array(random.choice(REASONS, ends[-1]))),
        "dropped": pa.nulls(rows, schema.VERDICTS.field("dropped").type),
    }
    quality = pa.array(random.random(rows, np.float32))
    signals = {"doc_id": ids, "reason": pa.nulls(rows, pa.string()), "quality": quality}
    return tuple(pa.RecordBatch.from_pydict(one) for one in (columns, verdicts, signals))


def _joined(*parts: str | pa.Array) -> pa.Array:
    """Texts joined row by row."""
    return pc.binary_join_element_wise(*parts, "")


if __name__ == "__main__":
    main(*sys.argv[1:])
