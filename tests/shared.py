"""Where the real test data lies, when a machine has it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("BENBEN_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data"
needs_shared = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real test data at {DATA} (set BENBEN_SHARED)"
)
