"""Images of benchmark sets that documents must not show, by their perceptual hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benben.pipeline import storage
from benben.pipeline.deduplication.decontamination import identities, read_items
from benben.pipeline.errors import InputError
from benben.pipeline.images.processing.picture import Decoder
from benben.pipeline.settings.deduplicate import ImageBenchmarkSettings
from benben.pipeline.settings.fetch import FetchSettings

PHASH = re.compile("[0-9a-fA-F]{16}")
LISTS = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class BenchmarkImages:
    """The hashes of all sets, and the item each belongs to."""

    hashes: npt.NDArray[np.uint64]
    names: list[dict[str, str]]  # {"set": ..., "item": ...}


def load(settings: ImageBenchmarkSettings, fetch: FetchSettings) -> BenchmarkImages:
    """Read the sets of a config; the images of a folder are decoded. Raises InputError."""
    names, hashes = [], []
    for name, path in sorted(settings.sets.items()):
        for item, phash in _listed(path) if path.endswith(LISTS) else _decoded(path, fetch):
            names.append({"set": name, "item": item})
            hashes.append(int(phash, 16))
    return BenchmarkImages(np.array(hashes, np.uint64), names)


def sources(settings: ImageBenchmarkSettings) -> dict[str, str]:
    """Digest of each file of the sets. Raises InputError."""
    paths = settings.sets.values()
    files = [file for path in paths for file in ([path] if path.endswith(LISTS) else _files(path))]
    return identities(files)


def _listed(path: str) -> Iterator[tuple[str, str]]:
    for item, phash in read_items(path, "phash"):
        if not PHASH.fullmatch(phash):
            raise InputError(f"{path}, item {item}: phash must be 16 hex digits, not {phash!r}")
        yield item, phash


def _decoded(folder: str, fetch: FetchSettings) -> Iterator[tuple[str, str]]:
    decoder = Decoder(fetch)
    for file in _files(folder):
        picture = decoder.decode(storage.read_bytes(file))
        if picture.phash is None:
            raise InputError(f"{file}: no picture, in a benchmark set's folder: {picture.reason}")
        yield file.removeprefix(folder).lstrip("/"), picture.phash


def _files(folder: str) -> list[str]:
    files = storage.list_files(folder)
    if not files:
        raise InputError(f"{folder}: no such folder of benchmark images, or it is empty")
    return files
