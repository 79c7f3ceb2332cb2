"""Deduplication of small tables through both of its stages."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from benben.jobs import deduplicate
from benben.jobs.deduplication import revisions
from benben.jobs.engine.stage import Run
from benben.pipeline import config
from benben.pipeline.errors import UserError
from tests.jobs.made_pages import clustered, edited, page, rows, run_over, text

pytestmark = pytest.mark.spark


def pages_of_all_kinds() -> list[Any]:
    base = [page(f"page{i}", text(i)) for i in range(40)]
    logo = [f"https://cdn.example/{name}.png" for name in ("logo", "mail")]
    return [
        *base,
        page("recrawl", text(500), url=base[0]["url"], captured_at="2024-06-01T00:00:00Z"),
        page("bytes", text(501), payload_digest=base[1]["payload_digest"]),
        page("case", text(2).upper() + "!", images=["https://x.example/1.jpg"]),
        page("near", edited(text(3), 4)),
        page("far", edited(text(4), 60)),
        *[page(f"chain{i}", edited(text(900), 9 * i), images=logo[:1]) for i in range(12)],
        page(
            "set1",
            text(700, 300) + text(701, 150),
            images=["https://x.example/a", "https://x.example/b"],
        ),
        page(
            "set2",
            text(700, 300) + text(702, 150),
            images=["https://x.example/b", "https://x.example/a"],
        ),
    ]


def names(pages: list[Any]) -> dict[str, str]:
    """Name of a page -> doc_id; the payload digest ends in the name except for `bytes`."""
    return {row["url"].split("/")[2].split(".")[0]: row["doc_id"] for row in pages}


def test_each_kind_of_duplicate_names_the_kept_document(spark: Any, tmp_path: Path) -> None:
    pages = pages_of_all_kinds()
    ids = {name: row["doc_id"] for row in pages for name in [row["doc_id"]]}
    dropped = run_over(tmp_path, pages, 3)
    by_reason: dict[str, list[Any]] = {}
    for row in dropped.values():
        by_reason.setdefault(row["reason"], []).append(row)
    recrawl, case = pages[40]["doc_id"], pages[42]["doc_id"]
    assert [row["kept_id"] for row in by_reason["duplicate.url"]] == [recrawl]  # the newest
    assert [row["kept_id"] for row in by_reason["duplicate.text"]] == [case]  # has an image
    assert len(by_reason["duplicate.payload"]) == 1
    near = {row["doc_id"]: row for row in by_reason["duplicate.minhash"]}
    assert all(0.75 <= row["similarity"] <= 1 for row in near.values())
    assert ids.keys() >= near.keys()
    assert pages[44]["doc_id"] not in dropped  # too far from page4
    assert [row["reason"] for row in by_reason["duplicate.image_set"]] == ["duplicate.image_set"]


def test_the_kept_set_depends_on_no_partitioning_and_no_order(spark: Any, tmp_path: Path) -> None:
    pages = pages_of_all_kinds()
    whole = run_over(tmp_path / "1", pages, 1)
    shuffled = "spark.one_task_rows=0"
    random.Random(3).shuffle(pages)
    assert run_over(tmp_path / "4", pages, 4) == whole
    random.Random(4).shuffle(pages)
    assert run_over(tmp_path / "4s", pages, 4, shuffled) == whole


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("one_task_rows", [0, 1000])
def test_the_kept_set_is_that_of_one_part_in_64_parts_too(
    spark: Any, tmp_path: Path, one_task_rows: int
) -> None:
    pages = pages_of_all_kinds()
    whole = run_over(tmp_path / "1", pages, 1)
    random.Random(one_task_rows).shuffle(pages)
    chosen = f"spark.one_task_rows={one_task_rows}"
    assert run_over(tmp_path / "64", pages, 64, chosen) == whole


def test_lines_and_images_of_many_documents_go_everywhere(spark: Any, tmp_path: Path) -> None:
    pages = []
    for number in range(12):
        host = "one.example" if number < 3 else f"host{number}.example"
        row = page(f"p{number}", text(number), url=f"https://{host}/{number}")
        row["nodes"].append({"kind": "text", "index": 1, "text": "Read more about us"})
        image = "https://cdn.example/logo.png" if number < 11 else "https://cdn.example/own.png"
        row["nodes"].append({"kind": "image", "index": 2, "url": image})
        pages.append(row)
    found = run_over(tmp_path, pages, 2)
    gone = {
        row["url"]: {node["index"]: node["reason"] for node in found[row["doc_id"]]["dropped"]}
        for row in pages
        if row["doc_id"] in found
    }
    assert gone["https://one.example/0"] == {1: "duplicate.host_line", 2: "duplicate.image_url"}
    assert gone["https://host5.example/5"] == {2: "duplicate.image_url"}
    assert "https://host11.example/11" not in gone
    node = found[pages[0]["doc_id"]]["dropped"][1]
    assert (node["value"], node["bound"]) == (11, 10)


def test_a_document_with_a_benchmark_item_goes_and_names_it(spark: Any, tmp_path: Path) -> None:
    item = text(60, 20)
    (tmp_path / "set.jsonl").write_text(f'{{"id": "question 7", "text": "{item}"}}\n')
    pages = [page("a", text(1) + " " + item + " " + text(2)), page("b", text(1) + text(2))]
    chosen = f"fingerprint.decontaminate.sets={{exams: {tmp_path / 'set.jsonl'}}}"
    found = run_over(tmp_path, pages, 1, chosen)
    assert [(row["doc_id"], row["reason"], row["detail"]) for row in found.values()] == [
        (pages[0]["doc_id"], "contamination.exams", "question 7")
    ]


def test_three_slices_one_after_the_other_equal_the_full_run(spark: Any, tmp_path: Path) -> None:
    pages = pages_of_all_kinds()
    random.Random(5).shuffle(pages)
    slices = [pages[0::3], pages[1::3], pages[2::3]]
    for month, chosen in enumerate(slices, 1):  # a dump's captures are later than the last one's
        for row in chosen:
            row["captured_at"] = f"2024-{month:02d}-03T00:00:00Z"
    full = clustered(tmp_path / "full", pages, 2)
    dropped: dict[str, Any] = {}
    revised = 0
    for number, chosen in enumerate(slices):
        folder = tmp_path / str(number)
        against = f"deduplicate.against={[str(tmp_path / str(n)) for n in range(number)]}"
        run = clustered(folder, chosen, 2, "deduplicate.index=true", against)
        dropped |= rows(run, "clusters")
        changed = rows(run, "revisions")
        revised += len(changed)
        dropped |= changed
    assert revised > 0
    stay = {name: row for name, row in dropped.items() if row["reason"]}
    assert stay == rows(full, "clusters")
    again: dict[str, Any] = {}
    for number in range(3):  # the earlier runs take what the later ones say of them
        later = [str(tmp_path / str(n)) for n in range(number + 1, 3)]
        earlier = [str(tmp_path / str(n)) for n in range(number)]
        options = [f"output={tmp_path / str(number)}", "input=[x]", "deduplicate.index=true"]
        options += [f"deduplicate.against={earlier}", f"revised_by={later}"]
        run = Run(config.load("default", options))
        run.execute(deduplicate.STAGE)
        again |= rows(run, "duplicates")
    assert {name: again[name]["kept_id"] for name in stay} == {
        name: row["kept_id"] for name, row in stay.items()
    }
    others = {row["reason"] for name, row in again.items() if name not in stay}
    assert others <= {None, "duplicate.image_set"}


def test_revisions_of_a_run_that_has_none_are_asked_for(tmp_path: Path) -> None:
    chosen = config.load("default", ["input=[x]", f"revised_by=['{tmp_path}']"])
    with pytest.raises(UserError, match=r"has no revisions.*revised_by"):
        revisions.sources(chosen)
