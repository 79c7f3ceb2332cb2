"""The funnel tells what ships and what no rule could judge."""

from pathlib import Path

from benben.analysis.report import funnel
from benben.pipeline import manifest
from benben.pipeline.manifest import Count, Manifest


def write(folder: Path, table: str, stage: str, kept: int, metrics: dict[str, float]) -> None:
    counts = {"documents": Count(entered=3, kept=kept, rejected={"x": 3 - kept})}
    record = Manifest(table=table, id="0", stage=stage, version="0", config={}, inputs={},
                      files=[], counts=counts, metrics=metrics, seconds=0)  # fmt: skip
    manifest.write(str(folder / table), record)


def test_what_ships_is_counted_and_what_was_not_judged_named(tmp_path: Path) -> None:
    write(tmp_path, "final_verdicts", "redecide", 2, {"unjudged.document.images.pending": 2.0})
    write(tmp_path, "dataset", "assemble", 2, {"redacted": 1.0})
    assert funnel.shipped_documents(funnel.read(str(tmp_path))) == 2
    assert funnel.unjudged(str(tmp_path)) == {"document.images.pending": 2}


def test_nothing_ships_without_a_dataset(tmp_path: Path) -> None:
    write(tmp_path, "final_verdicts", "redecide", 0, {})
    assert funnel.shipped_documents(funnel.read(str(tmp_path))) == 0
    assert funnel.unjudged(str(tmp_path)) == {}
