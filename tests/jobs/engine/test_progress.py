"""Progress says how far a stage is, from finished tasks and from what running ones report."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benben.jobs.engine import progress
from benben.jobs.engine.progress import Progress, Report, Shown, funnel


def watched(shown: Shown, tasks: int = 4) -> Progress:
    context = SimpleNamespace(statusTracker=lambda: None)
    return Progress(context, "group", "extract", tasks, shown)


def test_a_line_has_pace_time_left_and_the_funnel() -> None:
    before = funnel([("extract", 1500, 1400), ("measure", 1400, 1400), ("decide", 1400, 900)])
    line = watched(Shown(1000, "pages", before))._line(1, 200, 500, 10.0)
    assert line == (
        "  extract: 1/4 parts, 200 pages, 20 pages/s, 10 s, about 10 s left"
        " | 1,500 pages > extract 1,400 > decide 900"
    )


def test_without_reports_finished_tasks_tell_the_time_left() -> None:
    assert watched(Shown())._line(1, 0, 0, 6.0) == "  extract: 1/4 parts, 6 s, about 18 s left"
    assert watched(Shown())._line(0, 0, 0, 6.0) == "  extract: 0/4 parts, 6 s"
    assert watched(Shown())._line(4, 0, 0, 6.0) == "  extract: 4/4 parts, 6 s"


def test_tasks_report_where_the_driver_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "REPORT_SECONDS", 0)
    seen = watched(Shown(100))
    seen.folder = str(tmp_path)
    for name, rows in (("1-0", 3), ("1-1", 4)):
        task = Report()
        task.begin(str(tmp_path), name)
        task.add(rows, 10.0)
        task.add(1)
    (tmp_path / "1-2").write_text("")  # begun to be written
    assert seen._reported() == (9, 22.0)


def test_a_report_on_another_machine_is_no_failure(tmp_path: Path) -> None:
    task = Report()
    task.begin(f"{tmp_path}/absent", "1-0")
    task.add(5)
    task.write()
    assert not list(tmp_path.iterdir())


def test_nothing_is_shown_when_quiet_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "quiet", lambda: True)
    progress.say("extract: started")
    watched(Shown())._show("  extract: 1/4 parts")
    assert capsys.readouterr().err == ""


def test_a_line_fits_a_terminal_and_replaces_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    seen = watched(Shown())
    seen._terminal = True
    seen._show("  extract: 1/4 parts, 6 s, about 18 s left")
    assert terminal.getvalue() == "\r\033[K  extract: 1/4 parts"[: 4 + 19]
