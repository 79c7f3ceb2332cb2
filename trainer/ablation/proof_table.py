"""What the trials of a proof show: each arm against the base, with intervals, and a word for it.

Differences are paired by seed, which sets the order of documents, and by site of the gold. The
variance of a mean difference adds that over seeds and that over sites (delete-one jackknife). Each
arm has its own: a rule that drops little moves little, and by chance too, so they are not pooled.
Intervals follow Student's t with the degrees of freedom of Welch and Satterthwaite, at 95%,
corrected for the number of arms or rules compared (Bonferroni). Seeds share documents where a model
is trained on a large part of them; intervals then hold for these documents rather than for others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benben.trainer.ablation.proof_data import WITHOUT, Contents

LEVEL = 0.05
MIN_DOCUMENTS = 30  # that a rule changes: of fewer, a single one may decide the sign
Floats = NDArray[np.float64]


def compare(records: Sequence[Mapping[str, Any]], contents: Contents) -> dict[str, Any]:
    """Return the base's score, and `arms` and `rules`: rows of each arm against the base.

    A row has `mean` (bits a byte), `difference` from the base, `half` of its interval and a
    `verdict`: `better`, `worse`, or for rules `helps`, `hurts`; `noise` within the interval; `few`
    beyond it where the rule changes fewer than MIN_DOCUMENTS documents, as the interval does not
    hold for other documents then; `unchanged` where the base keeps the same text without the rule.
    """
    scores = _Scores(records)
    base = contents.base
    names = [name for name in contents.names() if name != base and name in scores.bits]
    arms = [name for name in names if not name.startswith(WITHOUT)]
    rules = [name for name in names if name.startswith(WITHOUT)]
    means = scores.means(base)
    found: dict[str, Any] = {
        "base": {
            "name": base,
            "mean": float(means.mean()),
            "seed_spread": float(means.std(ddof=1)) if len(means) > 1 else None,
        },
        "seeds": scores.seeds,
        "sites": len(scores.sites),
        "bytes": records[0]["bytes"],
        "parameters": max(record["parameters"] for record in records),
        "empty": [name for name, part in contents.arms.items() if not part.bytes],
        "arms": scores.rows(arms, base, ("worse", "better")),
    }
    rows = scores.rows(rules, base, ("helps", "hurts"))
    found["rules"] = {name.removeprefix(WITHOUT): row for name, row in rows.items()}
    for name, row in found["rules"].items():
        change = contents.rules[name]
        row |= {"documents": change.documents, "added": change.added, "lost": change.lost}
        if row["verdict"] != "noise" and change.documents < MIN_DOCUMENTS:
            row["verdict"] = "few"
    found["rules"] |= {name: {"verdict": "unchanged"} for name in contents.unchanged()}
    return found


class _Scores:
    """Bits of each arm by seed and site: arrays [seeds, sites]."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.seeds = sorted({record["seed"] for record in records})
        self.sites = sorted(records[0]["sites"])
        sizes = records[0]["sites"]
        self.bytes: Floats = np.array([sizes[site][1] for site in self.sites], float)
        by_run = {(record["arm"], record["seed"]): record["sites"] for record in records}
        self.bits: dict[str, Floats] = {
            arm: np.array(
                [[by_run[arm, seed][site][0] for site in self.sites] for seed in self.seeds]
            )
            for arm in dict.fromkeys(record["arm"] for record in records)
        }

    def means(self, arm: str) -> Floats:
        """Bits a byte of each seed's model."""
        return np.asarray(self.bits[arm].sum(1) / self.bytes.sum())

    def rows(self, arms: Sequence[str], base: str, words: tuple[str, str]) -> dict[str, Any]:
        """`words`: what to say where an arm has more bits a byte than the base, and fewer."""
        count, found = len(self.seeds), {}
        for arm in arms:
            change = self.bits[arm] - self.bits[base]
            by_seed = change.sum(1) / self.bytes.sum()
            of_seeds = float(by_seed.var(ddof=1)) / count if count > 1 else 0.0
            of_sites = self._jackknife(change.mean(0))
            parts = (of_seeds, count - 1), (of_sites, len(self.sites) - 1)
            difference, half = float(by_seed.mean()), _half(parts, LEVEL / len(arms))
            verdict = "noise" if abs(difference) <= half else words[difference < 0]
            found[arm] = {
                "mean": float(self.means(arm).mean()),
                "difference": difference,
                "half": half,
                "verdict": verdict,
                "by_seed": by_seed.tolist(),
            }
        return found

    def _jackknife(self, bits: Floats) -> float:
        """Variance of bits a byte over the sites that could have been chosen."""
        left = (bits.sum() - bits) / (self.bytes.sum() - self.bytes)
        count = len(bits)
        return float((count - 1) / count * ((left - left.mean()) ** 2).sum())


def _half(parts: Sequence[tuple[float, int]], level: float) -> float:
    """Half an interval from variances that add up, each with its degrees of freedom."""
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / freedom for variance, freedom in parts if freedom)
    if not below:
        return 0.0
    return float(student.ppf(1 - level / 2, total**2 / below) * total**0.5)


def table(found: Mapping[str, Any]) -> str:
    """Return Markdown: the arms, then the rules, those that help most first."""
    base = found["base"]
    spread = base["seed_spread"]
    lines = [
        f"{len(found['seeds'])} seeds, {found['bytes']:,} bytes of text for each model, at most "
        f"{found['parameters']:,} parameters; scored on main text of {found['sites']} other sites.",
        f"`{base['name']}`: {base['mean']:.4f} bits a byte"
        + (f", spread between seeds {spread:.4f}." if spread is not None else "."),
        "",
        f"| arm | bits a byte | against `{base['name']}` | |",
        "|---|---|---|---|",
    ]
    for name, row in found["arms"].items():
        lines.append(f"| {name} | {row['mean']:.4f} | {_change(row)} | {row['verdict']} |")
    if found["empty"]:
        lines += ["", f"These keep no text at all: {', '.join(found['empty'])}."]
    without = f"`{base['name']}` without it"
    lines += [
        "",
        f"| rule | {without} | documents changed | bytes added | lost | the rule |",
        "|---|---|---|---|---|---|",
    ]
    measured = {name: row for name, row in found["rules"].items() if "difference" in row}
    for name, row in sorted(measured.items(), key=lambda item: -item[1]["difference"]):
        change = f"{row['documents']:,} | {row['added']:,} | {row['lost']:,}"
        lines.append(f"| {name} | {_change(row)} | {change} | {row['verdict']} |")
    unchanged = [name for name, row in found["rules"].items() if "difference" not in row]
    if unchanged:
        lines += ["", f"{len(unchanged)} rules alone change nothing: {', '.join(unchanged)}."]
    return "\n".join(lines) + "\n"


def _change(row: Mapping[str, Any]) -> str:
    return f"{row['difference']:+.5f} ± {row['half']:.5f}"
