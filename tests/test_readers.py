"""A finished dataset opens in all readers and has the schema of OBELICS."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from benben.analysis.dataset_card import card
from benben.analysis.tables import RunTables
from benben.jobs.commands import export
from benben.sample.serve import running
from tests import readers
from tests.analysis.run_folder import make
from tests.shared import DATA, needs_shared

PORT = 8765  # of the URLs in the archive of the site


@pytest.mark.spark
def test_splits_and_configs_read_the_same_everywhere(spark: SparkSession, tmp_path: Path) -> None:
    output = make(tmp_path / "run")
    card.write(output)
    found = readers.check_readers(Path(output, "dataset"), spark, tmp_path / "cache")
    assert found == {"data": {"test": 3, "train": 5}, "images": {"train": 16}}
    assert readers.check_obelics(Path(output, "dataset")) == 8


@pytest.mark.spark
def test_the_self_contained_form_reads_the_same_everywhere(
    spark: SparkSession, tmp_path: Path
) -> None:
    output = make(tmp_path / "run")
    target = tmp_path / "exported"
    export.export_self_contained(RunTables(output), str(target))
    found = readers.check_readers(target, spark, tmp_path / "cache")
    assert found == {"self_contained": {"test": 3, "train": 5}}


def test_a_row_with_both_sides_set_is_found(tmp_path: Path) -> None:
    dataset = Path(make(tmp_path / "run"), "dataset")
    path = readers.files(dataset)[0]
    rows = pq.read_table(path, partitioning=None)
    spoilt = rows.to_pylist()
    spoilt[0]["texts"] = ["both"] * len(spoilt[0]["texts"])
    pq.write_table(pa.Table.from_pylist(spoilt, rows.schema), path)
    with pytest.raises(AssertionError):
        readers.check_obelics(dataset)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Do not log requests."""


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.spark
def test_a_real_site_passes_every_reader(spark: SparkSession, tmp_path: Path) -> None:
    handler = partial(Quiet, directory=str(DATA / "site" / "www"))
    with running(ThreadingHTTPServer(("127.0.0.1", PORT), handler)):
        host = f'["127.0.0.1:{PORT}"]'
        arguments = [
            *("run", "unfiltered", f"output={tmp_path}/run"),
            f"input=[{DATA}/site/site-127.0.0.1-{PORT}.warc.gz]",
            *(f"fetch.allow_hosts={host}", f"fetch.politeness.unlimited_hosts={host}"),
        ]
        # In another process, because a run stops its Spark session and the readers need one.
        subprocess.run([sys.executable, "-m", "benben.jobs.commands.cli", *arguments], check=True)
    dataset = tmp_path / "run" / "dataset"
    number = readers.check_obelics(dataset)
    found = readers.check_readers(dataset, spark, tmp_path / "cache")
    assert number == sum(found["data"].values()) > 400
    assert found["images"]["train"] > 700
