"""Decontamination: documents that contain a text or show an image of a benchmark set.

Texts are found by their word n-grams. The test with n = 13 is that of Brown et al., "Language
Models are Few-Shot Learners" (2020), appendix C; case, accents and punctuation are ignored, as in
all shingles here. Images are found by their perceptual hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benben.common.hashing import Hashes
from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.deduplication.shingles import Offsets, shingle_hashes, token_hashes
from benben.pipeline.errors import InputError
from benben.pipeline.settings.deduplicate import DecontaminateSettings, ImageBenchmarkSettings
from benben.pipeline.settings.fetch import FetchSettings

PHASH = re.compile("[0-9a-fA-F]{16}")
HASH_LISTS = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class BenchmarkNgrams:
    """The n-grams of all text sets, sorted, and the item each belongs to."""

    ngrams: Hashes
    items: npt.NDArray[np.int64]  # index in names
    names: list[dict[str, str]]  # {"set": ..., "item": ...}
    short: int  # number of items with fewer tokens than an n-gram: they cannot be found

    def find(
        self, hashes: Hashes, offsets: Offsets, min_ngrams: int
    ) -> list[dict[str, str] | None]:
        """Return for each document the item with which it shares most n-grams.

        `hashes[offsets[i]:offsets[i + 1]]` are the n-grams of document i. None where no item
        shares at least `min_ngrams`.
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
            if counts.max() >= min_ngrams:
                found[owner] = self.names[int(counts.argmax())]
        return found


@dataclass(frozen=True)
class BenchmarkImages:
    """The perceptual hashes of all image sets, and the item each belongs to."""

    hashes: npt.NDArray[np.uint64]
    names: list[dict[str, str]]  # {"set": ..., "item": ...}


def load_ngrams(settings: DecontaminateSettings) -> BenchmarkNgrams:
    """Read the text sets of a config. Raises InputError."""
    return _load_ngrams(settings.ngram_words, tuple(sorted(settings.sets.items())))


@lru_cache(maxsize=1)
def _load_ngrams(size: int, sets: tuple[tuple[str, str], ...]) -> BenchmarkNgrams:
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
    return BenchmarkNgrams(ngrams, items[first], names, int((~enough).sum()))


def find_contamination(
    texts: Sequence[str], benchmarks: BenchmarkNgrams, settings: DecontaminateSettings
) -> list[dict[str, str] | None]:
    """Return the benchmark item that each text contains, None for most texts."""
    if not len(benchmarks.ngrams):
        return [None] * len(texts)
    ngrams = shingle_hashes(*token_hashes(texts), settings.ngram_words)
    return benchmarks.find(*ngrams, settings.min_ngrams)


def load_images(settings: ImageBenchmarkSettings, fetch: FetchSettings) -> BenchmarkImages:
    """Read the image sets of a config; decode the images of a folder. Raises InputError."""
    names, hashes = [], []
    for name, path in sorted(settings.sets.items()):
        is_list = path.endswith(HASH_LISTS)
        for item, phash in _listed_hashes(path) if is_list else _folder_hashes(path, fetch):
            names.append({"set": name, "item": item})
            hashes.append(int(phash, 16))
    return BenchmarkImages(np.array(hashes, np.uint64), names)


def image_set_digests(settings: ImageBenchmarkSettings) -> dict[str, str]:
    """Return the digest of each file of the image sets. Raises InputError."""
    files: list[str] = []
    for path in settings.sets.values():
        files += [path] if path.endswith(HASH_LISTS) else _image_files(path)
    return digests(files)


def digests(paths: Iterable[str]) -> dict[str, str]:
    """Return the digest of each file, so that a stage runs again when one changes.

    Raises InputError.
    """
    found = {}
    for path in paths:
        try:
            found[path] = hashlib.blake2b(storage.read_bytes(path), digest_size=8).hexdigest()
        except OSError as error:
            raise InputError(f"{path}: benchmark set cannot be read: {error}") from None
    return found


def read_items(path: str, field: str = "text") -> list[tuple[str, str]]:
    """Read the items of a set as (id, value).

    A .jsonl file has objects with the field and perhaps `id`; any other file has one item a line.
    Both may end in .gz. The default id is the line number. Raises InputError, which names the
    line that cannot be read.
    """
    try:
        data = storage.read_plain(path)
    except OSError as error:
        raise InputError(f"{path}: benchmark set cannot be read: {error}") from None
    listed = lines(data)
    if ".jsonl" not in path.rsplit("/", 1)[-1]:
        return [(str(number), line) for number, line in enumerate(listed, 1) if line.strip()]
    found = []
    for number, line in enumerate(listed, 1):
        try:
            record = json.loads(line)
            found.append((str(record.get("id", number)), str(record[field])))
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{path}, line {number}: expected an object with `{field}`") from None
    return found


def _listed_hashes(path: str) -> Iterator[tuple[str, str]]:
    for item, phash in read_items(path, "phash"):
        if not PHASH.fullmatch(phash):
            raise InputError(f"{path}, item {item}: phash must be 16 hex digits, not {phash!r}")
        yield item, phash


def _folder_hashes(folder: str, fetch: FetchSettings) -> Iterator[tuple[str, str]]:
    from benben.pipeline.images.processing.picture import Decoder  # texts need no image library

    decoder = Decoder(fetch)
    for file in _image_files(folder):
        picture = decoder.decode(storage.read_bytes(file))
        if picture.phash is None:
            raise InputError(f"{file}: benchmark image cannot be decoded: {picture.reason}")
        yield file.removeprefix(folder).lstrip("/"), picture.phash


def _image_files(folder: str) -> list[str]:
    files = storage.list_files(folder)
    if not files:
        raise InputError(f"{folder}: this folder of benchmark images is missing or empty")
    return files
