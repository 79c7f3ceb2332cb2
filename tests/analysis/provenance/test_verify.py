from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from benben.filters import shipped
from benben.filters.decide import decide_batch
from benben.filters.signal_table import measure_batch
from benben.filters.signals import pii
from benben.jobs.commands import cli
from benben.pipeline import config, schema
from benben.pipeline import document as records
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.dataset.obelics import to_row
from benben.pipeline.page.extract import extract_page
from benben.sample.build import build
from tests.analysis.run_folder import write_table


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    build(out, pages=2)
    return out / "crawl-data"


@pytest.fixture
def run(crawl: Path, tmp_path: Path) -> Path:
    """Documents, verdicts and dataset of ten captures, as the stages make them; no images."""
    return make_run(crawl, tmp_path, [])


def make_run(crawl: Path, tmp_path: Path, redact: list[str], text: str = "plain") -> Path:
    chosen = config.load("default", ["input=[x]"])
    found = read_captures(str(sorted(crawl.rglob("*.warc.gz"))[0]))
    captures = [one for one in found if isinstance(one, Capture)][:10]
    documents = [
        extract_page(one.payload, one.url, one.headers, chosen.extract) for one in captures
    ]
    batch = records.to_batch(captures, documents)
    verdicts = decide_batch(measure_batch(batch, chosen.signals), chosen.rules)
    rows: list[dict[str, Any]] = []
    for document, meta, verdict in zip(
        documents, batch.to_pylist(), verdicts.to_pylist(), strict=True
    ):
        nodes = shipped.kept_nodes(document, verdict["dropped"])
        shipping = pii.redact_nodes(nodes, redact)[0]
        row = to_row(shipping, document.url, {}, text == "markdown")
        rows.append(
            {
                **dict.fromkeys(schema.DATASET.names),
                "doc_id": meta["doc_id"],
                "texts": row.texts,
                "images": row.images,
                "image_sha256": row.sha256,
                "metadata": json.dumps(row.metadata),
            }
        )
    output = str(tmp_path / "run")
    settings = {"extract": chosen.extract.model_dump(mode="json")}
    write_table(output, "documents", "extract", {"part": batch}, config=settings)
    write_table(output, "final_verdicts", "redecide", {"part": verdicts})
    dataset = pa.RecordBatch.from_pylist(rows, schema.DATASET)
    given = {"assemble": {"redact": redact, "text": text}}
    write_table(output, "dataset", "assemble", {"data/train": dataset}, config=given)
    images = pa.RecordBatch.from_pylist([], schema.IMAGES)
    write_table(output, "images", "fetch", {"part": images})
    return tmp_path / "run"


def test_reproduced_rows_are_equal(
    run: Path, crawl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(run), "--input", str(crawl)]) == 0
    assert capsys.readouterr().out == "10 of 10 rows are equal\n"


def test_rows_of_markdown_are_reproduced(
    crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(crawl, tmp_path, [], "markdown")
    texts = [row["texts"] for row in pq.read_table(run / "dataset/data").to_pylist()]
    assert any("# " in text for page in texts for text in page if text)
    assert cli.main(["verify", str(run), "--input", str(crawl)]) == 0
    assert capsys.readouterr().out == "10 of 10 rows are equal\n"


def test_a_changed_text_is_found(
    run: Path, crawl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sorted((run / "dataset/data").glob("*.parquet"))[0]
    rows = pq.read_table(path, partitioning=None).to_pylist()
    rows[0]["texts"][0] += "!"
    pq.write_table(pa.Table.from_pylist(rows, schema.DATASET), path)
    assert cli.main(["verify", str(run), "--input", str(crawl)]) == 1
    out, err = capsys.readouterr()
    assert "the run was made by version 1, this is " in err
    assert f"{rows[0]['doc_id']}  differs in texts" in out
    assert "9 of 10 rows are equal" in out


def test_a_changed_archive_is_found(
    run: Path, crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = sorted(crawl.rglob("*.warc.gz"))[0]
    spoilt = bytearray(archive.read_bytes())
    spoilt[: len(spoilt) // 4] = bytes(len(spoilt) // 4)
    (tmp_path / archive.name).write_bytes(spoilt)
    assert cli.main(["verify", str(run), "--input", str(tmp_path / archive.name)]) == 1
    assert "cannot be read again" in capsys.readouterr().out


def test_a_missing_archive_is_an_error_of_one_line(
    run: Path, crawl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = sorted(crawl.rglob("*.warc.gz"))[1]
    assert cli.main(["verify", str(run), "--input", str(other)]) == 2
    assert "is not among the inputs" in capsys.readouterr().err


def test_the_sample_is_the_same_in_every_call(
    run: Path, crawl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(run), "--input", str(crawl), "--sample", "3"]) == 0
    assert capsys.readouterr().out == "3 of 3 rows are equal\n"


def test_redacted_rows_are_redacted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "The owl slept in the old barn while the rain fell, and nobody came. Ask bob@mail.org."
    page = f"<html><body><h1>Owls</h1>{f'<p>{text}</p>' * 3}</body></html>".encode()
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
        "WARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: http://a.test/\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    (crawl / "x.warc.gz").write_bytes(gzip.compress(head.encode() + http + b"\r\n\r\n"))
    made = make_run(crawl, tmp_path, ["emails"])
    rows = [
        row
        for path in sorted((made / "dataset/data").glob("*.parquet"))
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]
    assert "<EMAIL>" in str(rows[0]["texts"])
    assert "bob" not in str(rows[0]["texts"])
    assert cli.main(["verify", str(made), "--input", str(crawl)]) == 0
    assert capsys.readouterr().out == "1 of 1 rows are equal\n"


def test_a_config_names_the_archives_and_their_access(
    run: Path,
    crawl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="crawl")
    urls = []
    for path in sorted(crawl.rglob("*.warc.gz")):
        client.put_object(Bucket="crawl", Key=path.name, Body=path.read_bytes())
        urls.append(f"s3://crawl/{path.name}")
    asked = tmp_path / "mine.yaml"
    access = {"attempts": 1, "s3": {"endpoint": endpoint, "region": "us-east-1"}}
    asked.write_text(json.dumps({"base": "default", "input": urls, "archives": access}))
    try:
        assert cli.main(["verify", str(run), "--config", str(asked)]) == 0
    finally:
        server.stop()
    assert "10 of 10 rows are equal" in capsys.readouterr().out
