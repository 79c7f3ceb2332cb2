"""Finds planted swaps of images: `python -m benchmarks.image_worth [ROUNDS]`.

On the test data's site of manuals and on the project's sample (with 300 pages about shapes), the
images that the default rules ship are taken with the texts around them. Each round swaps a fifth of
them for another image, half of the same host, half of the other one; in the end every image was
swapped once. The model is trained on what is there after the swap, as a run would train it: it does
not know which are swapped. An image's bytes, facts and file name travel with it; its alternative
text and caption stay with the page in the first line of a site, and travel as well in the second.

Prints for each: the area under the ROC curve of image worth, that of the overlap of alternative
text and caption with the texts around, and their ratio. Overlap cannot see a swap if these stay.
The JSON file has the figures for each kind of swap, those of single measures, images a second and
core (`speed`: decode, vectors and worth), and the seconds of processor time of a `training`.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.decide import decide_batch
from benben.filters.shipped import kept_nodes
from benben.filters.signal_table import measure_batch
from benben.pipeline import config, document
from benben.pipeline.archive import warc
from benben.pipeline.archive.charset import decode_html
from benben.pipeline.archive.warc import Capture
from benben.pipeline.document import Document
from benben.pipeline.images.image_facts import ImageFacts, image_urls, uses_of
from benben.pipeline.images.processing.picture import Decoder, UsePixels
from benben.pipeline.images.worth import look
from benben.pipeline.images.worth.model import Model, Pair, fold_of
from benben.pipeline.images.worth.vectors import Picture, Text, picture, text
from benben.pipeline.images.worth.words import around_images, overlap, words
from benben.pipeline.page.extract import extract_page
from benben.pipeline.schema import IMAGES
from benben.pipeline.settings import Config
from benben.sample.page import Capture as SampleCapture
from benben.sample.website import build_site
from benchmarks.support import figure
from benchmarks.support.data import DATA

SITE = DATA / "site"
SAMPLE_PAGES, SAMPLE_HOST = 300, "http://sample.example/"
BAR, MARGIN, SPEED_BAR = 0.85, 0.15, 20.0
SHARE = 5  # one of so many images is swapped in a round
NONE, SAME_HOST, OTHER_HOST = range(3)
ReadBytes = Callable[[str], bytes | None]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shown:
    """An image as a page shows it."""

    site: str
    page: str
    url: str
    text: Text
    others: frozenset[str]  # words around, but for the image's own caption
    own: list[str]  # words of alternative text and caption


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds of one kind of work, and on how many images."""

    seconds: float
    images: int


def manuals() -> tuple[Iterator[tuple[str, bytes]], ReadBytes]:
    """Pages of the site of manuals, and what reads its images."""
    archive = SITE / "site-127.0.0.1-8765.warc.gz"
    captures = (one for one in warc.read_captures(str(archive)) if isinstance(one, Capture))
    pages = (
        (one.url, decode_html(one.payload, one.headers.get("content-type"))[0].encode())
        for one in captures
    )
    return pages, lambda url: _file(SITE / "www" / unquote(urlsplit(url).path)[1:])


def sample() -> tuple[Iterator[tuple[str, bytes]], ReadBytes]:
    """Pages of the sample, each once, and what reads its images."""
    site = build_site(SAMPLE_PAGES)
    once: dict[str, SampleCapture] = {
        one.path: one for one in site.captures if one.status == 200 and "?" not in one.path
    }
    pages = (
        (SAMPLE_HOST + path, decode_html(one.body, one.headers.get("Content-Type"))[0].encode())
        for path, one in once.items()
        if "html" in str(one.headers.get("Content-Type"))
    )
    return pages, lambda url: site.responses.files.get(urlsplit(url).path[1:])


def _file(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def rows_of_images(
    documents: pa.RecordBatch, read: ReadBytes, settings: Config
) -> tuple[dict[str, dict[str, Any]], Spent]:
    """Decode the images of documents; rows of `images` by URL."""
    decoder, found = Decoder(settings.fetch), {}
    started = time.process_time()
    for url in sorted(set(image_urls(documents)[0])):
        row: dict[str, Any] = dict.fromkeys(IMAGES.names) | {"url": url}
        data = read(url)
        if data is None:
            row["reason"] = "http.404"
        else:
            looks: list[list[float]] = []
            measured = decoder.decode(data, _keep_look(looks))
            row |= {name: getattr(measured, name) for name in type(measured).__slots__}
            row["look"] = looks[0] if looks else None
        found[url] = row
    return found, Spent(time.process_time() - started, len(found))


def _keep_look(looks: list[list[float]]) -> UsePixels:
    return lambda _, pixels: looks.append(look.measure(pixels))


def shown_images(
    name: str, pages: Iterator[tuple[str, bytes]], read: ReadBytes, settings: Config
) -> tuple[list[Shown], dict[str, Picture], list[Spent]]:
    """Images that ship, once for each text around them, and their pictures by URL."""
    sources = dict(pages)
    documents = [extract_page(html, url, None, settings.extract) for url, html in sources.items()]
    captures = [
        Capture("x", 0, 0, url, "", 200, {}, "text/html", b"", url, None) for url in sources
    ]
    batch = document.to_batch(captures, documents)
    rows, decoding = rows_of_images(batch, read, settings)
    known = [{column: row.get(column) for column in IMAGES.names} for row in rows.values()]
    facts = ImageFacts(pa.Table.from_batches([uses_of(pa.RecordBatch.from_pylist(known, IMAGES))]))
    signals = measure_batch(batch, settings.signals)
    verdicts = decide_batch(signals, settings.rules, facts.of_images(batch)).to_pylist()
    started, found = time.process_time(), []
    pictures: dict[str, Picture] = {}
    for page, verdict in zip(documents, verdicts, strict=True):
        if verdict["kept"]:
            for one in _of_page(name, page, verdict["dropped"]):
                found.append(one)
                pictures[one.url] = picture(one.url, rows[one.url])
    vectors = Spent(time.process_time() - started, len(found))
    distinct = {(pictures[s.url].sha256, s.text.grams.tobytes()): s for s in reversed(found)}
    return list(distinct.values())[::-1], pictures, [decoding, vectors]


def _of_page(site: str, page: Document, dropped: list[dict[str, Any]]) -> Iterator[Shown]:
    nodes = kept_nodes(page, dropped)
    columns = ([getattr(one, key) for one in nodes] for key in ("kind", "text", "caption"))
    images = [one for one in nodes if one.kind == "image"]
    for node, around in zip(images, around_images(*columns), strict=True):
        beside = text(around)
        if beside is not None:
            own = words(node.alt or "") + words(node.caption or "")
            yield Shown(site, page.url, node.url or "", beside, around.others, own)


def swap(images: Sequence[Shown], shas: Sequence[str], first: int) -> tuple[list[int], list[int]]:
    """Swap every SHARE-th image of a shuffled order from the `first` on.

    Returns for each image the kind of its swap, and which image stands in its place.
    """
    random = np.random.default_rng(first)
    order = np.random.default_rng(SHARE).permutation(len(images))
    kinds, placed = [NONE] * len(images), list(range(len(images)))
    for place in order[first::SHARE].tolist():
        kind = SAME_HOST if random.random() < 0.5 else OTHER_HOST
        choices = [
            other
            for other, one in enumerate(images)
            if (one.site == images[place].site) == (kind == SAME_HOST)
            and shas[other] != shas[place]
        ]
        kinds[place], placed[place] = kind, int(random.choice(choices))
    return kinds, placed


@dataclass(slots=True)
class Scores:
    """Measures of all images in all rounds, and which were swapped how."""

    site: list[str]
    kind: list[int]
    values: dict[str, list[float]]

    def area(self, measure: str, site: str, kinds: Sequence[int]) -> float:
        """Area under the ROC curve: the chance that an own image measures above a swapped one."""
        values = np.array(self.values[measure])
        at = np.array(self.site) == site
        kind = np.array(self.kind)
        own, strange = values[at & (kind == NONE)], values[at & np.isin(kind, kinds)]
        above = (own[:, None] > strange).mean() + (own[:, None] == strange).mean() / 2
        return float(above)


def judge(
    images: Sequence[Shown], pictures: dict[str, Picture], rounds: int
) -> tuple[Scores, list[Spent]]:
    """Swap, train and measure, round by round."""
    scores = Scores([], [], defaultdict(list))
    shas = [pictures[one.url].sha256 for one in images]
    training = measuring = 0.0
    for number in range(rounds):
        kinds, placed = swap(images, shas, number)
        pairs = [
            Pair(one.page, pictures[images[other].url], one.text)
            for one, other in zip(images, placed, strict=True)
        ]
        started = time.process_time()
        model = Model.train(pairs)
        assert model is not None
        training += time.process_time() - started
        started = time.process_time()
        worth = [float(model.worth([p.picture], p.text, p.page)[0]) for p in pairs]
        measuring += time.process_time() - started
        single = [model.measures([p.picture], p.text, fold_of(p.page))[0] for p in pairs]
        scores.site += [one.site for one in images]
        scores.kind += kinds
        scores.values["worth"] += worth
        for place, name in enumerate(("name", "look")):
            scores.values[name] += [float(one[place]) for one in single]
        scores.values["stays"] += [overlap(one.own, one.others) or 0 for one in images]
        travels = [
            overlap(images[o].own, one.others) or 0 for one, o in zip(images, placed, strict=True)
        ]
        scores.values["travels"] += travels
    number = len(images) * rounds
    return scores, [Spent(training, number), Spent(measuring, number)]


def main() -> None:
    """Measure both sites together, and report each."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else SHARE
    settings = config.load("default", ["input=[x]"])
    images: list[Shown] = []
    pictures: dict[str, Picture] = {}
    spent: list[Spent] = []
    for name, source in (("manuals", manuals), ("sample", sample)):
        some, known, used = shown_images(name, *source(), settings)
        images, pictures, spent = images + some, pictures | known, spent + used
    scores, (training, measuring) = judge(images, pictures, rounds)
    seconds = sum(one.seconds / max(1, one.images) for one in (*spent, measuring))
    speed = len(("manuals", "sample")) / seconds if seconds else 0.0
    for site in ("manuals", "sample"):
        _report(scores, site, speed=speed, training=training.seconds / rounds)


def _report(scores: Scores, site: str, **details: float) -> None:
    both = (SAME_HOST, OTHER_HOST)
    worth = scores.area("worth", site, both)
    kinds = {"same_host": (SAME_HOST,), "other_host": (OTHER_HOST,), "both": both}
    every = {
        f"{measure}_{name}": scores.area(measure, site, some)
        for measure in scores.values
        for name, some in kinds.items()
    }
    images = sum(one == site for one in scores.site)
    for way in ("stays", "travels"):
        baseline = scores.area(way, site, both)
        name = f"image_worth_{site}_{way}"
        met = {"bar": BAR, "margin": MARGIN, "speed_bar": SPEED_BAR, "images": images}
        figure.report(name, worth, baseline, **met, **every, **details)


if __name__ == "__main__":
    main()
