"""Finds the archives a run reads and divides their bytes among its tasks.

An input is an archive, a folder of archives, a list of paths or a pattern such as crawl/*.warc.gz:
a local path or any URL that `pipeline.storage` opens, such as hf://datasets/NAME/FOLDER.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benben.common.text import lines
from benben.pipeline import storage
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import ArchiveSettings
from benben.pipeline.storage.ranges import DEFAULT, is_remote, open_source

# Archives in a form that is not read, and how to get at them.
PACKED_ENDINGS = {
    ".wacz": "unpack it with unzip: its folder archive/ holds archives",
    ".zip": "unpack it",
    ".warc.zst": "unpack it with zstd --decompress, with its dictionary if it has one",
}
ARCHIVE_ENDINGS = (".warc", ".warc.gz", ".arc", ".arc.gz", ".wet.gz", ".wat.gz")
LIST_ENDINGS = (".paths", ".paths.gz", ".txt")
MAX_MEASURED = 1_000  # remote archives; of more, no sizes are requested one by one
USUAL_BYTES = 1 << 30  # of an archive of Common Crawl
_PATTERN = re.compile(r"[*?]|\[[^]]+\]")  # in an input: it names all files that match
END = 1 << 62  # after the last byte of any archive


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive file. If not `cut`, its size is a guess and one task reads all of it."""

    url: str
    size: int  # bytes
    cut: bool = True


@dataclass(frozen=True, slots=True)
class Split:
    """A part of an archive: the records whose first byte is in [start, end)."""

    url: str
    start: int
    end: int


def find(inputs: Sequence[str], access: ArchiveSettings = DEFAULT) -> list[Archive]:
    """List the archives of files, folders and path lists. Raises InputError if one is missing."""
    expanded = [url for entry in inputs for url in _expand(entry, access)]
    urls = list(dict.fromkeys(expanded))
    if sum(map(is_remote, urls)) > MAX_MEASURED:
        return [Archive(url, USUAL_BYTES, cut=False) for url in urls]

    def measure(url: str) -> Archive:
        try:
            return Archive(url, open_source(url, access).size)
        except (OSError, ValueError) as error:
            raise InputError(f"input: {url}: cannot be read ({error})") from None

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(measure, urls))


def _expand(entry: str, access: ArchiveSettings) -> list[str]:
    if entry.endswith(LIST_ENDINGS):
        return _read_list(entry, access)
    _refuse_packed(entry)
    web = entry.startswith(("http://", "https://"))  # a web server lists no files
    if _PATTERN.search(entry) and not web and not storage.exists(entry):
        return _matching(entry)
    if is_remote(entry) and entry.endswith(ARCHIVE_ENDINGS):
        return [entry]
    try:
        files = storage.list_files(entry) if storage.is_folder(entry) else None
        if files is None and not storage.exists(entry):
            raise InputError(f"input: {entry}: no such file or folder")
    except (OSError, ValueError) as error:
        raise InputError(f"input: {entry}: cannot be read ({error})") from None
    if files is None:
        return [entry]
    for url in files:
        _refuse_packed(url)
    found = [url for url in files if url.endswith(ARCHIVE_ENDINGS)]
    if not found:
        wanted = ", ".join(ARCHIVE_ENDINGS)
        raise InputError(f"input: {entry}: no archives in this folder (names end in {wanted})")
    return found


def _matching(pattern: str) -> list[str]:
    """List the archives whose path matches `*`, `?` and [ranges], and `**` for any folders."""
    fixed = pattern[: _PATTERN.search(pattern).start()].rpartition("/")[0]  # type: ignore[union-attr]
    deep = "/" in pattern[len(fixed) :].strip("/")
    try:
        found = storage.list_files(fixed or ".", recursive=deep)
    except (OSError, ValueError) as error:
        raise InputError(f"input: {pattern}: cannot be read ({error})") from None
    wanted = re.compile(glob_pattern(pattern))
    named = [url if fixed else url.removeprefix("./") for url in found]
    matching = [url for url in named if wanted.fullmatch(url)]
    for url in matching:
        _refuse_packed(url)
    if not matching:
        raise InputError(f"input: {pattern}: matches no file")
    return matching


def glob_pattern(pattern: str) -> str:
    """Return the regular expression of a path pattern; `*` and `?` do not match a slash."""
    parts = []
    for token in re.findall(r"\*\*/?|\*|\?|\[[^]]*\]|[^*?\[]+|\[", pattern):
        if token.startswith("**"):
            parts.append("(?:.*/)?" if token.endswith("/") else ".*")
        elif token.startswith("[") and token.endswith("]"):
            inside = token[1:-1].replace("\\", "\\\\")
            parts.append(f"[{'^' + inside[1:] if inside[:1] == '!' else inside}]")
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(token, re.escape(token)))
    return "".join(parts)


def _refuse_packed(entry: str) -> None:
    """Raise InputError for a file that holds archives but is none, rather than pass it over."""
    for ending, advice in PACKED_ENDINGS.items():
        if entry.endswith(ending):
            raise InputError(f"input: {entry}: cannot be read as it is; {advice}")


def _read_list(path: str, access: ArchiveSettings) -> list[str]:
    """Read a list of paths, one per line.

    Relative paths are below `archives.prefix`. Without a prefix they are below the list's folder,
    unless the list's own path contains their first folder, as in Common Crawl's
    crawl-data/CRAWL/warc.paths.gz: then they are below the folder that holds it.
    """
    try:
        source = open_source(path, access)
        data = source.read_at(0, source.size)
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"input: {path}: no path list that can be read ({error})") from None
    listed = [line.strip() for line in lines(text) if line.strip()]
    folder = access.prefix or path.rpartition("/")[0]
    if not access.prefix and listed:
        above, found, _ = path.rpartition(f"/{listed[0].split('/')[0]}/")
        folder = above if found else folder
    return [storage.under(folder, line) for line in listed]


def fingerprint(archives: Sequence[Archive]) -> str:
    """Identify a set of archives by the names and sizes of its files."""
    key = "\n".join(sorted(f"{a.url.rsplit('/', 1)[-1]} {a.size}" for a in archives))
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def deal(archives: Sequence[Archive], parts: int) -> list[list[Split]]:
    """Divide the archives, placed end to end, into `parts` parts of equal bytes.

    A part may hold the end of one archive and the beginning of the next. A record belongs to the
    part that holds its first byte, so any number of parts gives the same records.
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
