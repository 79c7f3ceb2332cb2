"""Bytes are written once a task, before the outcome that names their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benben.pipeline import storage
from benben.pipeline.consent.opt_out_lists import OptOutLists
from benben.pipeline.images.fetch import fetch_log
from benben.pipeline.images.fetch.fetch_log import Recorder, content_key
from benben.pipeline.images.fetch.journal import SLOTS, Range
from benben.pipeline.images.fetch.outcome import Outcome
from benben.pipeline.images.processing.processor import Studio
from benben.pipeline.images.store import tar_shards
from benben.pipeline.settings.fetch import FetchSettings
from tests.pipeline.images.stores import pictures, store
from tests.web import picture, settings

ALL = Range(0, SLOTS)


def develop(studio: Studio, name: str, data: bytes) -> Outcome:
    outcome = Outcome(f"http://a.test/{name}", f"http://a.test/{name}")
    studio.develop(data, outcome)
    return outcome


def studio(chosen: FetchSettings) -> Studio:
    return Studio(chosen, OptOutLists(chosen.consent))


def test_equal_bytes_are_decoded_and_stored_once(tmp_path: Path) -> None:
    chosen = settings()
    maker = studio(chosen)
    with Recorder(store(tmp_path), ALL, chosen, set()) as writer:
        outcomes = []
        for name, seed in (("a", 1), ("b", 2), ("c", 1), ("d", 1)):
            outcome = develop(maker, name, picture(seed=seed))
            writer.outcome(outcome)
            maker.remember(outcome)
            outcomes.append(outcome)
    assert maker.decoder.decodes == 2
    rows = [outcome.row() for outcome in outcomes]
    for row in rows[2:]:
        assert {**row, "url": rows[0]["url"], "final_url": rows[0]["final_url"]} == rows[0]
    assert sorted(data for _, data in pictures(tmp_path).values()) == sorted(
        picture(seed=seed) for seed in (1, 2)
    )


def test_a_bad_picture_is_remembered_too_and_stores_nothing(tmp_path: Path) -> None:
    chosen = settings()
    maker, broken = studio(chosen), picture()[:60]
    with Recorder(store(tmp_path), ALL, chosen, set()) as writer:
        for name in "ab":
            outcome = develop(maker, name, broken)
            assert outcome.reason == "picture.truncated"
            writer.outcome(outcome)
            maker.remember(outcome)
    assert maker.decoder.decodes == 1
    assert pictures(tmp_path) == {}


def test_memory_is_bounded() -> None:
    maker = studio(settings("remember=2"))
    for seed in (1, 2, 3, 1):
        maker.remember(develop(maker, str(seed), picture(seed=seed)))
    assert maker.decoder.decodes == 4  # the oldest was forgotten


def test_what_an_earlier_run_stored_is_not_stored_again(tmp_path: Path) -> None:
    chosen = settings()
    outcome = develop(studio(chosen), "a", picture())
    held = {content_key(outcome.row()["sha256"])}
    with Recorder(store(tmp_path), ALL, chosen, held) as writer:
        writer.outcome(outcome)
    assert pictures(tmp_path) == {}


def test_shards_are_bounded_and_end_with_their_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings("shard_bytes=2000")
    maker = studio(chosen)
    with Recorder(store(tmp_path), ALL, chosen, set()) as writer:
        for seed in range(20):
            writer.outcome(develop(maker, str(seed), picture(seed=seed)))
    shards = storage.list_files(store(tmp_path).shards)
    assert len(shards) == len(storage.list_files(store(tmp_path).journal)) > 4
    assert all(os.path.getsize(path) < 4000 for path in shards)
    assert len(pictures(tmp_path)) == 20
    monkeypatch.setattr(fetch_log, "SEGMENT_BYTES", 1)
    with Recorder(store(tmp_path / "small"), ALL, settings(), set()) as writer:
        for seed in range(3):
            writer.outcome(develop(maker, str(seed), picture(seed=seed)))
    assert len(storage.list_files(store(tmp_path / "small").shards)) == 3


def test_a_kill_leaves_nothing_untrue(tmp_path: Path) -> None:
    chosen = settings()
    maker = studio(chosen)
    writer = Recorder(store(tmp_path), ALL, chosen, set())
    for seed in range(3):
        writer.outcome(develop(maker, str(seed), picture(seed=seed)))
    assert len(pictures(tmp_path)) == 3  # readable although nothing was closed
    (path,) = storage.list_files(store(tmp_path).shards)
    tar_shards.mend(path)
    assert len(pictures(tmp_path)) == 3
