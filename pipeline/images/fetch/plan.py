"""What a fetch wants and how far it is: wanted images, rounds of redirects, the journal's answers.

Wanted are the images of kept nodes of kept documents. Round 0 requests them; each further round
requests the redirects that led to a host of another owner. The journal tells what a part of a round
has done (`Progress`) and what became of its images (`PartOutcomes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from benben.pipeline import storage
from benben.pipeline.consent.image_consent import page_reason
from benben.pipeline.consent.receipts import image_row, redirect_row
from benben.pipeline.consent.site_files import SiteFile
from benben.pipeline.deduplication.duplicates import Duplicates
from benben.pipeline.images.fetch.journal import (
    Entry,
    FetchFolders,
    SlotRange,
    content_key,
)
from benben.pipeline.images.fetch.request import Request, to_table
from benben.pipeline.images.fetch.resolver import owner
from benben.pipeline.schema import IMAGE_PLACES, IMAGES
from benben.pipeline.settings.fetch import FetchSettings

BATCH_DOCUMENTS = 1_000
BATCH_ROWS = 2_000
ARCHIVE_PLACE = ("url", "warc", "warc_offset", "warc_length")
COLUMNS = ["doc_id", "opt_outs", "reason", *ARCHIVE_PLACE]
NOT_HTML = "capture.not-html"  # reason of a document that may be the archived response of an image

# What one page, or one archived image, says about an image URL.
MENTIONS = pa.schema(
    [
        ("url", pa.string()),
        ("wanted", pa.bool_()),  # by a kept node of a kept document
        ("opt_out", pa.string()),  # reason, when the page opted out
        ("warc", pa.string()),  # where the response for the image itself is archived
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
    ]
)

WANTED = pa.schema(
    [
        ("owner", pa.string()),
        ("url", pa.string()),
        ("target", pa.string()),  # differs from `url` after redirects
        ("hops", pa.int32()),
        ("opt_out", pa.string()),
        ("warc", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
    ]
)


class WantedImage(NamedTuple):
    """A row of WANTED."""

    owner: str
    url: str
    target: str
    hops: int = 0
    opt_out: str | None = None
    warc: str | None = None
    warc_offset: int | None = None
    warc_length: int | None = None

    @classmethod
    def of(cls, url: str) -> WantedImage:
        """An image of the first round."""
        return cls(owner(url), url, url)


@dataclass(frozen=True)
class WantedFile:
    """The rows of one file of WANTED; can be iterated over again."""

    path: str

    def __iter__(self) -> Iterator[WantedImage]:
        for batch in storage.iter_parquet(self.path, WANTED.names):
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield WantedImage(*values)


# Which images are wanted


def mentions(paths: Mapping[str, str], settings: FetchSettings) -> Iterator[pa.RecordBatch]:
    """Rows of MENTIONS of one part of `documents`, given the same part of the other tables.

    `paths` are files by table name; `verdicts` is required, `duplicates` may be absent. A capture
    that is not HTML may be the archived response of an image, so it is mentioned with its place.
    """
    duplicates = Duplicates.read(paths.get("duplicates"))
    for documents, verdicts in storage.iter_aligned(
        [paths["documents"], paths["verdicts"]],
        [[*COLUMNS, "nodes"], ["kept", "dropped"]],
        BATCH_DOCUMENTS,
    ):
        kept = np.asarray(verdicts["kept"]) & ~duplicates.is_dropped(documents)
        dropped = [verdicts["dropped"], duplicates.dropped_nodes(documents)]
        images = _image_nodes(documents["nodes"])
        rows: list[dict[str, Any]] = []
        for number, page in enumerate(documents.select(COLUMNS).to_pylist()):
            if page["reason"] == NOT_HTML:
                rows.append({name: page[name] for name in ARCHIVE_PLACE} | {"wanted": False})
            elif page["reason"] is None and number in images:
                opt_out = page_reason(page["opt_outs"] or (), settings.consent, settings.product)
                if kept[number] or opt_out is not None:
                    gone = {loss["index"] for column in dropped for loss in column[number].as_py()}
                    for index, url in images[number]:
                        wanted = bool(kept[number]) and index not in gone
                        rows.append({"url": url, "wanted": wanted, "opt_out": opt_out})
        yield pa.RecordBatch.from_pylist(rows, schema=MENTIONS)


def _image_nodes(nodes: pa.ListArray) -> dict[int, list[tuple[int, str]]]:
    """Row number -> (node index, URL) of each image node in the row."""
    found: dict[int, list[tuple[int, str]]] = {}
    rows, flat = pc.list_parent_indices(nodes), nodes.flatten()
    chosen = pc.and_(pc.equal(flat.field("kind"), "image"), pc.is_valid(flat.field("url")))
    columns = [rows, flat.field("index"), flat.field("url")]
    for row, index, url in zip(
        *(column.filter(chosen).to_pylist() for column in columns), strict=True
    ):
        found.setdefault(row, []).append((index, url))
    return found


# Rounds, and what the journal says of them


@dataclass(frozen=True)
class Rounds:
    """Where the wanted images of all rounds and their outcomes are."""

    work: str  # folder
    folders: FetchFolders
    tasks: int
    files: list[dict[int, str]] = field(default_factory=list)  # one a round: part -> file

    @property
    def parts(self) -> list[int]:
        """Parts that have wanted images in any round."""
        return sorted({part for files in self.files for part in files})

    def slots(self, part: int) -> SlotRange:
        """The range of slots of one part."""
        return SlotRange.of(part, self.tasks)

    def outcomes(self, part: int) -> PartOutcomes:
        """Outcomes of one part's images in all rounds."""
        return self.outcomes_of(part, *(files[part] for files in self.files if part in files))

    def outcomes_of(self, part: int, *paths: str) -> PartOutcomes:
        """Outcomes of the images that are listed in some files of one part."""
        wanted = ((image.url, image.hops) for path in paths for image in WantedFile(path))
        return PartOutcomes(self.folders, self.slots(part), wanted)


def request_key(url: str, hops: int) -> int:
    """Key of a request within its part."""
    return int(xxhash.xxh3_64_intdigest(f"{hops} {url}".encode("utf-8", "surrogatepass")))


def site_file(entry: Entry) -> SiteFile:
    """The answer of a site that an entry holds."""
    return SiteFile(**{name: entry[name] for name in SiteFile.__dataclass_fields__})


class Progress:
    """What earlier runs of a part have done."""

    def __init__(self, folders: FetchFolders, slots: SlotRange, attempt: int) -> None:
        self._done: set[int] = set()  # keys of requests
        self.site_files: list[SiteFile] = []
        self.stored: set[bytes] = set()  # `content_key` of each stored image
        for entry in folders.read(slots):
            if entry["kind"] == "site":
                self.site_files.append(site_file(entry))
                continue
            if not entry["later"] or entry["attempt"] >= attempt:
                self.add(entry["url"], entry["hops"])
            if "place" in entry:
                self.stored.add(content_key(entry["place"]["sha256"]))

    def add(self, url: str, hops: int) -> None:
        """Note a request that has its outcome."""
        self._done.add(request_key(url, hops))

    def remaining(self, wanted: Iterable[WantedImage]) -> Iterator[WantedImage]:
        """The wanted images that have no outcome when they are reached."""
        return (image for image in wanted if request_key(image.url, image.hops) not in self._done)


class PartOutcomes:
    """The latest outcome of each of one part's wanted images, given as (URL, hops).

    Raises RuntimeError when the journal has no outcome for one of them.
    """

    def __init__(
        self, folders: FetchFolders, slots: SlotRange, wanted: Iterable[tuple[str, int]]
    ) -> None:
        self._folders, self._slots = folders, slots
        # request key -> (attempt, number of the entry) of the latest outcome
        self._latest: dict[int, tuple[int, int]] = {request_key(*one): (0, -1) for one in wanted}
        for number, entry in self._entries():
            key = request_key(entry["url"], entry["hops"])
            rank = (entry["attempt"], number)
            if key in self._latest and rank > self._latest[key]:
                self._latest[key] = rank
        missing = sum(number < 0 for _, number in self._latest.values())
        if missing:
            raise RuntimeError(f"{folders.journal}: {missing} wanted images have no outcome")

    def moved(self, hops: int) -> Iterator[Request]:
        """Redirects of requests with `hops` that a task of another owner has to follow."""
        for entry in self._latest_entries():
            if entry["kind"] == "moved" and entry["hops"] == hops:
                yield Request(entry["url"], entry["target"], entry["next"])

    def images(self) -> pa.Table:
        """Rows of `images`, ordered by URL."""
        tables: list[pa.Table] = [IMAGES.empty_table()]
        rows: list[dict[str, Any]] = []
        for entry in self._latest_entries():
            if entry["kind"] == "outcome":
                rows.append(entry["row"])
            if len(rows) == BATCH_ROWS:
                tables.append(to_table(rows))
                rows = []
        tables.append(to_table(rows))
        return pa.concat_tables(tables).sort_by("url")

    def receipts(self, reasons: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
        """Rows of CONSENT: the sources, then the images that are kept or refused for consent.

        `reasons` are the final ones, by URL.
        """
        rows: list[dict[str, Any]] = []
        for entry in self._latest_entries():
            asked = entry.get("asked", []), entry.get("sources", [])
            reason = reasons.get(entry["url"], "")
            if entry["kind"] == "moved":
                rows.append(redirect_row(entry["url"], *asked))
            elif reason is None or (reason.startswith("consent.") and "row" in entry):
                rows.append(image_row(entry["row"], *asked, entry.get("said", "")))
        wanted = {digest for row in rows for digest in row["sources"]}
        for entry in self._folders.read(self._slots):
            if entry["kind"] == "site":
                row = site_file(entry).receipt()
                if row["digest"] in wanted:
                    wanted.discard(row["digest"])
                    yield row
        yield from rows

    def _entries(self) -> Iterator[tuple[int, Entry]]:
        entries = (entry for entry in self._folders.read(self._slots) if entry["kind"] != "site")
        yield from enumerate(entries)

    def _latest_entries(self) -> Iterator[Entry]:
        for number, entry in self._entries():
            key = request_key(entry["url"], entry["hops"])
            if self._latest.get(key, (0, -1))[1] == number:
                yield entry


def stored_places(folders: FetchFolders, slots: SlotRange) -> Iterator[pa.RecordBatch]:
    """Rows of IMAGE_PLACES: the places of all bytes that were stored for a range of slots."""
    rows: list[dict[str, Any]] = []
    for entry in folders.read(slots):
        if "place" in entry:
            rows.append(entry["place"])
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_PLACES)
            rows = []
    yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_PLACES)
