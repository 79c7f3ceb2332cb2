"""What a Python worker does around its tasks."""

import gc
import importlib
import subprocess
import sys
import zipfile
from pathlib import Path
from zipimport import zipimporter

import pytest

from benben.jobs.engine import worker


def test_a_task_that_hangs_ends_its_worker_and_says_where() -> None:
    code = (
        "from benben.jobs.engine import worker\nimport time\n"
        "with worker.task(0.2) as _:\n    time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'File "<string>", line 4' in done.stderr


def test_a_task_in_time_ends_nothing_and_is_clocked() -> None:
    with worker.task(60) as clock:
        sum(range(2_000_000))
    assert 0 < clock() < 60


def test_modules_and_zips_are_looked_through_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tmp_path / "box.zip"
    with zipfile.ZipFile(box, "w") as file:
        file.writestr("boxed_once.py", "LETTERS = ['a']")
        file.writestr("boxed_later.py", "LETTERS = ['b']")
    monkeypatch.syspath_prepend(str(box))
    looks = []
    monkeypatch.setattr(zipimporter, "invalidate_caches", lambda self: looks.append(self.archive))
    gc.unfreeze()
    try:
        assert list(worker.unchanged(importlib.import_module("boxed_once").LETTERS)) == ["a"]
        assert gc.get_freeze_count() > 10_000
        importlib.invalidate_caches()
        assert str(box) not in looks
        assert importlib.import_module("boxed_later").LETTERS == ["b"]  # zips work as before
    finally:
        gc.unfreeze()
