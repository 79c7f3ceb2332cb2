from __future__ import annotations

import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.pipeline import storage
from benben.pipeline.dataset import shipped_files
from benben.pipeline.schema import DATASET, IMAGE_BYTES
from benben.pipeline.takedown import rewrite_dataset
from tests.loading import made

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
WITH_PICTURES = pa.schema([("images", pa.list_(PICTURE)), ("texts", pa.list_(pa.string()))])


def write(path: Path, rows: pa.Table | pa.RecordBatch, group: int = 10_000) -> str:
    schema = shipped_files.with_features(rows.schema)
    options = shipped_files.options(rows.schema)
    with storage.ParquetWriter(str(path), schema, group, options) as writer:
        writer.write(rows)
    return str(path)


def group_bytes(path: str) -> list[bytes]:
    """The stored bytes of each row group, without what stands at the end of the file."""
    footer, data = pq.read_metadata(path), Path(path).read_bytes()
    found = []
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        columns = [group.column(column) for column in range(group.num_columns)]
        starts = [min(c.data_page_offset, c.dictionary_page_offset or 2**63) for c in columns]
        size = sum(column.total_compressed_size for column in columns)
        found.append(data[min(starts) : min(starts) + size])
    return found


@pytest.mark.parametrize("schema", [DATASET, IMAGE_BYTES, WITH_PICTURES])
def test_each_column_is_written_as_is_said(schema: pa.Schema, tmp_path: Path) -> None:
    path = write(tmp_path / "f.parquet", schema.empty_table())
    table = pa.Table.from_pylist([dict.fromkeys(schema.names)], schema)
    path = write(tmp_path / "f.parquet", table)
    group = pq.read_metadata(path).row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        image = column.path_in_schema.endswith("bytes")
        assert column.compression == ("UNCOMPRESSED" if image else "ZSTD")
        assert column.is_stats_set is not image
        assert column.has_offset_index
        repeated = column.path_in_schema in shipped_files.REPEATED
        assert ("RLE_DICTIONARY" in column.encodings) is repeated


def test_datasets_takes_the_types_from_the_file(tmp_path: Path) -> None:
    images = [None, {"bytes": made.jpeg(1), "path": "1.jpg"}, None]
    row = {"images": images, "texts": ["a", None, "b"]}
    path = write(tmp_path / "f.parquet", pa.Table.from_pylist([row], WITH_PICTURES))
    given = {"data_files": path, "split": "train", "cache_dir": str(tmp_path / "cache")}
    for streaming in (False, True):
        (found,) = datasets.load_dataset("parquet", **given, streaming=streaming)
        assert [image and image.size for image in found["images"]] == [None, (24, 16), None]
        assert found["texts"] == row["texts"]
    path = write(tmp_path / "d.parquet", pa.Table.from_pylist([made.row(1, [None])], DATASET))
    (found,) = datasets.load_dataset("parquet", data_files=path, split="train", streaming=True)
    assert found == made.row(1, [None])


def test_row_groups_of_images_end_by_bytes_and_lose_nothing() -> None:
    sizes = [10, 170_000, 220_000, 150_000, 1_200_000, 1, 1, 600_000, 3]
    rows = [{"sha256": str(n), "format": "x", "bytes": os.urandom(s)} for n, s in enumerate(sizes)]
    batches = [pa.RecordBatch.from_pylist(rows[i : i + 2], IMAGE_BYTES) for i in range(0, 9, 2)]
    groups = list(shipped_files.image_groups(batches))
    assert [row for group in groups for row in group.to_pylist()] == rows
    assert [group.num_rows for group in groups] == [4, 1, 3, 1]
    assert list(shipped_files.image_groups([])) == []


def test_what_is_rewritten_keeps_the_bytes_of_the_row_groups_that_lose_nothing(
    tmp_path: Path,
) -> None:
    table = pa.Table.from_pylist([made.row(number, [None]) for number in range(90)], DATASET)
    source = write(tmp_path / "old.parquet", table, 10)
    left = (
        rows.filter(pa.array(not 30 <= start * 10 + n < 42 for n in range(rows.num_rows)))
        for start, rows in enumerate(storage.iter_row_groups(source))
    )
    written = rewrite_dataset.write_file(source, str(tmp_path), "new.parquet", 0, left)
    assert written is not None
    assert written.rows == 78
    before, after = group_bytes(source), group_bytes(str(tmp_path / "new.parquet"))
    assert after[:3] == before[:3]
    assert after[4:] == before[5:]  # the fourth had no row left, the fifth is shorter
    assert len(after) == 8
    schema = pq.read_schema(tmp_path / "new.parquet")
    assert schema.metadata == pq.read_schema(source).metadata
