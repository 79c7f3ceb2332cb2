"""Labelled duplicates found among real pages, and every cluster of pages that is not labelled.

Extracts the archives with the default config, keeps every document that has nodes and every text
node of the main content, and runs the stages of deduplication. The value is the share of labelled
copies that fall to, or stand for, their original; the baseline is the bar, 0.95.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks import figure
from jobs import cluster, deduplicate, extract, fingerprint
from jobs.job import Run, part_name
from pipeline import config, manifest, storage
from pipeline.manifest import Count, Manifest, PartFile
from pipeline.schema import VERDICTS

SHARED = Path(os.environ.get("BENBEN_SHARED", Path(__file__).parents[2] / "shared"))
MAIN_CONTENT = 0.3


def main() -> None:
    """Run the stages over the archives and compare with the labels."""
    folder = SHARED / "data" / "warc"
    labels = folder / "dups_labels.jsonl"
    if not labels.exists():
        sys.exit(f"dedup_labels: no labelled pages at {labels} (set BENBEN_SHARED)")
    archives = [str(path) for path in sorted(folder.glob("TEST-*.warc.gz"))]
    output = str(figure.FOLDER / "labels")
    run = Run(config.load("default", [f"input={json.dumps(archives)}", f"output={output}"]))
    documents = run.execute(extract.STAGE)
    keep_all(run, documents)
    for stage in (fingerprint.STAGE, cluster.STAGE, deduplicate.STAGE):
        run.execute(stage)
    pages = {row["doc_id"]: row for row in rows(run, "documents", ["doc_id", "url", "warc"])}
    dropped = {row["doc_id"]: row for row in rows(run, "duplicates", None) if row["reason"]}
    wanted = [json.loads(line) for line in labels.read_text().splitlines()]
    found = [label for label in wanted if is_found(label, pages, dropped)]
    copies = {(label["url"], label["original_url"]) for label in wanted}
    others = [
        row | {"dropped": pages[name]["url"], "kept": pages[row["kept_id"]]["url"]}
        for name, row in dropped.items()
        if not {(pages[name]["url"], pages[row["kept_id"]]["url"])} & copies
        and not {(pages[row["kept_id"]]["url"], pages[name]["url"])} & copies
    ]
    figure.report(
        "dedup_labels",
        len(found) / len(wanted),
        0.95,
        missed=[label for label in wanted if label not in found],
        not_labelled=others,
    )


def keep_all(run: Run, documents: Manifest) -> None:
    """Write verdicts that keep every document with nodes, and drop nodes off the main content."""
    files, total = [], Count()
    for part, path in run.paths("documents").items():
        out = []
        for row in storage.read_parquet(path, ["doc_id", "reason", "nodes"]).to_pylist():
            verdict = {"reason": "content_score", "value": 0.0, "bound": MAIN_CONTENT}
            nodes = [node for node in row["nodes"] or [] if node["kind"] == "text"]
            scores = {node["index"]: node["content_score"] for node in nodes}
            aside = [i for i, score in scores.items() if score is not None and score < MAIN_CONTENT]
            dropped = [{"index": index, **verdict} for index in aside]
            out.append({"doc_id": row["doc_id"], "kept": not row["reason"], "dropped": dropped})
        name = part_name(part)
        with storage.ParquetWriter(storage.join(run.table("verdicts"), name), VERDICTS) as writer:
            writer.write(pa.Table.from_pylist(out, VERDICTS))
        files.append(PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes))
        total.kept += sum(row["kept"] for row in out)
    record = {"table": "verdicts", "id": documents.id, "stage": "keep_all", "version": ""}
    total.entered = total.kept
    counts = {"documents": total}
    found = Manifest(**record, config={}, inputs={}, files=files, counts=counts)
    manifest.write(run.table("verdicts"), found)


def rows(run: Run, table: str, columns: list[str] | None) -> list[dict[str, Any]]:
    """All rows of a table."""
    paths = run.paths(table).values()
    return [row for path in paths for row in storage.read_parquet(path, columns).to_pylist()]


def is_found(
    label: dict[str, str], pages: dict[str, dict[str, str]], dropped: dict[str, dict[str, Any]]
) -> bool:
    """Tell whether a labelled copy and its original ended in the same cluster."""
    copies = {
        dropped.get(name, {}).get("kept_id", name)
        for name, page in pages.items()
        if page["url"] == label["url"] and "DUPS" in page["warc"]
    }
    originals = {
        dropped.get(name, {}).get("kept_id", name)
        for name, page in pages.items()
        if page["url"] == label["original_url"] and "MAIN" in page["warc"]
    }
    return bool(copies & originals)


if __name__ == "__main__":
    main()
