"""Checks that every dataset must pass: the schema of OBELICS, and equal rows in all readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml
from pyspark.sql import Row, SparkSession

Rows = dict[str, dict[str, Any]]  # by key
KEYS = {"data": "doc_id", "images": "sha256", "self_contained": "doc_id"}
OBELICS = {  # column -> type in the released dataset
    "images": pa.list_(pa.string()),
    "texts": pa.list_(pa.string()),
    "metadata": pa.string(),
    "general_metadata": pa.string(),
}
GENERAL = {"url": str, "warc_filename": str, "warc_record_offset": int, "warc_record_length": int}
ALWAYS = {"document_url": str, "unformatted_src": str, "src": str}  # keys that each image has
OPTIONAL = dict.fromkeys(("formatted_filename", "alt_text", "caption", "format"), str) | (
    dict.fromkeys(("rendered_width", "rendered_height", "original_width", "original_height"), int)
)


def files(dataset: Path, config: str = "data") -> list[Path]:
    """The files of a config, sorted."""
    return sorted((dataset / config).glob("*.parquet"))


def check_obelics(dataset: Path) -> int:
    """Check the types of the columns and every row; returns the number of rows."""
    number = 0
    for path in files(dataset):
        schema = pq.read_schema(path)
        assert schema.names[:4] == list(OBELICS)
        assert {name: schema.field(name).type for name in OBELICS} == OBELICS
        for row in pq.read_table(path, partitioning=None).to_pylist():
            check_row(row)
            number += 1
    return number


def check_row(row: dict[str, Any]) -> None:
    """Check lengths, positions and JSON of one row."""
    entries, general = json.loads(row["metadata"]), json.loads(row["general_metadata"])
    assert {name: type(value) for name, value in general.items()} == GENERAL
    assert len(row["texts"]) == len(row["images"]) == len(entries) == len(row["image_sha256"]) > 0
    for text, image, entry, digest in zip(
        row["texts"], row["images"], entries, row["image_sha256"], strict=True
    ):
        assert (text is None) != (image is None)
        assert (entry is None) == (image is None)
        assert digest is None or image is not None
        assert text is None or text.strip()
        if image is not None:
            assert image.startswith(("http://", "https://"))
            types = {name: type(value) for name, value in entry.items()}
            assert types.items() >= ALWAYS.items()
            assert types.items() <= (ALWAYS | OPTIONAL).items()
            assert (entry["src"], entry["document_url"]) == (image, general["url"])
    assert row["num_images"] == sum(image is not None for image in row["images"])


def check_readers(dataset: Path, spark: SparkSession, cache: Path) -> dict[str, dict[str, int]]:
    """Check that all readers read the same rows; returns their number by config and split."""
    header = yaml.safe_load((dataset / "README.md").read_text("utf-8").split("---")[1])
    found: dict[str, dict[str, int]] = {}
    for config in header["configs"]:
        name, splits = config["config_name"], [entry["split"] for entry in config["data_files"]]
        expected = [row for path in files(dataset, name) for row in pq.read_table(path).to_pylist()]
        rows = _keyed(name, expected)
        assert len(rows) == len(expected)
        for reader in (_datasets, _streaming):
            parts = {split: reader(dataset, name, split, cache) for split in splits}
            assert [row for part in parts.values() for row in part] == _by_split(
                dataset, name, splits
            )
            found[name] = {split: len(part) for split, part in parts.items()}
        folder = str(dataset / name)
        assert _keyed(name, ds.dataset(folder).to_table().to_pylist()) == rows
        assert _keyed(name, _duckdb(f"{folder}/*.parquet")) == rows
        assert _keyed(name, _pandas(folder)) == rows
        assert _keyed(name, _spark(spark, folder)) == rows
    return found


def _keyed(config: str, rows: list[dict[str, Any]]) -> Rows:
    return {row[KEYS[config]]: row for row in rows}


def _by_split(dataset: Path, config: str, splits: list[str]) -> list[dict[str, Any]]:
    prefixes = ["images-"] if config == "images" else [f"{split}-" for split in splits]
    paths = [p for prefix in prefixes for p in files(dataset, config) if p.name.startswith(prefix)]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def _datasets(dataset: Path, config: str, split: str, cache: Path) -> list[dict[str, Any]]:
    loaded = datasets.load_dataset(str(dataset), config, split=split, cache_dir=str(cache))
    return list(_undecoded(loaded, config))


def _streaming(dataset: Path, config: str, split: str, cache: Path) -> list[dict[str, Any]]:
    loaded = datasets.load_dataset(str(dataset), config, split=split, streaming=True)
    return list(_undecoded(loaded, config))


def _undecoded(loaded: Any, config: str) -> Any:
    """Rows with the files of images; those of images are declared by the files themselves."""
    if config != "self_contained":
        return loaded
    assert loaded.features["images"] == datasets.List(datasets.Image())
    return loaded.cast_column("images", datasets.List(datasets.Image(decode=False)))


def _duckdb(pattern: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        return connection.read_parquet(pattern).to_arrow_table().to_pylist()


def _pandas(folder: str) -> list[dict[str, Any]]:
    frame = pd.read_parquet(folder, dtype_backend="pyarrow")
    return [dict(_plain(row)) for row in frame.to_dict("records")]


def _plain(row: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield str(name), plain(value)


def plain(value: Any) -> Any:
    """A value of pandas or Spark as Python's own."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, Row):
        value = value.asDict()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, bytearray):
        return bytes(value)
    return None if value is pd.NA else value


def _spark(spark: SparkSession, folder: str) -> list[dict[str, Any]]:
    return [plain(row) for row in spark.read.parquet(folder).collect()]
