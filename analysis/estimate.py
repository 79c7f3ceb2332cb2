"""Estimate what a run will take from runs on samples of its input, with 90% intervals.

A stage's estimate has two parts. The fixed part is what its first run on the larger sample took,
with start-up and compilation. The growing part is the processor time of tasks and driver that more
input adds, measured on warm runs of two samples and of several copies. The intervals come from the
spread between the tasks of the larger sample, each of which is a sample itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benben.pipeline.config import CONFIGS

PRICES = CONFIGS / "tables" / "prices.yaml"
FILE = "estimate.json"  # in a run's folder
# Student's t of a two-sided 90% interval, by degrees of freedom.
# Source: standard tables; for infinitely many degrees of freedom it is Z90.
T90 = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13, 5: 2.02, 6: 1.94, 7: 1.89, 8: 1.86, 9: 1.83, 10: 1.81,
       15: 1.75, 20: 1.72, 30: 1.70}  # fmt: skip
Z90 = 1.645
GET_BYTES, PUT_BYTES = 8 << 20, 256 << 20  # of one request to an object store


@dataclass(frozen=True)
class StageCost:
    """What one stage took on one sample."""

    stage: str
    all_seconds: float  # processor time of all processes, Spark's own included
    task_seconds: float  # the part of it in Python tasks
    driver_seconds: float  # the part of it in the driver process
    tasks: tuple[float, ...]  # processor seconds of each task
    written: int  # bytes of its tables
    shuffled: int  # bytes
    kept: int | None  # documents; None for stages that count none
    requests: int = 0  # HTTP requests for images

    @property
    def growing_seconds(self) -> float:
        """Processor seconds that grow with the input."""
        return self.task_seconds + self.driver_seconds


@dataclass(frozen=True)
class Interval:
    """An estimated number and its 90% interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """The interval scaled by a factor."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Estimate:
    """What a whole run is expected to take."""

    sample_share: float
    captures: Interval
    documents: Interval  # in the dataset
    core_seconds: Interval
    task_seconds: Interval  # in Python tasks, as the run's metrics count them
    bytes_read: float
    bytes_written: Interval
    bytes_shuffled: Interval
    requests: Interval
    stages: dict[str, float]  # stage -> core seconds


def relative_error(values: Sequence[float]) -> float:
    """Half the width of the 90% interval of the values' mean, as a share of the mean."""
    number = len(values)
    mean = sum(values) / number if number else 0
    if number < 2 or not mean:
        return 1.0
    variance = sum((value - mean) ** 2 for value in values) / (number - 1)
    freedom = max((degrees for degrees in T90 if degrees <= number - 1), default=1)
    return T90[freedom] * math.sqrt(variance / number) / mean


def distinct(sampled: int, left: int, whole: float) -> float:
    """Documents that remain of `whole` without duplicates, when `left` of `sampled` remain.

    Assumes equally frequent classes of duplicates: n documents drawn from D classes are expected
    to have D (1 - (1 - 1/D)^n) distinct ones. Solves this for D by bisection.
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
class SampleRuns:
    """The runs that an estimate is made from: the cost of each stage, in the order of stages."""

    first: Sequence[StageCost]  # on the whole sample, in a process that has just started
    small: Sequence[StageCost]  # on a part of the sample
    large: Sequence[StageCost]  # on the whole sample again
    copies: Sequence[StageCost]  # on several copies of the whole sample
    number: int  # of copies
    captures: int  # in the sample
    sizes: tuple[int, int]  # bytes of the small and the large sample


def estimate(runs: SampleRuns, total: int) -> Estimate:
    """Estimate a run on `total` bytes of archives from runs on samples of them."""
    first, large, sizes = runs.first, runs.large, runs.sizes
    scale = total / sizes[1]
    extract_tasks = [task for cost in first if cost.stage == "extract" for task in cost.tasks]
    error = relative_error(extract_tasks)
    entering, kept = _kept(first, "fingerprint"), _kept(first, "cluster")
    kept_small = _kept(runs.small, "cluster")
    left = distinct(entering, kept, entering * scale)

    def added(quantity: Callable[[StageCost], float], number: int) -> float:
        """What the whole input adds to the sample's cost, for the stage of that number."""
        small, once, copies = (quantity(run[number]) for run in (runs.small, large, runs.copies))
        reading = max(0.0, copies - once) / (runs.number - 1)  # of the sample's bytes
        other = once - small - reading * (1 - sizes[0] / sizes[1])
        document = max(0.0, other) / (kept - kept_small) if kept > kept_small else 0.0
        return reading * (scale - 1) + document * (left - kept)

    def whole(quantity: Callable[[StageCost], float]) -> float:
        return sum(quantity(cost) + added(quantity, number) for number, cost in enumerate(first))

    growth = {
        cost.stage: added(lambda one: one.growing_seconds, number)
        for number, cost in enumerate(first)
    }
    stages = {cost.stage: cost.all_seconds + growth[cost.stage] for cost in first}
    seconds = sum(stages.values())
    uncertain = sum(growth.values()) + sum(cost.growing_seconds for cost in large)
    return Estimate(
        sample_share=1 / scale,
        captures=_interval(runs.captures * scale, Z90 / math.sqrt(max(runs.captures, 1))),
        documents=_interval(_kept(first, "assemble") * left / kept if kept else 0.0, error),
        core_seconds=Interval(
            seconds, seconds - uncertain * min(error, 1), seconds + uncertain * error
        ),
        task_seconds=_interval(whole(lambda cost: cost.task_seconds), error),
        bytes_read=float(total),
        bytes_written=_interval(whole(lambda cost: cost.written), error),
        bytes_shuffled=_interval(whole(lambda cost: cost.shuffled), error),
        requests=_interval(whole(lambda cost: cost.requests), error),
        stages=stages,
    )


def _kept(costs: Sequence[StageCost], stage: str) -> int:
    return next((cost.kept or 0 for cost in costs if cost.stage == stage), 0)


def _interval(value: float, error: float) -> Interval:
    return Interval(value, value * (1 - min(error, 1)), value * (1 + error))


def price(found: Estimate, prices: Mapping[str, Any], machines: int) -> dict[str, Any]:
    """Wall time in hours on `machines` machines and costs in dollars, by a table of prices."""
    machine = prices["machines"][prices["machine"]]
    cores = machines * machine["cores"]
    hours = found.core_seconds.times(1 / 3600 / cores / prices["busy"])
    rate = machines * machine["hour"] * (1 + prices["platform_share"])
    gets, puts = found.bytes_read / GET_BYTES, found.bytes_written.value / PUT_BYTES
    requests = gets * prices["request_get"] + puts * prices["request_put"]
    storage = found.bytes_written.times(prices["gigabyte_month"] / 1e9)
    return {
        "machine": f"{machines} x {prices['machine']}, {cores} cores",
        "wall_hours": hours,
        "machines": hours.times(rate),
        "requests": requests,
        "storage_month": storage,
        "store_requests": gets + puts,
    }


def as_text(found: Estimate, priced: Mapping[str, Any]) -> str:
    """The estimate as lines of text, each number with its 90% interval."""
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
    """The estimate as JSON, which `benben run` compares with what happened."""
    return json.dumps(asdict(found), indent=1).encode()


def compare(estimated: Mapping[str, Any], measured: Mapping[str, float]) -> list[str]:
    """Lines with each estimated number beside the measured one, for names that both have."""
    lines = [f"{'':<16} {'estimated':>14} {'measured':>14} {'ratio':>7}"]
    for name, value in measured.items():
        entry = estimated.get(name)
        expected = entry["value"] if isinstance(entry, dict) else entry
        if expected:
            ratio = expected / value if value else math.inf
            numbers = f"{_number(expected):>14} {_number(value):>14} {ratio:>7.2f}"
            lines.append(f"{name:<16} {numbers}")
    return lines
