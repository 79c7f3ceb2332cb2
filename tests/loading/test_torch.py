"""Streams handed to PyTorch and to `datasets`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import benben
from tests.loading import made

torch_data = pytest.importorskip("torch.utils.data", reason="needs torch: make setup-trainer")
DOCUMENTS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write_dataset(tmp_path_factory.mktemp("dataset"), DOCUMENTS)


def numbers(documents: Any) -> list[int]:
    return [int(document.url.rsplit("/", 1)[1]) for document in documents]


def opened(folder: Path) -> Any:
    return benben.load(str(folder), shuffle=True, buffer_documents=12)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_share_the_documents_and_hand_over_pixels(folder: Path, workers: int) -> None:
    stream = opened(folder).to_torch()
    given = {"multiprocessing_context": "spawn"} if workers else {}
    loader = torch_data.DataLoader(stream, batch_size=None, num_workers=workers, **given)
    found = list(loader)
    assert sorted(numbers(found)) == list(range(DOCUMENTS))
    by_number = dict(zip(numbers(found), found, strict=True))
    assert by_number[4].pictures[0].image.size == (24, 16)
    assert by_number[2].pictures[0].reason == "broken"


def test_ranks_share_the_documents(folder: Path) -> None:
    parts = [numbers(opened(folder).to_torch(rank, 3)) for rank in range(3)]
    assert sorted(number for part in parts for number in part) == list(range(DOCUMENTS))
    stream = opened(folder).to_torch()
    assert numbers(stream) != (stream.set_epoch(1), numbers(stream))[1]


def test_a_position_is_that_of_the_workers_shard(folder: Path) -> None:
    stream = opened(folder).to_torch(1, 2)
    whole = numbers(stream)
    assert numbers(islice(iter(stream), 9)) == whole[:9]
    resumed = opened(folder).to_torch(1, 2)
    resumed.load_state_dict(stream.state_dict())
    assert numbers(resumed) == whole[9:]


def test_datasets_decodes_the_same_pictures_and_resumes(folder: Path) -> None:
    stream = benben.load(str(folder)).to_datasets()
    rows = list(stream)
    assert len(rows) == DOCUMENTS
    row = rows[4]
    assert row["texts"] == ["Document 4 begins.", None, "END_OF_DOCUMENT_TOKEN_TO_BE_REPLACED"]
    assert [image is not None for image in row["images"]] == [False, True, False]
    assert row["images"][1].size == (24, 16)
    assert row["image_urls"] == [None, "http://example.org/4/0.jpg", None]
    assert rows[1]["images"] == [None] * 3
    assert rows[2]["images"] == [None] * 5  # broken, and not stored
    first = iter(stream)
    assert next(first)["doc_id"] == rows[0]["doc_id"]
    state = stream.state_dict()
    stream.load_state_dict(state)
    assert [one["doc_id"] for one in stream] == [one["doc_id"] for one in rows[1:]]


def test_a_shuffled_stream_is_shared_out_by_datasets(folder: Path) -> None:
    stream = opened(folder).to_datasets()
    parts = [stream.shard(4, index) for index in range(4)]
    found = [row["doc_id"] for part in parts for row in part]
    assert sorted(found) == sorted(row["doc_id"] for row in stream)
    assert len(set(found)) == DOCUMENTS


def test_raw_bytes_reach_datasets(folder: Path) -> None:
    stream = benben.load(str(folder), pictures="bytes").to_datasets()
    row = next(islice(stream, 4, None))
    assert row["images"][1]["bytes"] == made.jpeg(400)
