"""The table `image_worth`: what it has rows for, and that partitions do not change it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benben.jobs import pictures
from benben.jobs.engine.stage import Run
from benben.pipeline import config, storage
from benben.pipeline.images.image_facts import ImageFacts
from benben.pipeline.images.worth import look
from benben.pipeline.images.worth.model import LEAST_PAIRS
from benben.pipeline.schema import IMAGES
from tests.jobs.made_pages import page, run_over, write_table

pytestmark = pytest.mark.spark
COLOURS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 200)}
FILLER = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
PAGES = 75
STRANGE = 7  # page whose image has another colour than it names
ON = ["fetch.look=true", "worth.enabled=true"]


def url(name: str) -> str:
    return f"https://images.example/{name}.png"


def colour(number: int) -> str:
    return list(COLOURS)[number % len(COLOURS)]


def image(number: int) -> dict[str, Any]:
    shown = "blue" if number == STRANGE else colour(number)
    made = look.measure(Image.new("RGB", (8, 8), COLOURS[shown]))
    facts = {"width": 300, "height": 200, "num_bytes": 999, "entropy": 1.0, "flatness": 0.9}
    row = dict.fromkeys(IMAGES.names) | {"url": url(f"n{number}"), "sha256": f"sha{number}"}
    return row | {"look": made, "blur": 1.0, **facts}


def pages() -> list[Any]:
    """Pages that name the colour of their first image; the second has not been fetched."""
    found = []
    for number in range(PAGES):
        beside = random.Random(number).sample(FILLER, 6)
        body = " ".join((colour(number), *beside))
        found.append(page(f"page{number}", body, images=[url(f"n{number}"), url(f"none{number}")]))
        found[-1]["nodes"] = [*found[-1]["nodes"][1:], found[-1]["nodes"][0]]
    return found


def run_worth(folder: Path, parts: int, *overrides: str, number: int = PAGES) -> Run:
    some = pages()[:number]
    run_over(folder, some, parts)
    missing = [dict.fromkeys(IMAGES.names) | {"url": url("none0"), "reason": "http.404"}]
    fetched = [image(place) for place in range(number)]
    write_table(folder, "images", IMAGES, [fetched[0::2], fetched[1::2] + missing])
    options = [f"output={folder}", "input=[x]", "deduplicate.index=false", *overrides]
    run = Run(config.load("default", options))
    run.execute(pictures.STAGE)
    return run


def rows(run: Run) -> list[dict[str, Any]]:
    found = [storage.read_parquet(path) for path in run.paths("image_worth").values()]
    return sorted(
        (row for one in found for row in one.to_pylist()),
        key=lambda row: (row["doc_id"], row["index"]),
    )


def test_worth_is_that_of_fetched_images_at_any_number_of_partitions(
    spark: Any, tmp_path: Path
) -> None:
    one = run_worth(tmp_path / "one", 1, *ON)
    found = rows(one)
    assert len(found) == 2 * PAGES
    assert {row["index"] for row in found if row["worth"] is not None} == {1}
    others = {(row["page_worth"], row["alt_overlap"], row["position"]) for row in found}
    assert others == {(None, None, 0.0)}
    assert rows(run_worth(tmp_path / "three", 3, *ON)) == found
    worth = {row["doc_id"]: row["worth"] for row in found if row["index"] == 1}
    names = [made["doc_id"] for made in pages()]
    own = [worth[name] for number, name in enumerate(names) if number != STRANGE]
    assert worth[names[STRANGE]] < np.median(own)
    assert not [path for path in storage.list_files(one.table("image_worth")) if "pairs" in path]
    facts = ImageFacts.read(None, *one.paths("image_worth").values())
    (documents,) = storage.iter_parquet(one.paths("documents")[0])
    for entries, name in zip(facts.of_images(documents).to_pylist(), names, strict=True):
        assert [entry["worth"] for entry in entries] == [worth[name], None]


def test_without_the_setting_or_with_few_pairs_there_is_no_worth(
    spark: Any, tmp_path: Path
) -> None:
    assert rows(run_worth(tmp_path / "off", 2, number=LEAST_PAIRS)) == []
    few = rows(run_worth(tmp_path / "few", 2, *ON, number=LEAST_PAIRS - 1))
    assert {row["worth"] for row in few} == {None}
    assert {row["position"] for row in few} == {0.0}


def test_worth_without_looks_is_refused() -> None:
    with pytest.raises(config.ConfigError, match=r"fetch\.look"):
        config.load("default", ["input=[x]", "worth.enabled=true"])
