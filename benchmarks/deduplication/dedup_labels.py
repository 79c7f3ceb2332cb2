"""Labelled duplicates found among real pages, and every cluster found, with what explains it.

Extracts the archives with the default config, keeps every document that has nodes and every text
node of the main content, and runs the stages of deduplication. The value is the share of labelled
copies that fall to, or stand for, their original; the baseline is the bar, 0.95.

Every cluster is printed to the error stream: the kept document, then a line a dropped one, with the
reason, the estimated and the exact similarity, shingles it shares with the kept one of its own,
image URLs it shares of its own, and why the two are duplicates: a label names them, or they were
judged by hand (`dedup_judged.yaml`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from benben.jobs import cluster, deduplicate, extract, fingerprint
from benben.jobs.engine.stage import Run
from benben.pipeline import config, manifest, storage
from benben.pipeline.deduplication.shingles import shingle_hashes, token_hashes
from benben.pipeline.manifest import Count, Manifest, PartFile, part_name
from benben.pipeline.schema import VERDICTS
from benchmarks.support import figure
from benchmarks.support.data import WARC

JUDGED = Path(__file__).with_name("dedup_judged.yaml")
MAIN_CONTENT = 0.3
COLUMNS = ["doc_id", "reason", "nodes"]
QUALITY = pa.schema([("quality", pa.float32())])


def main() -> None:
    """Run the stages over the archives and compare with the labels."""
    folder = WARC
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
    clusters = explained(run, pages, dropped, wanted)
    for kept, members in clusters.items():
        print(f"\n{pages[kept]['url']}", file=sys.stderr)
        for member in members:
            print("  " + "  ".join(map(str, member.values())), file=sys.stderr)
    members = [member for some in clusters.values() for member in some]
    figure.report(
        "dedup_labels",
        len(found) / len(wanted),
        0.95,
        missed=[label for label in wanted if label not in found],
        clusters=len(clusters),
        dropped=len(members),
        judged=sum(member["why"] not in (None, "labelled") for member in members),
        not_judged=[member for member in members if member["why"] is None],
        found=[{"kept": pages[kept]["url"], "dropped": some} for kept, some in clusters.items()],
    )


def explained(
    run: Run,
    pages: dict[str, dict[str, str]],
    dropped: dict[str, dict[str, Any]],
    labels: list[dict[str, str]],
) -> dict[str, list[dict[str, Any]]]:
    """Kept document -> what is known of those dropped for it."""
    judged = yaml.safe_load(JUDGED.read_text())
    reasons = {frozenset(pair["pages"]): pair["why"] for pair in judged}
    reasons |= {frozenset((row["url"], row["original_url"])): "labelled" for row in labels}
    ids = dropped.keys() | {row["kept_id"] for row in dropped.values()}
    sets = {
        row["doc_id"]: (shingles(row["nodes"], run.config.fingerprint.shingle_words), images(row))
        for row in rows(run, "documents", ["doc_id", "nodes"])
        if row["doc_id"] in ids
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for name, row in sorted(dropped.items()):
        (mine, my_images), (theirs, their_images) = sets[name], sets[row["kept_id"]]
        similar = row["similarity"]
        member = {
            "reason": row["reason"],
            "estimated": None if similar is None else round(similar, 3),
            "exact": round(len(mine & theirs) / max(1, len(mine | theirs)), 3),
            "shingles": f"{len(mine & theirs)}/{len(mine)}",
            "images": f"{len(my_images & their_images)}/{len(my_images)}",
            "why": reasons.get(frozenset((pages[name]["url"], pages[row["kept_id"]]["url"]))),
            "archive": pages[name]["warc"].rsplit("/", 1)[-1],
            "url": pages[name]["url"],
        }
        found.setdefault(row["kept_id"], []).append(member)
    return found


def shingles(nodes: list[dict[str, Any]], size: int) -> set[int]:
    """Shingles of the main content."""
    texts = [
        node["text"]
        for node in nodes or []
        if node["kind"] == "text"
        and (1 if node["content_score"] is None else node["content_score"]) >= MAIN_CONTENT
    ]
    return set(shingle_hashes(*token_hashes(["\n\n".join(texts)]), size)[0].tolist())


def images(row: dict[str, Any]) -> set[str]:
    """Image URLs of a document."""
    return {node["url"] for node in row["nodes"] or [] if node["kind"] == "image"}


def keep_all(run: Run, documents: Manifest) -> None:
    """Write verdicts that keep every document with nodes, and drop nodes off the main content."""
    tables: dict[str, tuple[pa.Schema, list[PartFile]]] = {
        "verdicts": (VERDICTS, []),
        "signals": (QUALITY, []),
    }
    total = Count()
    for part, path in run.paths("documents").items():
        judged = [verdict(row) for row in storage.read_parquet(path, COLUMNS).to_pylist()]
        total.kept += sum(row["kept"] for row in judged)
        written = {"verdicts": judged, "signals": [{"quality": None} for _ in judged]}
        for table, (schema, files) in tables.items():
            name = part_name(part)
            with storage.ParquetWriter(storage.join(run.table(table), name), schema) as writer:
                writer.write(pa.Table.from_pylist(written[table], schema))
            files.append(PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes))
    total.entered = total.kept
    for table, (_, files) in tables.items():
        record = {"table": table, "id": documents.id, "stage": "keep_all", "version": ""}
        counts = {"documents": total}
        found = Manifest.model_validate(
            record | {"config": {}, "inputs": {}, "files": files, "counts": counts}
        )
        manifest.write(run.table(table), found)


def verdict(row: dict[str, Any]) -> dict[str, Any]:
    """Keep a document that has nodes, without those off the main content."""
    reason = {"reason": "content_score", "value": 0.0, "bound": MAIN_CONTENT}
    nodes = [node for node in row["nodes"] or [] if node["kind"] == "text"]
    scores = {node["index"]: node["content_score"] for node in nodes}
    aside = [i for i, score in scores.items() if score is not None and score < MAIN_CONTENT]
    dropped = [{"index": index, **reason} for index in aside]
    return {"doc_id": row["doc_id"], "kept": not row["reason"], "dropped": dropped}


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
