"""What consent costs a fetch: `python -m benchmarks.consent_cost [ROUNDS]`.

Fetches the images of the test data's site, each under three query strings, with all of consent and
with none, in turn, each in a process of its own. The site speaks of its use in robots.txt, ai.txt,
tdmrep.json and header lines, and permits all images, so that both sides do the same work besides.
Prints the processor time of an image in milliseconds with consent, without, and their ratio; the
least of all rounds counts, since the machine may be busy.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from benchmarks.images.fetch_speed import QUERIES, SITE, served, site_files, timed
from benchmarks.support.figure import report

SWITCHES = ("pages", "robots", "headers", "tdm", "content_usage", "content_signal", "rsl",
            "ai_txt", "metadata")  # fmt: skip
WITHOUT = [f"fetch.consent.{name}=no" for name in SWITCHES] + ["fetch.consent.directives=[]"]
BAR, ROUNDS = 1.02, 5


def fetch(urls: Path, folder: Path, *overrides: str) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and number of images of one fetch."""
    command = [sys.executable, "-m", "benchmarks.fetch_speed", "--ours", str(urls), str(folder)]
    wall, processor, said = timed([*command, *overrides])
    return wall, processor, int(said)


def main() -> None:
    """Fetch in turn with and without consent, and report."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    paths = [quote(str(path.relative_to(SITE))) for path in site_files()]
    with served("--signals") as base, tempfile.TemporaryDirectory() as folder:
        urls = Path(folder) / "urls.txt"
        wanted = [f"{base}/{path}?v={query}" for query in range(QUERIES) for path in paths]
        urls.write_text("\n".join(wanted))
        runs = []
        for number in range(rounds):
            with_all = fetch(urls, Path(folder) / f"with-{number}")
            with_none = fetch(urls, Path(folder) / f"without-{number}", *WITHOUT)
            runs.append((*with_all, *with_none))
    wall, cost, kept, wall_without, cost_without, kept_without = (
        min(column) for column in zip(*runs, strict=True)
    )
    scale = 1000 / len(wanted)
    details = {"unit": "ms an image", "wall_ratio": wall / wall_without, "runs": runs}
    report("consent_cost", cost * scale, cost_without * scale, bar=BAR, kept=kept, **details)
    if kept != kept_without:
        sys.exit(f"consent_cost: {kept} images with consent, {kept_without} without")


if __name__ == "__main__":
    main()
