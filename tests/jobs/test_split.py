"""Held-out hosts have no near pages in another split."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from benben.jobs import split
from benben.jobs.engine.stage import Run
from benben.pipeline import config, schema, storage
from benben.pipeline.dataset import splits
from benben.pipeline.deduplication.fingerprint import FINGERPRINTS, graph_node, sketches
from tests.analysis.run_folder import write_table

pytestmark = pytest.mark.spark
HOSTS = 60


def page(chance: random.Random, words: int = 120) -> list[str]:
    return [f"word{chance.randrange(10_000)}" for _ in range(words)]


@pytest.fixture
def run(tmp_path: Path, spark: SparkSession) -> Run:
    """A page of each of 60 hosts; every third is much like the page of the host before."""
    chance = random.Random(3)
    texts: list[list[str]] = []
    for number in range(HOSTS):
        if number % 3 == 2:
            copy = texts[-1].copy()
            copy[::30] = page(chance, len(copy[::30]))
            texts.append(copy)
        else:
            texts.append(page(chance))
    settings = config.load("default", ["input=[x]", f"output={tmp_path}"])
    ids = [chance.randbytes(16).hex() for _ in texts]
    rows = pa.RecordBatch.from_pydict(
        {
            **{name: pa.nulls(HOSTS, FINGERPRINTS.field(name).type) for name in FINGERPRINTS.names},
            "doc_id": ids,
            "node": [graph_node(name, 0) for name in ids],
            "host_key": [splits.host_key(f"host{number}") for number in range(HOSTS)],
            **sketches([" ".join(text) for text in texts], settings.fingerprint),
        },
        schema=FINGERPRINTS,
    )
    empty = dict.fromkeys(schema.VERDICTS.names)
    verdicts = [{**empty, "doc_id": name, "kept": name != ids[0]} for name in ids]
    write_table(str(tmp_path), "fingerprints", "fingerprint", {"part": rows})
    judged = pa.RecordBatch.from_pylist(verdicts, schema.VERDICTS)
    write_table(str(tmp_path), "final_verdicts", "redecide", {"part": judged})
    shares = "assemble.splits={validation: 0.3, test: 0.3, near: 0.5}"
    return Run(config.load("default", ["input=[x]", f"output={tmp_path}", shares]))


def test_near_pages_are_in_one_split(run: Run) -> None:
    made = run.execute(split.STAGE)
    rows = [
        row
        for path in run.paths("splits").values()
        for row in storage.read_parquet(path).to_pylist()
    ]
    keys = np.array([splits.host_key(f"host{number}") for number in range(1, HOSTS)])
    natural = splits.by_hash(keys, run.config.assemble.splits)
    assert {row["host_key"]: row["by_hash"] for row in rows} == {
        key: splits.NAMES[place] for key, place in zip(keys.tolist(), natural, strict=True) if place
    }
    found = splits.Splits.read(run.paths("splits").values())
    names = [found.of(f"host{number}") for number in range(HOSTS)]
    assert all(names[number - 1] == names[number] for number in range(2, HOSTS, 3))
    assert set(names) == {"train", "validation", "test"}
    count = made.counts["held-out hosts"]
    moved = [row for row in rows if row["split"] == "train"]
    assert count.rejected == {"split.near_another": len(moved)}
    linked = {splits.host_key(f"host{number}") for number in range(1, HOSTS) if number % 3}
    assert moved
    assert {row["host_key"] for row in moved} <= linked


def test_nothing_held_out_is_an_empty_table(run: Run) -> None:
    shares = "assemble.splits={validation: 0, test: 0, near: 0.5}"
    none = Run(config.load("default", ["input=[x]", f"output={run.config.output}", shares]))
    none.execute(split.STAGE)
    assert none.manifest("splits").rows == 0
