from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benben.pipeline.storage.retrying import backoff, retry_after_seconds


def test_backoff_doubles_with_jitter_up_to_a_limit() -> None:
    waits = [backoff(attempt, 1, 60) for attempt in range(100)]
    assert all(min(2**n, 60) / 2 <= wait <= min(2**n, 60) for n, wait in enumerate(waits))
    assert len(set(waits)) == 100


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("\x1c120\x1f", 120),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_forms(value: str | None, seconds: float | None) -> None:
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    assert retry_after_seconds(value, now) == seconds
