"""Machine code is kept where only this user can write, and made anew for other code."""

from __future__ import annotations

import json
from pathlib import Path

import numba
import pytest

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
