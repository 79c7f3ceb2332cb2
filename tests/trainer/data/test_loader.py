"""Exact resume: the same packs in the same order, whoever reads them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.trainer.counter_rng import generator
from benben.trainer.data.loader import DataSource, Loader, NoDocuments
from benben.trainer.data.order import DataState, LaneState
from benben.trainer.data.packing import train_vocabulary
from benben.trainer.model.batch import Pack
from benben.trainer.model.fusion import EarlyFusion
from benben.trainer.settings import DataConfig
from tests.trainer.dataset import write_dataset

DOCUMENTS = 10_000


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    """10,000 short documents of text in three files."""
    folder = tmp_path_factory.mktemp("texts")
    random = generator("texts")
    words = ["red", "square", "paper", "drawing", "hall", "blue"]
    for number, rows in enumerate(np.array_split(np.arange(DOCUMENTS), 3)):
        texts = [[" ".join(random.choice(words, int(random.integers(2, 40))))] for _ in rows]
        table = {
            "images": pa.array([[None]] * len(rows), pa.list_(pa.string())),
            "texts": texts,
            "doc_id": [f"d{i}" for i in rows],
        }
        pq.write_table(pa.table(table), folder / f"{number}.parquet", row_group_size=500)
    return make(folder)


def make(folder: Path, **changes: object) -> DataSource:
    settings = {"mix": [{"path": str(folder)}], "seq_len": 512, "window": 250, "lanes": 8}
    config = DataConfig.model_validate({**settings, "holdout": 0.0, **changes})
    vocabulary = train_vocabulary(["red square paper drawing hall blue"], 300)
    return DataSource(config, vocabulary, EarlyFusion(0))


def chain(digest: str, packs: list[Pack]) -> str:
    for pack in sorted(packs, key=lambda p: p.number):
        content = f"{digest}{pack.number}{pack.names}".encode() + pack.ids.tobytes()
        digest = hashlib.sha256(content).hexdigest()
    return digest


def merged(loaders: list[Loader]) -> DataState:
    """What `gather` does over processes."""
    lanes: dict[int, LaneState] = {}
    for loader in loaders:
        for lane, cursor in loader.gather().lanes.items():
            lanes[lane] = max(cursor, lanes.get(lane, LaneState()))
    return DataState(loaders[0].state.next, lanes, loaders[0].state.skip)


def test_killed_and_resumed_at_other_degrees(texts: DataSource) -> None:
    """Every document of the epoch exactly once; one hash chain over all packs."""
    step, random = 8, generator("kills")
    single = Loader(texts)
    expected, names = "", []
    while min((s.window for s in single.state.lanes.values()), default=0) < DOCUMENTS // 250:
        packs = single.take(step)
        expected = chain(expected, packs)
        names += [name for p in packs for name in p.names]
        total = single.state.next
    counts = dict(zip(*np.unique(names, return_counts=True), strict=True))
    assert len(counts) == DOCUMENTS
    later = {n for n, c in counts.items() if c > 1}  # of the second epoch, which lanes reach early
    assert all(counts[n] == 2 for n in later)

    found, state = "", DataState()
    while state.next < total:
        degree = int(random.choice([1, 2, 4]))
        restored = DataState.from_json(json.loads(json.dumps(state.to_json())))
        loaders = [Loader(texts, rank, degree, restored) for rank in range(degree)]
        for _ in range(min(int(random.integers(3, 60)), (total - state.next) // step)):
            found = chain(found, [p for loader in loaders for p in loader.take(step)])
        state = merged(loaders)
    assert found == expected


def test_first_epoch_is_whole_and_undoubled(texts: DataSource) -> None:
    """Windows 0 .. n/250 - 1 partition the documents, so an epoch loses and doubles none."""
    names = [s.name for k in range(DOCUMENTS // 250) for s in texts.samples(k)]
    assert len(names) == len(set(names)) == DOCUMENTS


def test_skipped_packs_are_left_out_and_nothing_else_moves(texts: DataSource) -> None:
    plain = Loader(texts).take(48)
    loader = Loader(texts, state=DataState(skip=((10, 14),)))
    assert [p.number for p in loader.take(40)] == [n for n in range(48) if not 8 <= n < 16]
    assert loader.state.next == 48
    halves = [Loader(texts, r, 2, DataState(skip=((10, 14),))) for r in range(2)]
    numbers = sorted(p.number for h in halves for p in h.take(40))
    assert numbers == [n for n in range(48) if not 8 <= n < 16]
    kept = {p.number: p.ids.tobytes() for p in plain}
    assert all(
        kept[n] == p.ids.tobytes() for n, p in zip(numbers, loader_again(texts), strict=True)
    )


def loader_again(texts: DataSource) -> list[Pack]:
    return Loader(texts, state=DataState(skip=((10, 14),))).take(40)


def test_workers_change_nothing(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, 40)
    results = []
    for workers in (0, 2):
        source = make(folder / "data", workers=workers, window=16, seq_len=128, lanes=4)
        loader = Loader(source, state=DataState(skip=((4, 5),)))
        results.append(chain("", loader.take(9)))
        del loader
    assert results[0] == results[1]


def test_degrees_that_do_not_divide_are_errors(texts: DataSource) -> None:
    with pytest.raises(ValueError, match="lanes 8 must be a multiple of the 3"):
        Loader(texts, 0, 3)
    with pytest.raises(ValueError, match="9 packs a step do not divide"):
        Loader(texts, 0, 2).take(9)


def test_a_split_without_documents_says_so(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, 20)
    source = make(folder / "data", holdout=1.0, window=8)
    with pytest.raises(NoDocuments):
        Loader(source).take(1)
