"""Parquet files of image bytes have bounded sizes and distinct numbers."""

from __future__ import annotations

from pathlib import Path

from benben.pipeline import storage
from benben.pipeline.images.store.stored import to_batch, write_shards


def test_shards_end_at_their_limit_and_hold_everything(tmp_path: Path) -> None:
    pictures = [(f"{n:064x}", "png", bytes([n]) * 1000) for n in range(25)]
    files = write_shards([to_batch(pictures)], str(tmp_path), 2, 5, 4000)
    assert [file.part for file in files] == [2, 7, 12, 17, 22, 27, 32]
    assert [file.rows for file in files] == [4, 4, 4, 4, 4, 4, 1]
    rows = [
        row for file in files for row in storage.read_parquet(f"{tmp_path}/{file.name}").to_pylist()
    ]
    assert [(row["sha256"], row["format"], row["bytes"]) for row in rows] == pictures


def test_without_images_no_file_is_written(tmp_path: Path) -> None:
    assert write_shards([], str(tmp_path), 0, 1, 100) == []
