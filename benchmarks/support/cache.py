"""Results of long computations, kept between runs of a benchmark under build/cache/."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
FOLDER = Path("build/cache")


def cached(name: str, makers: Iterable[Path | str], compute: Callable[[], Result]) -> Result:
    """Return what `compute` returned for the same makers: files (by content), or other words."""
    digest = hashlib.sha256()
    for maker in makers:
        digest.update(maker.read_bytes() if isinstance(maker, Path) else maker.encode())
        digest.update(b"\0")
    path = FOLDER / f"{name}-{digest.hexdigest()[:16]}.pickle"
    if path.exists():
        found: Result = pickle.loads(path.read_bytes())  # our own file
        return found
    found = compute()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob(f"{name}-*.pickle"):
        old.unlink()
    path.write_bytes(pickle.dumps(found))
    return found
