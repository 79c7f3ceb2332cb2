"""One run writes to an output folder; a lock that its holder left is taken over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from benben.jobs.engine import lock
from benben.pipeline import storage
from benben.pipeline.errors import UserError
from tests.shared import ROOT

HOLD = """
import sys, time
from benben.jobs.engine import lock
with lock.writing(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(output: str) -> subprocess.Popen[bytes]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, output], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    output = str(tmp_path / "run")
    with holder(output) as process:
        with pytest.raises(UserError, match=rf"run: process {process.pid} on .* is writing here"):
            lock.writing(output).__enter__()
        process.kill()
    with lock.writing(output):  # a killed holder leaves nothing that bars the next
        pass
    assert os.listdir(output) == []


def test_blocks_may_be_nested_and_follow_each_other(tmp_path: Path) -> None:
    output = str(tmp_path)
    for _ in range(2):
        with lock.writing(output), lock.writing(output):
            assert os.listdir(output) == [lock.NAME]
    assert os.listdir(output) == []


def test_a_folder_that_cannot_be_written_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        lock.writing(str(tmp_path / "file" / "run")).__enter__()


def test_a_run_keeps_the_lock_between_its_stages(tmp_path: Path) -> None:
    output = str(tmp_path)
    with lock.kept():
        assert os.listdir(output) == []  # a run whose stages are up to date writes nothing
        for _ in range(2):
            with lock.writing(output):
                pass
            assert os.listdir(output) == [lock.NAME]
    assert os.listdir(output) == []


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(lock, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.1)
    return f"memory://locks/{uuid.uuid4().hex}"


def test_a_lock_in_a_store_bars_others_while_it_is_renewed(bucket: str) -> None:
    with lock.writing(bucket):
        lock._held.clear()  # as in another process
        with pytest.raises(UserError, match="is writing here"):
            lock.writing(bucket).__enter__()
    assert not storage.exists(storage.join(bucket, lock.NAME))


def test_a_stale_lock_in_a_store_is_taken_over(bucket: str) -> None:
    path = storage.join(bucket, lock.NAME)
    assert storage.create(path, b'{"host": "gone", "process": 1}')
    with lock.writing(bucket):
        assert b"gone" not in storage.read_bytes(path)
    assert not storage.exists(path)


def test_a_holder_whose_lock_was_taken_over_commits_nothing_more(bucket: str) -> None:
    path = storage.join(bucket, lock.NAME)
    with lock.writing(bucket):
        lock.check(bucket)
        other = b'{"host": "other", "process": 2}'
        storage.write_bytes(path, other)
        while path not in lock._lost:
            time.sleep(0.01)
        with pytest.raises(UserError, match="process 2 on other is writing here"):
            lock.check(bucket)
    assert storage.read_bytes(path) == other  # it is not this run's to delete
    lock.check(bucket)
