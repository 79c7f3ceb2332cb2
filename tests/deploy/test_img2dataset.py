"""img2dataset as the backend in one command: what is asked for, fetched and taken, in order."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.pipeline import manifest
from benben.pipeline.images.fetch.fetcher import ALLOWED
from benben.pipeline.schema import IMAGES
from deploy import img2dataset
from tests.analysis import run_folder


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run whose table of images leaves two to img2dataset, the last address first."""
    folder = run_folder.make(tmp_path / "run")
    made = manifest.read(f"{folder}/images")
    assert made is not None
    path = Path(folder, "images", made.files[0].name)
    rows = sorted(pq.read_table(path).to_pylist(), key=lambda row: row["url"], reverse=True)
    reasons = (ALLOWED, "consent.robots", ALLOWED)
    for row, reason in zip(rows, reasons, strict=False):
        row["reason"] = reason
    pq.write_table(pa.Table.from_pylist(rows, schema=IMAGES), path)
    return folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that are run, in place of running them."""
    found: list[list[str]] = []

    def note(command: list[object], check: bool) -> None:
        assert check
        found.append([str(one) for one in command])

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setattr(img2dataset, "ENVIRONMENT", tmp_path / "environment")
    return found


def test_consent_is_asked_before_and_shards_are_taken_after(
    run: str, calls: list[list[str]]
) -> None:
    assert img2dataset.main([run, "fetch.concurrency=8"]) == 0
    asked, _, _, loaded, taken = calls
    folder = Path(run, "img2dataset")
    assert asked[3:] == ["fetch", run, "fetch.enabled=true", "fetch.backend=img2dataset",
                         "fetch.concurrency=8"]  # fmt: skip
    assert taken[3:] == [*asked[3:], "fetch.attempt=2", f"fetch.img2dataset=[{folder}/shards]"]
    urls = pq.read_table(folder / "urls.parquet").column("url").to_pylist()
    assert len(urls) == 2
    assert urls == sorted(urls)
    options = dict(zip(loaded[1::2], loaded[2::2], strict=True))
    assert options["--url_list"] == str(folder / "urls.parquet")
    assert options["--output_folder"] == str(folder / "shards")
    assert options["--disable_all_reencoding"] == "True"


def test_the_environment_is_made_once(calls: list[list[str]], tmp_path: Path) -> None:
    tool = img2dataset.environment() / "bin" / "img2dataset"
    assert [call[1:3] for call in calls] == [["-m", "venv"], ["-m", "pip"]]
    assert calls[1][-1] == f"img2dataset=={img2dataset.VERSION}"
    tool.parent.mkdir(parents=True)
    tool.touch()
    img2dataset.environment()
    assert len(calls) == 2


def test_nothing_is_downloaded_where_nothing_may_be(run: str, calls: list[list[str]]) -> None:
    made = manifest.read(f"{run}/images")
    assert made is not None
    path = Path(run, "images", made.files[0].name)
    rows = [row | {"reason": "consent.robots"} for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=IMAGES), path)
    assert img2dataset.main([run]) == 0
    assert len(calls) == 1


@pytest.mark.parametrize("arguments", [[], ["--help"], ["fetch.attempt=2"]])
def test_without_a_run_it_says_what_it_does(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert img2dataset.main(arguments) == 2
    assert "RUN" in capsys.readouterr().err


def test_what_fails_is_one_line(
    tmp_path: Path, calls: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert img2dataset.main([str(tmp_path / "none")]) == 1
    assert "no table of images here" in capsys.readouterr().err
