from pathlib import Path

import pyarrow as pa
import pytest

from benben.pipeline import storage

SCHEMA = pa.schema([("n", pa.int64())])


def table(count: int) -> pa.Table:
    return pa.table({"n": list(range(count))}, schema=SCHEMA)


def test_parquet_appears_whole_and_reads_back(tmp_path: Path) -> None:
    path = f"{tmp_path}/deep/part.parquet"
    with storage.ParquetWriter(path, SCHEMA) as writer:
        writer.write(table(5))
        assert not storage.exists(path)
    assert (writer.rows, writer.bytes) == (5, storage.size(path))
    assert storage.read_parquet(path).equals(table(5))
    assert sum(batch.num_rows for batch in storage.iter_parquet(path, batch_rows=2)) == 5


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with storage.ParquetWriter(f"{tmp_path}/p", SCHEMA) as writer:
            writer.write(table(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert storage.list_files(str(tmp_path)) == []


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_file_is_created_once(tmp_path: Path, scheme: str) -> None:
    path = f"{scheme}{tmp_path}/deep/one"
    assert storage.create(path, b"first")
    assert not storage.create(path, b"second")
    assert storage.read_bytes(path) == b"first"


def test_lists_are_sorted_and_in_the_callers_form(tmp_path: Path) -> None:
    for name in ("b/2", "a", "b/1"):
        storage.write_bytes(f"{tmp_path}/{name}", b"x")
    assert storage.list_files(str(tmp_path)) == [f"{tmp_path}/{n}" for n in ("a", "b/1", "b/2")]
    assert storage.list_files(f"file://{tmp_path}")[0] == f"file://{tmp_path}/a"
    assert storage.list_files(f"{tmp_path}/none") == []


def test_folders_and_absence_are_told(tmp_path: Path) -> None:
    storage.write_bytes(f"{tmp_path}/x/y", b"z")
    assert storage.is_folder(f"{tmp_path}/x")
    assert not storage.is_folder(f"{tmp_path}/x/y")
    with pytest.raises(FileNotFoundError):
        storage.size(f"{tmp_path}/q")
    storage.delete_folder(f"{tmp_path}/x")
    storage.delete_folder(f"{tmp_path}/x")
    assert not storage.exists(f"{tmp_path}/x/y")


def test_links_are_followed(tmp_path: Path) -> None:
    storage.write_bytes(f"{tmp_path}/disk/folder/one", b"1")
    storage.write_bytes(f"{tmp_path}/disk/two", b"22")
    (tmp_path / "input").mkdir()
    (tmp_path / "input/folder").symlink_to(tmp_path / "disk/folder")
    (tmp_path / "input/two").symlink_to(tmp_path / "disk/two")
    (tmp_path / "input/broken").symlink_to(tmp_path / "nowhere")
    names = ("folder/one", "two")
    assert storage.list_files(f"{tmp_path}/input") == [f"{tmp_path}/input/{n}" for n in names]
    assert storage.size(f"{tmp_path}/input/two") == 2
    assert storage.list_folders(f"{tmp_path}/input") == [f"{tmp_path}/input/folder"]
    assert not storage.exists(f"{tmp_path}/input/broken")
