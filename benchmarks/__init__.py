"""Every claim about speed or quality as a command: `python -m benchmarks.NAME` prints one figure.

The folders below group the commands; a command is run by its name alone, as in
`python -m benchmarks.extract_speed` for `benchmarks/extraction/extract_speed.py`.
"""

from pathlib import Path

__path__ += sorted(
    str(folder) for folder in Path(__file__).parent.iterdir() if (folder / "__init__.py").exists()
)
