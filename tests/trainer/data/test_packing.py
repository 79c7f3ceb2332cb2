"""From documents to packs: images there, missing, broken; long documents; marks in text."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.trainer.data.corpus import (
    Corpus,
    CorpusError,
    Document,
    ImageStore,
    Slot,
    decode,
    held_out,
)
from benben.trainer.data.loader import DataSource, Loader
from benben.trainer.data.packing import Renderer, train_vocabulary
from benben.trainer.evaluation.synthetic import draw
from benben.trainer.model.batch import IGNORE
from benben.trainer.model.fusion import EarlyFusion
from benben.trainer.settings import DataConfig
from tests.trainer.dataset import write_dataset

PNG = draw("red", "circle", np.random.default_rng(0))
VOCABULARY = train_vocabulary(["A red circle. A blue square."], 300)


def write(folder: Path, slots: list[tuple[str | None, bytes | None]], column: bool) -> DataSource:
    """One document; its images lie in a column or in a store beside it."""
    (folder / "data").mkdir(parents=True)
    (folder / "images").mkdir()
    digests = [hashlib.sha256(d).hexdigest() if d else None for _, d in slots]
    table = {
        "images": [["http://x/" if t is None else None for t, _ in slots]],
        "texts": [[t for t, _ in slots]],
    }
    if column:
        table["image_bytes"] = [[d for _, d in slots]]  # type: ignore[list-item]
    else:
        table["image_sha256"] = [digests]
    pq.write_table(pa.table(table), folder / "data" / "0.parquet")
    stored = [(h, d) for h, (_, d) in zip(digests, slots, strict=True) if h]
    rows = {"sha256": [h for h, _ in stored], "bytes": [d for _, d in stored]}
    types = pa.schema([("sha256", pa.string()), ("bytes", pa.binary())])
    pq.write_table(pa.table(rows, types), folder / "images" / "0.parquet")
    mix = {"path": str(folder / "data"), "images": None if column else str(folder / "images")}
    config = DataConfig.model_validate(
        {"mix": [mix], "seq_len": 64, "lanes": 1, "window": 1, "holdout": 0.0}
    )
    return DataSource(config, VOCABULARY, EarlyFusion(4))


@pytest.mark.parametrize("column", [True, False], ids=["bytes", "store"])
def test_images_take_their_places_and_broken_ones_leave_the_text(
    tmp_path: Path, column: bool
) -> None:
    slots = [("A red", None), (None, PNG), (" circle.", None), (None, PNG[:60]), (None, None)]
    (pack,) = Loader(write(tmp_path, slots, column)).take(1)
    v = VOCABULARY
    text = [v.encode([t])[0] for t in ("A red", " circle.")]
    picture = [v.fence, *[v.image] * 4, v.fence]
    expected = [v.bos, *text[0], *picture, *text[1], v.eos]
    assert pack.ids[: len(expected)].tolist() == expected
    assert (pack.ids[len(expected) :] == v.pad).all()
    assert pack.pixels.shape == (1, 3, 32, 32)
    assert pack.slots == (1 + len(text[0]) + 1,)
    assert pack.lengths == (len(expected), 64 - len(expected))
    kept = pack.labels != IGNORE
    assert kept.sum() == len(text[0]) + len(text[1]) + 1  # every text token and the end
    assert not np.isin(pack.labels[kept], (v.image, v.fence, v.pad)).any()
    (a, b), *_ = pack.captions
    assert pack.ids[a:b].tolist() == text[1]


def test_public_parquet_without_bytes_keeps_the_text(tmp_path: Path) -> None:
    slots = [("A red", None), (None, None), (" circle.", None)]
    (pack,) = Loader(write(tmp_path, slots, True)).take(1)
    assert len(pack.pixels) == 0
    assert VOCABULARY.decode(pack.ids[: pack.lengths[0]]) == "A red circle."


def test_marks_in_a_page_are_letters(tmp_path: Path) -> None:
    v = train_vocabulary(["<image> </s>"], 300)
    ids = v.encode(["<s> <image> </s>"])[0]
    assert v.decode(ids) == "<s> <image> </s>"
    assert not {v.bos, v.eos, v.image} & set(ids)


def test_long_documents_are_cut_and_images_stay_with_what_follows() -> None:
    slots = [
        Slot("a " * 20),
        Slot(None, data=PNG),
        Slot("b " * 100),
        Slot(None, data=PNG),
        Slot("c"),
    ]
    renderer = Renderer(VOCABULARY, 64, 16, EarlyFusion(4))
    samples = renderer.render([Document("d", "en", "h", slots)], lambda slot: True)
    assert all(sample.length <= 64 for sample in samples)
    ids = [i for s in samples for p in s.pieces for i in p.ids]
    text = [i for i in ids if i not in (VOCABULARY.image, VOCABULARY.fence)]
    whole = [i for s in slots if s.text for i in VOCABULARY.encode([s.text])[0]]
    assert text == [VOCABULARY.bos, *whole, VOCABULARY.eos]
    assert sum(p.slot is not None for s in samples for p in s.pieces) == 2
    assert all(s.pieces[-1].slot is None for s in samples), "an image was left behind"
    assert sum(p.size for s in samples for p in s.pieces) == 40 + 200 + 1


def test_wrong_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(CorpusError, match=r"x\.parquet: needs a list column 'images'"):
        Corpus(str(tmp_path))
    with pytest.raises(CorpusError, match="no parquet files"):
        Corpus(str(tmp_path / "nothing"))


def test_any_url_fsspec_opens_is_read(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, 20)
    memory = fsspec.filesystem("memory")
    memory.put(str(folder / "data"), "/made/data", recursive=True)
    memory.put(str(folder / "images"), "/made/images", recursive=True)
    near, far = Corpus(str(folder / "data")), Corpus("memory://made/data")
    assert [near.read(i).slots for i in range(20)] == [far.read(i).slots for i in range(20)]
    digest = next(s.sha256 for i in range(20) for s in near.read(i).slots if s.sha256)
    assert digest is not None
    assert ImageStore("memory://made/images").read(digest) == ImageStore(
        str(folder / "images")
    ).read(digest)


def test_a_store_checks_what_it_reads(tmp_path: Path) -> None:
    rows = {"sha256": [hashlib.sha256(b"a").hexdigest(), "not hexadecimal"], "bytes": [b"b", b"c"]}
    pq.write_table(pa.table(rows), tmp_path / "0.parquet")
    store = ImageStore(str(tmp_path))
    assert store.read(hashlib.sha256(b"a").hexdigest()) is None
    assert store.read(hashlib.sha256(b"z").hexdigest()) is None
    shutil.rmtree(tmp_path)


def test_decode_refuses_what_is_no_image() -> None:
    assert decode(b"", 8) is None
    assert decode(b"\x89PNG\r\n\x1a\n" + b"\0" * 50, 8) is None
    pixels = decode(PNG, 8)
    assert pixels is not None
    assert pixels.shape == (3, 8, 8)
    assert pixels.dtype == np.uint8
    assert pixels.max() > 200  # the paper


def test_hosts_are_held_out_whole() -> None:
    documents = [Document(f"d{i}", "en", f"h{i % 50}", []) for i in range(1000)]
    out = [held_out(d, 0.2, "host") for d in documents]
    assert 0.05 < np.mean(out) < 0.4
    for i in range(50):
        assert len({out[j] for j in range(i, 1000, 50)}) == 1
