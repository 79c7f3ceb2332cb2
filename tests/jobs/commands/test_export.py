from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import webdataset

from benben.jobs.commands import cli
from benben.pipeline import storage
from benben.pipeline.dataset.webdataset import ImageIndex
from tests.analysis.run_folder import make


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make(tmp_path_factory.mktemp("run")))


def test_webdataset_reads_every_document_with_its_images(run: Path, tmp_path: Path) -> None:
    assert cli.main(["export", str(run), str(tmp_path), "--samples", "2"]) == 0
    index = json.loads((tmp_path / "index.json").read_text())["shardlist"]
    assert {path.name for path in tmp_path.glob("*.tar")} == {entry["url"] for entry in index}
    assert [(tmp_path / entry["url"]).stat().st_size for entry in index] == [
        entry["filesize"] for entry in index
    ]
    paths = [str(tmp_path / entry["url"]) for entry in index]
    found = list(webdataset.WebDataset(paths, shardshuffle=False))
    expected = [
        row
        for path in sorted((run / "dataset/data").glob("*.parquet"))
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]
    assert [sample["__key__"] for sample in found] == [row["doc_id"] for row in expected]
    for sample, row in zip(found, expected, strict=True):
        document = json.loads(sample["json"])
        assert (document["texts"], document["images"]) == (row["texts"], row["images"])
        assert document["metadata"] == json.loads(row["metadata"])
        digests = [
            hashlib.sha256(sample[name]).hexdigest() if name else None
            for name in document["image_files"]
        ]
        assert digests == row["image_sha256"]
        assert len(sample) == 6  # __key__, __url__, __local_path__, json, two images


def test_again_makes_only_what_is_missing_and_the_same_bytes(run: Path, tmp_path: Path) -> None:
    assert cli.main(["export", str(run), str(tmp_path)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    gone, stays = sorted(tmp_path.glob("*.tar"))[:2]
    gone.unlink()
    inode = stays.stat().st_ino
    assert cli.main(["export", str(run), str(tmp_path)]) == 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert stays.stat().st_ino == inode


def test_tar_files_of_an_older_dataset_are_written_anew(run: Path, tmp_path: Path) -> None:
    assert cli.main(["export", str(run), str(tmp_path)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    stale = sorted(tmp_path.glob("*.tar"))[0]
    stale.write_bytes(b"with what was taken down since")
    (tmp_path / "of-the-user.tar").write_bytes(b"mine")
    (tmp_path / "source.json").write_text("{}")
    assert cli.main(["export", str(run), str(tmp_path)]) == 0
    assert (tmp_path / "of-the-user.tar").read_bytes() == b"mine"
    assert {path: path.read_bytes() for path in before} == before


def test_an_image_that_is_not_stored_is_not_found(run: Path) -> None:
    paths = storage.list_files(str(run / "dataset/images"))
    some = pq.read_table(paths[0], partitioning=None)["sha256"].to_pylist()[:3]
    assert ImageIndex(paths).read({"ff" * 32, *some}).keys() == set(some)
    assert ImageIndex([]).read(set(some)) == {}


def test_without_a_dataset_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "no run here" in capsys.readouterr().err
