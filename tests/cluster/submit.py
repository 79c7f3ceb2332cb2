"""Runs spark-submit as a user would: the zip, any working directory, nothing installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyspark

from deploy import bundle
from jobs import session

ROOT = Path(__file__).parent.parent.parent
SPARK_HOME = Path(pyspark.__file__).parent


def environment(**more: str) -> dict[str, str]:
    """Environment of a cluster's processes: no PYTHONPATH, this Python for the workers."""
    session.use_bundled_java()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    own = {"SPARK_HOME": str(SPARK_HOME), "PYSPARK_PYTHON": sys.executable}
    return kept | own | {"SPARK_LOCAL_IP": "127.0.0.1"} | more


def command(folder: Path, script: Path, *arguments: str, master: str = "local[2]") -> list[str]:
    """The command line of one job; the zip is built into `folder`."""
    zipped = bundle.build(folder / "benben.zip")
    front = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", master]
    front += ["--conf", "spark.ui.enabled=false", "--py-files", str(zipped)]
    return [*front, str(script), *arguments]


def submit(
    folder: Path, script: Path, *arguments: str, master: str = "local[2]", **env: str
) -> subprocess.CompletedProcess[str]:
    """Submit and wait; the working directory is an empty folder."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(
        command(folder, script, *arguments, master=master),
        cwd=elsewhere,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=600,
    )
