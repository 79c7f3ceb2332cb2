"""Benchmark sets of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benben.pipeline import config
from benben.pipeline.deduplication import decontamination
from benben.pipeline.errors import InputError
from benben.pipeline.settings.deduplicate import ImageBenchmarkSettings

FETCH = config.load("default", ["input=[x]"]).fetch


def settings(path: Path) -> ImageBenchmarkSettings:
    return ImageBenchmarkSettings(sets={"exam": str(path)}, radius=4)


def test_a_list_of_hashes_and_a_folder_of_images_name_their_items(tmp_path: Path) -> None:
    listed = tmp_path / "set.jsonl"
    listed.write_text('{"id": "figure 3", "phash": "00000000FFFFFFFF"}\n')
    found = decontamination.load_images(settings(listed), FETCH)
    assert found.names == [{"set": "exam", "item": "figure 3"}]
    assert found.hashes.tolist() == [0xFFFFFFFF]
    folder = tmp_path / "images"
    (folder / "one").mkdir(parents=True)
    noise = np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(folder / "one" / "a.png")
    before = decontamination.image_set_digests(settings(folder))
    found = decontamination.load_images(settings(folder), FETCH)
    assert found.names == [{"set": "exam", "item": "one/a.png"}]
    Image.fromarray(noise.T).save(folder / "one" / "a.png")
    assert decontamination.image_set_digests(settings(folder)) != before


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    listed = tmp_path / "set.jsonl"
    listed.write_text('{"id": "figure 3", "phash": "12"}\n')
    with pytest.raises(InputError, match=r"set\.jsonl, item figure 3: phash must be 16"):
        decontamination.load_images(settings(listed), FETCH)
    with pytest.raises(InputError, match="missing or empty"):
        decontamination.image_set_digests(settings(tmp_path / "absent"))
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_text("not an image")
    with pytest.raises(InputError, match=r"a\.png: benchmark image cannot be decoded"):
        decontamination.load_images(settings(folder), FETCH)
