"""Gold pages through extraction, signals and rules, and what each paragraph is by the gold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from benben.filters.decide import decide_batch
from benben.filters.shipped import kept_nodes
from benben.filters.signal_table import measure_batch
from benben.pipeline import document
from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document, Node
from benben.pipeline.page.extract import extract_page
from benben.pipeline.settings import Config
from benben.pipeline.settings.signals import RuleSettings
from benchmarks.support.gold import Page

BATCH = 100


@dataclass(slots=True)
class Measured:
    """A gold page, its document and its row of the table `signals`."""

    page: Page
    document: Document
    signals: pa.RecordBatch


@dataclass(slots=True)
class Judged:
    """A page under a set of rules."""

    nodes: list[Node]  # what ships
    reasons: dict[tuple[int, int | None], str]  # node, paragraph (None: the whole node) -> reason

    @property
    def text(self) -> str:
        """The text that ships."""
        return "\n\n".join(node.text or "" for node in self.nodes if node.kind == "text")

    def reason(self, index: int, paragraph: int) -> str | None:
        """Why a paragraph is dropped; None: it ships."""
        return self.reasons.get((index, paragraph)) or self.reasons.get((index, None))


def measure(pages: Iterable[Page], config: Config) -> Iterator[Measured]:
    """Extract pages and measure their signals."""
    waiting = iter(pages)
    while part := list(islice(waiting, BATCH)):
        documents = [extract_page(page.html, page.url, None, config.extract) for page in part]
        rows = document.to_batch([_capture(page) for page in part], documents)
        signals = measure_batch(rows, config.signals)
        for place, (page, found) in enumerate(zip(part, documents, strict=True)):
            yield Measured(page, found, signals.slice(place, 1))


def _capture(page: Page) -> Capture:
    return Capture("gold", 0, 0, page.url, "", 200, {}, "text/html", b"", page.name, None)


def judge(measured: list[Measured], rules: RuleSettings) -> list[Judged]:
    """Judge the nodes of pages."""
    signals = pa.concat_batches([one.signals for one in measured])
    dropped = decide_batch(signals, rules).column("dropped").to_pylist()
    return [
        Judged(
            kept_nodes(one.document, mine),
            {(entry["index"], entry["paragraph"]): entry["reason"] for entry in mine},
        )
        for one, mine in zip(measured, dropped, strict=True)
    ]
