"""From a columnar index to documents."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from benben.jobs import captures, extract
from benben.jobs.engine.stage import Run
from benben.pipeline import config, storage
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import IndexSettings
from tests.pipeline.archive.archive_makers import members, pages

NAME = "crawl-data/x/warc/a.warc.gz"
LANGUAGES = ["deu", "eng,deu", "eng", None]


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """An archive of 12 pages and its index, in Common Crawl's layout."""
    path = tmp_path / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(members(pages(12))))
    found = [item for item in read_captures(str(path)) if isinstance(item, Capture)]
    number = len(found)
    index = pa.table(
        {
            "url": [item.url for item in found],
            "url_host_name": ["a.example", "www.a.example", "b.example"] * (number // 3),
            "fetch_status": pa.array([200] * (number - 1) + [404], pa.int16()),
            "content_mime_detected": ["text/html"] * number,
            "content_languages": LANGUAGES * (number // 4),
            "warc_filename": [NAME] * number,
            "warc_record_offset": pa.array([item.offset for item in found], pa.int32()),
            "warc_record_length": pa.array([item.length for item in found], pa.int32()),
        }
    )
    folder = tmp_path / "index/crawl=CC-MAIN-2024-22/subset=warc"
    folder.mkdir(parents=True)
    pq.write_table(index, folder / "part-0.parquet")
    other = tmp_path / "index/crawl=CC-MAIN-2024-22/subset=robotstxt"
    other.mkdir()
    pq.write_table(index, other / "part-1.parquet")
    return tmp_path


def run_in(folder: Path, **index: object) -> Run:
    data = yaml.safe_load((config.CONFIGS / "default.yaml").read_text())
    data["archives"]["prefix"] = str(folder)
    data |= {
        "input": [],
        "index": {"table": str(folder / "index"), **index},
        "output": str(folder / "run"),
        "spark": {"partitions": 2},
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(data))
    return Run(config.load(str(folder / "c.yaml")))


@pytest.mark.spark
def test_chosen_pages_become_documents(spark: SparkSession, crawl: Path) -> None:
    run = run_in(crawl, languages=["deu"])
    chosen = run.execute(captures.STAGE)
    assert chosen.counts["captures"].model_dump() == {
        "entered": 24,
        "kept": 6,
        "rejected": {"index.not-chosen": 18},
    }
    documents = run.execute(extract.STAGE)
    assert documents.counts["documents"].entered == 6
    (path,) = run.paths("documents").values()
    urls = storage.read_parquet(path, ["url"])["url"].to_pylist()
    assert urls == [f"http://site.example/{n}" for n in (0, 1, 4, 5, 8, 9)]


@pytest.mark.spark
def test_each_condition_chooses_its_rows(spark: SparkSession, crawl: Path) -> None:
    rows = captures.read_index(run_in(crawl), IndexSettings(table=str(crawl / "index"))).cache()
    cases: list[tuple[dict[str, object], list[int]]] = [
        ({}, list(range(11))),
        ({"hosts": ["a.example"]}, [0, 1, 3, 4, 6, 7, 9, 10]),
        ({"hosts": ["b.example"], "statuses": []}, [2, 5, 8, 11]),
        ({"crawls": ["CC-MAIN-2023-50"]}, []),
        ({"crawls": ["CC-MAIN-2024-22"], "where": "warc_record_offset = 0"}, [0]),
        ({"mimes": ["application/pdf"]}, []),
    ]
    for conditions, expected in cases:
        index = IndexSettings(table="x", **conditions)
        found = rows.where(captures.condition(index)).select("url").collect()
        assert sorted(int(row.url.rsplit("/", 1)[-1]) for row in found) == expected


def test_without_an_index_there_is_nothing_to_choose(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"base: default\ninput: [x]\noutput: {tmp_path}/run\n")
    settings = config.load(str(path))
    assert not captures.STAGE.wanted(settings)
    with pytest.raises(InputError, match="index: not set"):
        Run(settings).execute(captures.STAGE)


def test_an_index_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no parquet files there"):
        captures.index_files(str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"none\.parquet: no parquet files there"):
        captures.index_files(str(tmp_path / "none.parquet"))


def test_the_shipped_config_chooses_from_common_crawl() -> None:
    settings = config.load("commoncrawl", ["index.languages=[deu]"])
    assert settings.index is not None
    assert settings.index.languages == ["deu"]
    assert settings.archives.prefix == "s3://commoncrawl"
    assert settings.archives.attempts == config.load("default", ["input=[x]"]).archives.attempts
