"""The documents that a run began with: its order is made of them, also after some have left.

A takedown shortens files and row groups, so an order made of what is left would be another one. A
roster keeps the sizes of the row groups as they were and 64 bits of the SHA-256 of each document's
id, by which the documents that remain are found again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benben.common.errors import UserError
from benben.trainer.data.corpus import Corpus

GONE = -1


class OtherDocuments(UserError):
    """A corpus with documents that a run did not begin with."""


@dataclass(frozen=True)
class Roster:
    """For each corpus: the rows of its row groups, its documents' ids [n] uint64, and languages.

    Languages [n] are None where the order does not depend on them.
    """

    group_sizes: list[np.ndarray]
    ids: list[np.ndarray]
    languages: list[np.ndarray | None]

    @staticmethod
    def of(corpora: Sequence[Corpus], languages: bool) -> Roster | None:
        """Read the ids of all documents; None where some have none, or two have the same."""
        ids = []
        for corpus in corpora:
            found = corpus.ids()
            if found is None or len(np.unique(found)) < len(found):
                return None
            ids.append(found)
        spoken = [c.languages().astype(str) if languages else None for c in corpora]
        return Roster([c.group_sizes for c in corpora], ids, spoken)

    def places(self, number: int, corpus: Corpus) -> np.ndarray:
        """Return where each document of a corpus is now, [n] int64; GONE for those that left.

        Raises OtherDocuments where the corpus has documents that are not of the roster.
        """
        known, found = self.ids[number], corpus.ids()
        if found is None:
            raise OtherDocuments(f"{corpus.name}: no column doc_id tells which documents remain")
        order = np.argsort(known, kind="stable")
        at = np.searchsorted(known[order], found)
        at = np.minimum(at, max(len(known) - 1, 0))
        new = known[order][at] != found if len(known) else np.ones(len(found), bool)
        if new.any() or len(np.unique(found)) < len(found):
            count = int(new.sum()) or "repeated"
            raise OtherDocuments(f"{corpus.name}: has {count} documents that the run began without")
        places = np.full(len(known), GONE, np.int64)
        places[order[at]] = np.arange(len(found))
        return places

    def to_bytes(self) -> bytes:
        arrays: dict[str, np.ndarray] = {}
        for number, (sizes, ids) in enumerate(zip(self.group_sizes, self.ids, strict=True)):
            arrays |= {f"sizes{number}": sizes, f"ids{number}": ids}
            languages = self.languages[number]
            if languages is not None:
                arrays[f"languages{number}"] = languages
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Roster:
        with np.load(io.BytesIO(data)) as arrays:
            count = sum(name.startswith("ids") for name in arrays)
            columns = [
                [arrays.get(f"{kind}{i}") for i in range(count)]
                for kind in ("sizes", "ids", "languages")
            ]
        return Roster(*columns)


def name_of(corpora: Sequence[Corpus]) -> str:
    """Return the name of a roster of corpora, from their footers alone."""
    content = " ".join(corpus.fingerprint for corpus in corpora)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
