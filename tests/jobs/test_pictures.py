"""What repeats once images are fetched: by their bytes, by their looks, in benchmark sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benben.jobs import pictures
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benben.pipeline.schema import IMAGES
from tests.jobs.made_pages import page, rows, run_over, text, write_table

pytestmark = pytest.mark.spark
LOOK = 0x0F1E_2D3C_4B5A_6978
OTHER = 0xFFFF_0000_FFFF_0000


def url(name: str) -> str:
    return f"https://images.example/{name}"


def image(name: str, content: str, look: int | None, reason: str | None = None) -> dict[str, Any]:
    row = dict.fromkeys(IMAGES.names) | {"url": url(name), "reason": reason, "sha256": content}
    return row | {"phash": None if look is None else f"{look:016x}"}


def shown(number: int, *images: str, **facts: Any) -> Any:
    return page(f"page{number}", text(number), images=[url(name) for name in images], **facts)


def run_pictures(
    folder: Path, pages: list[Any], images: list[dict[str, Any]], *overrides: str, parts: int = 2
) -> tuple[Run, dict[str, Any]]:
    """Both rounds of deduplication; returns the run and the rows of `picture_duplicates`."""
    run_over(folder, pages, parts)
    write_table(folder, "images", IMAGES, [images[0::2], images[1::2]])
    options = [f"output={folder}", "input=[x]", "deduplicate.index=false", *overrides]
    run = Run(config.load("default", options))
    run.execute(pictures.STAGE)
    return run, rows(run, "picture_duplicates")


def reasons(found: dict[str, Any], pages: Sequence[Any]) -> list[dict[int, str]]:
    """Reason by node of each page."""
    return [
        {
            node["index"]: node["reason"]
            for node in found.get(row["doc_id"], {"dropped": []})["dropped"]
        }
        for row in pages
    ]


@pytest.mark.parametrize("one_task_rows", [0, 1000])
def test_images_of_equal_bytes_or_looks_go_from_documents_that_are_too_many(
    spark: Any, tmp_path: Path, one_task_rows: int
) -> None:
    pages = [shown(number, f"same{number}", f"own{number}") for number in range(4)]
    pages += [shown(number, f"like{number}") for number in range(4, 8)]
    images = [image(f"same{number}", "s", OTHER) for number in range(4)]
    images += [image(f"own{number}", f"o{number}", 0x5555 << (number * 11)) for number in range(4)]
    images += [image(f"like{number}", f"l{number}", LOOK ^ (3 << number)) for number in range(4, 7)]
    images += [image("like7", "l7", LOOK ^ 0xFFF000)]  # 12 bits away
    run, found = run_pictures(
        tmp_path,
        pages,
        images,
        "pictures.content_documents=3",
        "pictures.look_documents=2",
        "pictures.image_sets.enabled=false",
        f"spark.one_task_rows={one_task_rows}",
    )
    assert reasons(found, pages) == [
        *[{1: "duplicate.image_content"}] * 4,
        *[{1: "duplicate.image_look"}] * 3,
        {},
    ]
    node = found[pages[0]["doc_id"]]["dropped"][0]
    assert (node["value"], node["bound"]) == (4, 3)
    counts = run.manifest("picture_duplicates").counts
    assert (counts["documents"].entered, counts["documents"].kept) == (8, 8)
    assert (counts["images"].entered, counts["images"].kept) == (12, 5)


def test_documents_with_the_same_images_are_told_by_content_or_by_look(
    spark: Any, tmp_path: Path
) -> None:
    same = [shown(0, "a0", "b0"), shown(1, "b1", "a1")]
    like = [shown(2, "c2", "d2"), shown(3, "c3", "d3")]
    failed = [shown(4, "a4", "gone4"), shown(5, "a5", "gone5")]
    images = [image(f"{name}{n}", name, None) for name in "ab" for n in (0, 1)]
    images += [image("c2", "c2", LOOK), image("c3", "c3", LOOK ^ 5)]
    images += [image("d2", "d2", OTHER), image("d3", "d3", OTHER ^ 9)]
    images += [image(f"a{n}", f"x{n}", None) for n in (4, 5)]
    images += [image(f"gone{n}", "a", LOOK, "http.404") for n in (4, 5)]
    pages = [*same, *like, *failed]
    any_text = "pictures.image_sets.min_similarity=0"
    _, found = run_pictures(tmp_path / "content", pages, images, any_text)
    (row,) = found.values()
    assert row["reason"] == "duplicate.image_set_content"
    assert {row["doc_id"], row["kept_id"]} == {page["doc_id"] for page in same}
    by_look = "pictures.image_sets.by=look"
    _, found = run_pictures(tmp_path / "look", pages, images, any_text, by_look)
    (row,) = found.values()
    assert row["reason"] == "duplicate.image_set_look"
    assert {row["doc_id"], row["kept_id"]} == {page["doc_id"] for page in like}
    _, found = run_pictures(tmp_path / "texts", pages, images)
    assert found == {}  # the texts are unlike


def test_a_document_that_shows_a_benchmark_s_image_goes_and_names_it(
    spark: Any, tmp_path: Path
) -> None:
    listed = tmp_path / "exam.jsonl"
    listed.write_text(json.dumps({"id": "figure 3", "phash": f"{LOOK:016x}"}) + "\n")
    pages = [shown(0, "a"), shown(1, "b"), shown(2, "c")]
    images = [image("a", "a", LOOK ^ 0xF), image("b", "b", LOOK ^ 0x1F), image("c", "c", None)]
    chosen = f"pictures.decontaminate.sets={{exam: '{listed}'}}"
    run, found = run_pictures(tmp_path, pages, images, chosen)
    assert [(row["doc_id"], row["reason"], row["detail"]) for row in found.values()] == [
        (pages[0]["doc_id"], "contamination.exam", "figure 3")
    ]
    counts = run.manifest("picture_duplicates").counts
    assert counts["images"].rejected == {"contamination.exam": 1}
    listed.write_text(json.dumps({"id": "figure 4", "phash": f"{OTHER:016x}"}) + "\n")
    run.execute(pictures.STAGE)  # another set is other work
    assert rows(run, "picture_duplicates") == {}
