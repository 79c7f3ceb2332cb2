"""Which archives a run reads, and how their bytes are dealt out to tasks."""

from __future__ import annotations

import gzip
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benben.pipeline import storage
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT, is_remote, open_source

ARCHIVE_ENDINGS = (".warc", ".warc.gz", ".arc", ".arc.gz")
LIST_ENDINGS = (".paths", ".paths.gz", ".txt")
ASKED = 1_000  # sizes of more remote archives are not asked for, one by one
USUAL_BYTES = 1 << 30  # what Common Crawl's archives have
END = 1 << 62


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive file; without `cut` its size is a guess, and one task reads it all."""

    url: str
    size: int  # bytes
    cut: bool = True


@dataclass(frozen=True, slots=True)
class Split:
    """A stretch of an archive: the records whose first byte lies in [start, end)."""

    url: str
    start: int
    end: int


def find(inputs: Sequence[str], access: ArchiveSettings = DEFAULT) -> list[Archive]:
    """List the archives of files, folders and path lists. Raises InputError for what is missing."""
    expanded = [url for entry in inputs for url in _expand(entry, access)]
    urls = list(dict.fromkeys(expanded))
    if sum(map(is_remote, urls)) > ASKED:
        return [Archive(url, USUAL_BYTES, cut=False) for url in urls]

    def measure(url: str) -> Archive:
        try:
            return Archive(url, open_source(url, access).size)
        except OSError as error:
            raise InputError(f"input: {url}: cannot be read ({error})") from None

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(measure, urls))


def _expand(entry: str, access: ArchiveSettings) -> list[str]:
    if entry.endswith(LIST_ENDINGS):
        return _read_list(entry, access)
    if is_remote(entry) and entry.endswith(ARCHIVE_ENDINGS):
        return [entry]
    if storage.is_folder(entry):
        found = [url for url in storage.list_files(entry) if url.endswith(ARCHIVE_ENDINGS)]
        if not found:
            wanted = ", ".join(ARCHIVE_ENDINGS)
            raise InputError(f"input: {entry}: no archives in this folder (names end in {wanted})")
        return found
    if not storage.exists(entry):
        raise InputError(f"input: {entry}: no such file or folder")
    return [entry]


def _read_list(path: str, access: ArchiveSettings) -> list[str]:
    """The paths of a list, one a line.

    Relative ones are under `archives.prefix`; without it under the list's folder, or where the
    list's own path begins like theirs, as in Common Crawl's crawl-data/CRAWL/warc.paths.gz.
    """
    try:
        source = open_source(path, access)
        data = source.read_at(0, source.size)
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"input: {path}: no path list that can be read ({error})") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    folder = access.prefix or path.rpartition("/")[0]
    if not access.prefix and lines:
        above, found, _ = path.rpartition(f"/{lines[0].split('/')[0]}/")
        folder = above if found else folder
    return [storage.under(folder, line) for line in lines]


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
        if not archive.cut:
            middle = base + archive.size // 2
            dealt[bisect_right(bounds, middle) - 1].append(Split(archive.url, 0, END))
        first, after = bisect_right(bounds, base) - 1, bisect_left(bounds, base + archive.size)
        for part in range(first, after) if archive.cut else ():
            start = max(bounds[part] - base, 0)
            end = min(bounds[part + 1] - base, archive.size)
            if start < end:
                dealt[part].append(Split(archive.url, start, end))
        base += archive.size
    return [splits for splits in dealt if splits]
