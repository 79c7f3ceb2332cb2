"""What small models showed of the rules: the table of `benben-train prove`, for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from benben.pipeline import storage
from benben.pipeline.errors import InputError


@dataclass(frozen=True)
class Row:
    """A set of rules against the base, or the base without one rule."""

    name: str
    difference: float  # bits a byte
    half: float  # of the interval
    verdict: str


@dataclass(frozen=True)
class Proof:
    """Rows of sets of rules, and of rules, those that help most first."""

    base: str
    mean: float  # bits a byte of the base
    seeds: int
    sites: int
    bytes: int  # that each model was trained on
    arms: list[Row]
    rules: list[Row]
    unchanged: list[str]  # rules that alone change nothing


def read(path: str) -> Proof:
    """Read `proved.json`. Raises InputError for another file."""
    try:
        found = json.loads(storage.read_bytes(path))
        rules = found["rules"].items()
        measured = [_row(name, row) for name, row in rules if "difference" in row]
        return Proof(
            base=found["base"]["name"],
            mean=found["base"]["mean"],
            seeds=len(found["seeds"]),
            sites=found["sites"],
            bytes=found["bytes"],
            arms=[_row(name, row) for name, row in found["arms"].items()],
            rules=sorted(measured, key=lambda row: -row.difference),
            unchanged=[name for name, row in rules if "difference" not in row],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: not a file of `benben-train prove`") from None


def _row(name: str, row: dict[str, Any]) -> Row:
    return Row(name, row["difference"], row["half"], row["verdict"])
