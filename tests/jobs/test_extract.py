import os
import signal
from pathlib import Path

import pytest

from benben.jobs import extract
from benben.jobs.engine import isolation
from benben.pipeline import config, storage
from benben.pipeline.archive.inputs import Archive, deal
from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document
from benben.pipeline.settings.extract import ExtractSettings
from tests.pipeline.archive.archive_makers import members, warc_record

PAGE = b"<html><body><p>Some words of a page that is long enough to be kept.</p></body></html>"
NAMES = ["a", "kills", "b", "raises", "c"]


def test_a_capture_that_ends_its_process_is_a_dead_letter_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.warc.gz"
    records = [warc_record(f"http://host.example/{name}", PAGE) for name in NAMES]
    path.write_bytes(b"".join(members(records)))
    healthy = extract.to_document

    def to_document(capture: Capture, settings: ExtractSettings) -> Document:
        if capture.url.endswith("kills"):
            os.kill(os.getpid(), signal.SIGKILL)
        if capture.url.endswith("raises"):
            raise RuntimeError("odd page")
        return healthy(capture, settings)

    monkeypatch.setattr(extract, "to_document", to_document)
    monkeypatch.setattr(isolation, "is_retry", lambda: True)
    (splits,) = deal([Archive(str(path), path.stat().st_size)], 1)
    folders = f"{tmp_path}/documents", f"{tmp_path}/dead"
    settings = config.load("default", ["input=[x]"])
    task = extract.Task(0, tuple(splits))
    result = extract.extract_part(folders, settings, task)
    documents = result.counts["documents"]
    assert (documents.entered, documents.kept) == (5, 3)
    assert documents.rejected == {"extract.crashed": 1, "extract.failed": 1}
    rows = storage.read_parquet(f"{tmp_path}/documents/part-00000.parquet").to_pylist()
    assert [row["url"][20:] for row in rows] == NAMES
    dead = storage.read_parquet(f"{tmp_path}/dead/part-00000.parquet").to_pylist()
    assert [(row["url"][20:], row["cause"], row["attempts"]) for row in dead] == [
        ("kills", "crashed", 3),
        ("raises", "failed", 3),
    ]
    assert dead[0]["detail"] == "exit code -9"
    assert dead[1]["detail"] == "RuntimeError: odd page"
    assert dead[0]["warc_offset"] == rows[1]["warc_offset"]
