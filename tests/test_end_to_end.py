"""The whole chain on the sample: served, downloaded, shipped, equal however it is cut."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from benben.filters import reasons
from benben.jobs import stages
from benben.jobs.commands import cli
from benben.pipeline import config, manifest
from benben.sample.build import build
from benben.sample.demo import free_port
from benben.sample.serve import serving
from tests.readers import check_row

pytestmark = pytest.mark.spark


@dataclass
class Chain:
    """A served sample and how to run the chain on it."""

    folder: Path
    port: int

    def run(self, name: str, *overrides: str) -> Path:
        output = self.folder / name
        host = f"['127.0.0.1:{self.port}']"
        arguments = [
            *("run", "default", f"input=[{self.folder}/site/crawl-data]", f"output={output}"),
            *(f"fetch.allow_hosts={host}", f"fetch.politeness.unlimited_hosts={host}"),
        ]
        assert cli.main([*arguments, *overrides]) == 0
        return output


def rows(output: Path) -> list[dict[str, Any]]:
    files = sorted((output / "dataset" / "data").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def table(output: Path, name: str) -> list[dict[str, Any]]:
    found = manifest.read(str(output / name))
    assert found is not None
    files = found.paths(str(output / name))
    return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


def funnel_of(output: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((output / "funnel.json").read_text())
    return found


@pytest.fixture(scope="module")
def chain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    port = free_port(18899)
    build(folder / "site", port=port, pages=8)
    with serving(folder / "site", port):
        yield Chain(folder, port)


@pytest.fixture(scope="module")
def first(chain: Chain) -> Path:
    return chain.run("first", "spark.partitions=2")


def test_every_reason_of_the_ledger_is_explained(first: Path) -> None:
    final = table(first, "final_verdicts")
    found = {reason for row in final for reason in row["reasons"] or []}
    found |= {drop["reason"] for row in final for drop in row["dropped"] or []}
    found |= {reason for row in funnel_of(first) for reason in row["rejected"]}
    assert len(found) > 10
    assert [reason for reason in sorted(found) if reasons.explain(reason) is None] == []


def test_a_run_keeps_its_config(chain: Chain, first: Path) -> None:
    kept = config.load(str(first))
    assert kept.input == [f"{chain.folder}/site/crawl-data"]
    assert cli.main(["verify", str(first), "--sample", "3"]) == 0
    assert cli.main(["decide", str(first), "--quiet"]) == 0


def test_every_capture_is_accounted_for(first: Path) -> None:
    funnel = funnel_of(first)
    assert {row["stage"] for row in funnel} >= {"extract", "decide", "fetch", "assemble"}
    for row in funnel:
        assert row["entered"] == row["kept"] + sum(row["rejected"].values()), row
    kept = {row["stage"]: row["kept"] for row in funnel if row["unit"] == "documents"}
    assert kept["assemble"] == len(rows(first)) > 0


def test_shipped_rows_are_obelics_rows_and_their_images_are_there(first: Path) -> None:
    files = sorted((first / "dataset" / "images").glob("*.parquet"))
    stored = {row["sha256"] for file in files for row in pq.read_table(file).to_pylist()}
    shown = set()
    for row in rows(first):
        check_row(row)
        assert [image is None for image in row["images"]] == [
            name is None for name in row["image_sha256"]
        ]
        shown |= {name for name in row["image_sha256"] if name}
        assert set(json.loads(row["general_metadata"])) == {
            *("url", "warc_filename", "warc_record_offset", "warc_record_length")
        }
    assert shown == stored
    assert shown


def test_the_dataset_opens_with_datasets_whole_and_streamed(first: Path) -> None:
    from datasets import load_dataset

    files = str(first / "dataset" / "data" / "*.parquet")
    whole = load_dataset("parquet", data_files=files, split="train", cache_dir=str(first / "cache"))
    streamed = load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert list(whole) == list(streamed) == rows(first)


def test_a_second_run_skips_every_stage(
    chain: Chain, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.run("first", "spark.partitions=2")
    said = capsys.readouterr().err
    for name in set(stages.STAGES) - {"captures"}:  # no index, no captures to choose
        assert f"{name}: up to date, skipped" in said


@pytest.mark.parametrize("partitions", [1, 7])
def test_any_number_of_partitions_gives_the_same_rows(
    chain: Chain, first: Path, partitions: int
) -> None:
    other = chain.run(f"in-{partitions}", f"spark.partitions={partitions}")
    assert rows(other) == rows(first)
    found = manifest.read(str(other / "documents"))
    assert found is not None
    assert len(found.files) == partitions


def test_an_opted_out_page_goes_and_its_images_are_not_asked_for(first: Path) -> None:
    found = manifest.read(str(first / "verdicts"))
    assert found is not None
    assert found.counts["documents"].rejected.get("document.opt_outs.max", 0) > 0
    shown: dict[bool, set[str]] = {True: set(), False: set()}
    for row in table(first, "documents"):
        urls = {node["url"] for node in row["nodes"] or () if node["kind"] == "image"}
        shown["no-training" in row["url"]] |= urls
    assert shown[True] - shown[False]
    asked = {row["url"] for row in table(first, "images")}
    assert not (shown[True] - shown[False]) & asked


def test_what_was_taken_down_does_not_come_back(chain: Chain, first: Path) -> None:
    before = rows(first)
    taken = Path(shutil.copytree(first, chain.folder / "taken"))
    page, image = before[0], next(name for name in before[-1]["image_sha256"] if name)
    url = json.loads(page["general_metadata"])["url"]
    asked = ["--url", url, "--sha256", image, "--text", "LIGHTHOUSE"]
    assert cli.main(["takedown", str(taken), *asked, "--apply"]) == 0
    left = rows(taken)
    later = chain.run("later", f"takedown.tombstones=[{taken}/takedown/tombstones.jsonl]")
    assert {row["doc_id"] for row in left} <= {row["doc_id"] for row in rows(later)}
    for run in (taken, later):
        shipped = json.dumps(rows(run))
        assert url not in shipped
        assert image not in shipped
        assert "lighthouse" not in shipped.casefold()
        for table in ("dataset/images", "image_bytes", "images"):
            for path in set((run / table).rglob("*.parquet")) - set(run.glob("images/work/**/*")):
                names = pq.read_table(path, columns=["sha256"], partitioning=None)["sha256"]
                assert image not in names.to_pylist()
        for shard in run.glob("image_bytes/**/*.tar"):
            assert image.encode() not in shard.read_bytes()  # members are named by content
    rejected = {
        row["stage"]: row["rejected"] for row in funnel_of(later) if row["unit"] == "documents"
    }
    assert rejected["decide"]["takedown.url"] >= 1
    assert rejected["decide"]["takedown.text"] >= 1


def test_tools_tell_of_the_run(first: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = rows(first)[0]
    assert cli.main(["explain", str(first), str(row["doc_id"])]) == 0
    assert str(row["doc_id"]) in capsys.readouterr().out
    assert cli.main(["compare", str(first), "default", "strict"]) == 0
    assert "both keep" in capsys.readouterr().out
    assert cli.main(["audit", str(first), "--per-reason", "2"]) == 0
    samples = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    reasons = [sample["reason"] for sample in samples]
    assert "duplicate.url" in reasons
    assert max(reasons.count(reason) for reason in reasons) <= 2
    assert cli.main(["explain", str(first), "nobody"]) == 2
