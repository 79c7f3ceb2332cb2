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
    options = [f"output={folder}", "input=[x]", "deduplicate.index=false", *overrides]
    run = Run(config.load("default", options))
    for stage in (fingerprint.STAGE, cluster.STAGE, deduplicate.STAGE):
        run.execute(stage)
    return rows(run, "duplicates")


def rows(run: Run, table: str) -> dict[str, Any]:
    """Rows of a table by document."""
    paths = run.manifest(table).paths(run.table(table))
    found = [row for path in paths for row in storage.read_parquet(path).to_pylist()]
    return {row["doc_id"]: row for row in found}


def pages_of_all_kinds() -> list[Any]:
    base = [page(f"page{i}", text(i)) for i in range(40)]
    logo = [f"https://cdn.example/{name}.png" for name in ("logo", "mail")]
    return [
        *base,
        page("recrawl", text(500), url=base[0]["url"], captured_at="2024-06-01T00:00:00Z"),
        page("bytes", text(501), payload_digest=base[1]["payload_digest"]),
        page("case", text(2).upper() + "!", images=["https://x.example/1.jpg"]),
        page("near", edited(text(3), 4)),
        page("far", edited(text(4), 60)),
        *[page(f"chain{i}", edited(text(900), 9 * i), images=logo[:1]) for i in range(12)],
        page(
            "set1",
            text(700, 300) + text(701, 150),
            images=["https://x.example/a", "https://x.example/b"],
        ),
        page(
            "set2",
            text(700, 300) + text(702, 150),
            images=["https://x.example/b", "https://x.example/a"],
        ),
    ]


def names(pages: list[Any]) -> dict[str, str]:
    """Name of a page -> doc_id; the payload digest ends in the name except for `bytes`."""
    return {row["url"].split("/")[2].split(".")[0]: row["doc_id"] for row in pages}


def test_each_kind_of_duplicate_names_the_kept_document(spark: Any, tmp_path: Path) -> None:
    pages = pages_of_all_kinds()
    ids = {name: row["doc_id"] for row in pages for name in [row["doc_id"]]}
    dropped = run_over(tmp_path, pages, 3)
    by_reason: dict[str, list[Any]] = {}
    for row in dropped.values():
        by_reason.setdefault(row["reason"], []).append(row)
    recrawl, case = pages[40]["doc_id"], pages[42]["doc_id"]
    assert [row["kept_id"] for row in by_reason["duplicate.url"]] == [recrawl]  # the newest
    assert [row["kept_id"] for row in by_reason["duplicate.text"]] == [case]  # has an image
    assert len(by_reason["duplicate.payload"]) == 1
    near = {row["doc_id"]: row for row in by_reason["duplicate.minhash"]}
    assert all(0.75 <= row["similarity"] <= 1 for row in near.values())
    assert ids.keys() >= near.keys()
    assert pages[44]["doc_id"] not in dropped  # too far from page4
    assert [row["reason"] for row in by_reason["duplicate.image_set"]] == ["duplicate.image_set"]


def test_the_kept_set_depends_on_no_partitioning_and_no_order(spark: Any, tmp_path: Path) -> None:
    pages = pages_of_all_kinds()
    whole = run_over(tmp_path / "1", pages, 1)
    random.Random(3).shuffle(pages)
    assert run_over(tmp_path / "4", pages, 4) == whole
    random.Random(4).shuffle(pages)
    assert run_over(tmp_path / "16", pages, 16) == whole


def test_lines_and_images_of_many_documents_go_everywhere(spark: Any, tmp_path: Path) -> None:
    pages = []
    for number in range(12):
        host = "one.example" if number < 3 else f"host{number}.example"
        row = page(f"p{number}", text(number), url=f"https://{host}/{number}")
        row["nodes"].append({"kind": "text", "index": 1, "text": "Read more about us"})
        image = "https://cdn.example/logo.png" if number < 11 else "https://cdn.example/own.png"
        row["nodes"].append({"kind": "image", "index": 2, "url": image})
        pages.append(row)
    found = run_over(tmp_path, pages, 2)
    gone = {
        row["url"]: {node["index"]: node["reason"] for node in found[row["doc_id"]]["dropped"]}
        for row in pages
        if row["doc_id"] in found
    }
    assert gone["https://one.example/0"] == {1: "duplicate.host_line", 2: "duplicate.image_url"}
    assert gone["https://host5.example/5"] == {2: "duplicate.image_url"}
    assert "https://host11.example/11" not in gone
    node = found[pages[0]["doc_id"]]["dropped"][1]
    assert (node["value"], node["bound"]) == (11, 10)


def test_a_document_with_a_benchmark_item_goes_and_names_it(spark: Any, tmp_path: Path) -> None:
    item = text(60, 20)
    (tmp_path / "set.jsonl").write_text(f'{{"id": "question 7", "text": "{item}"}}\n')
    pages = [page("a", text(1) + " " + item + " " + text(2)), page("b", text(1) + text(2))]
    chosen = f"fingerprint.decontaminate.sets={{exams: {tmp_path / 'set.jsonl'}}}"
    found = run_over(tmp_path, pages, 1, chosen)
    assert [(row["doc_id"], row["reason"], row["detail"]) for row in found.values()] == [
        (pages[0]["doc_id"], "contamination.exams", "question 7")
    ]


def test_three_slices_one_after_the_other_equal_the_full_run(spark: Any, tmp_path: Path) -> None:
    pages = pages_of_all_kinds()
    random.Random(5).shuffle(pages)
    slices = [pages[0::3], pages[1::3], pages[2::3]]
    for month, chosen in enumerate(slices, 1):  # a dump's captures are later than the last one's
        for row in chosen:
            row["captured_at"] = f"2024-{month:02d}-03T00:00:00Z"
    full = run_over(tmp_path / "full", pages, 2, "deduplicate.index=true")
    dropped: dict[str, Any] = {}
    revised = 0
    for number, chosen in enumerate(slices):
        folder = tmp_path / str(number)
        against = f"deduplicate.against={[str(tmp_path / str(n)) for n in range(number)]}"
        run_over(folder, chosen, 2, "deduplicate.index=true", against)
        run = Run(config.load("default", [f"output={folder}", "input=[x]"]))
        dropped |= rows(run, "clusters")
        revisions = rows(run, "revisions")
        revised += len(revisions)
        dropped |= revisions
    assert revised > 0
    stay = {name: row for name, row in dropped.items() if row["reason"]}
    run = Run(config.load("default", [f"output={tmp_path / 'full'}", "input=[x]"]))
    assert stay == rows(run, "clusters")
    assert full
