"""A full disk is reported with the file that could not be written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from benben.pipeline import storage
from benben.pipeline.storage.files import Output, naming

FULL = OSError(errno.ENOSPC, "No space left on device")


class FullDisk:
    """A stream on a disk without space."""

    def write(self, data: bytes) -> None:
        """Fail."""
        raise FULL

    def close(self) -> None:
        """Fail."""
        raise FULL


def test_a_stream_names_its_file() -> None:
    stream = Output("/run/a.tar", FullDisk())
    with pytest.raises(OSError, match=r"No space left on device: '/run/a.tar'"):
        stream.write(b"x")
    with pytest.raises(OSError, match=r"No space left on device: '/run/a.tar'"):
        stream.close()


def test_a_new_file_names_itself_and_leaves_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    with pytest.raises(OSError, match=r"No space left.*a\.json"), storage.new_file(path):
        raise FULL
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_names_a_file_stays_as_it_is() -> None:
    with pytest.raises(FileNotFoundError, match="other"), naming("/run/a"):
        Path("/nowhere/other").read_bytes()
