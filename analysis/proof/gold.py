"""Human main text of pages, part of whose sites are held out: scored on, never trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from benben.analysis.tuning.gold import records
from benben.pipeline import storage, url
from benben.pipeline.errors import InputError


@dataclass(frozen=True)
class GoldText:
    """The main text of a page, and the registered domain of its site."""

    name: str
    domain: str
    text: str


def read(paths: Sequence[str], language: str) -> list[GoldText]:
    """Read JSON lines (gzip if so named) with `url`, `gold_text` and, if known, `id` and `lang`.

    Records without a text or in another language are left out. Raises InputError for a file that
    has none of this form.
    """
    found = []
    for path in paths:
        listed = list(records(storage.read_plain(path), path))
        if not any("url" in record and "gold_text" in record for record in listed):
            raise InputError(f"{path}: no lines with url and gold_text")
        for number, record in enumerate(listed):
            text = record.get("gold_text") or ""
            if text.strip() and (record.get("lang") or language) == language:
                domain = url.domain(url.host(record["url"])) or record["url"]
                found.append(GoldText(record.get("id") or f"{path}#{number}", domain, text))
    return found


def held_out(texts: Sequence[GoldText], share: float) -> list[GoldText]:
    """Return the texts of a share of the domains, chosen by a digest of the domain."""
    return [text for text in texts if _place(text.domain) < share]


def _place(domain: str) -> float:
    digest = hashlib.blake2b(domain.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
