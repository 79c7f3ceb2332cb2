"""Lines of text files, and text of strangers made fit for one line of a table or a log."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

# Control characters, marks that turn the direction of text (Unicode Standard Annex 9), line and
# paragraph separators, interlinear marks and tags, and halves of surrogate pairs.
UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
_IN_LINE = re.compile(f"[{UNSAFE}]")
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")  # of a Python object: differs from run to run


def lines(text: str | bytes) -> list[str]:
    r"""Return the lines of a text file, which end with \n or \r\n and with nothing else.

    `str.splitlines` also breaks at U+2028 and seven other characters, which JSON leaves in strings.
    Raises UnicodeDecodeError for bytes that are not UTF-8.
    """
    found = (text if isinstance(text, str) else text.decode()).split("\n")
    return [line.removesuffix("\r") for line in (found if found[-1] else found[:-1])]


def one_line(text: str, most: int = 200) -> str:
    """Return at most `most` characters of a text, unsafe ones as U+FFFD."""
    return _IN_LINE.sub("\ufffd", text[:most])


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a question that names the most similar known name, to follow a message; or nothing."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def describe(error: BaseException) -> str:
    """Return an exception's type and message as one line; equal failures give equal lines."""
    return one_line(_ADDRESS.sub("", f"{type(error).__name__}: {error}"))
