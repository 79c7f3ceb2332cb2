"""Costly pages of an archive are rejected with a reason each, the pages around them kept."""

from __future__ import annotations

from pathlib import Path

from benben.jobs import extract
from benben.pipeline import config, storage
from benben.pipeline.archive.inputs import Archive, deal
from tests.pipeline.archive.archive_makers import members, warc_record
from tests.pipeline.page.test_prescan import COSTLY

GOOD = b"<html><body><p>Some words of a page that is long enough to be kept.</p></body></html>"
FORMS = ("nested", "attributes", "formatting")


def test_costly_pages_cost_only_themselves(tmp_path: Path) -> None:
    pages = [GOOD]
    for name in FORMS:
        pages += [COSTLY[name][0].encode(), GOOD]
    path = tmp_path / "x.warc.gz"
    records = [warc_record(f"http://a.example/{n}", page) for n, page in enumerate(pages)]
    path.write_bytes(b"".join(members(records)))
    (splits,) = deal([Archive(str(path), path.stat().st_size)], 1)
    folders = f"{tmp_path}/documents", f"{tmp_path}/dead"
    settings = config.load("default", ["input=[x]"])
    found = []
    for _ in range(2):
        result = extract.extract_part(folders, settings, extract.Task(0, tuple(splits)))
        documents = result.counts["documents"]
        assert (documents.entered, documents.kept) == (7, 4)
        assert documents.rejected == {f"extract.{COSTLY[name][1]}": 1 for name in FORMS}
        found.append(storage.read_parquet(f"{tmp_path}/documents/part-00000.parquet").to_pylist())
    assert found[0] == found[1]
