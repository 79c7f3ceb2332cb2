"""Asking again: what is refused now becomes a list of tombstones, and no image is requested."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.analysis.tables import RunTables
from benben.jobs.commands import cli, consent
from benben.pipeline import manifest
from benben.pipeline.consent.receipts import image_row, page_row
from benben.pipeline.errors import InputError
from benben.pipeline.manifest import Manifest, PartFile
from benben.pipeline.schema import CONSENT, DOCUMENTS, IMAGES
from benben.pipeline.takedown import tombstones
from tests.web import Web, serving, settings


def write(out: Path, name: str, table: pa.Table, config: dict[str, object]) -> None:
    """A table of a run, with its manifest."""
    (out / name).mkdir()
    pq.write_table(table, out / name / "part-00000.parquet")
    file = PartFile(part=0, name="part-00000.parquet", rows=table.num_rows, bytes=0)
    record = Manifest(table=name, id="0" * 16, stage=name, version="0", config=config, inputs={},
                      files=[file])  # fmt: skip
    manifest.write(str(out / name), record)


def run_with_receipts(out: Path, web: Web, names: list[str]) -> RunTables:
    chosen = settings(allow=(f"127.0.0.1:{web.port}",))
    images = [{"url": web.url(f"/{name}"), "reason": None} for name in names]
    rows = [image_row(image, [str(image["url"])], [], "") for image in images]
    page = {"doc_id": "a" * 32, "url": web.url("/page"), "captured_at": None, "status": 200}
    rows.append(page_row({**page, "opt_outs": []}, []))
    write(out, "documents", pa.Table.from_pylist([page], DOCUMENTS), {})
    write(out, "images", pa.Table.from_pylist(images, IMAGES), {})
    table = pa.Table.from_pylist(rows, CONSENT)
    write(out, "consent", table, {"fetch": chosen.model_dump(mode="json")})
    return RunTables(str(out))


def test_what_is_refused_now_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    robots = b"User-agent: *\nDisallow: /private\nDisallow: /page\n"
    with serving({"/robots.txt": robots}) as web:
        tables = run_with_receipts(tmp_path, web, ["open", "private"])
        found = consent.recheck(tables, pages=True)
        assert (found.asked, sum(found.reasons.values())) == (3, 2)
        assert {one.kind for one in found.refused} == {"url", "document"}
        assert consent.recheck(tables, sample=1).asked == 1
        assert cli.main(["consent", "recheck", str(tmp_path)]) == 0
        assert web.paths() == []
        listed = web.url("/private")
    assert "2 asked for, 1 refused now" in capsys.readouterr().out
    (path,) = (tmp_path / "recheck").glob("*.jsonl")
    assert [one.value for one in tombstones.read([str(path)])] == [listed]


def test_a_site_without_an_answer_takes_nothing_down(tmp_path: Path) -> None:
    with serving({"/robots.txt": 503}) as web:
        tables = run_with_receipts(tmp_path, web, ["open"])
        found = consent.recheck(tables)
    assert (found.refused, dict(found.unclear)) == ([], {"consent.robots_unreachable": 1})


def test_receipts_of_a_run_are_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({}) as web:
        run_with_receipts(tmp_path, web, ["open", "other"])
    assert cli.main(["verify", str(tmp_path), "--consent"]) == 0
    assert "3 of 3 receipts are right" in capsys.readouterr().out
    path = tmp_path / "images" / "part-00000.parquet"
    images = pq.read_table(path)
    reasons = pa.array(["consent.robots", None], pa.string())
    pq.write_table(images.set_column(3, images.schema.field("reason"), reasons), path)
    assert cli.main(["verify", str(tmp_path), "--consent"]) == 1
    assert "no receipt says that its verdict is consent.robots" in capsys.readouterr().out


def test_a_run_without_receipts_says_so(tmp_path: Path) -> None:
    write(tmp_path, "documents", DOCUMENTS.empty_table(), {})
    with pytest.raises(InputError, match="no receipts"):
        consent.recheck(RunTables(str(tmp_path)))
