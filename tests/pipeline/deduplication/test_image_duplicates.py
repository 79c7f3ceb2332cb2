"""Fetched images, looked up by the documents that show them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benben.pipeline import config
from benben.pipeline.deduplication.decontamination import BenchmarkImages
from benben.pipeline.deduplication.fingerprint import FINGERPRINTS, key
from benben.pipeline.deduplication.image_duplicates import (
    COLUMNS,
    PICTURES,
    FetchedImages,
    fetched_images,
)
from benben.pipeline.schema import IMAGES, NODE_VERDICT

SETTINGS = config.load("default", ["input=[x]"]).pictures
NOTHING = BenchmarkImages(np.zeros(0, np.uint64), [])
LOOK = "0f1e2d3c4b5a6978"


def rows(*images: dict[str, str], benchmarks: BenchmarkImages = NOTHING) -> pa.RecordBatch:
    blank = dict.fromkeys(IMAGES.names)
    batch = pa.RecordBatch.from_pylist([blank | image for image in images], IMAGES)
    return fetched_images(batch.select(COLUMNS), SETTINGS, benchmarks)


def shown(*documents: list[str]) -> pa.RecordBatch:
    """Fingerprints of documents with image nodes of these URLs, from index 1 on."""
    blank = dict.fromkeys(FINGERPRINTS.names) | {"text_nodes": []}
    found = []
    for number, urls in enumerate(documents):
        nodes = [{"index": i, "key": key("image", url)} for i, url in enumerate(urls, 1)]
        found.append(blank | {"doc_id": str(number), "image_nodes": nodes})
    return pa.RecordBatch.from_pylist(found, FINGERPRINTS)


def indexes(batch: pa.RecordBatch, column: str) -> list[list[int]]:
    return [[node["index"] for node in row] for row in batch[column].to_pylist()]


def nothing(batch: pa.RecordBatch) -> pa.ListArray:
    return pa.array([[]] * len(batch), pa.list_(NODE_VERDICT))


def test_only_images_that_were_fetched_have_content_and_only_pictures_a_look() -> None:
    found = rows(
        {"url": "a", "sha256": "1", "phash": LOOK},
        {"url": "b", "sha256": "1", "phash": "0000000000000001"},
        {"url": "c", "sha256": "2", "reason": "picture.truncated"},
        {"url": "d", "reason": "http.404"},
    )
    assert found["content"].to_pylist() == [key("content", "1")] * 2
    assert found["look"].to_pylist() == [int(LOOK, 16), None]
    batch = shown(["d", "a", "b"], [], ["c", "a"])
    beside = FetchedImages(pa.Table.from_batches([found])).add_columns(batch, nothing(batch))
    assert indexes(beside, "image_nodes") == [[1, 2, 3], [], [1, 2]]
    assert indexes(beside, "content_nodes") == [[2, 3], [], [2]]
    assert indexes(beside, "look_nodes") == [[2], [], [2]]


def test_nodes_that_were_dropped_before_take_no_part() -> None:
    found = FetchedImages(pa.Table.from_batches([rows({"url": "a", "sha256": "1", "phash": LOOK})]))
    batch = shown(["a", "a"], ["a"])
    gone = {"index": 1, "reason": "x", "value": 0.0, "bound": 0.0}
    beside = found.add_columns(batch, pa.array([[gone], []], pa.list_(NODE_VERDICT)))
    for column in ("image_nodes", "content_nodes", "look_nodes"):
        assert indexes(beside, column) == [[2], [1]]


def test_without_any_fetched_image_nothing_is_known() -> None:
    batch = shown(["a"], [])
    beside = FetchedImages(PICTURES.empty_table()).add_columns(batch, nothing(batch))
    assert indexes(beside, "image_nodes") == [[1], []]
    assert indexes(beside, "content_nodes") == indexes(beside, "look_nodes") == [[], []]
    assert FetchedImages(PICTURES.empty_table()).contaminated(beside) == {}


def test_a_benchmark_s_image_is_named_if_it_is_near_enough() -> None:
    near, far = int(LOOK, 16) ^ 0b1111, int(LOOK, 16) ^ 0b11111
    names = [{"set": "exam", "item": "near"}]
    images = {"url": "a", "sha256": "1", "phash": LOOK}
    for hashes, item in ((near, {"0": names[0]}), (far, {})):
        benchmarks = BenchmarkImages(np.array([hashes], np.uint64), names)
        found = FetchedImages(pa.Table.from_batches([rows(images, benchmarks=benchmarks)]))
        assert found.contaminated(shown(["b", "a"], ["b"])) == item
