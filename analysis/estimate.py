"""What a run will take, from runs on two samples of its input, with the error of that.

A stage takes what its first run on the larger sample took, start and compiler with it, and what
more input adds: the processor time of tasks and driver, by a line through both samples once all is
warm. The error is of the larger sample's tasks, which are samples themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FILE = "estimate.json"  # in a run's folder
# Student's t of a two-sided 90% interval by degrees of freedom; 1.645 beyond.
T90 = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13, 5: 2.02, 6: 1.94, 7: 1.89, 8: 1.86, 9: 1.83, 10: 1.81,
       15: 1.75, 20: 1.72, 30: 1.70}  # fmt: skip


@dataclass(frozen=True)
class Sampled:
    """One stage on one sample."""

    stage: str
    all_seconds: float  # processor time of all processes, Spark's own among them
    task_seconds: float  # of these, in Python tasks
    driver_seconds: float  # and in the driver's process
    tasks: tuple[float, ...]  # processor seconds of each task of waves
    written: int  # bytes of its tables
    shuffled: int  # bytes
    kept: int | None  # documents
    requests: int = 0  # HTTP, for images

    @property
    def work(self) -> float:
        """Processor seconds that more input adds to."""
        return self.task_seconds + self.driver_seconds


@dataclass(frozen=True)
class Range:
    """A number and its 90% interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Range:
        """Scaled."""
        return Range(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Estimate:
    """What is expected of a whole run."""

    sample_share: float
    captures: Range
    documents: Range  # of the dataset
    core_seconds: Range
    task_seconds: Range  # of Python tasks: what the run's metrics count
    bytes_read: float
    bytes_written: Range
    bytes_shuffled: Range
    requests: Range
    stages: dict[str, float]  # stage -> core seconds


def spread(values: Sequence[float]) -> float:
    """Half a 90% interval of the mean of equal samples, as a share of it."""
    number = len(values)
    mean = sum(values) / number if number else 0
    if number < 2 or not mean:
        return 1.0
    variance = sum((value - mean) ** 2 for value in values) / (number - 1)
    freedom = max((one for one in T90 if one <= number - 1), default=1)
    return T90[freedom] * math.sqrt(variance / number) / mean


def distinct(sampled: int, left: int, whole: float) -> float:
    """Documents left of `whole` once duplicates are gone, when `left` of `sampled` are.

    As of equally frequent classes: a sample of n out of D classes has D (1 - (1 - 1/D)^n) of them.
    """
    if left >= sampled:
        return whole

    def expected(classes: float, number: float) -> float:
        return -classes * math.expm1(number * math.log1p(-1 / classes))

    low, high = float(max(left, 2)), 1e15
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if expected(middle, sampled) < left else (low, middle)
    return min(expected(low, whole), whole)


@dataclass(frozen=True)
class Samples:
    """The runs that an estimate is made from: what each stage took, in the stages' order."""

    first: Sequence[Sampled]  # the whole sample in a process that has just started
    small: Sequence[Sampled]  # a part of it
    large: Sequence[Sampled]  # all of it again
    copies: Sequence[Sampled]  # all of it, several times over
    number: int  # of copies
    captures: int  # in the sample
    sizes: tuple[int, int]  # bytes of the small and the large sample


def estimate(samples: Samples, total: int) -> Estimate:
    """Scale up to `total` bytes."""
    first, large, sizes = samples.first, samples.large, samples.sizes
    scale = total / sizes[1]
    error = spread([value for one in first if one.stage == "extract" for value in one.tasks])
    entering, before, kept = (_kept(first, "fingerprint"), _kept(samples.small, "cluster"),
                              _kept(first, "cluster"))  # fmt: skip
    left = distinct(entering, kept, entering * scale)

    def added(values: Callable[[Sampled], float], number: int) -> float:
        """What the whole adds to the sample, for the stage of that number."""
        small, once, copies = (
            values(run[number]) for run in (samples.small, large, samples.copies)
        )
        read = max(0.0, copies - once) / (samples.number - 1)  # for the sample's bytes
        other = once - small - read * (1 - sizes[0] / sizes[1])
        document = max(0.0, other) / (kept - before) if kept > before else 0.0
        return read * (scale - 1) + document * (left - kept)

    def whole(values: Callable[[Sampled], float]) -> float:
        return sum(values(one) + added(values, number) for number, one in enumerate(first))

    more = {one.stage: added(lambda one: one.work, number) for number, one in enumerate(first)}
    stages = {one.stage: one.all_seconds + more[one.stage] for one in first}
    varying = sum(more.values()) + sum(one.work for one in large)
    seconds = sum(stages.values())
    return Estimate(
        sample_share=1 / scale,
        captures=_range(samples.captures * scale, 1.645 / math.sqrt(max(samples.captures, 1))),
        documents=_range(_kept(first, "assemble") * left / kept if kept else 0.0, error),
        core_seconds=Range(seconds, seconds - varying * min(error, 1), seconds + varying * error),
        task_seconds=_range(whole(lambda one: one.task_seconds), error),
        bytes_read=float(total),
        bytes_written=_range(whole(lambda one: one.written), error),
        bytes_shuffled=_range(whole(lambda one: one.shuffled), error),
        requests=_range(whole(lambda one: one.requests), error),
        stages=stages,
    )


def _kept(stages: Sequence[Sampled], name: str) -> int:
    return next((one.kept or 0 for one in stages if one.stage == name), 0)


def _range(value: float, error: float) -> Range:
    return Range(value, value * (1 - min(error, 1)), value * (1 + error))


def price(found: Estimate, prices: Mapping[str, Any], machines: int) -> dict[str, Any]:
    """Wall hours on so many machines, and dollars, by the table of prices."""
    machine = prices["machines"][prices["machine"]]
    cores = machines * machine["cores"]
    hours = found.core_seconds.times(1 / 3600 / cores / prices["busy"])
    rate = machines * machine["hour"] * (1 + prices["platform_share"])
    gets, puts = found.bytes_read / (8 << 20), found.bytes_written.value / (256 << 20)
    asked = gets * prices["request_get"] + puts * prices["request_put"]
    storage = found.bytes_written.times(prices["gigabyte_month"] / 1e9)
    return {
        "machine": f"{machines} x {prices['machine']}, {cores} cores",
        "wall_hours": hours,
        "machines": hours.times(rate),
        "requests": asked,
        "storage_month": storage,
        "store_requests": gets + puts,
    }


def as_text(found: Estimate, priced: Mapping[str, Any]) -> str:
    """Lay an estimate out, each number with its 90% interval."""
    lines = [f"sample           {found.sample_share:.3%} of {found.bytes_read / 1e9:,.2f} GB"]
    for name, value, unit in (
        ("captures", found.captures, ""),
        ("documents", found.documents, " in the dataset"),
        ("core-hours", found.core_seconds.times(1 / 3600), ""),
        ("wall time", priced["wall_hours"], f" h on {priced['machine']}"),
        ("bytes written", found.bytes_written.times(1e-9), " GB, all tables"),
        ("bytes shuffled", found.bytes_shuffled.times(1e-9), " GB"),
        ("image requests", found.requests, ""),
        ("machines", priced["machines"], " USD"),
        ("storage", priced["storage_month"], " USD a month"),
    ):
        ends = f"({_number(value.low)} to {_number(value.high)})"
        lines.append(f"{name:<16} {_number(value.value)}{unit}  {ends}")
    lines.append(f"bytes read       {_number(found.bytes_read / 1e9)} GB")
    lines.append(f"store requests   {_number(priced['store_requests'])}, "
                 f"{_number(priced['requests'])} USD")  # fmt: skip
    lines += [
        f"  {name:<14} {seconds / 3600:,.4g} core-hours" for name, seconds in found.stages.items()
    ]
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def as_json(found: Estimate) -> bytes:
    """What a run is compared with at its end."""
    return json.dumps(asdict(found), indent=1).encode()


def compare(said: Mapping[str, Any], happened: Mapping[str, float]) -> list[str]:
    """Lines of what was estimated beside what happened, for the names both have."""
    lines = [f"{'':<16} {'estimated':>14} {'happened':>14} {'ratio':>7}"]
    for name, value in happened.items():
        entry = said.get(name)
        expected = entry["value"] if isinstance(entry, dict) else entry
        if expected:
            ratio = expected / value if value else math.inf
            numbers = f"{_number(expected):>14} {_number(value):>14} {ratio:>7.2f}"
            lines.append(f"{name:<16} {numbers}")
    return lines
