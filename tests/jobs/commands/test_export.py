from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest
import webdataset
import yaml

import benben
from benben.jobs.commands import cli
from benben.pipeline import manifest, storage
from benben.pipeline.dataset import markdown, obelics
from benben.pipeline.dataset import self_contained as contained
from benben.pipeline.dataset.webdataset import ImageIndex
from benben.pipeline.document import Node
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


def self_contained(run: Path, to: Path) -> int:
    return cli.main(["export", str(run), str(to), "--form", "self-contained"])


def test_both_forms_give_the_same_documents(run: Path, tmp_path: Path) -> None:
    assert self_contained(run, tmp_path) == 0
    for split in ("train", "test"):
        by_reference = list(benben.load(str(run), split, pictures="bytes"))
        contained = list(benben.load(str(tmp_path), split, pictures="bytes"))
        assert contained == by_reference
        assert [d.text_nodes for d in contained] == [d.text_nodes for d in by_reference]
        assert all(d.text_nodes[0] for d in contained)
        assert all(p.data for document in contained for p in document.pictures)
        bare = list(benben.load(str(tmp_path), split, pictures="references"))
        assert [d.texts for d in bare] == [d.texts for d in by_reference]
        assert not any(p.data for document in bare for p in document.pictures)
    found = manifest.read(str(tmp_path))
    assert found is not None
    assert sum(file.rows for file in found.files) == 8


def test_an_image_without_bytes_is_null_in_its_row(run: Path) -> None:
    (path, *_) = storage.list_files(str(run / "dataset/data"))
    rows = pq.ParquetFile(path).read().to_batches()[0]
    before = rows["image_sha256"].to_pylist()
    gone = {name for name in before[0] if name}
    stored = {name: ("jpeg", b"x") for some in before for name in some if name and name not in gone}
    found = contained.with_images(rows, stored).to_pylist()
    assert found[0]["images"] == [None] * len(before[0])
    assert found[0]["image_urls"] == rows["images"][0].as_py()
    for row, names in zip(found[1:], before[1:], strict=True):
        paths = [image and image["path"] for image in row["images"]]
        assert paths == [f"{name}.jpg" if name in stored else None for name in names]


def test_structs_hold_all_that_the_json_holds(run: Path) -> None:
    """A key that has no field would be left out in silence."""
    node = Node("image", 0, "img.1", "img", url="http://a.example/owl.png", src="owl.png")
    node = replace(node, alt="an owl", caption="owl", width=1, height=2)
    fact = obelics.ImageFact("00", 3, 4, "png")
    assert obelics.image_metadata(node, "http://a.example/", fact).keys() == {
        field.name for field in contained.IMAGE_FACTS
    }
    page = json.loads(obelics.general_metadata("u", "w", 1, 2))
    assert page.keys() == {field.name for field in contained.PAGE_FACTS}
    nodes = [
        Node("text", 0, "h2.1", "h2", text="Owls"),
        Node("text", 1, "ul.2/li.1/h3.1", "h3", text="Barn owls"),
    ]
    *_, last = markdown.node_facts(nodes)
    assert last.keys() == {field.name for field in contained.NODE_FACTS}


def test_rows_with_images_are_written_anew_after_a_change(run: Path, tmp_path: Path) -> None:
    assert self_contained(run, tmp_path) == 0
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    one, other = sorted((tmp_path / "self_contained").iterdir())[:2]
    inode = other.stat().st_ino
    one.unlink()
    assert self_contained(run, tmp_path) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == files
    assert other.stat().st_ino == inode
    other.write_bytes(b"with what was taken down since")
    (tmp_path / "source.json").write_text("{}")
    assert self_contained(run, tmp_path) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == files


def test_the_dataset_itself_is_not_written_over(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert self_contained(run, run / "dataset") == 2
    assert "holds the dataset in another form" in capsys.readouterr().err


def test_the_card_is_of_the_form_that_is_there(run: Path, tmp_path: Path) -> None:
    assert self_contained(run, tmp_path) == 0
    text = (tmp_path / "README.md").read_text()
    (config,) = yaml.safe_load(text.split("---")[1])["configs"]
    assert config["config_name"] == "self_contained"
    assert config["default"]
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    found: dict[str, Any] = {}
    exec(code.replace("path/to/this/folder", str(tmp_path)), found)
    first = next(iter(found["documents"]))
    assert [image is None for image in first["images"]] == [u is None for u in first["image_urls"]]
    assert len(list(found["interleaved"])) == 5
    described = mlcroissant.Dataset(str(tmp_path / "croissant.json"))
    assert [one.id for one in described.metadata.record_sets] == ["self_contained"]


def test_an_image_that_is_not_stored_is_not_found(run: Path) -> None:
    paths = storage.list_files(str(run / "dataset/images"))
    some = pq.read_table(paths[0], partitioning=None)["sha256"].to_pylist()[:3]
    assert ImageIndex(paths).read({"ff" * 32, *some}).keys() == set(some)
    assert ImageIndex([]).read(set(some)) == {}


def test_without_a_dataset_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "no run here" in capsys.readouterr().err
