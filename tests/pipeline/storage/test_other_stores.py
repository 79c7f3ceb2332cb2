"""Stores of other kinds than ours: any filesystem of fsspec, the Hugging Face hub, HDFS."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.memory import MemoryFileSystem

from benben.pipeline import storage
from benben.pipeline.archive import inputs
from benben.pipeline.archive.warc import read_captures
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import ArchiveSettings
from benben.trainer.data.corpus import expand, open_parquet
from tests.pipeline.archive.archive_makers import members, pages

FAST = ArchiveSettings(requests_per_second=5_000, backoff_seconds=0, chunk_bytes=1500)
SCHEMA = pa.schema([("n", pa.int64())])


class Shelf(MemoryFileSystem):  # type: ignore[misc]
    """A filesystem with a scheme nobody else has."""

    protocol = "shelf"
    store: dict[str, Any] = {}
    pseudo_dirs = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("shelf://")))


@pytest.fixture
def shelf() -> str:
    Shelf.store.clear()
    fsspec.register_implementation("shelf", Shelf, clobber=True)
    return "shelf://crawl"


@pytest.fixture
def hdfs(tmp_path: Path) -> str:
    """pyarrow's local filesystem in the place of pyarrow's HDFS client."""

    class Hdfs(ArrowFSWrapper):  # type: ignore[misc]
        protocol = "hdfs"

        def __init__(self, **_: Any) -> None:
            super().__init__(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))

    (tmp_path / "run").mkdir()
    fsspec.register_implementation("hdfs", Hdfs, clobber=True)
    Hdfs.clear_instance_cache()
    return "hdfs://namenode:8020/run"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members(pages(8, 2000))))
    return path


def write(url: str, count: int) -> None:
    with storage.ParquetWriter(url, SCHEMA) as writer:
        writer.write(pa.table({"n": range(count)}, schema=SCHEMA))


def test_archives_of_any_scheme_are_inputs(shelf: str, archive: Path) -> None:
    storage.write_bytes(f"{shelf}/warc/a.warc.gz", archive.read_bytes())
    storage.write_bytes(f"{shelf}/warc.paths.gz", gzip.compress(b"warc/a.warc.gz\n"))
    for given in (f"{shelf}/warc", f"{shelf}/warc/a.warc.gz", f"{shelf}/warc.paths.gz"):
        (found,) = inputs.find([given], FAST)
        assert found == inputs.Archive(f"{shelf}/warc/a.warc.gz", archive.stat().st_size)
        assert list(read_captures(found.url, access=FAST)) == list(read_captures(str(archive)))
    with pytest.raises(InputError, match="no such file or folder"):
        inputs.find([f"{shelf}/none"], FAST)
    with pytest.raises(InputError, match="no store with the scheme nobodys"):
        inputs.find(["nobodys://crawl"], FAST)


@pytest.mark.parametrize("store", ["shelf", "hdfs"])
def test_tables_files_and_folders(store: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(store)
    write(f"{url}/t/part.parquet", 5)
    storage.write_bytes(f"{url}/t/x/f.gz", b"hello")
    assert storage.list_files(url) == [f"{url}/t/part.parquet", f"{url}/t/x/f.gz"]
    assert storage.list_files(f"{url}/t", recursive=False) == [f"{url}/t/part.parquet"]
    assert storage.list_folders(f"{url}/t") == [f"{url}/t/x"]
    assert storage.list_files(f"{url}/none") == []
    assert storage.read_parquet(f"{url}/t/part.parquet").num_rows == 5
    filesystem, path = storage.arrow_filesystem(f"{url}/t/part.parquet")
    assert ds.dataset([path], format="parquet", filesystem=filesystem).count_rows() == 5
    with storage.open_input(f"{url}/t/x/f.gz") as stream:
        assert stream.read_at(3, 1) == b"ell"
    assert (storage.size(f"{url}/t/x/f.gz"), storage.is_folder(f"{url}/t")) == (5, True)
    storage.delete_file(f"{url}/t/x/f.gz")
    storage.delete_folder(f"{url}/t")
    assert not storage.exists(f"{url}/t/part.parquet")


@pytest.mark.parametrize("store", ["shelf", "hdfs"])
def test_a_file_is_written_under_another_name_until_it_is_whole(
    store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue(store)
    storage.write_bytes(f"{url}/f", b"old")
    moved: list[str] = []
    filesystem = type(storage.stores.resolve(url)[0])
    move = filesystem.mv

    def stopped(self: Any, source: str, target: str, **_: Any) -> None:
        moved.append(source)
        raise KeyboardInterrupt

    monkeypatch.setattr(filesystem, "mv", stopped)
    with pytest.raises(KeyboardInterrupt):
        storage.write_bytes(f"{url}/f", b"new")
    assert moved[0].endswith(storage.UNFINISHED)
    assert storage.read_bytes(f"{url}/f") == b"old"
    monkeypatch.setattr(filesystem, "mv", move)
    storage.write_bytes(f"{url}/f", b"new")
    assert storage.read_bytes(f"{url}/f") == b"new"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as reading a public data set needs."""

    files: dict[str, bytes] = {}
    protocol_version = "HTTP/1.1"

    def entry(self, path: str) -> dict[str, Any]:
        if path in self.files:
            return {"type": "file", "path": path, "size": len(self.files[path]), "oid": path}
        return {"type": "directory", "path": path, "size": 0, "oid": path}

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if "/resolve/" in path:
            self.send_file(self.files[path.split("/resolve/main/")[1]])
        elif "/tree/main" in path:
            folder = path.split("/tree/main")[1].strip("/")
            depth = folder.count("/") + 2 if folder else 1
            names = [name for name in self.files if name.startswith(folder)]
            children = {"/".join(name.split("/")[:depth]) for name in names}
            self.answer([self.entry(name) for name in sorted(children)])
        else:
            self.answer({"id": "me/crawl", "sha": "1" * 40, "siblings": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wanted = [path.strip("/") for path in body["paths"]]
        there = [p for p in wanted if any(f"{n}/".startswith(f"{p}/") for n in self.files)]
        self.answer([self.entry(path) for path in there])

    def send_file(self, data: bytes) -> None:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        self.send(206, data[int(first) : int(last) + 1])

    def answer(self, value: Any) -> None:
        self.send(200, json.dumps(value).encode())

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    constants = pytest.importorskip("huggingface_hub.constants")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    fsspec.get_filesystem_class("hf").clear_instance_cache()
    yield "hf://datasets/me/crawl"
    running.shutdown()
    running.server_close()


def test_archives_and_tables_of_the_hub_are_inputs(hub: str, archive: Path, tmp_path: Path) -> None:
    write(f"{tmp_path}/part.parquet", 7)
    Hub.files = {
        "warc/a.warc.gz": archive.read_bytes(),
        "data/part.parquet": (tmp_path / "part.parquet").read_bytes(),
    }
    (found,) = inputs.find([f"{hub}/warc"], FAST)
    assert found == inputs.Archive(f"{hub}/warc/a.warc.gz", archive.stat().st_size)
    assert list(read_captures(found.url, access=FAST)) == list(read_captures(str(archive)))
    assert storage.read_parquet(f"{hub}/data/part.parquet").num_rows == 7
    (parquet,) = expand(f"{hub}/data")
    assert open_parquet(parquet).read().num_rows == 7
