"""Output to a terminal without characters that could steer it or reorder what is read."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

from benben.common.text import UNSAFE

_IN_OUTPUT = re.compile(f"(?![\n\t])[{UNSAFE}]")


class SafeOutput(io.TextIOBase):
    r"""Writes to a terminal or file, with unsafe characters as escapes such as \u202e.

    The escapes are JSON's, so JSON lines stay what they are.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        self._stream.write(_IN_OUTPUT.sub(_escape, text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream below."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether the stream below is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the stream below."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream below."""
        return self._stream.encoding


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


@contextmanager
def safe_output() -> Iterator[None]:
    """Let all that the block prints pass through SafeOutput."""
    with redirect_stdout(SafeOutput(sys.stdout)), redirect_stderr(SafeOutput(sys.stderr)):
        yield
