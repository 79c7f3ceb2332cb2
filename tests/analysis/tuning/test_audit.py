"""A sample of what each rule dropped."""

from __future__ import annotations

from pathlib import Path

from benben.analysis.tables import RunTables
from benben.analysis.tuning.audit import audit
from tests.analysis import run_folder


def test_an_audit_samples_each_reason_with_its_payload(tmp_path: Path) -> None:
    run = run_folder.make(tmp_path)
    tables = RunTables(run)
    found = audit(tables, per_reason=2)
    assert found == audit(RunTables(run), per_reason=2)
    rows = found.to_pylist()
    reasons = [row["reason"] for row in rows]
    assert reasons == sorted(reasons)
    assert reasons.count("text_node.stopword_ratio.min") == 2
    node = next(row for row in rows if row["reason"] == "text_node.stopword_ratio.min")
    assert (node["index"], node["payload"]) == (1, run_folder.HOSTILE)
    document = next(row for row in rows if row["reason"] == "document.words.min")
    assert (document["index"], document["value"], document["bound"]) == (None, 2.0, 10.0)
