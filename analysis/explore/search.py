"""Find documents of a run by text, URL, language, type, host, verdict and reason; count them.

Without an order of its own, a search lists documents by their ids, which are hashes: any page of it
is a sample of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benben.analysis.explore.conditions import Conditions
from benben.analysis.explore.index import FACETS, Index, Mask, Rows, numeric_signals
from benben.analysis.explore.scan import Condition
from benben.common.hashing import GOLDEN_GAMMA, mix64

HITS_PER_PAGE = 20
FACET_NAMES = 12  # shown of each facet
STATUSES = ("kept", "rejected")
# Verdicts that differ from another run's: name -> (kept there, kept here).
DIFFERENCES = {"newly kept": (False, True), "newly rejected": (True, False)}
ONLY_HERE = "only here"
EVERYWHERE = "all"
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class Search(Conditions):
    """The conditions and the order of a search; empty ones are ignored."""

    PAGE = "index.html"
    ORDER = ("sort", "sample", "further", "page")

    words: str = ""  # text that a node contains, in any case
    url: str = ""  # part of the page's URL, in any case
    host: str = ""
    lang: str = ""
    page_type: str = ""
    status: str = ""  # kept | rejected
    reason: str = ""  # of the document
    dropped: str = ""  # reason for which some or, with the document, all nodes were dropped
    image: str = ""  # URL of an image that the page shows
    differs: str = ""  # verdict against another run's: a name of DIFFERENCES, or ONLY_HERE
    sort: str = ""  # signal of documents, smallest first; with "-" before it, largest first
    sample: str = ""  # seed of a random order
    further: str = ""  # steps through the files after the first (see `scan`), or EVERYWHERE

    def fields(self) -> str:
        """This search as the part of an address after the question mark."""
        return self.link(page=self.page).partition("?")[2]

    @property
    def steps(self) -> int | None:
        """How many steps to look through the files; None: through all of them."""
        if self.further == EVERYWHERE:
            return None
        known = self.further.isdecimal() and len(self.further) < 10
        return 1 + int(self.further) if known else 1

    def deeper(self) -> str:
        """Address of this search with one step more."""
        return self.link(further=str(self.steps or 0))


@dataclass(frozen=True)
class Part:
    """How much of the files was looked through for texts."""

    looked: int  # documents, of those that meet the other conditions
    candidates: int  # documents that meet the other conditions
    left: int  # bytes that were not looked through

    @property
    def exact(self) -> bool:
        """Whether no other document can be found."""
        return self.looked == self.candidates

    def about(self, total: int) -> int:
        """How many documents there may be in all, if the rest is like what was looked through."""
        return round(total * self.candidates / self.looked)


@dataclass(frozen=True)
class Found:
    """The result of a search."""

    total: int
    rows: list[int]  # of the page of hits, in its order
    facets: dict[str, list[tuple[str, int]]]  # most frequent first
    values: list[float]  # of the signal that orders the hits, of each of them
    before: int | None = None  # the hit before this page, and the one after it
    after: int | None = None
    part: Part | None = None  # None: of all documents

    def pages(self, size: int = HITS_PER_PAGE) -> int:
        """Number of pages of hits."""
        return -(-self.total // size)


def find(index: Index, search: Search, limit: int = HITS_PER_PAGE,
         other: Index | None = None) -> Found:  # fmt: skip
    """The hits on a page of a search, and the number of hits by facet.

    A facet counts what the search would find with another value of that facet. A search for texts
    in many documents looks through a part of them, and counts in this part. `other`: index of the
    run that `search.differs` compares with.
    """
    masks = _masks(index, search, other)
    part = _look(index, search, masks)
    mask = _all(index, masks)
    keys, values = _keys(index, search)
    start = (search.number - 1) * limit
    total, wanted = int(np.count_nonzero(mask)), start + limit + 1
    ordered = index.first(mask, wanted) if keys is None else _smallest(mask, keys, wanted)
    rows = ordered[start : start + limit].tolist()
    facets = {
        name: index.counts(name, _all(index, masks, name) if set(masks) - {name} else None)
        for name in FACETS
    }
    judged = _all(index, masks, "status")
    kept = int(np.count_nonzero(judged & index.kept))
    facets["status"] = [("kept", kept), ("rejected", int(np.count_nonzero(judged)) - kept)]
    if other is not None:
        rest = _all(index, masks, "differs")
        counted = [(name, int((rest & one).sum())) for name, one in differences(index, other)]
        facets["differs"] = counted
    shown = [float(values[row]) for row in rows] if values is not None else []
    before = int(ordered[start - 1]) if 0 < start <= len(ordered) else None
    after = int(ordered[start + limit]) if start + limit < len(ordered) else None
    return Found(total, rows, facets, shown, before, after, part)


def differences(index: Index, other: Index) -> list[tuple[str, Mask]]:
    """Which documents have another verdict in another run, by name of the difference."""
    theirs = _kept_in(index, other)
    found = [
        (name, (theirs == was) & (index.kept == now)) for name, (was, now) in DIFFERENCES.items()
    ]
    return [*found, (ONLY_HERE, theirs < 0)]


def _kept_in(index: Index, other: Index) -> NDArray[np.int8]:
    """Whether another run keeps each document (1, 0); -1 where it does not have the document."""
    if not len(other):
        return np.full(len(index), -1, np.int8)
    places = np.searchsorted(other.digests[other.order, 0], index.digests[:, 0])
    rows = other.order[np.minimum(places, len(other) - 1)]
    same = (other.digests[rows] == index.digests).all(axis=1)
    return np.where(same, other.kept[rows], -1).astype(np.int8)


def _masks(index: Index, search: Search, other: Index | None) -> dict[str, Mask]:
    """For each condition, which documents meet it."""
    masks = {
        name: index.with_name(name, value)
        for name in FACETS
        if (value := str(getattr(search, name)))
    }
    if search.dropped:
        wanted = [Condition("dropped.list.element.reason", search.dropped, exact=True)]
        nodes = index.verdicts.look(wanted, np.ones(len(index), np.bool_), None).found[0]
        masks["dropped"] = nodes | index.with_name("reason", search.dropped)
    if search.status in STATUSES:
        masks["status"] = index.kept == (search.status == "kept")
    if search.differs and other is not None:
        by_name = dict(differences(index, other))
        if search.differs in by_name:
            masks["differs"] = by_name[search.differs]
    return masks


def _look(index: Index, search: Search, masks: dict[str, Mask]) -> Part | None:
    """Look for texts in the files, and add which documents have them to the other conditions.

    None when no text is asked for, or all documents were looked through.
    """
    wanted = [
        Condition(path, part, exact)
        for part, path, exact in (
            (search.words, "nodes.list.element.text", False),
            (search.url, "url", False),
            (search.image, "nodes.list.element.url", True),
        )
        if part
    ]
    if not wanted:
        return None
    among = _all(index, masks)
    look = index.texts.look(wanted, among, search.steps)
    masks["texts"] = np.logical_and.reduce(look.found)
    if look.whole:
        return None
    looked, candidates = int((look.looked & among).sum()), int(among.sum())
    return Part(looked, candidates, look.left)


def _all(index: Index, masks: Mapping[str, Mask], without: str = "") -> Mask:
    """Which documents meet all conditions, or all but one."""
    found = np.ones(len(index), np.bool_)
    for name, mask in masks.items():
        if name != without:
            found &= mask
    return found


def _keys(index: Index, search: Search) -> tuple[Keys | None, NDArray[np.float32] | None]:
    """Different numbers by which to order the documents, and the signal they come from, if any.

    None: the documents are ordered by their ids.
    """
    name = search.sort.removeprefix("-")
    if name in numeric_signals():
        values = index.signal(name)
        bits = (-values if search.sort.startswith("-") else values).astype(np.float32) + 0.0
        raw = bits.view(np.uint32)
        ordered = np.where(raw >> 31, ~raw, raw | np.uint32(1 << 31)).astype(np.uint64)
        ordered[np.isnan(bits)] = 0xFFFFFFFF  # unknown values come last
        return (ordered << np.uint64(32)) | index.rank, values
    if search.sample:
        return mixed(index.rank.astype(np.uint64), search.sample), None
    return None, None


def mixed(numbers: NDArray[np.uint64], seed: str) -> NDArray[np.uint64]:
    """Different numbers in an order that the seed decides."""
    start = np.uint64(int.from_bytes(seed.encode()[:7], "big"))
    with np.errstate(over="ignore"):
        return mix64((numbers + start + np.uint64(1)) * np.uint64(GOLDEN_GAMMA))


def _smallest(mask: Mask, keys: Keys, number: int) -> Rows:
    """The first `number` documents of a mask in the order of their keys."""
    rows = np.flatnonzero(mask)
    chosen = keys[rows]
    if number < len(rows):
        places = np.argpartition(chosen, number - 1)[:number]
        rows, chosen = rows[places], chosen[places]
    return rows[np.argsort(chosen)]
