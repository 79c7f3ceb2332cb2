"""Runs of the whole chain, and whether two made the same dataset."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from benben.jobs import stages
from benben.pipeline import manifest, storage
from tests.cluster.submit import ROOT

STAGES = [name for name in stages.STAGES if name != "captures"]  # that one wants an index


def arguments(crawl: str, port: int) -> list[str]:
    """Arguments of a run on archives whose site is served at a port of this machine."""
    host = f"['127.0.0.1:{port}']"
    return [
        "default",
        f"input=[{crawl}]",
        f"fetch.allow_hosts={host}",
        f"fetch.politeness.unlimited_hosts={host}",
        "spark.options={spark.executor.memory: 768m}",
        "spark.partitions=4",
    ]


def on_one_machine(given: list[str], output: Path | str, python: str = sys.executable) -> None:
    """Run the chain in local[2]."""
    command = [python, "-m", "benben.jobs.commands.cli", "run", *given, f"output={output}"]
    done = subprocess.run(
        [*command, "spark.master=local[2]"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def dataset(output: Path | str) -> dict[str, pa.Table]:
    """The files of a dataset by name, with sorted rows."""
    found = manifest.read(f"{output}/dataset")
    assert found is not None
    tables: dict[str, list[pa.Table]] = {}
    for file in found.files:
        if file.name.endswith(".parquet"):
            rows = storage.read_parquet(f"{output}/dataset/{file.name}")
            tables.setdefault(file.name.split("/")[0], []).append(rows)
    keys = {"data": "doc_id", "images": "sha256"}
    return {name: pa.concat_tables(t).sort_by(keys[name]) for name, t in tables.items()}


def check_same(one: Path | str, other: Path | str) -> None:
    """No row lost, doubled or changed, and the same story of every rejected one."""
    first, second = dataset(one), dataset(other)
    assert first["data"].num_rows > 0
    assert {name: table.num_rows for name, table in first.items()} == {
        name: table.num_rows for name, table in second.items()
    }
    assert first["data"].equals(second["data"])
    assert first["images"]["sha256"].equals(second["images"]["sha256"])
    funnels = [json.loads(storage.read_bytes(f"{output}/funnel.json")) for output in (one, other)]
    assert funnels[0] == funnels[1]
