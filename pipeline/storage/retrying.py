"""Which failed requests are worth another attempt, and how long to wait before it."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SLOW_DOWN = (429, 503)  # "too many requests": every process of this machine slows down
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class TransientError(Exception):
    """A request that failed but may succeed later.

    `slow_down`: the server asks for fewer requests. `wait`: seconds it asks to wait. `partial`:
    the bytes that arrived before the answer broke off.
    """

    def __init__(
        self, why: str, slow_down: bool = False, wait: float | None = None, partial: bytes = b""
    ) -> None:
        super().__init__(why)
        self.slow_down, self.wait, self.partial = slow_down, wait, partial


def status_error(url: str, status: int, retry_after: str | None = None) -> Exception:
    """Return the error for an HTTP status that is not a success: TransientError or OSError."""
    if status in TRANSIENT:
        wait = retry_after_seconds(retry_after)
        return TransientError(f"status {status}", slow_down=status in SLOW_DOWN, wait=wait)
    if status in (404, 410):
        return FileNotFoundError(f"{url}: not there (status {status})")
    if status in (401, 403):
        return PermissionError(f"{url}: access denied (status {status}); check the credentials")
    return OSError(f"{url}: unexpected answer, status {status}")


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after a failure: exponential with jitter, half fixed and half random.

    `failures`: how many came before this one.
    """
    wait = min(first * float(2 ** min(failures, 30)), longest)
    return wait * (0.5 + random.random() / 2)


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds a Retry-After header asks for (RFC 9110, section 10.2.3); None if there is none."""
    if not value:
        return None
    if re.fullmatch(r"[0-9]+", value.strip()):
        return float(value.strip())
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
    except (TypeError, ValueError, OverflowError):  # no date, or one that no clock shows
        return None
