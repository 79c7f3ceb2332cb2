"""The rounds of a fetch: first requests, then redirects that other tasks have to follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from yarl import URL

from benben.pipeline import storage
from benben.pipeline.consent.image_consent import SiteFile
from benben.pipeline.consent.opt_out_lists import OptOutLists
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.fetch_log import Recorder, Store, content_key
from benben.pipeline.images.fetch.fetcher import Sinks, fetch_images
from benben.pipeline.images.fetch.journal import Frame, Range
from benben.pipeline.images.fetch.outcome import Outcome, Request, table
from benben.pipeline.images.fetch.wanted import WantedFile, WantedImage
from benben.pipeline.images.processing.archive_image import Shelf, take_from_archive
from benben.pipeline.images.processing.processor import Studio
from benben.pipeline.schema import IMAGE_PLACES, IMAGES
from benben.pipeline.settings.fetch import FetchSettings


@dataclass(frozen=True)
class Rounds:
    """Where the requests of all rounds and their outcomes lie."""

    work: str
    store: Store
    tasks: int
    files: list[dict[int, str]] = field(default_factory=list)  # a round: part -> requests

    @property
    def parts(self) -> list[int]:
        """Parts with requests in any round."""
        return sorted({part for files in self.files for part in files})

    def range(self, part: int) -> Range:
        """The slots of one part."""
        return Range.of(part, self.tasks)

    def share(self, part: int) -> Share:
        """What the journal says about the requests of one part."""
        return self.asked(part, *(files[part] for files in self.files if part in files))

    def asked(self, part: int, *paths: str) -> Share:
        """What the journal says about the requests in some files of one part."""
        wanted = ((image.url, image.hops) for path in paths for image in WantedFile(path))
        return Share(self.store, self.range(part), wanted)


# FOLD-IN One task's share of the fetch: go on from the journal, fetch, then collect what was
# decided.


BATCH_ROWS = 2_000


def key(url: str, hops: int) -> int:
    """Names a request within its share."""
    return int(xxhash.xxh3_64_intdigest(f"{hops} {url}".encode("utf-8", "surrogatepass")))


def fetch_part(
    wanted: Iterable[WantedImage],
    store: Store,
    share: Range,
    settings: FetchSettings,
    shelf: Shelf,
) -> None:
    """Bring every wanted image to an outcome in the journal; what is there already is left.

    `wanted` comes grouped by owner and is read twice: first for what needs no request.
    """
    done, known, held = _resume(store, share, settings.attempt)
    studio = Studio(settings, OptOutLists(settings.consent))
    with Recorder(store, share, settings, held) as recorder:

        def keep(outcome: Outcome) -> None:
            recorder.outcome(outcome)
            studio.remember(outcome)

        for image in wanted:
            if key(image.url, image.hops) not in done:
                outcome = _without_request(image, settings, studio, shelf)
                if outcome is not None:
                    keep(outcome)
                    done.add(key(image.url, image.hops))
        for outcome in _from_img2dataset(wanted, done, settings, studio):
            keep(outcome)
            done.add(key(outcome.url, outcome.hops))
        left = (
            Request(image.url, image.target, image.hops)
            for image in wanted
            if key(image.url, image.hops) not in done
        )
        fetch_images(left, settings, Sinks(keep, recorder.site), studio, known)


def _without_request(
    image: WantedImage, settings: FetchSettings, studio: Studio, shelf: Shelf
) -> Outcome | None:
    """An outcome that needs no network; None when a request must be made."""
    if image.opt_out is not None:
        return Outcome(*image[1:5], source="none")
    if not settings.enabled:
        return Outcome(image.url, image.target, image.hops, "fetch.disabled", source="none")
    if settings.archives and image.warc is not None:
        return take_from_archive(image, shelf, settings, studio)
    return None


def _from_img2dataset(
    wanted: Iterable[WantedImage], done: set[int], settings: FetchSettings, studio: Studio
) -> Iterator[Outcome]:
    """Outcomes of images that img2dataset has fetched; opt-out lists bind these too."""
    if not settings.img2dataset:
        return
    urls = {image.url for image in wanted if key(image.url, image.hops) not in done}
    for url, data in find(settings.img2dataset, urls):
        outcome = Outcome(url, url, source="img2dataset")
        outcome.reason = studio.lists.reason(URL(url))
        if outcome.reason is None:
            studio.develop(data, outcome)
        yield outcome


def _resume(
    store: Store, share: Range, attempt: int
) -> tuple[set[int], list[SiteFile], set[bytes]]:
    """Requests that are done, site files that are known, contents that are stored."""
    done: set[int] = set()
    known: list[SiteFile] = []
    held: set[bytes] = set()
    for frame in store.read(share):
        if frame["kind"] == "site":
            fields = {name: frame[name] for name in SiteFile.__dataclass_fields__}
            known.append(SiteFile(**fields))
            continue
        if not frame["later"] or frame["attempt"] >= attempt:
            done.add(key(frame["url"], frame["hops"]))
        if "place" in frame:
            held.add(content_key(frame["place"]["sha256"]))
    return done, known, held


class Share:
    """What the journal says about one task's wanted images."""

    def __init__(self, store: Store, share: Range, wanted: Iterable[tuple[str, int]]) -> None:
        self._store, self._share = store, share
        self._best: dict[int, tuple[int, int]] = {key(*names): (0, -1) for names in wanted}
        for number, frame in self._frames():
            name = key(frame["url"], frame["hops"])
            rank = (frame["attempt"], number)
            if name in self._best and rank > self._best[name]:
                self._best[name] = rank
        missing = sum(number < 0 for _, number in self._best.values())
        if missing:
            raise RuntimeError(f"{store.journal}: {missing} wanted images have no outcome")

    def _frames(self) -> Iterator[tuple[int, Frame]]:
        frames = (frame for frame in self._store.read(self._share) if frame["kind"] != "site")
        yield from enumerate(frames)

    def _latest(self) -> Iterator[Frame]:
        for number, frame in self._frames():
            if self._best.get(key(frame["url"], frame["hops"]), (0, -1))[1] == number:
                yield frame

    def moved(self, hops: int) -> Iterator[Request]:
        """Redirects of requests with `hops` that another share has to follow."""
        for frame in self._latest():
            if frame["kind"] == "moved" and frame["hops"] == hops:
                yield Request(frame["url"], frame["target"], frame["next"])

    def images(self) -> pa.Table:
        """Rows of `images`, ordered by URL."""
        batches: list[pa.Table] = [IMAGES.empty_table()]
        rows: list[dict[str, Any]] = []
        for frame in self._latest():
            if frame["kind"] == "outcome":
                rows.append(frame["row"])
            if len(rows) == BATCH_ROWS:
                batches.append(table(rows))
                rows = []
        batches.append(table(rows))
        return pa.concat_tables(batches).sort_by("url")


def places(store: Store, share: Range) -> Iterator[pa.RecordBatch]:
    """Rows of IMAGE_PLACES: all bytes that were stored for a range of slots."""
    rows: list[dict[str, Any]] = []
    for frame in store.read(share):
        if "place" in frame:
            rows.append(frame["place"])
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_PLACES)
            rows = []
    yield pa.RecordBatch.from_pylist(rows, schema=IMAGE_PLACES)


# FOLD-IN Images that img2dataset has fetched already: read from its parquet shards, not asked for
# again.
#
# Its tables have a column `url` and the bytes in one named by their format; whatever it re-encoded
# is stored as it left it.


BYTES_COLUMNS = ("jpg", "png", "webp")  # img2dataset's encode_format


def find(folders: Sequence[str], wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield URL and bytes of the wanted images, each once. Raises InputError."""
    left = set(wanted)
    for folder in folders:
        if not storage.is_folder(folder):
            raise InputError(f"fetch.img2dataset: {folder}: no such folder")
        for path in storage.list_files(folder):
            if path.endswith(".parquet") and left:
                yield from _in_file(path, left)


def _in_file(path: str, left: set[str]) -> Iterator[tuple[str, bytes]]:
    """Images of one shard; bytes are read only of row groups that hold a wanted one."""
    with storage.open_input(path) as stream:
        shard = pq.ParquetFile(stream)
        column = next((name for name in BYTES_COLUMNS if name in shard.schema_arrow.names), None)
        if column is None or "url" not in shard.schema_arrow.names:
            raise InputError(
                f"{path}: not a shard of img2dataset with output_format=parquet "
                f"(columns: {', '.join(shard.schema_arrow.names)})"
            )
        for group in range(shard.num_row_groups):
            urls = shard.read_row_group(group, ["url"])["url"].to_pylist()
            if left.isdisjoint(urls):
                continue
            bodies = shard.read_row_group(group, [column])[column]
            for url, body in zip(urls, bodies, strict=True):
                if url in left and body.is_valid:
                    left.discard(url)
                    yield url, body.as_py()
