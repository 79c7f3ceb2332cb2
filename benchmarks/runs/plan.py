"""What a whole dump costs the driver: dealing 90,000 archives out, and a table's manifest.

Value and baseline are processor seconds an archive for a dump and for a tenth of it; a ratio near 1
says that the plan grows with the dump and no faster.
"""

from __future__ import annotations

import resource
import sys
import time

from benben.pipeline.archive.inputs import Archive, deal
from benben.pipeline.manifest import Manifest, PartFile
from benchmarks.support import figure

ARCHIVES, ARCHIVE_BYTES, PARTS_AN_ARCHIVE = 90_000, 1_000_000_000, 4


def main() -> None:
    """Measure both sizes, the small one first, and report."""
    archives = int(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVES
    few, many = measure(archives // 10), measure(archives)
    figure.report(
        "plan",
        many["seconds"] / archives,
        few["seconds"] / (archives // 10),
        unit="processor seconds an archive",
        dump=many,
        tenth=few,
    )


def measure(count: int) -> dict[str, float]:
    """Deal archives out and write and read the manifest of as many parts."""
    started = time.process_time()
    archives = [Archive(f"s3://crawl/{n:05d}.warc.gz", ARCHIVE_BYTES) for n in range(count)]
    parts = len(deal(archives, PARTS_AN_ARCHIVE * count))
    dealt = time.process_time()
    files = [
        PartFile(part=n, name=f"{n:016x}/part-{n:05d}.parquet", rows=n, bytes=n)
        for n in range(parts)
    ]
    facts = {"table": "documents", "id": "0" * 16, "stage": "extract", "version": "0"}
    text = Manifest.model_validate(
        facts | {"config": {}, "inputs": {}, "files": files}
    ).model_dump_json()
    Manifest.model_validate_json(text)
    ended = time.process_time()
    return {
        "archives": count,
        "parts": parts,
        "seconds": ended - started,
        "deal_seconds": dealt - started,
        "manifest_seconds": ended - dealt,
        "manifest_bytes": len(text),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
