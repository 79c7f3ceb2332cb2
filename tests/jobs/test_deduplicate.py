"""Deduplication of small tables through both of its stages."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from jobs import cluster, deduplicate, fingerprint
from jobs.job import Run
from pipeline import config, manifest, storage
from pipeline.document import document_id
from pipeline.manifest import Count, Manifest, PartFile
from pipeline.schema import DOCUMENTS, VERDICTS

pytestmark = pytest.mark.spark
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
    slices = [pages[number::parts] for number in range(parts)]
    verdicts = [
        [{"doc_id": row["doc_id"], "kept": True, "dropped": []} for row in s] for s in slices
    ]
    write_table(folder, "documents", DOCUMENTS, slices)
    write_table(folder, "verdicts", VERDICTS, verdicts)
    options = [f"output={folder}", "input=[x]", *overrides]
    run = Run(config.load("default", options))
    run.execute(fingerprint.STAGE)
    run.execute(cluster.STAGE)
    found = run.execute(deduplicate.STAGE)
    rows = [
        row
        for path in found.paths(run.table("duplicates"))
        for row in storage.read_parquet(path).to_pylist()
    ]
    return {row["doc_id"]: row for row in rows}


@pytest.fixture(scope="module")
def pages() -> list[Any]:
    base = [page(f"page{i}", text(i)) for i in range(40)]
    return [
        *base,
        page("recrawl", text(500), url=base[0]["url"], captured_at="2024-06-01T00:00:00Z"),
        page("bytes", text(501), payload_digest=base[1]["payload_digest"]),
        page("case", text(2).upper() + "!", images=["https://x.example/1.jpg"]),
        page("near", edited(text(3), 4)),
        page("far", edited(text(4), 60)),
    ]


def test_each_kind_of_duplicate_names_the_kept_document(
    spark: Any, tmp_path: Path, pages: list[Any]
) -> None:
    ids = {row["payload_digest"][5:]: row["doc_id"] for row in pages if "page1" not in row["url"]}
    dropped = run_over(tmp_path, pages, 3)
    assert sorted(row["reason"] for row in dropped.values()) == [
        "duplicate.minhash",
        "duplicate.payload",
        "duplicate.text",
        "duplicate.url",
    ]
    by_reason = {row["reason"]: row for row in dropped.values()}
    assert by_reason["duplicate.url"]["kept_id"] == ids["recrawl"]  # the newest
    assert by_reason["duplicate.text"]["kept_id"] == ids["case"]  # has an image
    assert 0.7 < by_reason["duplicate.minhash"]["similarity"] < 1
