"""Requests to a host keep to its rate and its waits, and stop when it keeps failing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benben.pipeline.images.fetch.host import HostLimiter
from benben.pipeline.images.fetch.resolver import Refused
from tests.web import settings


class Clock:
    """Time that passes only by sleeping; waiting tasks wake in order."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def polite(*overrides: str) -> tuple[HostLimiter, Clock]:
    clock = Clock()
    keys = [f"politeness.{override}" for override in overrides]
    limiter = HostLimiter(settings(*keys).politeness, clock=clock, sleep=clock.sleep)
    return limiter, clock


def starts(
    limiter: HostLimiter, clock: Clock, number: int, after: Callable[[], None] | None = None
) -> list[float]:
    """Times at which requests start when `number` are wanted at once."""
    found: list[float] = []

    async def one() -> None:
        async with limiter.acquire():
            found.append(clock.now)
            if after is not None:
                after()

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(number)))

    asyncio.run(all_of_them())
    return found


def test_requests_start_no_faster_than_the_rate() -> None:
    limiter, clock = polite("requests_per_second=4")
    times = starts(limiter, clock, 20)
    assert times == pytest.approx([step * 0.25 for step in range(20)])


def test_crawl_delay_slows_the_rate_and_a_shorter_one_does_not_speed_it_up() -> None:
    limiter, clock = polite("requests_per_second=4")
    limiter.slow_down(2)
    limiter.slow_down(0.1)
    assert starts(limiter, clock, 3) == pytest.approx([0, 2, 4])


def test_host_with_too_long_a_crawl_delay_is_given_up() -> None:
    limiter, clock = polite("max_crawl_delay=30")
    with pytest.raises(Refused, match=r"host\.crawl_delay"):
        limiter.slow_down(31)
    with pytest.raises(Refused, match=r"host\.given_up"):
        starts(limiter, clock, 1)


def test_retry_after_holds_all_requests() -> None:
    limiter, clock = polite("requests_per_second=1000", "connections=1")
    times = starts(limiter, clock, 1, lambda: limiter.failed("http.429", 7.0))
    assert times + starts(limiter, clock, 1) == pytest.approx([0, 7])


def test_too_long_a_retry_after_gives_the_host_up() -> None:
    limiter, clock = polite("max_wait_seconds=60")
    limiter.failed("http.503", 3600.0)
    with pytest.raises(Refused, match="Retry-After 3600"):
        starts(limiter, clock, 1)


def test_backoff_doubles_with_jitter_up_to_its_bound() -> None:
    limiter, clock = polite(
        "backoff_seconds=1",
        "max_wait_seconds=10",
        "breaker_failures=100",
        "requests_per_second=1000",
        "connections=1",
    )
    waits = []
    for _ in range(7):
        limiter.failed("http.500")
        before = clock.now
        (start,) = starts(limiter, clock, 1)
        waits.append(start - before)
    for wait, whole in zip(waits, (1, 2, 4, 8, 10, 10, 10), strict=True):
        assert whole / 2 <= wait <= whole + 0.01
    limiter.succeeded()
    limiter.failed("http.500")
    before = clock.now
    assert starts(limiter, clock, 1)[0] - before <= 1.01


def test_breaker_opens_lets_one_probe_through_and_closes() -> None:
    limiter, clock = polite(
        "breaker_failures=3", "breaker_seconds=50", "connections=4", "requests_per_second=1000"
    )
    for _ in range(3):
        limiter.failed("http.timeout")
    probing = 0
    most = 0

    async def one() -> None:
        nonlocal probing, most
        async with limiter.acquire():
            assert clock.now >= 50
            probing += 1
            most = max(most, probing)
            await asyncio.sleep(0.001)
            probing -= 1

    async def four(act: Callable[[], Awaitable[None]]) -> None:
        await asyncio.gather(*(act() for _ in range(4)))

    asyncio.run(four(one))
    assert most == 1
    limiter.succeeded()
    asyncio.run(four(one))
    assert most == 4


def test_host_that_never_recovers_is_given_up() -> None:
    limiter, clock = polite(
        "breaker_failures=2", "breaker_seconds=5", "breaker_openings=2", "backoff_seconds=0.1"
    )
    asked = 0
    while limiter.given_up is None:
        starts(limiter, clock, 1, lambda: limiter.failed("http.timeout"))
        asked += 1
    assert limiter.given_up == "http.timeout"
    assert asked == 6  # two failures an opening, given up when it would open a third time
