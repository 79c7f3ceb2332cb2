"""One task's share of the fetch: go on from the journal, fetch, then collect what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import xxhash
from yarl import URL

from pipeline.images import downloaded
from pipeline.images.archive_image import take_from_archive
from pipeline.images.consent import SiteFile
from pipeline.images.fetch import Sinks, fetch_images
from pipeline.images.journal import Frame, Range, Writer, read, slot_of
from pipeline.images.opt_out_lists import OptOutLists
from pipeline.images.outcome import Outcome, Request, table
from pipeline.images.studio import Studio
from pipeline.images.wanted import WantedImage
from pipeline.schema import IMAGES
from pipeline.settings.fetch import FetchSettings

BATCH_ROWS = 2_000


def key(url: str, hops: int) -> int:
    """Names a request within its share."""
    return int(xxhash.xxh3_64_intdigest(f"{hops} {url}".encode("utf-8", "surrogatepass")))


def fetch_part(
    wanted: Iterable[WantedImage],
    folder: str,
    share: Range,
    settings: FetchSettings,
    archives: Mapping[str, str],
) -> None:
    """Bring every wanted image to an outcome in the journal; what is there already is left.

    `wanted` comes grouped by owner and is read twice: first for what needs no request.
    `archives` maps an archive's name to its path.
    """
    done, known = _resume(folder, share, settings.attempt)
    with Writer(folder, share) as writer:

        def keep_site(answer: SiteFile) -> None:
            writer.append({"kind": "site", "slot": slot_of(answer.origin), **asdict(answer)})

        def keep(outcome: Outcome) -> None:
            _append(writer, outcome, settings.attempt)

        studio = Studio(settings, OptOutLists(settings.consent))

        for image in wanted:
            if key(image.url, image.hops) not in done:
                outcome = _without_request(image, settings, studio, archives)
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
        fetch_images(left, settings, Sinks(keep, keep_site), studio, known)


def _without_request(
    image: WantedImage, settings: FetchSettings, studio: Studio, archives: Mapping[str, str]
) -> Outcome | None:
    """An outcome that needs no network; None when a request must be made."""
    if image.opt_out is not None:
        return Outcome(*image[1:5], source="none")
    if not settings.enabled:
        return Outcome(image.url, image.target, image.hops, "fetch.disabled", source="none")
    if settings.archives and image.warc is not None and image.warc in archives:
        return take_from_archive(image, archives[image.warc], settings, studio)
    return None


def _from_img2dataset(
    wanted: Iterable[WantedImage], done: set[int], settings: FetchSettings, studio: Studio
) -> Iterator[Outcome]:
    """Outcomes of images that img2dataset has fetched; opt-out lists bind these too."""
    if not settings.img2dataset:
        return
    urls = {image.url for image in wanted if key(image.url, image.hops) not in done}
    for url, data in downloaded.find(settings.img2dataset, urls):
        outcome = Outcome(url, url, source="img2dataset")
        outcome.reason = studio.lists.reason(URL(url))
        if outcome.reason is None:
            studio.develop(data, outcome)
        yield outcome


def _resume(folder: str, share: Range, attempt: int) -> tuple[set[int], list[SiteFile]]:
    done: set[int] = set()
    known: list[SiteFile] = []
    for frame in read(folder, share):
        header = frame.header
        if header["kind"] == "site":
            fields = {name: header[name] for name in SiteFile.__dataclass_fields__}
            known.append(SiteFile(**fields))
        elif not header["later"] or header["attempt"] >= attempt:
            done.add(key(header["url"], header["hops"]))
    return done, known


def _append(writer: Writer, outcome: Outcome, attempt: int) -> None:
    moved = outcome.moved
    header: dict[str, Any] = {
        "kind": "outcome" if moved is None else "moved",
        "slot": slot_of(outcome.target),
        "url": outcome.url,
        "hops": outcome.hops,
        "attempt": attempt,
        "later": outcome.later,
    }
    if moved is not None:
        header |= {"target": moved.target, "next": moved.hops}
        writer.append(header)
        return
    row = {name: value for name, value in outcome.row().items() if value is not None}
    header |= {"row": row, "format": outcome.stored_format}
    writer.append(header, outcome.data or b"")


class Share:
    """What the journal says about one task's wanted images."""

    def __init__(self, folder: str, share: Range, wanted: Iterable[tuple[str, int]]) -> None:
        self._folder, self._share = folder, share
        self._best: dict[int, tuple[int, int]] = {key(*names): (0, -1) for names in wanted}
        for number, frame in self._frames():
            name = key(frame.header["url"], frame.header["hops"])
            rank = (frame.header["attempt"], number)
            if name in self._best and rank > self._best[name]:
                self._best[name] = rank
        missing = sum(number < 0 for _, number in self._best.values())
        if missing:
            raise RuntimeError(f"{folder}: {missing} wanted images have no outcome")

    def _frames(self, wanted: Any = lambda _: False) -> Iterator[tuple[int, Frame]]:
        number = 0
        for frame in read(self._folder, self._share, wanted):
            if frame.header["kind"] != "site":
                yield number, frame
                number += 1

    def _latest(self, wanted: Any = lambda _: False) -> Iterator[Frame]:
        for number, frame in self._frames(wanted):
            name = key(frame.header["url"], frame.header["hops"])
            if self._best.get(name, (0, -1))[1] == number:
                yield frame

    def moved(self, hops: int) -> Iterator[Request]:
        """Redirects of requests with `hops` that another share has to follow."""
        for frame in self._latest():
            header = frame.header
            if header["kind"] == "moved" and header["hops"] == hops:
                yield Request(header["url"], header["target"], header["next"])

    def images(self) -> pa.Table:
        """Rows of `images`, ordered by URL."""
        batches: list[pa.Table] = [IMAGES.empty_table()]
        rows: list[dict[str, Any]] = []
        for frame in self._latest():
            if frame.header["kind"] == "outcome":
                rows.append(frame.header["row"])
            if len(rows) == BATCH_ROWS:
                batches.append(table(rows))
                rows = []
        batches.append(table(rows))
        return pa.concat_tables(batches).sort_by("url")

    def pictures(self, owned: set[str]) -> Iterator[tuple[str, str, bytes]]:
        """SHA-256, stored format and bytes of the owned images, each once."""
        left = set(owned)

        def kept(header: dict[str, Any]) -> bool:
            return header.get("format") is not None and header["row"]["sha256"] in left

        for frame in self._latest(kept):
            if frame.data is not None:
                sha256 = frame.header["row"]["sha256"]
                left.discard(sha256)
                yield sha256, frame.header["format"], frame.data
