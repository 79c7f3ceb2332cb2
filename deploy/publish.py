"""Uploads what a cluster needs: `python -m deploy.publish s3://bucket/benben`.

These are the zip, the scripts for spark-submit, and bootstrap.sh with the versions it installs.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path

from benben.pipeline import storage
from deploy import bundle

CLI = "jobs/commands/cli.py"  # runs all stages in one job
EXTRAS = ("models", "nsfw")


def publish(code: str) -> list[str]:
    """Write the files under the URL `code`, and return their URLs."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"benben.zip": bundle.build(Path(folder) / "benben.zip").read_bytes()}
    for path in [*sorted((bundle.ROOT / "jobs").glob("*.py")), bundle.ROOT / CLI]:
        files[path.relative_to(bundle.ROOT).as_posix()] = path.read_bytes()
    files["bootstrap.sh"] = (bundle.ROOT / "configs" / "cluster" / "bootstrap.sh").read_bytes()
    files["requirements.lock"] = (bundle.ROOT / "requirements.lock").read_bytes()
    files["dependencies.txt"] = "\n".join([*dependencies(), ""]).encode()
    for name, data in files.items():
        storage.write_bytes(storage.join(code, name), data)
    return [storage.join(code, name) for name in files]


def dependencies() -> list[str]:
    """Return what a worker installs; requirements.lock has the versions."""
    project = tomllib.loads((bundle.ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for extra in EXTRAS for name in project["optional-dependencies"][extra]]
    return [*project["dependencies"], *extras]


if __name__ == "__main__":
    print("\n".join(publish(sys.argv[1])))
