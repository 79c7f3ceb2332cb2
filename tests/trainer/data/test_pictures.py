"""How pictures travel: read and decoded once an epoch, as uint8, normalised where they are used."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benben.trainer.data import loader as loader_module
from benben.trainer.data.corpus import ImageStore, decode
from benben.trainer.data.loader import DataSource, Loader, PackDataset
from benben.trainer.data.order import DataState
from benben.trainer.data.packing import train_vocabulary
from benben.trainer.model.batch import to_batch
from benben.trainer.model.fusion import EarlyFusion
from benben.trainer.model.vision import MEAN_AND_DEVIATION, Tower
from benben.trainer.settings import DataConfig, VisionConfig
from tests.trainer.dataset import write_dataset

DOCUMENTS, WINDOW, LANES = 96, 16, 2


def in_rows(folder: Path) -> Path:
    """The self-contained form of a made dataset: images as structs in the rows."""
    stored = pq.read_table(folder / "images").to_pylist()
    data = {row["sha256"]: row["bytes"] for row in stored}
    rows = pq.read_table(folder / "data").to_pylist()
    for row in rows:
        row["images"] = [d and {"bytes": data[d], "path": None} for d in row["image_sha256"]]
    (folder / "contained").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "contained" / "0.parquet", 16)
    return folder / "contained"


def source_of(folder: Path, contained: bool) -> DataSource:
    write_dataset(folder, DOCUMENTS)
    mix = {"path": str(in_rows(folder))} if contained else {"path": str(folder / "data")}
    beside = {} if contained else {"images": str(folder / "images")}
    config = DataConfig.model_validate(
        {"mix": [mix | beside], "seq_len": 256, "window": WINDOW, "lanes": LANES, "holdout": 0.0}
    )
    vocabulary = train_vocabulary(["A red circle. We drew this one."], 300)
    return DataSource(config, vocabulary, EarlyFusion(4))


@pytest.mark.parametrize("contained", [True, False], ids=["in the rows", "beside them"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_picture_is_decoded_once_an_epoch(
    tmp_path: Path, contained: bool, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted over all data ranks, however many there are."""
    source = source_of(tmp_path, contained)
    calls: list[bytes] = []

    def counting(data: bytes, size: int) -> np.ndarray | None:
        calls.append(data)
        return decode(data, size)

    monkeypatch.setattr(loader_module, "decode", counting)
    epoch: Counter[bytes] = Counter()  # a lane that is ahead already reads the next one
    for rank in range(ranks):
        ended: set[int] = set()
        for number, _, window, _, _ in PackDataset(source, DataState(), rank, ranks):
            if window < DOCUMENTS // WINDOW:
                epoch.update(calls)
            else:
                ended.add(number % LANES)
            calls.clear()
            if len(ended) == LANES // ranks:
                break
    stored = {row["bytes"] for row in pq.read_table(tmp_path / "images").to_pylist()}
    assert len(stored) > DOCUMENTS
    assert epoch == Counter(stored)


def test_a_window_reads_each_row_group_of_pictures_once(tmp_path: Path) -> None:
    write_dataset(tmp_path, DOCUMENTS)
    path = tmp_path / "images" / "part-0.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=8)  # more than are kept in memory
    store = ImageStore(str(tmp_path / "images"))
    names = [row["sha256"] for row in pq.read_table(path, columns=["sha256"]).to_pylist()]
    shuffled = sorted(names, key=lambda name: name[::-1])
    assert len(store.read_all(shuffled)) == len(names)
    assert store.groups_read == pq.ParquetFile(path).num_row_groups > 8


@pytest.mark.parametrize("family", ["siglip", "clip"])
def test_pixels_are_normalised_on_the_device_as_they_were_on_the_host(
    tmp_path: Path, family: str
) -> None:
    source = source_of(tmp_path, contained=True)
    pack = next(p for p in Loader(source).take(8) if len(p.pixels) > 1)
    assert pack.pixels.dtype == np.uint8
    tower = Tower(VisionConfig.model_validate({"family": family}))
    batch = to_batch(pack, EarlyFusion(4).spans(pack), dtype=torch.bfloat16)
    assert batch.pixels.dtype == torch.uint8, "a byte a channel until the device"
    mean, deviation = (np.array(v, np.float32) for v in MEAN_AND_DEVIATION[family])
    rows = pack.pixels.transpose(0, 2, 3, 1)
    expected = ((rows.astype(np.float32) / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    found = tower.normalise(batch.pixels, torch.float32)
    assert torch.equal(found, torch.from_numpy(expected.copy()))
    assert tower.normalise(batch.pixels, torch.bfloat16).dtype == torch.bfloat16
    assert tower.normalise(found, torch.float32) is found
