"""Main text of a run's pages by other extractors, read again from their archives."""

from __future__ import annotations

from pathlib import Path

import pytest

from benben.analysis.proof import other_text
from benben.analysis.provenance.archives import Archives
from tests.analysis.proof.run import STORY
from tests.pipeline.archive.archive_makers import members, warc_record


def test_trafilatura_reads_the_page_again(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura")
    pages = [
        f"<html><body><article><p>{STORY}</p><p>This was page {number}, and the owl was still in "
        "its barn when we left for the sea.</p></article></body></html>"
        for number in range(2)
    ]
    records = members([warc_record("https://a.org/", page.encode()) for page in pages])
    archive = tmp_path / "a.warc.gz"
    archive.write_bytes(b"".join(records))
    extract = other_text.trafilatura(Archives([str(archive)]))
    assert extract is not None
    row = {"warc": "a.warc.gz", "warc_offset": len(records[0]), "warc_length": len(records[1])}
    text = extract(row)
    assert text is not None
    assert STORY in text
    assert "This was page 1" in text
    assert extract(row | {"warc": "gone.warc.gz"}) is None


def test_an_extractor_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_text, "find_spec", lambda name: None)
    assert other_text.trafilatura(Archives()) is None
