"""The end of a run is told in about ten lines."""

from __future__ import annotations

from pathlib import Path

from benben.analysis.report import summary
from benben.pipeline import manifest
from benben.pipeline.manifest import Count, Manifest


def write(folder: Path, table: str, stage: str, metrics: dict[str, float], **counts: Count) -> None:
    record = Manifest(
        table=table, id="0" * 16, stage=stage, version="0", config={}, inputs={}, files=[],
        counts=counts, metrics=metrics, seconds=1,
    )  # fmt: skip
    manifest.write(str(folder / table), record)


def test_ten_lines_tell_what_ships_and_why_the_rest_does_not(tmp_path: Path) -> None:
    found = Count(entered=50, kept=50)
    pages = Count(entered=1000, kept=990, rejected={"extract.no-nodes": 7, "archive.gzip": 3})
    write(tmp_path, "documents", "extract", {}, documents=pages, images=found)
    judged = Count(entered=990, kept=500, rejected={"document.words": 400, "document.images": 90})
    write(tmp_path, "verdicts", "decide", {}, documents=judged)
    write(tmp_path, "images", "fetch", {}, images=Count(entered=40, kept=30, rejected={"x": 10}))
    pending = {"unjudged.image_node.width.pending": 2.0, "unjudged.image_node.nsfw.pending": 3.0}
    write(tmp_path, "final_verdicts", "redecide", pending)
    both = Count(entered=500, kept=500)
    ships = {"documents": both, "images": Count(entered=20, kept=20)}
    write(tmp_path, "dataset", "assemble", {"tokens": 12345.0}, **ships)
    shown = summary.lines(str(tmp_path), 10.0)
    assert len(shown) <= 10
    assert shown[:6] == [
        "pages      1,000 read, 500 shipped (50.0%)",
        "images     50 found, 30 fetched, 20 shipped",
        "tokens     12,345 (estimated)",
        "reasons    document.words 400, document.images 90, extract.no-nodes 7, archive.gzip 3",
        "warnings   images were not fetched, so 2 rules could not judge up to 3 documents "
        "that ship; 3 stretches of archives could not be read",
        "time       10.0 s, 100 pages/s",
    ]
    assert f"{tmp_path}/dataset" in shown[6]
    text = "\n".join(summary.details(str(tmp_path)))
    assert "document.words" in text
    assert "not judged: image_node.width.pending of 2 documents that ship" in text


def test_a_folder_without_tables_has_a_summary_too(tmp_path: Path) -> None:
    assert summary.lines(str(tmp_path), 0.1)[0] == "pages      0 read, 0 shipped"
