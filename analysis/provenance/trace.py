"""Trace where a document or an image comes from: `benben trace RUN NAME`.

NAME is a document id, the sha256 of an image, or the URL of a page or an image. For each document
it prints the archive and byte range, the verdict, and each node with its DOM path; for an image,
only the nodes that show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from benben.analysis.provenance.history import History, NodeView
from benben.analysis.query import Query
from benben.analysis.tables import RunTables
from benben.pipeline.errors import InputError

DOC_ID = re.compile(r"[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_DOCUMENTS = 100  # printed for one image
EXCERPT_CHARS = 100  # of a node


def resolve(tables: RunTables, name: str) -> tuple[list[str], set[str]]:
    """Ids of the documents that a name stands for, and the image URLs that it stands for.

    There are no image URLs when the name stands for whole documents. Raises InputError when the run
    has nothing of this name.
    """
    query = Query(tables)
    if DOC_ID.fullmatch(name):
        ids, urls = [name], set()
    elif SHA256.fullmatch(name):
        urls = {url for (url,) in query.rows("select url from images where sha256 = ?", name)}
        ids = _documents_with(query, urls)
    else:
        pages = query.rows("select doc_id from documents where url = ? order by 1", name)
        ids, urls = [doc_id for (doc_id,) in pages], set()
        if not ids:
            ids, urls = _documents_with(query, {name}), {name}
    if not ids:
        raise InputError(f"{tables.output}: nothing in this run is named {name}")
    return ids, urls


def _documents_with(query: Query, urls: set[str]) -> list[str]:
    """Ids of documents with one of the image URLs."""
    rows = query.rows(
        f"""
        select doc_id from documents
        where len(list_filter(nodes, lambda n: list_contains(?, n.url))) > 0
        order by 1 limit {MAX_DOCUMENTS}
        """,
        sorted(urls),
    )
    return [doc_id for (doc_id,) in rows]


def describe(found: History, urls: set[str]) -> Iterator[str]:
    """Lines about a document: capture, verdict, and nodes; only those of the image URLs, if any."""
    document, verdict = found.document, found.verdict
    yield f"document  {document['doc_id']}"
    yield f"url       {plain(document['url'])}"
    yield f"archive   {document['warc']}"
    yield f"range     {document['warc_offset']}+{document['warc_length']}"
    yield f"captured  {document['captured_at']}  {document['payload_digest']}"
    yield f"language  {verdict['lang']}"
    yield f"verdict   {'kept' if verdict['kept'] else 'rejected'}"
    reasons = zip(
        verdict["reasons"] or [], verdict["values"] or [], verdict["bounds"] or [], strict=True
    )
    for reason, value, bound in reasons:
        yield f"          {_reason(reason, value, bound)}"
    if found.duplicate and found.duplicate["kept_id"]:
        yield f"duplicate of {found.duplicate['kept_id']} ({found.duplicate['reason']})"
    for node in found.nodes:
        if not urls or node.pieces[0].text in urls:
            yield from _node_lines(node)


def _node_lines(node: NodeView) -> Iterator[str]:
    for piece in node.pieces:
        outcome = _reason(piece.reason, piece.value, piece.bound) if piece.reason else "kept"
        text = plain(piece.text)
        excerpt = text if len(text) <= EXCERPT_CHARS else f"{text[:EXCERPT_CHARS]}…"
        yield f"node {node.index:<4} {node.kind:<5} {node.path}  [{outcome}]  {excerpt}"
    if node.fetch:
        yield f"{'':<10} {plain(node.fetch)}"


def _reason(reason: str, value: float | None, bound: float | None) -> str:
    numbers = [f"{name} {number:.6g}" for name, number in (("value", value), ("bound", bound))
               if number is not None]  # fmt: skip
    return " ".join([reason, *numbers])


def plain(text: str) -> str:
    """Text on one line without control characters, which become spaces."""
    return "".join(char if char.isprintable() else " " for char in text)
