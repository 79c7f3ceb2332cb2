"""Bytes are written once a task, before the outcome that names their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benben.pipeline import storage
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.images.fetch import journal
from benben.pipeline.images.fetch.journal import SLOTS, FetchLog, SlotRange, content_key
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.images.store import tar_shards
from benben.pipeline.settings.fetch import FetchSettings
from tests.pipeline.images.stores import pictures, store
from tests.web import picture, settings

ALL = SlotRange(0, SLOTS)


def process(processor: ImageProcessor, name: str, data: bytes) -> Outcome:
    outcome = Outcome(f"http://a.test/{name}", f"http://a.test/{name}")
    processor.process(data, outcome)
    return outcome


def new_processor(chosen: FetchSettings) -> ImageProcessor:
    return ImageProcessor(chosen, OptOutLists(chosen.consent))


def test_equal_bytes_are_decoded_and_stored_once(tmp_path: Path) -> None:
    chosen = settings()
    processor = new_processor(chosen)
    with FetchLog(store(tmp_path), ALL, chosen, set()) as log:
        outcomes = []
        for name, seed in (("a", 1), ("b", 2), ("c", 1), ("d", 1)):
            outcome = process(processor, name, picture(seed=seed))
            log.write_outcome(outcome)
            processor.remember(outcome)
            outcomes.append(outcome)
    assert processor.decoder.decodes == 2
    rows = [outcome.row() for outcome in outcomes]
    for row in rows[2:]:
        assert {**row, "url": rows[0]["url"], "final_url": rows[0]["final_url"]} == rows[0]
    assert sorted(data for _, data in pictures(tmp_path).values()) == sorted(
        picture(seed=seed) for seed in (1, 2)
    )


def test_a_bad_picture_is_remembered_too_and_stores_nothing(tmp_path: Path) -> None:
    chosen = settings()
    processor, broken = new_processor(chosen), picture()[:60]
    with FetchLog(store(tmp_path), ALL, chosen, set()) as log:
        for name in "ab":
            outcome = process(processor, name, broken)
            assert outcome.reason == "picture.truncated"
            log.write_outcome(outcome)
            processor.remember(outcome)
    assert processor.decoder.decodes == 1
    assert pictures(tmp_path) == {}


def test_memory_is_bounded() -> None:
    processor = new_processor(settings("remember=2"))
    for seed in (1, 2, 3, 1):
        processor.remember(process(processor, str(seed), picture(seed=seed)))
    assert processor.decoder.decodes == 4  # the oldest was forgotten


def test_what_an_earlier_run_stored_is_not_stored_again(tmp_path: Path) -> None:
    chosen = settings()
    outcome = process(new_processor(chosen), "a", picture())
    held = {content_key(outcome.row()["sha256"])}
    with FetchLog(store(tmp_path), ALL, chosen, held) as log:
        log.write_outcome(outcome)
    assert pictures(tmp_path) == {}


def test_shards_are_bounded_and_end_with_their_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings("shard_bytes=2000")
    processor = new_processor(chosen)
    with FetchLog(store(tmp_path), ALL, chosen, set()) as log:
        for seed in range(20):
            log.write_outcome(process(processor, str(seed), picture(seed=seed)))
    shards = storage.list_files(store(tmp_path).shards)
    assert len(shards) == len(storage.list_files(store(tmp_path).journal)) > 4
    assert all(os.path.getsize(path) < 4000 for path in shards)
    assert len(pictures(tmp_path)) == 20
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 1)
    with FetchLog(store(tmp_path / "small"), ALL, settings(), set()) as log:
        for seed in range(3):
            log.write_outcome(process(processor, str(seed), picture(seed=seed)))
    assert len(storage.list_files(store(tmp_path / "small").shards)) == 3


def test_after_a_kill_all_that_the_journal_holds_is_true(tmp_path: Path) -> None:
    chosen = settings()
    processor = new_processor(chosen)
    log = FetchLog(store(tmp_path), ALL, chosen, set())
    for seed in range(3):
        log.write_outcome(process(processor, str(seed), picture(seed=seed)))
    assert len(pictures(tmp_path)) == 3  # readable although nothing was closed
    (path,) = storage.list_files(store(tmp_path).shards)
    tar_shards.repair(path)
    assert len(pictures(tmp_path)) == 3
