"""PySpark 3.5 and 4: the same tables from both. `make test-spark4` makes both environments."""

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyspark
import pytest

from benben.pipeline import manifest, storage
from tests.cluster import chain

OTHER = os.environ.get("BENBEN_SPARK4", "")
TABLES = ("documents", "signals", "verdicts", "fingerprints", "clusters", "duplicates")
TABLES += ("picture_duplicates", "final_verdicts", "image_uses", "splits")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(not OTHER, reason="BENBEN_SPARK4 names no Python that has PySpark 4"),
]


def rows(output: Path, table: str) -> pa.Table:
    found = manifest.read(f"{output}/{table}")
    assert found is not None, table
    return pa.concat_tables([storage.read_parquet(p) for p in found.paths(f"{output}/{table}")])


def test_both_make_the_same_tables(sample: list[str], expected: Path, tmp_path: Path) -> None:
    asked = [OTHER, "-c", "import pyspark; print(pyspark.__version__)"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert (pyspark.__version__[:2], version[:2]) == ("3.", "4.")
    chain.on_one_machine(sample, tmp_path / "run", OTHER)
    chain.check_same(tmp_path / "run", expected)
    for table in TABLES:
        assert rows(tmp_path / "run", table).equals(rows(expected, table)), table
