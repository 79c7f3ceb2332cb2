"""The main text of a run's documents by other extractors, where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from benben.analysis.proof.datasets import OtherText
from benben.analysis.provenance.archives import Archives
from benben.pipeline.archive.charset import decode_html


def trafilatura(archives: Archives) -> OtherText | None:
    """Return a function that reads a page again and extracts its text; None if not installed."""
    if find_spec("trafilatura") is None:
        return None
    import trafilatura as library

    def extract(row: dict[str, Any]) -> str | None:
        url = archives.find(row["warc"] or "")
        if url is None:
            return None
        capture = archives.read(url, row["warc_offset"], row["warc_length"])
        html, _ = decode_html(capture.payload, capture.headers.get("content-type"))
        text: str | None = library.extract(html)
        return text

    return extract


OTHERS: dict[str, Callable[[Archives], OtherText | None]] = {"trafilatura": trafilatura}
