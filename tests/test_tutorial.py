"""The tutorial's commands run as they stand there, one after another."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from benben.jobs.commands import cli
from tests.shared import ROOT

TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.S)
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_command_of_the_tutorial_succeeds(tmp_path: Path) -> None:
    blocks = BLOCK.findall(TEXT)
    assert len(blocks) > 6
    scripts = Path(sys.executable).parent
    paths = os.pathsep.join([str(scripts), os.environ["PATH"]])
    for kind, text in blocks:
        command = ["bash", "-euc", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PATH": paths, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.stdout.strip(), text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_commands_that_guides_name_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|[`\s])benben ([a-z]+)", "\n".join(code(text))))
    known = {*cli.benben.list_commands(click.Context(cli.benben)), "assemble"}
    assert named <= known, f"{path.name}: {named - known}"


def code(text: str) -> list[str]:
    """Return the commands in blocks and between backticks."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.S)
    return [*blocks, *(f" {found}" for found in re.findall(r"`(benben [^`]*)`", text))]


def test_commands_of_the_tutorial_are_of_ours_or_of_python() -> None:
    lines = [
        line
        for kind, text in BLOCK.findall(TEXT)
        if kind == "sh"
        for line in text.strip().split("\n")
    ]
    assert {shlex.split(line)[0] for line in lines} == {"benben", "python"}
