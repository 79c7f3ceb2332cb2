"""Text of strangers on its way into tables, logs and terminals."""

from __future__ import annotations

import io
import json
import sys

import pytest

from benben.common.terminal import SafeOutput, safe_output
from benben.common.text import describe, lines, one_line

UNSAFE = ["\x00", "\x1b", "\x7f", "\x85", "\x9b", "\u061c", "\u200f", "\u2028", "\u202e", "\u2066"]
UNSAFE += ["\ufeff", "\U000e0041", "\ud800"]


def test_lines_end_with_a_line_feed_only() -> None:
    assert lines("a\nb\r\n\nc") == ["a", "b", "", "c"]
    assert lines(b"a\n") == lines("a") == ["a"]
    assert lines("") == []
    for mark in "\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85":
        assert lines(f"a{mark}b\n") == [f"a{mark}b"]


@pytest.mark.parametrize("mark", UNSAFE)
def test_unsafe_characters_reach_no_terminal(mark: str) -> None:
    stream = io.StringIO()
    text = json.dumps({"a": f"x{mark}y"}, ensure_ascii=False)
    print(text, file=SafeOutput(stream))
    assert mark not in stream.getvalue()
    assert stream.getvalue().isprintable() or stream.getvalue().rstrip("\n").isprintable()
    if ord(mark) > 0x7F:  # others JSON escapes itself
        assert json.loads(stream.getvalue(), strict=False) == {"a": f"x{mark}y"}
    assert one_line(f"x{mark}y") == "x\ufffdy"


def test_lines_tabs_and_other_scripts_pass() -> None:
    stream, text = (
        io.StringIO(),
        "a\tb\n\u05d0\u0628 \u4f60 e\u0301 \u0915\u094d\u200d\u0937 \U0001f469\u200d\U0001f4bb\n",
    )
    SafeOutput(stream).write(text)
    assert stream.getvalue() == text


def test_all_that_a_command_prints_is_safe(capsys: pytest.CaptureFixture[str]) -> None:
    with safe_output():
        print("a\x1b[2Jb")
        print("c\u202ed", file=sys.stderr)
    assert capsys.readouterr() == ("a\\u001b[2Jb\n", "c\\u202ed\n")


def test_equal_failures_have_equal_descriptions() -> None:
    first, second = (describe(ValueError(f"of {object()}\n\u2028")) for _ in range(2))
    assert first == second == "ValueError: of <object object>\ufffd\ufffd"
