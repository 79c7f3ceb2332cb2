"""Pages made up for tests of deduplication, and the tables that hold them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benben.jobs import cluster, deduplicate, fingerprint
from benben.jobs.engine.stage import Run
from benben.pipeline import config, manifest, storage
from benben.pipeline.document import document_id
from benben.pipeline.manifest import Count, Manifest, PartFile
from benben.pipeline.schema import DOCUMENTS, VERDICTS

QUALITY = pa.schema([("quality", pa.float32())])
RANDOM = random.Random(7)
WORDS = ["".join(RANDOM.choices("abcdefghijklmnop", k=6)) for _ in range(3000)]


def text(seed: int, words: int = 200) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def edited(original: str, changes: int) -> str:
    words = original.split()
    for place in random.Random(1).sample(range(len(words)), changes):
        words[place] = "edited"
    return " ".join(words)


def page(name: str, body: str, url: str = "", images: Sequence[str] = (), **facts: Any) -> Any:
    nodes = [{"kind": "text", "index": 0, "text": body}]
    nodes += [{"kind": "image", "index": i + 1, "url": image} for i, image in enumerate(images)]
    url = url or f"https://{name}.example/"
    row = dict.fromkeys(DOCUMENTS.names)
    row |= {"doc_id": document_id(name, 0, url, name), "url": url, "url_key": url, "nodes": nodes}
    row |= {"host": url.split("/")[2], "captured_at": "2024-05-18T00:00:00Z"}
    return row | {"payload_digest": f"sha1:{name}"} | facts


def write_table(folder: Path, name: str, schema: pa.Schema, parts: list[list[Any]]) -> None:
    files = []
    for number, rows in enumerate(parts):
        path = f"{name}/part-{number:05d}.parquet"
        with storage.ParquetWriter(str(folder / path), schema) as writer:
            writer.write(pa.Table.from_pylist(rows, schema))
        files.append(
            PartFile(part=number, name=path.split("/")[1], rows=len(rows), bytes=writer.bytes)
        )
    total = sum(map(len, parts))
    counts = {"documents": Count(entered=total, kept=total)}
    record = Manifest(
        table=name,
        id=name,
        stage=name,
        version="",
        config={},
        inputs={},
        files=files,
        counts=counts,
    )
    manifest.write(str(folder / name), record)


def run_over(folder: Path, pages: list[Any], parts: int, *overrides: str) -> dict[str, Any]:
    """Deduplicate pages; returns dropped document -> row."""
    run = clustered(folder, pages, parts, *overrides)
    run.execute(deduplicate.STAGE)
    return rows(run, "duplicates")


def clustered(folder: Path, pages: list[Any], parts: int, *overrides: str) -> Run:
    """Write tables of pages and find their clusters."""
    slices = [pages[number::parts] for number in range(parts)]
    verdicts = [
        [{"doc_id": row["doc_id"], "kept": True, "dropped": []} for row in s] for s in slices
    ]
    write_table(folder, "documents", DOCUMENTS, slices)
    write_table(folder, "verdicts", VERDICTS, verdicts)
    write_table(folder, "signals", QUALITY, [[{"quality": None} for _ in s] for s in slices])
    options = [f"output={folder}", "input=[x]", "deduplicate.index=false", *overrides]
    run = Run(config.load("default", options))
    run.execute(fingerprint.STAGE)
    run.execute(cluster.STAGE)
    return run


def rows(run: Run, table: str) -> dict[str, Any]:
    """Rows of a table by document."""
    paths = run.manifest(table).paths(run.table(table))
    found = [row for path in paths for row in storage.read_parquet(path).to_pylist()]
    return {row["doc_id"]: row for row in found}
