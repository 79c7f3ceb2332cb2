"""Write a small finished run with all its tables, without Spark: input of the analysis tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from benben.filters.signal_table import measure_batch
from benben.pipeline import config, manifest, schema, storage
from benben.pipeline.dataset.obelics import ImageFact, Row, general_metadata, to_row
from benben.pipeline.document import Node
from benben.pipeline.manifest import Count, Counts, Manifest, PartFile
from benben.sample.drawing import Shape, draw_shapes, encode

HOSTILE = (
    "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
    "<svg onload=\"document.title='hacked'\"></svg>{{ 7 * 7 }}</style><style>body{display:none}"
    "</style><a href=\"javascript:document.title='hacked'\">click</a>' onmouseover='alert(1)"
)
TEXT = (
    "The picture above was made with only a few colours, and it has been on the wall for years. "
    "Nobody knows who made it, but everybody who comes here says something about it."
)
DOCUMENTS = 8
HELD_OUT = "site1.example"
RULES = {"text_node": {"words": {"min": 4, "max": 1000}}, "document": {"images": {"min": 1}}}


def make(folder: Path) -> str:
    """Write the run and return its folder: 8 shipped documents, 5 rejected for various reasons."""
    documents = [_document(number) for number in range(DOCUMENTS)]
    documents += [
        _document(8, url="javascript:document.title='hacked'", text="too short"),
        _document(9, text=HOSTILE),
        {**_document(10), "nodes": [], "reason": "extract.empty"},
        _document(11),
        _document(12, images=0),
    ]
    verdicts = [_verdict(row) for row in documents]
    verdicts[8] |= _rejected("document.words.min", 2.0, 10.0)
    verdicts[9] |= _rejected("document.stopword_ratio.min", 0.1, 0.35)
    verdicts[10]["kept"], verdicts[10]["reasons"] = False, ["extract.empty"]
    verdicts[10]["values"] = verdicts[10]["bounds"] = [None]
    verdicts[12] |= _rejected("document.images.min", 0.0, 1.0)
    kept_id = documents[0]["doc_id"]
    duplicates = [
        {
            "doc_id": documents[11]["doc_id"],
            "reason": "duplicate.minhash",
            "kept_id": kept_id,
            "similarity": 0.93,
            "dropped": [],
        }
    ]
    images, stored = _images(documents)
    rows = [_row(document, images) for document in documents[:DOCUMENTS]]
    output = str(folder)
    extracted = Count(entered=13, kept=12, rejected={"extract.empty": 1})
    decided = Count(
        entered=12,
        kept=9,
        rejected={
            "document.words.min": 1,
            "document.stopword_ratio.min": 1,
            "document.images.min": 1,
        },
    )
    deduplicated = Count(entered=9, kept=8, rejected={"duplicate.minhash": 1})
    refused = {"http.404": 1, "consent.header:noai": 1}
    fetched = Count(entered=len(images), kept=len(images) - 2, rejected=refused)
    documents_batch = _batch(documents, schema.DOCUMENTS)
    settings = config.load("default", ["input=[x]"]).signals
    signals = measure_batch(documents_batch, settings)
    write_table(output, "documents", "extract", {"part": documents_batch}, {"documents": extracted})
    write_table(output, "signals", "measure", {"part": signals})
    judged = {"part": _batch(verdicts, schema.VERDICTS)}
    write_table(output, "verdicts", "decide", judged, {"documents": decided})
    found = {"part": _batch(duplicates, schema.DUPLICATES)}
    write_table(output, "duplicates", "deduplicate", found, {"documents": deduplicated})
    write_table(
        output, "images", "fetch", {"part": _batch(images, schema.IMAGES)}, {"images": fetched}
    )
    verdicts[11] |= _rejected("duplicate.minhash", 0.93, 0.7)
    judged = {"part": _batch(verdicts, schema.VERDICTS)}
    write_table(
        output, "final_verdicts", "redecide", judged, {"documents": Count(entered=8, kept=8)}
    )
    shipped = {
        "data/train": _batch([row for row in rows if row["host"] != HELD_OUT], schema.DATASET),
        "data/test": _batch([row for row in rows if row["host"] == HELD_OUT], schema.DATASET),
        "images/images": _batch(stored, schema.IMAGE_BYTES),
    }
    write_table(output, "dataset", "assemble", shipped, {"documents": Count(entered=8, kept=8)})
    return output


def _document(number: int, url: str = "", text: str = TEXT, images: int = 2) -> dict[str, Any]:
    empty = dict.fromkeys(schema.DOCUMENTS.names)
    host = f"site{number % 3}.example"
    nodes = [_node("text", 0, f"{text} This is page {number}."), _node("text", 1, HOSTILE)]
    for place in range(images):
        nodes.append(_node("image", 2 * place + 2, f"http://{host}/{number}-{place}.png"))
        nodes.append(_node("text", 2 * place + 3, f"{TEXT} It is number {place}."))
    return {
        **empty,
        "doc_id": hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest(),
        "url": url or f"http://{host}/{number}?q=<b>&x='\"",
        "host": host,
        "domain": "example",
        "captured_at": f"2026-11-{number + 1:02d}T00:00:00Z",
        "warc": "crawl-0.warc.gz",
        "warc_offset": 1000 * number,
        "warc_length": 999,
        "status": 200,
        "title": HOSTILE,
        "licenses": ["https://creativecommons.org/licenses/by/4.0/"] if number == 1 else [],
        "opt_outs": ["robots-meta:noai"] if number in (8, 9) else [],
        "nodes": nodes,
    }


def _node(kind: str, index: int, value: str) -> dict[str, Any]:
    entry = dict.fromkeys(field.name for field in schema.NODE)
    key = "text" if kind == "text" else "url"
    place = {"index": index, "tag": "p", "path": f"p.{index + 1}"}
    return {**entry, "kind": kind, **place, "alt": HOSTILE, key: value}


def _verdict(row: dict[str, Any]) -> dict[str, Any]:
    dropped = {
        "index": 1,
        "reason": "text_node.stopword_ratio.min",
        "value": 0.05,
        "bound": 0.3,
        "paragraph": None,
    }
    return {
        **dict.fromkeys(schema.VERDICTS.names),
        "doc_id": row["doc_id"],
        "lang": "en",
        "kept": True,
        "reasons": [],
        "values": [],
        "bounds": [],
        "dropped": [dropped] if row["nodes"] else [],
    }


def _rejected(reason: str, value: float, bound: float) -> dict[str, Any]:
    return {"kept": False, "reasons": [reason], "values": [value], "bounds": [bound]}


def _images(documents: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows, stored = [], []
    colours = ("red", "green", "blue", "orange")
    for document in documents[:DOCUMENTS]:
        for node in document["nodes"]:
            if node["kind"] != "image":
                continue
            colour = colours[len(rows) % 4]
            shape = Shape("circle", colour, "large", "left" if len(rows) % 2 else "right")
            data = encode(draw_shapes([shape], "white", 200 + len(rows), 160), "png")
            digest = hashlib.sha256(data).hexdigest()
            rows.append(
                {
                    **dict.fromkeys(schema.IMAGES.names),
                    "url": node["url"],
                    "host": document["host"],
                    "status": 200,
                    "sha256": digest,
                    "format": "png",
                    "width": 200 + len(rows),
                    "height": 160,
                    "num_bytes": len(data),
                }
            )
            stored.append({"sha256": digest, "format": "png", "bytes": data})
    empty = dict.fromkeys(schema.IMAGES.names)
    rows += [
        {**empty, "url": "http://site0.example/gone.png", "reason": "http.404", "status": 404},
        {**empty, "url": "http://site0.example/mine.png", "reason": "consent.header:noai"},
    ]
    return rows, stored


def _row(document: dict[str, Any], images: list[dict[str, Any]]) -> dict[str, Any]:
    facts = {
        image["url"]: ImageFact(image["sha256"], image["width"], image["height"], image["format"])
        for image in images
        if image["sha256"]
    }
    nodes = [Node(**node) for node in document["nodes"]]
    row: Row = to_row(nodes, document["url"], facts)
    return {
        "images": row.images,
        "texts": row.texts,
        "metadata": json.dumps(row.metadata),
        "general_metadata": general_metadata(
            document["url"], document["warc"], document["warc_offset"], document["warc_length"]
        ),
        "doc_id": document["doc_id"],
        "lang": "en",
        "host": document["host"],
        "captured_at": document["captured_at"],
        "num_images": row.num_images,
        "num_texts": len(row.own_texts),
        "num_words": row.num_words,
        "num_chars": row.num_chars,
        "num_tokens": row.num_tokens(4),
        "image_sha256": row.sha256,
        "text_metadata": json.dumps(row.nodes),
    }


def _batch(rows: list[dict[str, Any]], columns: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, columns)


def write_table(
    output: str,
    table: str,
    stage: str,
    kinds: dict[str, pa.RecordBatch],
    counts: Counts | None = None,
    config: dict[str, Any] | None = None,
) -> None:
    """Write a table in two parts with its manifest; `kinds` maps file name prefixes to rows."""
    folder, files = storage.join(output, table), []
    for prefix, batch in kinds.items():
        half = batch.num_rows // 2
        for number, piece in enumerate((batch.slice(0, half), batch.slice(half))):
            name = f"{prefix}-{number:05d}-of-00002.parquet"
            with storage.ParquetWriter(storage.join(folder, name), batch.schema) as writer:
                writer.write(piece)
            part = number if prefix != "data/test" else number + 2
            files.append(PartFile(part=part, name=name, rows=writer.rows, bytes=writer.bytes))
    made = Manifest(
        table=table,
        id=f"{stage}-1",
        stage=stage,
        version="1",
        config=config or ({"rules": RULES} if "verdicts" in table else {}),
        inputs={},
        files=files,
        counts=counts or {},
        seconds=1.5,
    )
    manifest.write(folder, made)
