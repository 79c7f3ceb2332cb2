import os
import signal
import time
from pathlib import Path

import pytest

from benben.jobs.engine.isolation import Failure, Isolated


def work(item: str) -> str:
    """Do as the item says."""
    if item == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "hang":
        time.sleep(60)
    if item == "fail":
        raise ValueError("bad page")
    return item.upper()


def test_each_input_gets_its_own_outcome() -> None:
    with Isolated(work, seconds=1, attempts=2) as isolated:
        found = [isolated(item) for item in ("a", "crash", "b", "hang", "fail", "c")]
    assert found == [
        "A",
        Failure("crashed", "exit code -9", 2),
        "B",
        Failure("hung", "no result in 1 s", 2),
        Failure("failed", "ValueError: bad page", 2),
        "C",
    ]


def test_a_second_attempt_may_do(tmp_path: Path) -> None:
    def once(item: str) -> str:
        mark = tmp_path / item
        if not mark.exists():
            mark.touch()
            os._exit(3)
        return item

    with Isolated(once, seconds=10, attempts=2) as isolated:
        assert isolated("x") == "x"


def test_the_child_ends_with_its_parents_block() -> None:
    with Isolated(lambda _: os.getpid(), 10, 1) as isolated:
        child = isolated(0)
    assert isinstance(child, int)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
