import os
import signal
import time
from pathlib import Path

import pytest

from benben.jobs.engine import isolation
from benben.jobs.engine.isolation import OVERTIME, Failure, Isolated
from benben.pipeline.archive.warc import Capture
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.document import Document
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.processor import ImageProcessor
from tests.web import picture, settings


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


def test_a_new_process_serves_as_a_fork_does() -> None:
    with Isolated(work, seconds=20, attempts=1, start="spawn") as isolated:
        found = [isolated(item) for item in ("a", "crash", "b")]
    assert found == ["A", Failure("crashed", "exit code -9", 1), "B"]


def test_what_takes_too_much_processor_time_is_ended_and_not_tried_again() -> None:
    def burn(item: int) -> int:
        with isolation.processor_time(0.2):
            while item:
                pass
        return item

    with Isolated(burn, seconds=60, attempts=3) as isolated:
        assert [isolated(0), isolated(1), isolated(0)] == [0, Failure("hung", OVERTIME, 1), 0]


def test_a_page_over_its_processor_time_has_the_reason_of_that_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(capture: Capture) -> Document:
        with isolation.processor_time(0.2):
            while capture.url == "http://a.test/slow":
                pass
        return Document(capture.url)

    monkeypatch.setattr(isolation, "is_retry", lambda: True)
    dead: list[dict[str, object]] = []
    with isolation.isolated_on_retry(read, 60, dead) as isolated:
        found = [
            isolated(
                Capture("a.warc", 0, 0, f"http://a.test/{name}", "", 200, {}, None, b"", "", None)
            )
            for name in ("slow", "fast")
        ]
    assert [document.reason for document in found] == ["extract.seconds", None]
    assert [(row["url"], row["cause"]) for row in dead] == [("http://a.test/slow", "hung")]


def test_pictures_are_processed_elsewhere_on_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings()
    with isolation.pictures_on_retry(chosen) as decode:
        assert decode is None
    monkeypatch.setattr(isolation, "is_retry", lambda: True)
    with isolation.pictures_on_retry(chosen) as decode:
        processor = ImageProcessor(chosen, OptOutLists(chosen.consent), decode)
        good, bad = (Outcome(f"http://a.test/{name}", "http://a.test/") for name in "ab")
        processor.process(picture(), good)
        processor.process(b"no picture", bad)
    assert good.picture is not None
    assert (good.reason, good.data, good.picture.format) == (None, picture(), "png")
    assert (bad.reason, bad.data, processor.decoder.decodes) == ("picture.not_image", None, 0)


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
