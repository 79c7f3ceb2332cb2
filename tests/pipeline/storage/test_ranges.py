from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from benben.pipeline.archive.warc import Capture, read_capture_at, read_captures
from benben.pipeline.settings.archives import ArchiveSettings, S3Settings
from benben.pipeline.storage import ranges
from benben.pipeline.storage.ranges import HttpRanges, RemoteFile, open_source
from benben.pipeline.storage.throttle import Throttle
from tests.pipeline.archive.archive_makers import members, pages
from tests.shared import DATA, needs_shared

FAST = ArchiveSettings(
    requests_per_second=5_000, backoff_seconds=0, attempts=30, timeout_seconds=20, chunk_bytes=1500
)
Trouble = Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    """Serves `files` by ranges; `trouble` may answer in its place."""

    files: dict[str, bytes] = {}
    trouble: Trouble
    asked: list[str] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        Handler.asked.append(self.headers["Range"])
        data = self.files.get(self.path)
        if data is None:
            self.answer(404, b"")
        elif not Handler.trouble(self):
            first, last = self.wanted()
            part = data[first : last + 1]
            if not part:
                self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
                return
            total = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
            self.answer(206, part, {"Content-Range": total, "ETag": '"1"'})

    def wanted(self) -> tuple[int, int]:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        return int(first), int(last)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has its own pace, and no test is slowed down by another."""
    monkeypatch.setattr(
        ranges, "Throttle", lambda key, rate: Throttle(key, rate, tmp_path, sleep=lambda _: None)
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    Handler.files, Handler.asked, Handler.trouble = {}, [], lambda _: False
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


@pytest.fixture
def archive(tmp_path: Path, server: str) -> Path:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members(pages(12, 2000))))
    Handler.files["/crawl/a.warc.gz"] = path.read_bytes()
    return path


def unwell(share: float) -> Trouble:
    dice = random.Random(4)

    def trouble(handler: Handler) -> bool:
        if dice.random() >= share:
            return False
        kind = dice.choice(["503", "429", "500", "short", "nothing"])
        if kind == "short":
            first, last = handler.wanted()
            size = len(Handler.files[handler.path])
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            handler.send_header("Content-Length", str(last - first + 1))
            handler.end_headers()
            handler.wfile.write(Handler.files[handler.path][first : (first + last) // 2])
            handler.close_connection = True
        elif kind == "nothing":
            handler.close_connection = True
        else:
            handler.answer(int(kind), b"<Error><Code>SlowDown</Code></Error>", {"Retry-After": "0"})
        return True

    return trouble


def test_ranges_over_http_give_the_same_captures(server: str, archive: Path) -> None:
    url = f"{server}/crawl/a.warc.gz"
    assert list(read_captures(url, access=FAST)) == list(read_captures(str(archive)))
    assert all(ranges.startswith("bytes=") for ranges in Handler.asked)


def test_a_server_that_fails_a_third_of_requests_loses_nothing(server: str, archive: Path) -> None:
    Handler.trouble = unwell(0.3)
    url = f"{server}/crawl/a.warc.gz"
    expected = list(read_captures(str(archive)))
    assert list(read_captures(url, access=FAST)) == expected
    halves = [(0, 6000), (6000, None)]
    assert [
        found for start, end in halves for found in read_captures(url, start, end, access=FAST)
    ] == expected
    assert len(Handler.asked) > 2 * len(set(Handler.asked)) > 0


def test_one_record_is_fetched_by_its_range_alone(server: str, archive: Path) -> None:
    third = list(read_captures(str(archive)))[2]
    assert isinstance(third, Capture)
    url = f"{server}/crawl/a.warc.gz"
    found = read_capture_at(url, third.offset, third.length, access=FAST)
    assert found == third
    assert Handler.asked[1:] == [f"bytes={third.offset}-{third.offset + third.length - 1}"]


def test_hopeless_errors_are_not_tried_again(server: str) -> None:
    with pytest.raises(FileNotFoundError, match="not there"):
        open_source(f"{server}/none.warc.gz", FAST)
    assert len(Handler.asked) == 1
    Handler.files["/x"] = b"x"
    Handler.trouble = lambda handler: handler.answer(403, b"") is None
    with pytest.raises(PermissionError, match="credentials"):
        open_source(f"{server}/x", FAST)
    Handler.trouble = lambda handler: handler.answer(200, b"xyz") is None
    with pytest.raises(OSError, match="sends no ranges"):
        open_source(f"{server}/x", FAST)


def test_it_gives_up_after_so_many_attempts_without_progress(server: str, archive: Path) -> None:
    Handler.trouble = lambda handler: handler.answer(503, b"") is None
    settings = FAST.model_copy(update={"attempts": 3})
    with pytest.raises(OSError, match="given up after 3 attempts: status 503"):
        open_source(f"{server}/crawl/a.warc.gz", settings)
    assert len(Handler.asked) == 3


def test_a_file_that_changes_is_noticed(server: str, archive: Path) -> None:
    source = open_source(f"{server}/crawl/a.warc.gz", FAST)
    Handler.trouble = lambda handler: (
        handler.answer(206, b"x", {"Content-Range": "bytes 5-5/9", "ETag": '"2"'}) is None
    )
    with pytest.raises(OSError, match="changed"):
        source.read_at(5, 1)


def test_retry_after_and_backoff_are_obeyed(server: str, archive: Path, tmp_path: Path) -> None:
    answers = iter([{"Retry-After": "7"}, {"Retry-After": "9000"}, {}])

    def trouble(handler: Handler) -> bool:
        headers = next(answers, None)
        if headers is None:
            return False
        handler.answer(503, b"", headers)
        return True

    Handler.trouble = trouble
    waits: list[float] = []
    settings = FAST.model_copy(update={"backoff_seconds": 1.0, "max_wait_seconds": 100.0})
    url = f"{server}/crawl/a.warc.gz"
    pace = Throttle(url, 5000, tmp_path, sleep=lambda _: None)
    RemoteFile(url, HttpRanges(url, settings), settings, pace, waits.append)
    assert waits[:2] == [7, 100]
    assert 4 <= waits[2] <= 8


def test_the_next_chunk_is_fetched_while_one_is_used(server: str, archive: Path) -> None:
    data = archive.read_bytes()
    access = FAST.model_copy(update={"chunk_bytes": 500})
    source = open_source(f"{server}/crawl/a.warc.gz", access)
    assert source.read_at(0, 500) + source.read_at(500, 500) == data[:1000]
    patience = time.monotonic() + 20
    while "bytes=1000-1499" not in Handler.asked and time.monotonic() < patience:
        time.sleep(0.01)
    assert Handler.asked[1:] == ["bytes=0-499", "bytes=500-999", "bytes=1000-1499"]
    assert source.read_at(1000, 500) == data[1000:1500]
    assert source.read_at(30, 500) == data[30:530]


def test_an_empty_file_has_no_captures(server: str) -> None:
    Handler.files["/empty.warc.gz"] = b""
    assert list(read_captures(f"{server}/empty.warc.gz", access=FAST)) == []


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    running = ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.mark.parametrize("anonymous", [False, True])
def test_ranges_from_s3_give_the_same_captures(s3: str, archive: Path, anonymous: bool) -> None:
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1")
    client.create_bucket(Bucket="crawl")
    client.put_object(
        Bucket="crawl", Key="data/a.warc.gz", Body=archive.read_bytes(), ACL="public-read"
    )
    client.put_object(Bucket="crawl", Key="data/empty.warc.gz", Body=b"", ACL="public-read")
    access = FAST.model_copy(
        update={"s3": S3Settings(endpoint=s3, region="us-east-1", anonymous=anonymous)}
    )
    found = list(read_captures("s3://crawl/data/a.warc.gz", access=access))
    assert found == list(read_captures(str(archive)))
    assert list(read_captures("s3://crawl/data/empty.warc.gz", access=access)) == []
    with pytest.raises(FileNotFoundError):
        list(read_captures("s3://crawl/data/none.warc.gz", access=access))


def test_s3_slow_down_is_waited_out(server: str, archive: Path) -> None:
    Handler.trouble = unwell(0.3)
    s3 = S3Settings(endpoint=server, region="us-east-1", anonymous=True)
    access = FAST.model_copy(update={"s3": s3})
    found = list(read_captures("s3://crawl/a.warc.gz", access=access))
    assert found == list(read_captures(str(archive)))
    assert len(Handler.asked) > len(set(Handler.asked)), "nothing was refused"


def test_errors_of_s3_are_told_with_their_code(server: str) -> None:
    access = FAST.model_copy(
        update={"s3": S3Settings(endpoint=server, region="us-east-1", anonymous=True)}
    )
    answers = iter([(400, b"<Error><Code>RequestTimeout</Code></Error>")])

    def trouble(handler: Handler) -> bool:
        handler.answer(*next(answers, (403, b"<Error><Code>AccessDenied</Code></Error>")))
        return True

    Handler.files["/crawl/a.warc.gz"], Handler.trouble = b"x", trouble
    with pytest.raises(PermissionError, match=r"s3://crawl/a\.warc\.gz \(AccessDenied\): access"):
        open_source("s3://crawl/a.warc.gz", access)
    assert len(Handler.asked) == 2


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_real_archives_come_whole_from_a_server_that_fails_a_third(
    server: str, scheme: str
) -> None:
    paths = sorted((DATA / "warc/real").glob("*arc.gz"))
    paths += sorted((DATA / "warc").glob("TEST-DUPS-*"))[:1]
    s3 = S3Settings(endpoint=server, region="us-east-1", anonymous=True)
    access = FAST.model_copy(update={"s3": s3, "chunk_bytes": 100_000})
    for path in paths:
        Handler.files[f"/crawl/{path.name}"] = path.read_bytes()
        Handler.trouble = unwell(0.3)
        root = "s3:/" if scheme == "s3" else server
        found = list(read_captures(f"{root}/crawl/{path.name}", access=access))
        assert found == list(read_captures(str(path)))
    assert len(Handler.asked) > len(set(Handler.asked))
