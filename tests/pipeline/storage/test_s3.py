import functools
import gzip
import subprocess
import sys
from collections.abc import Iterator

import boto3
import duckdb
import fsspec
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from benben.pipeline import config, manifest, storage
from benben.pipeline.manifest import Manifest, PartFile
from benben.pipeline.storage import files, stores
from benben.trainer.data import corpus
from tests.pipeline.storage.stores import BUCKET, Failing, s3

SCHEMA = pa.schema([("n", pa.int64())])
BIG = 12 << 20  # bytes: more than one part of an upload


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    with s3(monkeypatch) as app:
        yield app


def keys() -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ())
    return [entry["Key"] for entry in found]


def numbers(count: int) -> pa.Table:
    return pa.table({"n": range(count)}, schema=SCHEMA)


def write(url: str, count: int) -> None:
    with storage.ParquetWriter(url, SCHEMA) as writer:
        writer.write(numbers(count))


def test_tables_files_and_ranges_by_url(store: Failing) -> None:
    write(f"s3://{BUCKET}/t/part.parquet", 5)
    assert storage.read_parquet(f"s3a://{BUCKET}/t/part.parquet").equals(numbers(5))
    storage.write_bytes(f"s3://{BUCKET}/t/x/big", bytes(BIG))
    assert storage.size(f"s3://{BUCKET}/t/x/big") == BIG
    assert storage.list_files(f"s3://{BUCKET}/t") == [
        f"s3://{BUCKET}/t/part.parquet",
        f"s3://{BUCKET}/t/x/big",
    ]
    with storage.open_input(f"s3://{BUCKET}/t/x/big") as stream:
        assert stream.read_at(3, BIG - 1) == b"\0"
    storage.delete_folder(f"s3://{BUCKET}/t")
    assert storage.list_files(f"s3://{BUCKET}/t") == []


def test_an_error_while_writing_publishes_nothing(store: Failing) -> None:
    def fail(rows: int) -> None:
        with storage.ParquetWriter(f"s3://{BUCKET}/p", SCHEMA) as writer:
            writer.write(numbers(rows))
            raise RuntimeError("in the middle")

    for rows in (1, 2_000_000):
        with pytest.raises(RuntimeError, match="in the middle"):
            fail(rows)
    assert keys() == []


def test_a_failed_rewrite_leaves_the_old_file(store: Failing) -> None:
    storage.write_bytes(f"s3://{BUCKET}/f", b"old")

    def fail() -> None:
        with storage.new_file(f"s3://{BUCKET}/f") as stream:
            stream.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert storage.read_bytes(f"s3://{BUCKET}/f") == b"old"


def test_a_store_that_fails_one_request_in_ten(store: Failing) -> None:
    store.share = 0.1
    for part in range(12):
        write(f"s3://{BUCKET}/t/part-{part}", part + 1)
    found = [storage.read_parquet(url).num_rows for url in storage.list_files(f"s3://{BUCKET}/t")]
    store.share = 0.0
    assert store.failed > 2, "the store did fail"
    assert sorted(found) == list(range(1, 13))


def test_one_process_is_refused_hundreds_of_times(store: Failing) -> None:
    store.share = 0.3
    while store.failed < 200:
        storage.write_bytes(f"s3://{BUCKET}/often.txt", b"text")
        assert storage.read_bytes(f"s3://{BUCKET}/often.txt") == b"text"
    store.share = 0.0


def test_small_ranges_of_a_store_that_fails(store: Failing) -> None:
    text = bytes(range(256))
    storage.write_bytes(f"s3://{BUCKET}/f", text)
    store.share = 0.3
    with storage.open_input(f"s3://{BUCKET}/f") as stream:
        assert [stream.read_at(3, place) for place in range(60)] == [
            text[place : place + 3] for place in range(60)
        ]
    assert {storage.size(f"s3://{BUCKET}/f") for _ in range(60)} == {len(text)}
    store.share = 0.0
    assert store.failed > 5, "the store did fail"


def test_of_two_that_create_an_object_one_succeeds(store: Failing) -> None:
    assert storage.create(f"s3://{BUCKET}/once", b"first")
    assert not storage.create(f"s3://{BUCKET}/once", b"second")
    assert storage.read_bytes(f"s3://{BUCKET}/once") == b"first"


def test_folder_markers_are_no_files(store: Failing) -> None:
    client = boto3.client("s3")
    for key in ("t/", "t/x/", "t/x/f"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"" if key.endswith("/") else b"12")
    assert storage.list_files(f"s3://{BUCKET}/t") == [f"s3://{BUCKET}/t/x/f"]
    assert storage.list_folders(f"s3://{BUCKET}/t") == [f"s3://{BUCKET}/t/x"]
    assert storage.is_folder(f"s3://{BUCKET}/t")
    assert storage.is_folder(f"s3://{BUCKET}")
    assert not storage.exists(f"s3://{BUCKET}/t/y")


@pytest.mark.parametrize("name", ["a b+c", "crawl=x%20y/#1?z", "ü~*[1]"])
def test_any_name_is_kept(store: Failing, name: str) -> None:
    storage.write_bytes(f"s3://{BUCKET}/t/{name}", b"text")
    assert keys() == [f"t/{name}"]
    assert storage.list_files(f"s3://{BUCKET}") == [f"s3://{BUCKET}/t/{name}"]
    assert storage.read_bytes(f"s3://{BUCKET}/t/{name}") == b"text"
    storage.delete_file(f"s3://{BUCKET}/t/{name}")
    assert keys() == []


def test_a_refusal_without_a_body_is_tried_again(store: Failing) -> None:
    storage.write_bytes(f"s3://{BUCKET}/f", b"text")
    store.share = 0.5
    assert {storage.size(f"s3://{BUCKET}/f") for _ in range(10)} == {4}  # HEAD
    store.share = 0.0
    assert store.failed, "the store did fail"


def test_a_refused_listing_is_no_empty_folder(
    store: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = functools.partial(stores.s3_options, attempts=2)
    monkeypatch.setattr(stores, "s3_options", impatient)
    store.share = 1.0
    try:
        for work in (storage.list_files, storage.exists, storage.is_folder):
            with pytest.raises(OSError, match="503"):
                work(f"s3://{BUCKET}/t")
    finally:
        store.share = 0.0


def test_duckdb_scans_a_table_of_a_store_that_fails(store: Failing) -> None:
    for part in range(4):
        write(f"s3://{BUCKET}/t/part-{part}", 1000)
    filesystem, _ = storage.arrow_filesystem(f"s3://{BUCKET}/t")
    paths = [storage.arrow_filesystem(url)[1] for url in storage.list_files(f"s3://{BUCKET}/t")]
    store.share = 0.2
    scan = ds.dataset(paths, format="parquet", filesystem=filesystem)
    connection = duckdb.connect()
    connection.register("t", scan)
    assert connection.execute("SELECT sum(n) FROM t").fetchall() == [(4 * 499_500,)]
    store.share = 0.0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_upload_that_stops_in_the_middle_publishes_nothing(
    store: Failing, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    class Stopping:
        def __init__(self) -> None:
            self.reads = 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            if self.reads > 3:
                raise error
            return bytes(files.UPLOAD_BYTES)

        def seek(self, offset: int, whence: int = 0) -> int:
            return 5 * files.UPLOAD_BYTES if whence == 2 else 0

        def tell(self) -> int:
            return 0

    filesystem, path = stores.resolve(f"s3://{BUCKET}/t/part")
    source = Stopping()
    with pytest.raises(BaseException):  # noqa: B017, PT011 - obstore may wrap it
        files._upload(source, filesystem, path)  # type: ignore[arg-type]
    assert source.reads > 3
    assert keys() == []


def test_a_compressed_file_is_not_compressed_again(store: Failing) -> None:
    data = gzip.compress(b"once")
    storage.write_bytes(f"s3://{BUCKET}/f.gz", data)
    stream = storage.open_output(f"s3://{BUCKET}/g.gz")
    stream.write(data)
    stream.close()
    assert storage.read_bytes(f"s3://{BUCKET}/f.gz") == data
    assert storage.read_bytes(f"s3://{BUCKET}/g.gz") == data


def test_a_kill_between_data_and_manifest_leaves_no_table(store: Failing) -> None:
    code = (
        "import os, signal, pyarrow as pa\n"
        "from benben.pipeline import storage\n"
        "table = pa.table({'n': [1]})\n"
        f"with storage.ParquetWriter('s3://{BUCKET}/t/1/part', table.schema) as w:\n"
        "    w.write(table)\n"
        f"stream = storage.open_output('s3://{BUCKET}/t/1/half')\n"
        f"stream.write(bytes({BIG}))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == -9
    assert keys() == ["t/1/part"], "a half upload is not there at all"
    assert manifest.read(f"s3://{BUCKET}/t") is None


def test_the_trainer_reads_the_same_bucket(store: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    write(f"s3://{BUCKET}/data/part.parquet", 5)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for path in (f"s3://{BUCKET}/data", f"s3://{BUCKET}/data/*.parquet"):
        (found,) = corpus.expand(path)
        assert corpus.open_parquet(found).read().equals(numbers(5))


def test_manifests_and_configs_by_url(store: Failing) -> None:
    part = PartFile(part=0, name="1/part", rows=1, bytes=1)
    written = Manifest(
        table="t", id="1", stage="s", version="v", config={}, inputs={}, files=[part]
    )
    manifest.write(f"s3://{BUCKET}/t", written)
    assert manifest.read(f"s3://{BUCKET}/t") == written
    storage.write_bytes(
        f"s3://{BUCKET}/mine.yaml",
        b"base: default\ninput: [s3://crawl/warc/]\noutput: s3://o/run\n",
    )
    assert config.load(f"s3://{BUCKET}/mine.yaml").output == "s3://o/run"
    with pytest.raises(config.ConfigError, match="no such config"):
        config.load(f"s3://{BUCKET}/other.yaml")
