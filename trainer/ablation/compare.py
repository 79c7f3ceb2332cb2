"""Compares the arms of an ablation: means with intervals, and which differ beyond noise.

Noise is the spread between seeds, pooled over the arms (they are taken to be equally noisy).
Differences from the first arm pair equal seeds, so equal data order. Their 95% intervals follow
Student's t, corrected for the number of comparisons (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

LEVEL = 0.05


def measures(record: Mapping[str, Any]) -> dict[str, float]:
    """Return measures by name: bits per byte by source, length and language, and captions."""
    found: dict[str, float] = {}
    for name, result in record["evaluations"].items():
        if "bits_per_byte" not in result:
            continue
        found[f"{name} bits/byte"] = result["bits_per_byte"]
        found[f"{name} nll"] = result["nll"]
        for lang, entry in result["languages"].items():
            if "bits_per_byte" in entry:
                found[f"{name} {lang} bits/byte"] = entry["bits_per_byte"]
        if result["captions"]["tokens"]:
            found[f"{name} captions nll"] = result["captions"]["given"]
    return found


def compare(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return per measure and arm: `mean`, `half` (of its 95% interval), and against the first arm
    `difference`, `half_difference`, `beyond_noise`.
    """
    arms = list(dict.fromkeys(record["arm"] for record in records))
    seeds = sorted({record["seed"] for record in records})
    by_run = {(r["arm"], r["seed"]): measures(r) for r in records}
    names = list(dict.fromkeys(name for values in by_run.values() for name in values))
    result: dict[str, dict[str, Any]] = {}
    for name in names:
        rows = [[by_run[arm, seed].get(name) for seed in seeds] for arm in arms]
        if all(value is not None for row in rows for value in row):
            result[name] = _measure(np.array(rows, float), arms)
    return result


def _measure(values: np.ndarray, arms: list[str]) -> dict[str, Any]:
    """`values` [arms, seeds]."""
    count = values.shape[1]
    half = _half(values.var(1, ddof=1), count, LEVEL)
    differences = values[1:] - values[0]
    spread = differences.var(1, ddof=1) if len(differences) else np.array([0.0])
    half_difference = _half(spread, count, LEVEL / max(len(differences), 1))
    found: dict[str, Any] = {}
    for i, arm in enumerate(arms):
        found[arm] = {"mean": float(values[i].mean()), "half": half}
        if i:
            difference = float(differences[i - 1].mean())
            found[arm] |= {
                "difference": difference,
                "half_difference": half_difference,
                "beyond_noise": abs(difference) > half_difference,
            }
    return found


def _half(variances: np.ndarray, count: int, level: float) -> float:
    """Return half an interval of a mean of `count`, from the rows' pooled variance."""
    freedom = len(variances) * (count - 1)
    return float(student.ppf(1 - level / 2, freedom) * np.sqrt(variances.mean() / count))


def table(records: Sequence[Mapping[str, Any]], compared: Mapping[str, Mapping[str, Any]]) -> str:
    """Return Markdown: one table for each measure, with the differences in words."""
    lines = ["| arm | seeds | tokens a run |", "|---|---|---|"]
    for arm in dict.fromkeys(record["arm"] for record in records):
        mine = [r for r in records if r["arm"] == arm]
        tokens = sorted({f"{r['tokens']:,}" for r in mine})
        lines.append(f"| {arm} | {len(mine)} | {', '.join(tokens)} |")
    for name, arms in compared.items():
        lines += ["", f"## {name}", "", "| arm | mean | against the first | |", "|---|---|---|---|"]
        for arm, row in arms.items():
            mean = f"{row['mean']:.4f} ± {row['half']:.4f}"
            if "difference" not in row:
                lines.append(f"| {arm} | {mean} | | |")
                continue
            change = f"{row['difference']:+.4f} ± {row['half_difference']:.4f}"
            verdict = "beyond noise" if row["beyond_noise"] else "within noise"
            lines.append(f"| {arm} | {mean} | {change} | {verdict} |")
    return "\n".join(lines) + "\n"
