"""Tar shards: `tar` reads them, images are found by place, a kill is repaired."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from benben.pipeline import storage
from benben.pipeline.images.store import stored, tar_shards
from benben.pipeline.images.store.tar_shards import Place, TarShard
from benben.pipeline.schema import IMAGE_BYTES, IMAGE_PLACES

BODIES = [bytes([n]) * (n * 300 + 1) for n in range(12)]


def names() -> list[str]:
    return [hashlib.sha256(body).hexdigest() for body in BODIES]


def fill(folder: Path) -> tuple[str, list[Place]]:
    shard = TarShard(str(folder), "a.tar")
    kinds = ["jpeg", "png", "webp"]
    places = [shard.append(names()[n], kinds[n % 3], body) for n, body in enumerate(BODIES)]
    shard.close()
    return str(folder / shard.name), places


def members(path: str) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]


def test_tar_reads_what_was_written(tmp_path: Path) -> None:
    path, places = fill(tmp_path)
    kinds = ["jpg", "png", "webp"]
    wanted = {f"{name}.{kinds[n % 3]}": BODIES[n] for n, name in enumerate(names())}
    assert members(path) == wanted
    assert list(tar_shards.read(path, places)) == BODIES
    assert list(tar_shards.read(path, places[3::4])) == BODIES[3::4]


def test_far_apart_pictures_are_not_read_as_one(tmp_path: Path) -> None:
    shard = TarShard(str(tmp_path), "a.tar")
    bodies = [os.urandom(1_500_000) for _ in range(4)]
    places = [shard.append(f"{n:064x}", "png", body) for n, body in enumerate(bodies)]
    shard.close()
    assert list(tar_shards.read(str(tmp_path / shard.name), places[::2])) == bodies[::2]


@pytest.mark.parametrize("lost", [1, 700, 1024, 1100, 3000, 4000])
def test_an_incomplete_end_loses_the_last_image_only(tmp_path: Path, lost: int) -> None:
    path, places = fill(tmp_path)
    os.truncate(path, os.path.getsize(path) - lost)
    tar_shards.repair(path)
    found = members(path)
    assert len(found) >= len(BODIES) - 1
    assert list(found.values()) == BODIES[: len(found)]
    assert os.path.getsize(path) % tar_shards.BLOCK == 0
    whole = Path(path).read_bytes()
    tar_shards.repair(path)
    assert Path(path).read_bytes() == whole
    assert list(tar_shards.read(path, places[: len(found)])) == BODIES[: len(found)]


def test_an_erased_picture_leaves_the_others_where_they_are(tmp_path: Path) -> None:
    path, places = fill(tmp_path)
    gone = {names()[1], names()[7], "f" * 64}
    size = os.path.getsize(path)
    assert tar_shards.erase(path, gone) == 2
    assert tar_shards.erase(path, gone) == 0
    assert os.path.getsize(path) == size
    data = Path(path).read_bytes()
    assert not any(name.encode() in data for name in gone)
    left = [n for n in range(len(BODIES)) if n not in (1, 7)]
    assert list(tar_shards.read(path, [places[n] for n in left])) == [BODIES[n] for n in left]
    assert next(tar_shards.read(path, [places[7]])) == bytes(len(BODIES[7]))
    assert [body for name, body in members(path).items() if name != "erased"] == [
        BODIES[n] for n in left
    ]


def test_both_forms_of_the_table_give_the_same_rows(tmp_path: Path) -> None:
    _, places = fill(tmp_path / "shards")
    rows = [
        {"sha256": name, "format": "png", "shard": f"shards/{place.shard}"}
        | {"offset": place.offset, "num_bytes": place.num_bytes}
        for name, place in zip(names(), places, strict=True)
    ]
    with storage.ParquetWriter(str(tmp_path / "places.parquet"), IMAGE_PLACES) as writer:
        writer.write(pa.RecordBatch.from_pylist(rows[::-1], schema=IMAGE_PLACES))
    found = list(stored.read(str(tmp_path / "places.parquet"), str(tmp_path)))
    with storage.ParquetWriter(str(tmp_path / "bytes.parquet"), IMAGE_BYTES) as writer:
        for batch in found:
            writer.write(batch)
    wanted = pa.array(names()[2:5])
    for name in ("places", "bytes"):
        read = stored.read(str(tmp_path / f"{name}.parquet"), str(tmp_path), wanted)
        got = [row for batch in read for row in batch.to_pylist()]
        assert [(row["sha256"], row["bytes"]) for row in got] == list(
            zip(names()[2:5], BODIES[2:5], strict=True)
        )
        assert stored.body(got[0], str(tmp_path)) == BODIES[2]
    assert stored.body(rows[7], str(tmp_path)) == BODIES[7]
