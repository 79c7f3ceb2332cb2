"""One process of a machine compiles; others wait for what it makes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benben.jobs.engine import machine_code
from benben.pipeline import compiled


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was compiled, in order, by a part that takes a while and one that fails."""
    made: list[str] = []

    def slow() -> None:
        time.sleep(0.2)
        made.append("slow")

    def failing() -> None:
        made.append("failing")
        raise OSError("no space")

    monkeypatch.setattr(compiled, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(machine_code, "PARTS", {"slow": slow, "failing": failing})
    return made


def test_a_part_is_compiled_once_however_many_ask(made: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(machine_code.ready, ["slow"] * 4))
    machine_code.ready("slow")
    assert made == ["slow"]


def test_a_part_that_failed_is_tried_again(made: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            machine_code.ready("failing")
    assert made == ["failing"] * 2


def test_without_a_folder_each_process_compiles(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "cache_folder", lambda: None)
    machine_code.ready("slow")
    machine_code.ready("slow")
    assert made == ["slow"] * 2


def test_nothing_is_started_for_what_is_there(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_code.ready("slow")
    monkeypatch.setattr(machine_code, "start", lambda part: pytest.fail(part))
    with machine_code.ahead(["slow"]):
        assert made == ["slow"]
