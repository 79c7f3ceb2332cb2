"""How a benchmark reports: one line on the screen, one JSON file under build/benchmarks/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path("build/benchmarks")


def report(name: str, value: float, baseline: float, **details: Any) -> None:
    """Print `NAME value baseline ratio` and write the details beside it."""
    ratio = value / baseline
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = {"name": name, "value": value, "baseline": baseline, "ratio": ratio, **details}
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1, default=str))
    print(f"{name} {value:.4g} {baseline:.4g} {ratio:.4g}")
