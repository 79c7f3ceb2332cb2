"""Builds `benben.zip`, the code and its data files, for `spark-submit --py-files`.

python -m deploy.bundle dist/benben.zip
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "benben"
LEFT_OUT = ("sample", "trainer", "__pycache__")  # folders that no stage needs
EPOCH = (1980, 1, 1, 0, 0, 0)  # fixed times, so that equal code gives an equal zip


def build(target: Path, root: Path = ROOT) -> Path:
    """Write the zip and return its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(files(root)):
            name = path.relative_to(root / PACKAGE).as_posix()
            entry = zipfile.ZipInfo(f"{PACKAGE}/{name}", EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return target


def files(root: Path = ROOT) -> Iterator[Path]:
    """Yield what goes into the zip: every file of the packages that a stage needs."""
    yield root / PACKAGE / "__init__.py"
    for folder in (root / PACKAGE).iterdir():
        if folder.is_dir() and folder.name not in LEFT_OUT:  # most are links
            yield from (
                path
                for path in folder.rglob("*")
                if path.is_file() and "__pycache__" not in path.parts
            )


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
