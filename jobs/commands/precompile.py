"""`benben precompile`: the machine code of a release, made once for all its machines."""

from __future__ import annotations

import time
from pathlib import Path

import click

from benben.common.command_line import Command
from benben.jobs.engine import machine_code
from benben.pipeline.errors import InputError


@click.command(cls=Command)
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
def main(folder: Path) -> int:
    """Compile all machine code into FOLDER, the NUMBA_CACHE_DIR of other machines."""
    started = time.monotonic()
    processes = [machine_code.start(part, folder) for part in machine_code.PARTS]
    failed = [process for process in processes if process.wait()]
    files = [path for path in folder.rglob("*") if path.is_file()]
    if failed or not files:
        raise InputError(
            f"precompile: {folder}: no machine code was made; nobody but you may be able to write "
            "to the folder"
        )
    for path in (folder, *folder.rglob("*")):  # others may read it: they copy it
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = sum(path.stat().st_size for path in files) / 1e6
    took = time.monotonic() - started
    print(f"{folder}: {len(files)} files, {size:.0f} MB, {took:.0f} s")
    return 0
