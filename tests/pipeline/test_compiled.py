"""Machine code is kept where only this user can write, and made anew for other code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest

from benben.jobs.commands import cli
from benben.pipeline import compiled


def test_cache_lies_in_a_folder_of_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    folder = Path(compiled._cache_folder())
    assert folder.parent == tmp_path / "cache"
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(compiled, "_sources", lambda: "other code")
    assert compiled._cache_folder() == str(tmp_path / "cache" / "other code")


def test_a_folder_that_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    assert compiled._cache_folder() == ""
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "link"))
    assert compiled._cache_folder() == ""


def test_machine_code_is_found_wherever_the_sources_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    function = compiled.borrowed.py_func
    found = [
        compiled._ByDigest.from_function(function, f"{place}/pipeline/compiled.py")
        for place in ("/executor-1/benben.zip", "/executor-2/benben.zip", "/checkout")
    ]
    assert {one.get_cache_path() for one in found} == {f"{tmp_path}/benben.pipeline.compiled"}
    assert compiled._ByDigest.from_function(json.dumps, json.__file__) is None


def not_root(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let a folder be one that this user cannot write to."""
    access = os.access

    def refuse(path: str | Path, mode: int) -> bool:
        return access(path, mode) and (Path(path) != folder or not mode & os.W_OK)

    monkeypatch.setattr(os, "access", refuse)


def test_machine_code_that_came_with_the_code_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "image" / compiled._sources()
    (ready / "module").mkdir(parents=True)
    (ready / "module" / "function.nbc").write_bytes(b"code")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "image"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    not_root(monkeypatch, ready.parent)
    own = tmp_path / f"benben-compiled-{os.getuid()}" / compiled._sources()
    ready.chmod(0o777)
    assert compiled._cache_folder() == str(own)
    assert list(own.iterdir()) == []  # others can write to the image's folder
    own.rmdir()
    ready.chmod(0o755)
    for _ in range(2):
        assert compiled._cache_folder() == str(own)
        assert (own / "module" / "function.nbc").read_bytes() == b"code"
        assert own.stat().st_mode & 0o077 == (own / "module").stat().st_mode & 0o077 == 0
    assert [path.name for path in own.parent.iterdir()] == [own.name]


def test_a_folder_of_others_without_this_code_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"
    image.mkdir()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(image))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    not_root(monkeypatch, image)
    own = tmp_path / f"benben-compiled-{os.getuid()}" / compiled._sources()
    assert compiled._cache_folder() == str(own)
    assert own.is_dir()


@pytest.mark.slow
def test_machine_code_is_made_ahead_and_used(tmp_path: Path) -> None:
    """Every function that a page needs has its code in the folder: nothing is compiled later."""
    assert cli.main(["precompile", str(tmp_path / "code")]) == 0
    made = list((tmp_path / "code").rglob("*"))
    assert all(path.stat().st_mode & 0o077 == (0o055 if path.is_dir() else 0o044) for path in made)
    names = {path.parent.name for path in (tmp_path / "code").rglob("*.nbi")}
    assert {"benben.pipeline.page.dom.walk", "benben.filters.signals.text"} <= names
    before = sorted(path for path in (tmp_path / "code").rglob("*.nbc"))
    code = "from benben.jobs.engine.machine_code import PARTS; [make() for make in PARTS.values()]"
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "code")}
    subprocess.run([sys.executable, "-c", code], env=settings, check=True)
    assert sorted(path for path in (tmp_path / "code").rglob("*.nbc")) == before
