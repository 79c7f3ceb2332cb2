from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benben.analysis.provenance import trace
from benben.jobs.commands import cli
from tests.analysis.run_folder import make


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tmp_path_factory.mktemp("run"))


def traced(output: str, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["trace", output, name]) == 0
    return capsys.readouterr().out


def doc_id(number: int) -> str:
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def test_a_document_is_printed_with_its_byte_range_and_all_nodes(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = traced(output, doc_id(3), capsys)
    assert "archive   crawl-0.warc.gz\nrange     3000+999\n" in printed
    assert "verdict   kept" in printed
    assert "[text_node.stopword_ratio.min value 0.05 bound 0.3]" in printed
    assert printed.count("\nnode ") == 6


def test_a_rejected_page_is_found_by_its_url(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = traced(output, "javascript:document.title='hacked'", capsys)
    assert "verdict   rejected\n          document.words.min value 2 bound 10" in printed


def test_a_duplicate_names_the_document_kept_in_its_place(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"duplicate of {doc_id(0)} (duplicate.minhash)" in traced(output, doc_id(11), capsys)


def test_an_image_is_found_by_url_and_by_sha256(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://site1.example/4-1.png"
    printed = traced(output, url, capsys)
    assert printed.count("\nnode ") == 1
    files = (Path(output) / "images").glob("*.parquet")
    images = [row for path in files for row in pq.read_table(path, partitioning=None).to_pylist()]
    digest = next(row["sha256"] for row in images if row["url"] == url)
    assert traced(output, digest, capsys) == printed


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert trace.plain("a\x1b[31m\nb\u202e") == "a [31m b "


@pytest.mark.parametrize("name", ["nothing", "f" * 32, "f" * 64])
def test_an_unknown_name_is_an_error_of_one_line(
    output: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["trace", output, name]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
