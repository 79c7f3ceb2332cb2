"""Explain one page node by node, as terminal text or as HTML: `benben explain RUN NAME`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from benben.analysis.provenance.history import History, NodeView, Piece, history
from benben.analysis.tables import RunTables
from benben.common.text import UNSAFE
from benben.pipeline.errors import InputError

SHOWN_CHARS = 160  # of a paragraph or URL, in the terminal
_CONTROL = re.compile(f"[{UNSAFE}]+")
_COLOURS = {"kept": "\x1b[32m", "dropped": "\x1b[31m", "heading": "\x1b[1m"}
_RESET = "\x1b[0m"
_STYLE = """body{font:15px/1.45 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}
.kept{border-left:4px solid #2a7}.dropped{border-left:4px solid #c43;color:#777}
p{margin:.3rem 0;padding:.1rem .6rem}code{color:#c43}small{color:#777}img{max-height:160px}"""


def describe(output: str, key: str, html_page: bool = False, colour: bool = True) -> str:
    """Explain a run's document, named by id or URL. Raises InputError when there is none."""
    tables = RunTables(output)
    by_url = tables.lookup("documents", "url", [key], ["url", "doc_id"]).get(key)
    found = history(tables, str(by_url["doc_id"]) if by_url else key)
    if found is None:
        raise InputError(f"{output}: no document with the id or URL '{key}'")
    return as_html(found) if html_page else as_text(found, colour)


def as_text(found: History, colour: bool = True) -> str:
    """Lines of the page in reading order, without control characters from the page."""
    lines = [_paint(_one_line(line), "heading", colour) for line in _heading(found)]
    for node, piece in _pieces(found):
        state = "dropped" if piece.reason else "kept"
        mark = "-" if piece.reason else "+"
        body = _one_line(piece.text)[:SHOWN_CHARS]
        line = f"{mark} {node.index:>4} {node.kind:<5} {_one_line(node.tag)[:10]:<10} {body}"
        lines.append(_paint(line, state, colour))
        if piece.reason:
            lines.append(f"{'':18} {_why(piece)}")
        if node.kind == "image" and node.fetch:
            lines.append(f"{'':18} {_one_line(node.fetch)}")
    return "\n".join(lines)


def as_html(found: History, only: int | None = None) -> str:
    """A complete HTML page without scripts or requests; all text of the document is escaped.

    `only`: index of the one node to show, instead of all.
    """
    heading = [f"<p><b>{html.escape(line)}</b></p>" for line in _heading(found)]
    pieces = [pair for pair in _pieces(found) if only is None or pair[0].index == only]
    body = [_piece_html(node, piece) for node, piece in pieces]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html><head><meta charset="utf-8"><title>explain</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<style>{_STYLE}</style></head><body>{''.join(heading + body)}</body></html>"
    )


def _heading(found: History) -> list[str]:
    document, verdict = found.document, found.verdict
    lines = [
        f"{document['url']}",
        f"{document['doc_id']}  {document['warc']} at {document['warc_offset']}"
        f"  language {verdict['lang']}",
    ]
    if verdict["kept"]:
        return [*lines, "kept"]
    ends = zip(verdict["reasons"], verdict["values"], verdict["bounds"], strict=True)
    return [*lines, *(f"dropped: {_why(Piece('', *end))}" for end in ends)]


def _pieces(found: History) -> Iterator[tuple[NodeView, Piece]]:
    return ((node, piece) for node in found.nodes for piece in node.pieces)


def _why(piece: Piece) -> str:
    if piece.value is None:
        return piece.reason or ""
    bound = "" if piece.bound is None else f", bound {piece.bound:g}"
    return f"{piece.reason}: {piece.value:.4g}{bound}"


def _piece_html(node: NodeView, piece: Piece) -> str:
    state = "dropped" if piece.reason else "kept"
    shown = html.escape(piece.text)
    if node.picture:
        shown = f'<img src="{html.escape(node.picture)}" alt="{html.escape(node.alt)}"> {shown}'
    why = f" <code>{html.escape(_why(piece))}</code>" if piece.reason else ""
    note = " ".join(part for part in (node.tag, node.caption, node.fetch) if part)
    return (
        f'<p class="{state}"><small>{node.index} {html.escape(node.kind)} {html.escape(note)}'
        f"</small> {shown}{why}</p>"
    )


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _paint(line: str, state: str, colour: bool) -> str:
    return f"{_COLOURS[state]}{line}{_RESET}" if colour else line
