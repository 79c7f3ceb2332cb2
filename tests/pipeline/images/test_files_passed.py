"""An image URL passes few files of its two rooms on its way to stored bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benben.pipeline import storage
from benben.pipeline.images.fetch.existing_copies import ArchiveLookup
from benben.pipeline.images.fetch.fetcher import fetch_part
from benben.pipeline.images.fetch.plan import (
    WANTED,
    Rounds,
    WantedFile,
    WantedImage,
    mentions,
    stored_places,
)
from benben.pipeline.images.store import stored
from benben.pipeline.schema import DOCUMENTS, IMAGE_PLACES, VERDICTS
from benben.pipeline.settings.fetch import FetchSettings
from tests.passed_files import passed
from tests.pipeline.images.stores import store
from tests.web import picture, serving, settings


def test_an_image_url_passes_few_files_to_its_stored_bytes(tmp_path: Path) -> None:
    with serving({"/robots.txt": b"User-agent: *\nDisallow: /x\n", "*": picture()}) as web:
        url = web.url("/a.png")
        chosen = settings(allow=(f"127.0.0.1:{web.port}",))
        files = passed(lambda: fetch_one(tmp_path, url, chosen))
    mine = [file for file in files if file.startswith(("pipeline/images", "pipeline/consent"))]
    assert "pipeline/images/store/tar_shards.py" in mine
    assert len(mine) <= 15, mine


def fetch_one(folder: Path, url: str, chosen: FetchSettings) -> None:
    """Bring one URL from a page to a row of `image_bytes` in both forms."""
    node = {"kind": "image", "index": 0, "url": url}
    page = {"doc_id": "a", "opt_outs": ["robots-meta:noarchive"], "nodes": [node]}
    verdict = {"doc_id": "a", "kept": True, "dropped": []}
    paths = {name: str(folder / f"{name}.parquet") for name in ("documents", "verdicts")}
    pq.write_table(pa.Table.from_pylist([page], DOCUMENTS), paths["documents"])
    pq.write_table(pa.Table.from_pylist([verdict], VERDICTS), paths["verdicts"])
    (row,) = (row for batch in mentions(paths, chosen) for row in batch.to_pylist())
    wanted = pa.Table.from_pylist([WantedImage.of(row["url"])._asdict()], WANTED)
    pq.write_table(wanted, folder / "wanted.parquet")
    rounds = Rounds(str(folder), store(folder), 1, [{0: str(folder / "wanted.parquet")}])
    slots = rounds.slots(0)
    file = WantedFile(rounds.files[0][0])
    fetch_part(file, rounds.folders, slots, chosen, ArchiveLookup({}))
    assert rounds.outcomes(0).images()["reason"].to_pylist() == [None]
    with storage.ParquetWriter(str(folder / "places.parquet"), IMAGE_PLACES) as writer:
        for batch in stored_places(rounds.folders, slots):
            writer.write(batch)
    rows = stored.read(str(folder / "places.parquet"), rounds.folders.shards)
    stored.write_shards(rows, str(folder / "bytes"), 0, 1, chosen.shard_bytes)
