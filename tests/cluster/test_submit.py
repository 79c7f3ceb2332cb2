import zipfile
from pathlib import Path

import pyarrow as pa

from benben.pipeline import manifest, storage
from deploy import bundle
from tests.cluster.submit import ROOT, start

TINY = ROOT / "tests" / "cluster" / "tiny.py"


def test_the_zip_of_equal_code_is_equal_and_has_the_data_files(tmp_path: Path) -> None:
    one, two = (bundle.build(tmp_path / name).read_bytes() for name in ("1.zip", "2.zip"))
    assert one == two
    names = set(zipfile.ZipFile(tmp_path / "1.zip").namelist())
    assert {
        "benben/configs/default.yaml",
        "benben/configs/cluster/stages.yaml",
        "benben/jobs/commands/cli.py",
    } <= names
    assert not any("__pycache__" in name or name.startswith("tests") for name in names)


def test_spark_submit_works_from_any_folder_with_the_zip_alone(tmp_path: Path) -> None:
    driver = start(tmp_path, TINY, "default", "input=[x]", f"output={tmp_path}/run")
    driver.done()
    assert "benben.zip" in driver.text
    found = manifest.read(f"{tmp_path}/run/numbers")
    assert found is not None
    assert found.version == manifest.code_version(), "a zip and a checkout share their tables"
    rows = pa.concat_tables(
        [storage.read_parquet(p) for p in found.paths(f"{tmp_path}/run/numbers")]
    )
    assert rows["square"].to_pylist() == [n * n for n in range(8)]
