"""Deciding again against a full run, CPU seconds: `python -m benchmarks.redecide_speed`.

A full run is decoding, extraction, signals and verdicts of TEST-MAIN's pages; deciding again reads
only the stored signals. The bar is 0.05. Results must be equal.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import report
from benchmarks.filter_cost import DEFAULT
from filters.decide import decide_batch
from filters.measure import measure_batch
from filters.needed import columns
from pipeline import config, records, storage
from pipeline.archive.warc import Capture, read_captures
from pipeline.page.extract import extract_page
from pipeline.signal_schema import SIGNALS

BATCH = 500


def main(folder: str = str(DEFAULT), pattern: str = "TEST-MAIN-*.warc.gz") -> None:
    """Run once in full, then decide from the stored table."""
    settings = config.load("default", ["input=[x]"])
    measure_batch(records.to_batch([], []), settings.signals)  # models and tables are loaded once
    with tempfile.TemporaryDirectory() as name:
        path = f"{name}/signals.parquet"
        start, first, pages = time.process_time(), [], 0
        with storage.ParquetWriter(path, SIGNALS) as writer:
            for archive in sorted(Path(folder).glob(pattern)):
                captures = [one for one in read_captures(str(archive)) if isinstance(one, Capture)]
                for begin in range(0, len(captures), BATCH):
                    part = captures[begin : begin + BATCH]
                    documents = [extract_page(one.payload, one.url, one.headers) for one in part]
                    signals = measure_batch(records.to_batch(part, documents), settings.signals)
                    writer.write(signals)
                    first += decide_batch(signals, settings.rules).to_pylist()
                    pages += len(part)
        full = time.process_time() - start
        start = time.process_time()
        read = storage.iter_parquet(path, columns(settings.rules), 5_000)
        batches = [decide_batch(signals, settings.rules) for signals in read]
        again = time.process_time() - start
    assert [row for batch in batches for row in batch.to_pylist()] == first
    report("redecide_speed", again, full, unit="CPU s", pages=pages, bar=0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
