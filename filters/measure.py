"""Documents in, signals out: everything that rules may ask, in one pass over a batch's text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.signals import (
    c4,
    characters,
    gopher,
    image,
    paragraphs,
    perplexity,
    pii,
    quality,
    repetition,
    text,
    wordlists,
)
from benben.filters.signals.paragraphs import Paragraphs
from benben.pipeline import language, signal_schema
from benben.pipeline.consent.directives import binding_facts
from benben.pipeline.settings.signals import OptOutSettings, SignalSettings

Columns = dict[str, NDArray[Any]]
CHUNK = 128  # documents laid out at once: few enough that their arrays stay in the cache


def measure_batch(documents: pa.RecordBatch, settings: SignalSettings) -> pa.RecordBatch:
    """Measure a batch of DOCUMENTS: a batch of SIGNALS with the same rows in the same order."""
    if documents.num_rows <= CHUNK:
        return _measure(documents, settings)
    starts = range(0, documents.num_rows, CHUNK)
    parts = [_measure(documents.slice(start, CHUNK), settings) for start in starts]
    return pa.concat_batches(parts)


def _measure(documents: pa.RecordBatch, settings: SignalSettings) -> pa.RecordBatch:
    tables = characters.tables(settings.punctuation, settings.terminal)
    laid_out = paragraphs.from_batch(documents, tables)
    found = text.find(laid_out)
    first = np.searchsorted(laid_out.document, np.arange(documents.num_rows + 1))
    pages = _pages(laid_out, first)
    languages, scores = _languages(pages, settings)
    character_grams = repetition.character_grams(laid_out, first)
    word_grams = repetition.word_grams(laid_out, found, first)
    counts: Columns = {
        **text.characters(laid_out),
        **text.words(laid_out, found),
        **text.lines(laid_out, settings.short_line, settings.bullets),
        **wordlists.counts(laid_out, found, languages, settings),
        **pii.counts(laid_out),
        **perplexity.signals(laid_out, languages, settings),
        "duplicate": text.duplicates(laid_out),
    }
    totals = np.maximum(counts["chars"] - repetition.CHARACTERS + 1, 0)
    counts["repeated_chars"] = repetition.most_in_paragraph(character_grams, totals)
    counts["repeated_words"] = repetition.all_in_paragraph(word_grams, len(laid_out))
    profiles = [
        repetition.profile(character_grams, repetition.CHARACTERS, first),
        repetition.profile(word_grams, repetition.WORDS, first),
    ]
    return _assemble(
        documents,
        {
            "doc_id": documents.column("doc_id"),
            "reason": documents.column("reason"),
            "language": pa.array(languages, pa.string()),
            "language_score": pa.array(scores, pa.float32()),
            "paragraphs": _paragraph_column(documents, laid_out, counts, first),
            "images": image.signals(documents, settings),
            "repeats": repetition.to_arrow(profiles, documents.num_rows),
            **_node_kinds(documents),
            "opt_outs": _opt_outs(documents, settings.opt_outs),
            **gopher.signals(laid_out, found),
            **c4.signals(laid_out, found, tables),
            **quality.score(laid_out, found, pages, settings.quality),
        },
    )


def _assemble(documents: pa.RecordBatch, columns: Mapping[str, Any]) -> pa.RecordBatch:
    arrays = []
    for field in signal_schema.SIGNALS:
        column = columns.get(field.name)
        array = pa.nulls(documents.num_rows) if column is None else pa.array(column)
        arrays.append(array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=signal_schema.SIGNALS)


def _pages(laid_out: Paragraphs, first: NDArray[np.int64]) -> list[str]:
    """The whole text of each document."""
    starts, ends = laid_out.starts.tolist(), laid_out.ends.tolist()
    return [
        laid_out.text[starts[begin] : ends[end - 1]] if begin < end else ""
        for begin, end in pairwise(first.tolist())
    ]


def _languages(pages: list[str], settings: SignalSettings) -> tuple[list[str], list[float]]:
    """Language of each document's whole text, or of its first `language_chars` characters."""
    model = language.load(settings.language_model)
    found = language.identify([page[: settings.language_chars] for page in pages], model)
    names = settings.language_names
    return [names.get(label, label) for label, _ in found], [score for _, score in found]


def _paragraph_column(
    documents: pa.RecordBatch, laid_out: Paragraphs, counts: Columns, first: NDArray[np.int64]
) -> pa.ListArray:
    nodes = documents.column("nodes")
    parents = pc.list_parent_indices(nodes).to_numpy(zero_copy_only=False)
    first_node = np.searchsorted(parents, laid_out.document)
    rows = pa.array(first_node + laid_out.node)
    flat = nodes.flatten()
    known: dict[str, Any] = {
        **counts,
        "index": flat.field("index").take(rows),
        "paragraph": laid_out.number,
        "link_share": flat.field("link_share").take(rows),
        "content_score": flat.field("content_score").take(rows),
    }
    arrays = []
    for field in signal_schema.PARAGRAPH_SIGNALS:
        column = known.get(field.name)
        if column is None:
            arrays.append(pa.nulls(len(laid_out), field.type))
        else:
            arrays.append(pa.array(column, from_pandas=True).cast(field.type))
    entries = pa.StructArray.from_arrays(arrays, fields=list(signal_schema.PARAGRAPH_SIGNALS))
    return pa.ListArray.from_arrays(first.astype(np.int32), entries)


def _opt_outs(documents: pa.RecordBatch, settings: OptOutSettings) -> NDArray[np.int64]:
    """Number of each page's opt-outs that bind us."""
    words, agents, tdm = settings.directives, settings.agents, settings.tdm
    rows = documents.column("opt_outs").to_pylist()
    return np.array(
        [sum(1 for _ in binding_facts(facts or (), words, agents, tdm)) for facts in rows]
    )


def _node_kinds(documents: pa.RecordBatch) -> Columns:
    nodes = documents.column("nodes")
    kinds = nodes.flatten().field("kind")
    parents = pc.list_parent_indices(nodes).to_numpy(zero_copy_only=False)
    counted = {}
    for kind in ("text", "image", "break"):
        mask = pc.equal(kinds, kind).to_numpy(zero_copy_only=False)
        counted[f"{kind}_nodes"] = np.bincount(parents[mask], minlength=documents.num_rows)
    return counted
