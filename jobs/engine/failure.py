"""What went wrong in a Spark job: a mistake that the user can mend, or one line with the cause.

Spark hands a worker's exception to the driver as text, inside a stack trace of a hundred lines. A
UserError therefore leaves the worker as a UserErrorInTask, whose text the driver can read back.
"""

from __future__ import annotations

import json
import re

from benben.common.text import lines
from benben.pipeline.errors import UserError

_MARK = "benben-user-error "
_MARKED = re.compile(re.escape(_MARK) + r'("(?:[^"\\]|\\.)*")')
_TRACE = r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+"
# Patterns of the line in Spark's text that names the cause; the first that is found wins. Of Python
# exceptions that were raised from one another, the last says most.
_CAUSES = (
    re.compile(
        rf"(?:{_TRACE}\S.*\n+(?:The above exception was|During handling of the above).*\n+)*"
        rf"{_TRACE}(\S.*)"
    ),
    re.compile(r"(Python worker exited unexpectedly[^\n]*)"),
    re.compile(r"(ExecutorLostFailure[^\n]*)"),
    re.compile(r"most recent failure: ([^\n]*)"),
)


class UserErrorInTask(Exception):
    """A UserError on its way from a worker to the driver: a mark, then its message as JSON."""

    def __init__(self, error: UserError) -> None:
        super().__init__(_MARK + json.dumps(str(error)))


def user_error(error: BaseException) -> UserError | None:
    """Return the UserError that an exception is, or that a task of a failed job raised."""
    if isinstance(error, UserError):
        return error
    found = _MARKED.search(str(error))
    return UserError(json.loads(found[1])) if found else None


def cause(error: BaseException) -> str:
    """Return one line with the cause: the worker's Python error, or how the worker was lost."""
    text = str(error)
    for pattern in _CAUSES:
        if found := pattern.search(text):
            return found[1].strip()
    first = next((line.strip() for line in lines(text) if line.strip()), "")
    return f"{type(error).__name__}: {first}"
