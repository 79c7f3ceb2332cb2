"""Build the sample: `python -m benben.sample.build OUT`.

OUT/www holds the files of the site, OUT/site.json the responses of its server other than files, and
OUT/crawl-data the WARC files of a crawl of it. Equal arguments give equal bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benben.sample.shape_pages import LANGUAGE_CYCLE
from benben.sample.warc import write_crawl
from benben.sample.website import SEED, SHAPE_PAGES, Site, build_site

PORT = 8899


def build(
    out: Path,
    port: int = PORT,
    pages: int = SHAPE_PAGES,
    seed: int = SEED,
    languages: Sequence[str] = LANGUAGE_CYCLE,
) -> Site:
    """Write site and crawl to the folder `out`, in place of an earlier build.

    `port` is that of the pages' URLs; `pages`, `seed` and `languages` are those of the shape pages.
    """
    for name in ("www", "crawl-data"):
        shutil.rmtree(out / name, ignore_errors=True)
    site = build_site(pages, seed, languages)
    for path, data in site.responses.files.items():
        target = out / "www" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    rules = {name: value for name, value in asdict(site.responses).items() if name != "files"}
    (out / "site.json").write_text(json.dumps(rules, indent=1, sort_keys=True), encoding="utf-8")
    write_crawl(out, site.captures, f"http://127.0.0.1:{port}")
    return site


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benben.sample.build", description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--port", type=int, default=PORT, help="port in the pages' URLs")
    parser.add_argument(
        "--pages", type=int, default=SHAPE_PAGES, help="number of pages about drawn shapes"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="seed of these pages")
    given = parser.parse_args()
    site = build(given.out, given.port, given.pages, given.seed)
    print(f"{given.out}: {len(site.captures)} captures, {len(site.responses.files)} files")


if __name__ == "__main__":
    main()
