"""Which archives a run reads, and how their bytes are dealt out to tasks."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import storage
from pipeline.errors import InputError

ARCHIVE_ENDINGS = (".warc", ".warc.gz", ".arc", ".arc.gz")
LIST_ENDINGS = (".paths", ".paths.gz", ".txt")


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive file."""

    url: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Split:
    """A stretch of an archive: the records whose first byte lies in [start, end)."""

    url: str
    start: int
    end: int


def find(inputs: Sequence[str]) -> list[Archive]:
    """List the archives of files, folders and path lists. Raises InputError for what is missing."""
    urls: list[str] = []
    for entry in inputs:
        urls += _expand(entry)
    archives = []
    for url in dict.fromkeys(urls):
        try:
            archives.append(Archive(url, storage.size(url)))
        except OSError as error:
            raise InputError(f"input: {url}: cannot be read ({error})") from None
    return archives


def _expand(entry: str) -> list[str]:
    if entry.endswith(LIST_ENDINGS):
        return _read_list(entry)
    if storage.is_folder(entry):
        found = [url for url in storage.list_files(entry) if url.endswith(ARCHIVE_ENDINGS)]
        if not found:
            wanted = ", ".join(ARCHIVE_ENDINGS)
            raise InputError(f"input: {entry}: no archives in this folder (names end in {wanted})")
        return found
    if not storage.exists(entry):
        raise InputError(f"input: {entry}: no such file or folder")
    return [entry]


def _read_list(path: str) -> list[str]:
    """Paths of a list, one a line; relative ones are under the list's folder."""
    if not storage.exists(path):
        raise InputError(f"input: {path}: no such path list")
    data = storage.read_bytes(path)
    text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    folder = path.rpartition("/")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [
        line if "://" in line or line.startswith("/") or not folder else storage.join(folder, line)
        for line in lines
    ]


def fingerprint(archives: Sequence[Archive]) -> str:
    """Name a set of archives by their files' names and sizes."""
    key = "\n".join(sorted(f"{a.url.rsplit('/', 1)[-1]} {a.size}" for a in archives))
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def deal(archives: Sequence[Archive], parts: int) -> list[list[Split]]:
    """Cut the archives, laid end to end, into `parts` equal stretches of bytes.

    A stretch may hold the tail of one archive and the head of the next; a record belongs to the
    stretch its first byte lies in, so any number of parts gives the same records.
    """
    total = sum(archive.size for archive in archives)
    bounds = [total * part // parts for part in range(parts + 1)]
    dealt: list[list[Split]] = [[] for _ in range(parts)]
    base = 0
    for archive in archives:
        for part in range(parts):
            start = max(bounds[part] - base, 0)
            end = min(bounds[part + 1] - base, archive.size)
            if start < end:
                dealt[part].append(Split(archive.url, start, end))
        base += archive.size
    return [splits for splits in dealt if splits]
