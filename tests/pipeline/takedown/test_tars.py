from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from pipeline.images import tar_shards
from pipeline.images.journal import Range
from pipeline.images.tar_shards import TarShard
from pipeline.takedown import tars


def test_pictures_go_and_the_others_stay_where_they_are(tmp_path: Path) -> None:
    shard = TarShard(str(tmp_path), Range.of(0, 1))
    pictures = [bytes([number]) * (700 * number + 1) for number in range(6)]
    names = [hashlib.sha256(data).hexdigest() for data in pictures]
    places = [shard.append(name, "png", data) for name, data in zip(names, pictures, strict=True)]
    shard.close()
    path = tmp_path / shard.name
    assert tars.blank(str(path), {"ff" * 32}) == 0
    assert tars.blank(str(path), {names[1], names[4]}) == 2
    found = list(tar_shards.read(str(path), places))
    assert [data == old for data, old in zip(found, pictures, strict=True)] == [
        *(True, False, True, True, False, True)
    ]
    assert not any(found[1] + found[4])
    with tarfile.open(path) as tar:
        left = [name.partition(".")[0] for name in tar.getnames()]
    assert left == [names[0], "removed", names[2], names[3], "removed", names[5]]
