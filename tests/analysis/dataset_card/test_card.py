from __future__ import annotations

import json
import re
import shutil
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import mlcroissant
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from benben.analysis.dataset_card import card, croissant
from benben.analysis.report import html_report
from benben.pipeline import schema
from benben.pipeline.errors import InputError
from tests.analysis.run_folder import make


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("run"))
    card.write(folder)
    return Path(folder)


@pytest.fixture(scope="module")
def text(output: Path) -> str:
    return (output / "dataset" / "README.md").read_text(encoding="utf-8")


def rows(folder: Path, pattern: str = "*.parquet") -> list[dict[str, Any]]:
    tables = [pq.read_table(path, partitioning=None) for path in sorted(folder.glob(pattern))]
    return pa.concat_tables(tables).to_pylist()


def table(text: str, head: str) -> dict[str, float]:
    """Rows of the Markdown table with this head: first cell -> number."""
    lines = text[text.index(f"| {head} |") :].splitlines()[2:]
    found = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, number = line.strip("| ").rsplit("|", 1)
        found[name.strip().strip("`")] = float(number.replace(",", ""))
    return found


def test_every_number_of_contents_is_what_the_parquet_says(output: Path, text: str) -> None:
    data, stored = rows(output / "dataset/data"), rows(output / "dataset/images")
    said = table(text.replace("| | |", "| Contents | |"), "Contents | |"[:-2])
    shown = {sha for row in data for sha in row["image_sha256"] if sha}
    sizes = {row["sha256"]: row for row in rows(output / "images") if row["sha256"] in shown}
    assert said == {
        "documents": len(data),
        "image slots": sum(url is not None for row in data for url in row["images"]),
        "words": sum(len(text.split()) for row in data for text in row["texts"] if text),
        "text tokens (estimated)": sum(
            round(sum(len(text.encode()) for text in row["texts"] if text) / 4) for row in data
        ),
        "median words per document": statistics.median(row["num_words"] for row in data),
        "median images per document": statistics.median(row["num_images"] for row in data),
        "places with personal data replaced": sum(row["num_redacted"] or 0 for row in data),
        "hosts": len({row["host"] for row in data}),
        "languages": len({row["lang"] for row in data}),
        "distinct images with bytes": len({row["sha256"] for row in stored}),
        "bytes of images": sum(len(row["bytes"]) for row in stored),
        "median image width": statistics.median(row["width"] for row in sizes.values()),
        "median image height": statistics.median(row["height"] for row in sizes.values()),
    }


def test_every_count_by_name_is_what_the_parquet_says(output: Path, text: str) -> None:
    data, stored = rows(output / "dataset/data"), rows(output / "dataset/images")
    pages = rows(output / "documents")
    shipped = {row["doc_id"] for row in data}
    assert table(text, "Language | Count") == Counter(row["lang"] for row in data)
    assert table(text, "Host | Count") == Counter(row["host"] for row in data)
    assert table(text, "Image format | Count") == Counter(row["format"] for row in stored)
    assert table(text, "Licence | Count") == Counter(
        entry for row in pages if row["doc_id"] in shipped for entry in row["licenses"]
    )
    assert table(text, "Reservation | Count") == Counter(
        entry for row in pages for entry in row["opt_outs"]
    )
    refused = Counter(row["reason"] for row in rows(output / "images") if row["reason"])
    consent = {name: number for name, number in refused.items() if name.startswith("consent.")}
    assert table(text, "Reason | Count") == consent


def test_splits_are_the_files(output: Path, text: str) -> None:
    for kind, split, pattern in (
        *(("data", name, f"{name}-*.parquet") for name in ("train", "test")),
        ("images", "train", "*.parquet"),
    ):
        files = sorted((output / "dataset" / kind).glob(pattern))
        number = sum(pq.read_metadata(path).num_rows for path in files)
        size = sum(path.stat().st_size for path in files)
        assert f"| `{kind}` | {split} | {number:,} | {size:,} | {len(files)} |" in text


def test_funnel_is_the_manifests(output: Path, text: str) -> None:
    for path in output.glob("*/manifest.json"):
        made = json.loads(path.read_text())
        for unit, count in made["counts"].items():
            line = f"| {made['stage']} | {unit} | {count['entered']:,} | {count['kept']:,} |"
            assert line in text
            for reason, number in count["rejected"].items():
                assert f"| | `{reason}` | −{number:,} | |" in text


def test_metadata_opens_both_configs_with_datasets(output: Path, text: str, tmp_path: Path) -> None:
    header = yaml.safe_load(text.split("---")[1])
    assert [entry["config_name"] for entry in header["configs"]] == ["data", "images"]
    folder, cache = str(output / "dataset"), str(tmp_path)
    data = datasets.load_dataset(folder, "data", split="train", cache_dir=cache)
    assert data.to_list() == rows(output / "dataset/data", "train-*.parquet")
    assert datasets.load_dataset(folder, split="train", cache_dir=cache).num_rows == len(data)
    stream = datasets.load_dataset(folder, "images", split="train", streaming=True)
    assert list(stream) == rows(output / "dataset/images")


def test_the_config_in_the_card_is_the_runs(text: str) -> None:
    config = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S).group(1))  # type: ignore[union-attr]
    assert config["rules"]["text_node"]["words"] == {"min": 4, "max": 1000}


def test_croissant_describes_every_column() -> None:
    assert list(croissant.FIELDS["data"]) == schema.DATASET.names
    assert list(croissant.FIELDS["images"]) == schema.IMAGE_BYTES.names


def test_croissant_is_valid_and_reads_the_files(output: Path) -> None:
    path = output / "dataset" / "croissant.json"
    dataset = mlcroissant.Dataset(jsonld=str(path))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("data"))
    expected = rows(output / "dataset/data")
    assert [record["data/doc_id"].decode() for record in records] == [
        row["doc_id"] for row in expected
    ]
    assert records[0]["data/num_words"] == expected[0]["num_words"]
    picture = next(iter(dataset.records("images")))["images/bytes"]
    assert picture.size[1] == 160


def test_text_that_pages_chose_is_no_markup() -> None:
    assert card.cell("a|b`c`\n<b>") == "`a\\|b'c'<b>`"


def test_without_a_dataset_there_is_no_card(output: Path, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/manifest.json").write_bytes(
        (output / "documents/manifest.json").read_bytes()
    )
    with pytest.raises(InputError, match="no dataset here yet"):
        card.write(str(tmp_path))


def test_a_run_that_ships_nothing_has_a_card_and_a_report(output: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(output, tmp_path / "run"))
    made = json.loads((run / "dataset/manifest.json").read_text())
    (run / "dataset/manifest.json").write_text(json.dumps({**made, "files": []}))
    for table in ("images", "duplicates", "signals"):
        (run / table / "manifest.json").unlink()
    paths = card.write(str(run))
    assert "| documents | 0 |" in Path(paths[0]).read_text()
    assert "No document was shipped." in html_report.render(str(run))


def test_images_on_both_sides_of_a_split_are_counted(
    output: Path, text: str, tmp_path: Path
) -> None:
    assert "of the held-out splits also appear in documents of train" not in text
    run = Path(shutil.copytree(output, tmp_path / "run"))
    train, test = (
        sorted((run / "dataset/data").glob(f"{name}-*"))[0] for name in ("train", "test")
    )
    shared = pq.read_table(train, partitioning=None)["image_sha256"][0]
    table = pq.read_table(test, partitioning=None)
    place = table.schema.get_field_index("image_sha256")
    digests = pa.array([shared.as_py()] * len(table), table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), digests), test)
    said = Path(card.write(str(run))[0]).read_text()
    assert "2 images of the held-out splits also appear in documents of train" in said
