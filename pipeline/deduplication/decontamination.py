"""Documents that contain items of benchmark sets, found by their word n-grams.

The n-gram test with n = 13 is that of Brown et al., "Language Models are Few-Shot Learners"
(2020), appendix C; case, accents and punctuation do not count, as in all shingles here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benben.common.hashing import Hashes
from benben.pipeline import storage
from benben.pipeline.deduplication.shingles import Offsets, shingle_hashes, token_hashes
from benben.pipeline.errors import InputError
from benben.pipeline.settings.deduplicate import DecontaminateSettings


@dataclass(frozen=True)
class Benchmarks:
    """The n-grams of all sets, sorted, and the item each belongs to."""

    ngrams: Hashes
    items: npt.NDArray[np.int64]  # place in names
    names: list[dict[str, str]]  # {"set": ..., "item": ...}
    short: int  # items with fewer tokens than an n-gram: they cannot be found

    def find(self, hashes: Hashes, offsets: Offsets, least: int) -> list[dict[str, str] | None]:
        """Name for each document the item it shares most n-grams with, at least `least`.

        `hashes[offsets[i]:offsets[i + 1]]` are the n-grams of document i.
        """
        found: list[dict[str, str] | None] = [None] * (len(offsets) - 1)
        if not len(self.ngrams):
            return found
        places = np.minimum(np.searchsorted(self.ngrams, hashes), len(self.ngrams) - 1)
        hits = np.flatnonzero(self.ngrams[places] == hashes)
        owners = np.searchsorted(offsets, hits, side="right") - 1
        for owner in np.unique(owners):
            shared = np.unique(places[hits[owners == owner]])
            counts = np.bincount(self.items[shared])
            if counts.max() >= least:
                found[owner] = self.names[int(counts.argmax())]
        return found


def load(settings: DecontaminateSettings) -> Benchmarks:
    """Read the sets of a config. Raises InputError."""
    return _load(settings.ngram_words, tuple(sorted(settings.sets.items())))


@lru_cache(maxsize=1)
def _load(size: int, sets: tuple[tuple[str, str], ...]) -> Benchmarks:
    names, texts = [], []
    for name, path in sets:
        for item, text in read_items(path):
            names.append({"set": name, "item": item})
            texts.append(text)
    tokens, offsets = token_hashes(texts)
    enough = np.diff(offsets) >= size
    hashes, places = shingle_hashes(tokens, offsets, size)
    items = np.repeat(np.arange(len(texts)), np.diff(places))
    hashes, items = hashes[enough[items]], items[enough[items]]
    ngrams, first = np.unique(hashes, return_index=True)
    return Benchmarks(ngrams, items[first], names, int((~enough).sum()))


def read_items(path: str, field: str = "text") -> list[tuple[str, str]]:
    """Read items as (id, value): .jsonl with the field and perhaps `id`, else one a line; .gz too.

    Raises InputError with the line that cannot be read.
    """
    try:
        data = storage.read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: benchmark set cannot be read: {error}") from None
    lines = (gzip.decompress(data) if path.endswith(".gz") else data).decode().splitlines()
    if ".jsonl" not in path.rsplit("/", 1)[-1]:
        return [(str(number), line) for number, line in enumerate(lines, 1) if line.strip()]
    found = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            found.append((str(record.get("id", number)), str(record[field])))
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{path}, line {number}: expected an object with `{field}`") from None
    return found


def identities(paths: Iterable[str]) -> dict[str, str]:
    """Digest of each file, so that changed sets are other work. Raises InputError."""
    found = {}
    for path in paths:
        try:
            found[path] = hashlib.blake2b(storage.read_bytes(path), digest_size=8).hexdigest()
        except OSError as error:
            raise InputError(f"{path}: benchmark set cannot be read: {error}") from None
    return found


def contaminated(
    texts: Sequence[str], benchmarks: Benchmarks, settings: DecontaminateSettings
) -> list[dict[str, str] | None]:
    """Name the benchmark item each text contains, None for most."""
    if not len(benchmarks.ngrams):
        return [None] * len(texts)
    ngrams = shingle_hashes(*token_hashes(texts), settings.ngram_words)
    return benchmarks.find(*ngrams, settings.min_ngrams)
