"""Deciding again against a full run, CPU seconds: `python -m benchmarks.redecide_speed`.

A full run is decoding, extraction, signals and verdicts of TEST-MAIN's pages, TIMES over; deciding
again, under moved thresholds, reads only stored signals: no archive, no text. The bar is 0.05.
Results must equal those of a full run under the moved thresholds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from benben.filters.decide import decide_batch
from benben.filters.signal_table import SIGNALS, measure_batch, required_columns
from benben.pipeline import config, document, storage
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.page.extract import extract_page
from benben.pipeline.settings import Config
from benben.pipeline.settings.signals import RuleSettings
from benchmarks.support.data import WARC
from benchmarks.support.figure import report

BATCH, TIMES = 500, 20
MOVED = {
    "text_node": {"words": {"min": 6}, "content_score": {"min": 0.4}},
    "document": {"words": {"min": 80}, "stopword_ratio": {"min": 0.25}},
}


def main(
    folder: str = str(WARC), pattern: str = "TEST-MAIN-*.warc.gz", times: str = str(TIMES)
) -> None:
    """Run in full, then decide from the stored table."""
    settings = config.load("default", ["input=[x]"])
    moved = with_moved(settings.rules)
    measure_batch(document.to_batch([], []), settings.signals)  # models and tables are loaded once
    with tempfile.TemporaryDirectory() as name:
        path = f"{name}/signals.parquet"
        expected: list[pa.RecordBatch] = []
        full, pages = 0.0, 0
        with storage.ParquetWriter(path, SIGNALS) as writer:
            for archive in sorted(Path(folder).glob(pattern)) * int(times):
                start = time.process_time()
                for signals in measured(str(archive), settings):
                    writer.write(signals)
                    decide_batch(signals, settings.rules)
                    pages += signals.num_rows
                    paused = time.process_time()
                    expected.append(decide_batch(signals, moved))
                    start += time.process_time() - paused
                full += time.process_time() - start
        start = time.process_time()
        read = storage.iter_parquet(path, required_columns(moved))
        found = [decide_batch(signals, moved) for signals in read]
        again = time.process_time() - start
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches(expected))
    report("redecide_speed", again, full, unit="CPU s", pages=pages, bar=0.05)


def measured(archive: str, settings: Config) -> Iterator[pa.RecordBatch]:
    """Signals of an archive's pages, from its bytes."""
    captures = [one for one in read_captures(archive) if isinstance(one, Capture)]
    for begin in range(0, len(captures), BATCH):
        part = captures[begin : begin + BATCH]
        documents = [
            extract_page(one.payload, one.url, one.headers, settings.extract) for one in part
        ]
        yield measure_batch(document.to_batch(part, documents), settings.signals)


def with_moved(rules: RuleSettings) -> RuleSettings:
    """The rules with other thresholds."""
    data = rules.model_dump()
    for scope, changed in MOVED.items():
        for name, bounds in changed.items():
            data[scope][name] |= bounds
    return RuleSettings.model_validate(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
