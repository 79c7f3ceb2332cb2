"""The GPU session's stages, all of them, at sizes for a CPU."""

from __future__ import annotations

import json
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.training import gpu_session, gpu_smoke, gpu_stage

REQUIREMENTS = Path(gpu_session.__file__).with_name("gpu_requirements.txt")


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("command", list(gpu_session.STAGES))
def test_every_stage_ends_well(command: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert gpu_session.main([command, "--tiny", "--out", str(path)]) == 0, path.read_text()
    data = json.loads(path.read_text())
    planning = gpu_session.PLAN.format(command)
    assert list(data["stages"]) == [*gpu_session.STAGES[command], planning]
    assert {stage["status"] for stage in data["stages"].values()} == {"ok"}
    assert all(stage["values"] for stage in data["stages"].values())


def test_commands_take_five_minutes_at_most() -> None:
    for stages in gpu_session.STAGES.values():
        assert sum(stages.values()) <= gpu_session.LIMIT <= 300
    names = {name for stages in gpu_session.STAGES.values() for name in stages}
    plans = {gpu_session.PLAN.format(command) for command in gpu_session.STAGES}
    assert set(gpu_stage.STAGES) == names | plans


def test_a_stage_past_its_deadline_is_killed_with_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that writes a value, then an exception, and hangs; one that fails at once."""
    script = tmp_path / "stage.py"
    script.write_text(
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "name, folder = sys.argv[3:5]\n"
        "if name == 'attention':\n"
        "    sys.exit('a plain CUDA image lacks pydantic')\n"
        "errors = [{'name': 'second', 'why': 'ZeroDivisionError'}]\n"
        "data = {'values': {'first': 1}, 'errors': errors}\n"
        "Path(folder, name + '.json').write_text(json.dumps(data))\n"
        "time.sleep(600)\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(gpu_session.sys, "executable", str(python))
    monkeypatch.setattr(gpu_session, "FOLDER", tmp_path)
    monkeypatch.setitem(gpu_session.STAGES, "speed", {"attention": 30.0, "ladder": 3.0})
    path = tmp_path / "result.json"
    data = gpu_session.run("speed", ["attention", "ladder"], path, False, "a card")
    assert json.loads(path.read_text()) == data
    assert data["card"] == "a card"
    failed, late = data["stages"]["attention"], data["stages"]["ladder"]
    assert failed["status"] == "failed"
    assert "lacks pydantic" in failed["output"]
    assert (late["status"], late["values"]) == ("late", {"first": 1})
    assert late["errors"] == [{"name": "second", "why": "ZeroDivisionError"}]


def test_stored_results_are_those_of_this_code() -> None:
    import torch

    case = "rope"
    found: dict[str, Any] = gpu_smoke.results(case, "cpu", torch.float32)
    error = gpu_smoke.error(found, gpu_smoke.stored()[case])
    assert max(error.values()) < 1e-5


def test_requirements_are_whole() -> None:
    """What the listed packages need is listed too: they are installed without dependencies."""
    lines = REQUIREMENTS.read_text().splitlines()
    listed = {line.strip() for line in lines if not line.startswith("#")}
    needed = {"pydantic", "pyyaml", "pyarrow", "pillow", "numpy", "tokenizers", "safetensors"}
    needed |= {"transformers", "fsspec", "obstore"}  # what trainer/ and the benchmarks import
    for name in listed:
        for requirement in map(Requirement, requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed.add(canonicalize_name(requirement.name))
    assert needed <= listed, needed - listed
