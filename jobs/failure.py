"""What went wrong in a Spark job, in one line: Spark tells it in a hundred."""

from __future__ import annotations

import re

# Where a worker's own error, or its end, stands in Spark's text, the most telling first.
_TELLING = (
    re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)"),
    re.compile(r"(Python worker exited unexpectedly[^\n]*)"),
    re.compile(r"(ExecutorLostFailure[^\n]*)"),
    re.compile(r"most recent failure: ([^\n]*)"),
)


def cause(error: BaseException) -> str:
    """The line that tells the cause: the worker's Python error, or how the worker was lost."""
    text = str(error)
    for pattern in _TELLING:
        if found := pattern.search(text):
            return found[1].strip()
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"
