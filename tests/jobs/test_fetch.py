"""The stage: one row a wanted image, the bytes of each kept image once, one owner a host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.jobs import fetch as job
from benben.jobs.engine.stage import Run
from benben.pipeline import config, manifest, storage
from benben.pipeline.images.store.stored import body
from benben.pipeline.manifest import Manifest, PartFile
from benben.pipeline.schema import DOCUMENTS, DUPLICATES, VERDICTS
from benben.pipeline.settings import Config
from tests.shared import DATA, ROOT, needs_shared
from tests.web import Web, picture, serving

pytestmark = pytest.mark.spark


def write_table(out: Path, name: str, schema: pa.Schema, parts: list[list[dict[str, Any]]]) -> None:
    files = []
    for part, rows in enumerate(parts):
        file = f"part-{part:05d}.parquet"
        (out / name).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / name / file)
        files.append(PartFile(part=part, name=file, rows=len(rows), bytes=0))
    record = Manifest(
        table=name, id=name, stage=name, version="0", config={}, inputs={}, files=files
    )
    manifest.write(str(out / name), record)


def page(name: str, urls: Iterable[str], **more: Any) -> dict[str, Any]:
    nodes = [{"kind": "text", "index": 0, "text": "words"}]
    nodes += [{"kind": "image", "index": n, "url": url} for n, url in enumerate(urls, 1)]
    return {"doc_id": name, "url": f"http://pages.test/{name}", "nodes": nodes, **more}


def write_inputs(
    out: Path,
    pages: list[list[dict[str, Any]]],
    dropped: dict[str, dict[str, Any]] | None = None,
    duplicates: list[list[dict[str, Any]]] | None = None,
) -> None:
    """Tables of the stages before; every page is kept but for what `dropped` says."""
    dropped = dropped or {}
    verdicts = [
        [
            {"doc_id": p["doc_id"], "kept": True, "dropped": []} | dropped.get(p["doc_id"], {})
            for p in part
        ]
        for part in pages
    ]
    write_table(out, "documents", DOCUMENTS, pages)
    write_table(out, "verdicts", VERDICTS, verdicts)
    write_table(out, "duplicates", DUPLICATES, duplicates or [])


def configured(out: Path, webs: list[Web], *overrides: str, names: Iterable[str] = ()) -> Config:
    allow = [f"127.0.0.1:{web.port}" for web in webs] + list(names)
    keys = [
        f"output={out}",
        f"fetch.allow_hosts={allow}",
        "fetch.politeness.requests_per_second=1000",
        "fetch.politeness.retries=0",
        "fetch.archives=no",
        "fetch.tasks=3",
        "spark.master='local[2]'",
    ]
    return config.load("default", ["input=[none]", *keys, *overrides])


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    found = manifest.read(str(out / name))
    assert found is not None
    tables = [storage.read_parquet(path).to_pylist() for path in found.paths(str(out / name))]
    return [row for table in tables for row in table]


def pictures(out: Path) -> list[tuple[str, bytes]]:
    """SHA-256 and bytes of the table `image_bytes`, sorted."""
    folder = str(out / "image_bytes")
    return sorted((row["sha256"], body(row, folder)) for row in rows(out, "image_bytes"))


def members(path: Path) -> int:
    with tarfile.open(path) as tar:
        return len(tar.getnames())


@pytest.fixture
def web() -> Iterator[Web]:
    with serving({"/robots.txt": 404}) as found:
        yield found


def test_wanted_images_are_those_of_kept_nodes_of_kept_documents(
    spark: object, tmp_path: Path, web: Web
) -> None:
    names = ["kept", "dropped-node", "rejected", "duplicate", "duplicate-node"]
    names += ["optout", "also-optout", "good"]
    web.routes |= {f"/{name}": picture(seed=n) for n, name in enumerate(names)}
    url = {name: web.url(f"/{name}") for name in names}
    write_inputs(
        tmp_path,
        [
            [
                page("a", [url["kept"], url["dropped-node"], url["also-optout"]]),
                page("b", [url["rejected"]]),
                page("c", [url["duplicate"]]),
            ],
            [
                page("d", [url["duplicate-node"], url["kept"], url["good"], url["good"]]),
                page("e", [url["optout"], url["also-optout"]], opt_outs=["robots-meta:noai"]),
                page("f", [], reason="extract.no-nodes", status=200),
            ],
        ],
        {"a": {"dropped": [{"index": 2, "reason": "image_node.x.min"}]}, "b": {"kept": False}},
        [
            [{"doc_id": "c", "reason": "duplicate.url", "dropped": []}],
            [{"doc_id": "d", "dropped": [{"index": 1, "reason": "duplicate.image"}]}],
        ],
    )
    record = Run(configured(tmp_path, [web])).execute(job.STAGE)
    assert sorted(web.paths()) == ["/good", "/kept"]
    reasons = {row["url"].rsplit("/", 1)[1]: row["reason"] for row in rows(tmp_path, "images")}
    assert reasons == {
        "kept": None,
        "good": None,
        "optout": "consent.page",
        "also-optout": "consent.page",
    }
    assert record.counts["images"].rejected == {"consent.page": 2}
    assert (record.counts["images"].entered, record.counts["images"].kept) == (4, 2)


def picture_of(seed: int) -> bytes:
    return picture(seed=seed)


@pytest.mark.parametrize("store", ["webdataset", "parquet"])
def test_equal_bytes_are_stored_once_over_all_tasks(
    spark: object, tmp_path: Path, store: str
) -> None:
    with ExitStack() as stack:
        hosts = [f"127.0.0.{n}" for n in range(1, 6)]
        webs = [stack.enter_context(serving({"/robots.txt": 404}, host)) for host in hosts]
        urls = []
        for number, (host, web) in enumerate(zip(hosts, webs, strict=True)):
            web.routes |= {"/same": picture_of(0), "/own": picture_of(number + 1), "/gone": 404}
            urls += [web.url(path, host) for path in ("/same", "/own", "/gone")]
        write_inputs(tmp_path, [[page("a", urls)]])
        names = [f"{host}:{web.port}" for host, web in zip(hosts, webs, strict=True)]
        keys = (f"fetch.store={store}", "fetch.shard_bytes=200")
        Run(configured(tmp_path, [], *keys, names=names)).execute(job.STAGE)
    images = rows(tmp_path, "images")
    assert len(images) == 15
    kept = {row["sha256"] for row in images if row["reason"] is None}
    assert [name for name, _ in pictures(tmp_path)] == sorted(kept)
    assert sorted(data for _, data in pictures(tmp_path)) == sorted(map(picture_of, range(6)))
    assert len(kept) == 6
    shards = list((tmp_path / "image_bytes").glob("shards-*/*.tar"))
    assert sum(map(members, shards)) >= 6
    if store == "webdataset":
        return
    record = manifest.read(str(tmp_path / "image_bytes"))
    assert record is not None
    parts = [file.part for file in record.files]
    assert len(parts) == len(set(parts)) > 2


def test_redirects_over_hosts_reach_the_owner_of_each(spark: object, tmp_path: Path) -> None:
    robots = b"User-agent: *\nDisallow: /private\n"
    with (
        serving({"/robots.txt": robots, "*": picture()}, "127.0.0.2") as other,
        serving({"/robots.txt": 404}) as web,
    ):
        for path in ("/private", "/open"):
            web.routes[path] = (302, {"Location": other.url(path, "127.0.0.2")}, b"")
        urls = [web.url("/private"), web.url("/open"), other.url("/direct", "127.0.0.2")]
        write_inputs(tmp_path, [[page("a", urls)]])
        chosen = configured(tmp_path, [web], names=[f"127.0.0.2:{other.port}"])
        record = Run(chosen).execute(job.STAGE)
    found = {row["url"]: (row["reason"], row["final_url"]) for row in rows(tmp_path, "images")}
    assert found[urls[0]] == ("consent.robots", other.url("/private", "127.0.0.2"))
    assert found[urls[1]] == (None, other.url("/open", "127.0.0.2"))
    assert found[urls[2]][0] is None
    assert sorted(other.paths()) == ["/direct", "/open"]
    assert other.count("/robots.txt") == 1
    assert record.counts["images"].entered == 3


def test_without_images_the_tables_are_empty(spark: object, tmp_path: Path) -> None:
    write_inputs(tmp_path, [[page("a", [])]])
    record = Run(configured(tmp_path, [])).execute(job.STAGE)
    assert record.rows == 0
    assert record.counts["images"].entered == 0


def test_more_tasks_do_not_make_more_requests_to_one_host(
    spark: object, tmp_path: Path, web: Web
) -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.05)
        handler.answer(picture())

    paths = [f"/{n}.png" for n in range(40)]
    web.routes |= dict.fromkeys(paths, slow)
    pages = [
        [page(f"{part}-{n}", [web.url(path)]) for n, path in enumerate(paths)] for part in range(8)
    ]
    write_inputs(tmp_path, pages)
    chosen = configured(
        tmp_path,
        [web],
        "fetch.tasks=8",
        "fetch.politeness.requests_per_second=10",
        "spark.master='local[8]'",
    )
    Run(chosen).execute(job.STAGE)
    times = sorted(seen.at for seen in web.seen)
    assert len(web.paths()) == 40
    assert (len(times) - 1) / (times[-1] - times[0]) <= 11  # 10, and what delays of logging add


@needs_shared
def test_images_in_the_archive_are_taken_from_there(spark: object, tmp_path: Path) -> None:
    from benben.jobs import extract

    (path,) = sorted((DATA / "warc" / "real").glob("aut-example-blackbook*.warc.gz"))[:1]
    chosen = configured(
        tmp_path, [], f"input=['{path}']", "fetch.archives=yes", "spark.partitions=1"
    )
    Run(chosen).execute(extract.STAGE)
    documents = rows(tmp_path, "documents")
    archived = {row["url"] for row in documents if row["reason"] == "capture.not-html"}
    shown = {
        node["url"] for row in documents for node in row["nodes"] or () if node["kind"] == "image"
    }
    assert len(shown & archived) > 20
    write_table(
        tmp_path,
        "verdicts",
        VERDICTS,
        [
            [
                {"doc_id": row["doc_id"], "kept": row["reason"] is None, "dropped": []}
                for row in documents
            ]
        ],
    )
    write_table(tmp_path, "duplicates", DUPLICATES, [])
    pages_only = configured(
        tmp_path, [], f"input=['{path}']", "fetch.archives=yes", "fetch.limits.ports=[1]"
    )
    Run(pages_only).execute(job.STAGE)
    images = {row["url"]: row for row in rows(tmp_path, "images")}
    assert images.keys() == shown
    for url in shown & archived:
        assert images[url]["source"] == "archive"
        assert images[url]["requests"] == 0
    kept = [row for row in images.values() if row["reason"] is None]
    assert len(kept) > 20
    assert {row["sha256"] for row in kept} == {
        row["sha256"] for row in rows(tmp_path, "image_bytes")
    }
    assert all(row["fetched_at"].startswith("20") for row in kept)


def command(out: Path, web: Web) -> subprocess.Popen[bytes]:
    """The stage as a user starts it, in a process group of its own."""
    keys = [
        "input=[none]",
        f"output={out}",
        f"fetch.allow_hosts=['127.0.0.1:{web.port}']",
        "fetch.politeness.requests_per_second=60",
        "fetch.archives=no",
        "fetch.tasks=2",
        "spark.master='local[2,4]'",
    ]
    arguments = [sys.executable, "-m", "benben.jobs.commands.cli", "fetch", "default", *keys]
    return subprocess.Popen(arguments, cwd=ROOT, start_new_session=True)


def wait_for(web: Web, number: int) -> None:
    deadline = time.monotonic() + 600
    while len(web.paths()) < number and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(web.paths()) >= number


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Python processes of a job that do a task's work: children of pyspark's daemon."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        parent, group = int(stat[1]), int(stat[3])
        if group == process.pid and b"pyspark.daemon" in words:
            parent_words = Path(f"/proc/{parent}/cmdline").read_bytes()
            if b"pyspark.daemon" in parent_words:
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_worker_and_killed_job_cost_only_what_was_in_flight(tmp_path: Path) -> None:
    number = 500
    routes = {f"/{n}.png": picture(seed=n % 150) for n in range(number)}
    with serving({"/robots.txt": 404, **routes}) as web:
        pages = [[page(str(n), [web.url(f"/{n}.png")]) for n in range(number)]]
        write_inputs(tmp_path / "killed", pages)
        job_process = command(tmp_path / "killed", web)
        try:
            wait_for(web, 100)
            for worker in workers_of(job_process):
                os.kill(worker, signal.SIGKILL)  # Spark starts the task again
            wait_for(web, 200)
        finally:
            os.killpg(job_process.pid, signal.SIGKILL)
            job_process.wait()
        assert manifest.read(str(tmp_path / "killed" / "images")) is None
        before = len(web.paths())
        assert before < number
        assert command(tmp_path / "killed", web).wait() == 0
        asked = web.paths()
        connections = config.load("default", ["input=[x]"]).fetch.politeness.connections
        assert len(asked) <= number + 2 * connections
        assert max(asked.count(path) for path in set(asked)) <= 3
        assert web.count("/robots.txt") == 1
        write_inputs(tmp_path / "whole", pages)
        assert command(tmp_path / "whole", web).wait() == 0

    def table(name: str) -> list[dict[str, Any]]:
        found = rows(tmp_path / name, "images")
        return sorted(({**row, "fetched_at": None} for row in found), key=lambda row: row["url"])

    assert table("killed") == table("whole")
    assert pictures(tmp_path / "killed") == pictures(tmp_path / "whole")
    for path in (tmp_path / "killed" / "image_bytes").glob("shards-*/*.tar"):
        assert members(path) > 0  # whole, although its writer was killed
