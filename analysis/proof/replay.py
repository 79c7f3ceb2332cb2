"""Replays sets of rules on a run's stored signals: what each keeps of every document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benben.analysis.proof import arms as sets
from benben.analysis.proof.arms import Arm
from benben.analysis.tables import RunTables
from benben.filters.decide import decide_batch
from benben.filters.shipped import kept_nodes
from benben.filters.signals.text import split
from benben.pipeline import storage
from benben.pipeline.dataset.obelics import ImageFact
from benben.pipeline.deduplication.duplicates import TABLES, Duplicates
from benben.pipeline.document import Document, Node, from_batch
from benben.pipeline.images.image_facts import ImageFacts

BATCH_DOCUMENTS = 500
ROW = ("doc_id", "url", "domain", "warc", "warc_offset", "warc_length")
Drops = Sequence[Mapping[str, Any]]  # NODE_VERDICTs
Place = tuple[int, int]  # node, paragraph


@dataclass(frozen=True)
class Replayed:
    """A document with what each arm drops of it."""

    row: dict[str, Any]  # the columns ROW of DOCUMENTS
    language: str
    document: Document
    drops: dict[str, Drops]  # by arm; arms that drop the document are not in it
    facts: dict[str, ImageFact]  # of its images that were fetched, by URL

    def nodes(self, arm: str) -> list[Node]:
        """Return what the arm keeps; nothing of a document that it drops."""
        drops = self.drops.get(arm)
        return [] if drops is None else kept_nodes(self.document, drops)

    def paragraphs(self, arm: str) -> dict[Place, str]:
        """Return the paragraphs that the arm keeps, in order, by their place."""
        drops = self.drops.get(arm)
        if drops is None:
            return {}
        gone = {(one["index"], one["paragraph"]) for one in drops}
        return {
            (node.index, number): text
            for node in self.document.texts()
            if (node.index, None) not in gone
            for number, text in enumerate(split(node.text or ""))
            if (node.index, number) not in gone
        }


def replay(tables: RunTables, arms: Mapping[str, Arm], fetched: bool) -> Iterator[Replayed]:
    """Yield the documents of a run that were extracted and are no duplicates, in its order.

    `fetched`: the run fetched images, so rules on what was fetched are judged too.
    """
    columns = sets.columns(dict(arms))
    facts_of = [tables.paths(name) for name in ("image_uses", "image_worth")]
    duplicates = {name: tables.paths(name) for name in TABLES}
    for part, (documents_path, *_) in sorted(tables.paths("documents").items()):
        signals_path = tables.paths("signals")[part][0]
        facts = ImageFacts.read(*(one[part][0] if part in one else None for one in facts_of))
        known = [
            Duplicates.read(files[part][0] if part in files else None)
            for files in duplicates.values()
        ]
        for documents, signals in storage.iter_aligned(
            [documents_path, signals_path], [None, columns], BATCH_DOCUMENTS
        ):
            yield from _replay_batch(documents, signals, arms, known, facts, fetched)


def _replay_batch(
    documents: pa.RecordBatch,
    signals: pa.RecordBatch,
    arms: Mapping[str, Arm],
    duplicates: Sequence[Duplicates],
    facts: ImageFacts,
    fetched: bool,
) -> Iterator[Replayed]:
    repeated = [one.dropped_nodes(documents) for one in duplicates]
    verdicts: dict[str, tuple[list[bool], list[Drops]]] = {}
    for name, arm in arms.items():
        before = repeated if arm.repeated_dropped else []
        of_images = facts.of_images(documents) if fetched else None
        judged = decide_batch(signals, arm.rules, of_images, before, final=True)
        verdicts[name] = judged["kept"].to_pylist(), judged["dropped"].to_pylist()
    wanted = documents["reason"].is_null()
    for one in duplicates:
        wanted = pc.and_(wanted, pc.invert(pa.array(one.is_dropped(documents))))
    rows = documents.select(list(ROW)).to_pylist()
    languages = signals["language"].to_pylist()
    for place, document in enumerate(from_batch(documents)):
        if wanted[place].as_py():
            drops = {name: each[place] for name, (kept, each) in verdicts.items() if kept[place]}
            urls = [node.url for node in document.nodes if node.kind == "image" and node.url]
            found = facts.fetched(urls) if fetched else {}
            yield Replayed(rows[place], languages[place] or "", document, drops, found)
