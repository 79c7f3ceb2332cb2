"""Signals that extraction and the page's nodes give: language, opt-outs, links, images."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.declaration import (
    OBELICS,
    OMNICORPUS,
    OWN,
    Column,
    Derived,
    Floats,
    ImageFact,
    KeptCount,
    KeptNodes,
    Signal,
    measured_together,
    stored,
    text_ratio,
)
from benben.filters.signals.text import Batch, Integers
from benben.filters.signals.words import CHARS, PARAGRAPHS, WORD_COUNT
from benben.pipeline import language
from benben.pipeline.consent.directives import binding_facts

MAIN_CONTENT = 0.5  # content score from which `Document.main_text` takes a node as main content
_FORMAT = r"\.(?P<ending>[A-Za-z]{3,4})(?:[?#].*)?$"
_FORMATS = {
    "jpg": "jpeg", "jpeg": "jpeg", "jpe": "jpeg", "png": "png", "webp": "webp", "gif": "gif",
    "svg": "svg", "bmp": "bmp", "ico": "ico", "tif": "tiff", "tiff": "tiff", "avif": "avif",
}  # fmt: skip
# The last part of a path up to its ending, without a size such as -300x200 and the query.
_STEM = re.compile(r"/([^/?#]{4,}?)(?:[-_.]?\d{2,4}x\d{0,4})?(?:\.[A-Za-z]{3,4})?(?:[?#]|$)")


# Language of a page.


def languages(batch: Batch) -> tuple[list[str], list[float]]:
    """Identify the language of each document, by its text or its first `language_chars` characters.

    Returns language codes and their probabilities. Call it through `batch.once`.
    """
    return _identify(batch.pages(batch.settings.language_chars), batch)


def _identify(pages: list[str], batch: Batch) -> tuple[list[str], list[float]]:
    model = language.load(batch.settings.language_model)
    found = language.identify(pages, model)
    names = batch.settings.language_names
    return [names.get(label, label) for label, _ in found], [score for _, score in found]


def _language(batch: Batch) -> pa.Array:
    return pa.array(batch.once(languages)[0], pa.string())


def _language_score(batch: Batch) -> pa.Array:
    return pa.array(batch.once(languages)[1], pa.float32())


LANGUAGE_CODE = Column("language", "document", pa.string(), _language)
LANGUAGE_SCORE = Column("language_score", "document", pa.float32(), _language_score)

LANGUAGE = (
    stored(LANGUAGE_CODE, "language of the page's text", OBELICS, "name", names=True),
    stored(LANGUAGE_SCORE, "probability of that language", OBELICS, "probability"),
)


# What extraction says of the whole page.


def _document_field(name: str) -> Callable[[Batch], pa.Array]:
    return lambda batch: batch.documents.column(name)


# What the content score tells apart.
PAGE_TYPES = (
    "article", "collection", "documentation", "forum", "listing", "product", "service",
)  # fmt: skip
PAGE_TYPE = Column("page_type", "document", pa.string(), _document_field("page_type"))
CONFIDENCE = Column("confidence", "document", pa.float32(), _document_field("confidence"))

EXTRACTION = (
    stored(PAGE_TYPE, f"{', '.join(PAGE_TYPES[:-1])} or {PAGE_TYPES[-1]}",
           OWN, "name", names=True, choices=PAGE_TYPES),
    stored(CONFIDENCE, "expected token F1 of the page's main text", OWN, "ratio"),
)  # fmt: skip


# Nodes of a page: what extraction says of those with text, how many there are of each kind.


def node_field(name: str) -> Callable[[Batch], pa.Array]:
    """Return a function that gives each paragraph a field of its node."""

    def measure(batch: Batch) -> pa.Array:
        return batch.nodes.field(name).take(batch.once(paragraph_nodes))

    return measure


def paragraph_nodes(batch: Batch) -> pa.Array:
    """Row of each paragraph's node among the nodes of the batch."""
    first_node = np.searchsorted(batch.node_documents, batch.text.document)
    return pa.array(first_node + batch.text.node)


def _count_kinds(batch: Batch) -> dict[str, NDArray[Any]]:
    kinds, documents = batch.nodes.field("kind"), batch.node_documents
    counted = {}
    for kind in ("text", "image", "break"):
        mask = pc.equal(kinds, kind).to_numpy(zero_copy_only=False)
        counted[f"{kind}_nodes"] = np.bincount(documents[mask], minlength=len(batch))
    return counted


def _kind_column(kind: str) -> Column:
    name = f"{kind}_nodes"
    return Column(name, "document", pa.int32(), measured_together(_count_kinds, name))


def _count_opt_outs(batch: Batch) -> Integers:
    """Count the opt-outs of each page that bind us."""
    chosen = batch.settings.opt_outs
    agents = (*chosen.agents, *chosen.training_agents)
    rows = batch.documents.column("opt_outs").to_pylist()
    return np.array([sum(1 for _ in binding_facts(facts or (), chosen, agents)) for facts in rows])


def _is_truncated(batch: Batch) -> Integers:
    """Tell of each page whether the crawler or the archive cut it."""
    return np.array(batch.documents.column("truncated").is_valid().to_pylist(), np.int64)


def _count_kept_text_nodes(kept: KeptNodes) -> Floats:
    document = kept.paragraphs.document[kept.kept_paragraphs]
    index = kept.paragraphs.integers("index")[kept.kept_paragraphs]
    new = np.append(True, (document[1:] != document[:-1]) | (index[1:] != index[:-1]))
    return kept.number(document[new[: len(document)]])


INDEX = Column("index", "text_node", pa.int32(), node_field("index"))
PARAGRAPH = Column("paragraph", "text_node", pa.int32(), lambda batch: batch.text.number)
LINK_SHARE = Column("link_share", "text_node", pa.float32(), node_field("link_share"))
COMMENT = Column(
    "comment",
    "text_node",
    pa.int32(),
    lambda batch: pc.cast(node_field("comment")(batch), "int32"),
)
CONTENT_SCORE = Column("content_score", "text_node", pa.float32(), node_field("content_score"))
LINK_CHARS = Derived("link_chars", (LINK_SHARE, CHARS), lambda share, chars: share * chars)
BOILERPLATE_CHARS = Derived(
    "boilerplate_chars",
    (CONTENT_SCORE, CHARS),
    lambda score, chars: np.where(score < MAIN_CONTENT, chars, 0.0),
)
TEXT_NODES, IMAGE_NODES, BREAK_NODES = map(_kind_column, ("text", "image", "break"))

NODES = (
    stored(LINK_SHARE, "share of the node's characters inside links", OWN, "ratio"),
    text_ratio("link_ratio", LINK_CHARS, CHARS, "characters inside links", OWN),
    stored(CONTENT_SCORE, "0 boilerplate .. 1 main content", OWN, "ratio"),
    stored(COMMENT, "1 in a part of the page for readers' comments", OWN),
    text_ratio("boilerplate_ratio", BOILERPLATE_CHARS, CHARS,
               "characters in nodes of content score below 0.5", OWN),
    Signal("text_nodes", ("document",), "count", "text nodes kept", OWN,
           KeptCount("text_nodes", _count_kept_text_nodes)),
    stored(IMAGE_NODES, "images of the page before any is dropped", OWN),
    stored(
        Column("truncated", "document", pa.int32(), _is_truncated),
        "1 if the capture was cut (WARC-Truncated, or the archive ends inside it)",
        OWN,
        "0 or 1",
    ),
    stored(Column("opt_outs", "document", pa.int32(), _count_opt_outs),
           "reservations of the page that bind us: robots directives, TDM", OWN),
)  # fmt: skip


# Images: what the page says of them, and what is known once they are fetched.


@lru_cache(maxsize=8)
def url_pattern(words: tuple[str, ...], match: str) -> str:
    """Make a regular expression of the banned words, as substrings or as words of their own."""
    joined = "|".join(re.escape(word) for word in words) or r"\z."
    return (
        f"(?:{joined})" if match == "substring" else f"(?i)(?:^|[^a-z])(?:{joined})s?(?:$|[^a-z])"
    )


def image_field(name: str, batch: Batch) -> pa.Array:
    """Return a field of each image node."""
    return batch.images().field(name)


def _image_words(name: str, batch: Batch) -> pa.Array:
    return pc.count_substring_regex(batch.images().field(name).fill_null(""), r"[^\s]+")


def _urls(batch: Batch) -> pa.Array:
    return batch.images().field("url").fill_null("")


def _count_url_words(batch: Batch) -> pa.Array:
    settings = batch.settings
    pattern = url_pattern(tuple(settings.url_words), settings.url_word_match)
    return pc.count_substring_regex(_urls(batch), pattern)


def _url_formats(batch: Batch) -> pa.Array:
    endings = pc.utf8_lower(pc.extract_regex(_urls(batch), _FORMAT).field("ending"))
    place = pc.index_in(endings, pa.array(list(_FORMATS)))
    return pa.array(list(_FORMATS.values())).take(place)


def _find_duplicate_urls(batch: Batch) -> NDArray[np.int8]:
    """Return 1 for images whose URL an earlier image of the same document has."""
    code = _urls(batch).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    document = batch.image_documents()
    order = np.lexsort((code, document))
    same = np.zeros(len(order), np.int8)
    before, after = order[:-1], order[1:]
    same[after] = (code[after] == code[before]) & (document[after] == document[before])
    return same


def _in_metadata(batch: Batch) -> NDArray[np.int8]:
    """Return 1 for images that the metadata of their page name, in whatever size."""
    named = [
        set(filter(None, map(_stem, urls or ())))
        for urls in batch.documents.column("page_images").to_pylist()
    ]
    urls = _urls(batch).to_pylist()
    first = np.searchsorted(batch.image_documents(), np.arange(len(batch) + 1)).tolist()
    found = np.zeros(len(urls), np.int8)
    for document, stems in enumerate(named):
        for row in range(first[document], first[document + 1]) if stems else ():
            # A URL has its own stem as a part, so that few are taken apart.
            if any(map(urls[row].__contains__, stems)):
                found[row] = _stem(urls[row]) in stems
    return found


def _stem(url: str) -> str | None:
    """Return the name of a file without its ending and size; None if it is too short to tell."""
    found = _STEM.search(url)
    return found[1] if found else None


def _find_figures(batch: Batch) -> pa.Array:
    return pc.is_valid(batch.images().field("figure")).cast(pa.int8())


def _image_column(name: str, type_: pa.DataType, measure: Callable[[Batch], Any]) -> Column:
    return Column(name, "image_node", type_, measure)


def _fetched(
    name: str, unit: str, meaning: str, source: str,
    count: ImageFact | None = None, per: ImageFact | None = None, names: bool = False,
) -> Signal:  # fmt: skip
    count = count or ImageFact(name, names)
    return Signal(name, ("image_node",), unit, meaning, source, count, per,
                  after_fetch=True, names=names)  # fmt: skip


def _kept_images_with(name: str, column: Column) -> KeptCount:
    def count(kept: KeptNodes) -> Floats:
        return kept.number(kept.images.document[kept.kept_images & (kept.images(column.name) > 0)])

    return KeptCount(name, count, (column,))


def _count_kept_images(kept: KeptNodes) -> Floats:
    return kept.number(kept.images.document[kept.kept_images])


def _count_nsfw_images(kept: KeptNodes) -> Floats:
    if kept.nsfw_images is None:
        return np.full(kept.signals.num_rows, np.nan)
    return kept.number(kept.images.document[kept.nsfw_images])


IMAGE_INDEX = _image_column("index", pa.int32(), partial(image_field, "index"))
ALT_WORDS = _image_column("alt_words", pa.int32(), partial(_image_words, "alt"))
CAPTION_WORDS = _image_column("caption_words", pa.int32(), partial(_image_words, "caption"))
KEPT_IMAGES = KeptCount("images", _count_kept_images)
WIDTH, HEIGHT = ImageFact("width"), ImageFact("height")

IMAGES = (
    stored(_image_column("rendered_width", pa.int32(), partial(image_field, "width")),
           "width declared by the page", OBELICS, "px"),
    stored(_image_column("rendered_height", pa.int32(), partial(image_field, "height")),
           "height declared by the page", OBELICS, "px"),
    stored(_image_column("url_words", pa.int32(), _count_url_words),
           "banned words in the URL", OBELICS),
    stored(_image_column("url_format", pa.string(), _url_formats),
           "format by the ending of the URL's path", OBELICS, "name", names=True),
    stored(_image_column("content_score", pa.float32(), partial(image_field, "content_score")),
           "0 boilerplate .. 1 main content, by the texts around", OWN, "ratio"),
    stored(_image_column("in_figure", pa.int8(), _find_figures), "1: inside <figure>", OWN),
    stored(_image_column("in_metadata", pa.int8(), _in_metadata),
           "1: metadata of the page (og:image, JSON-LD) names the picture, in whatever size", OWN),
    stored(_image_column("link_target", pa.string(), partial(image_field, "link_target")),
           "where a link around the image leads: image, same_host or other_host", OWN, "name",
           names=True),
    stored(ALT_WORDS, "words of the alternative text", OWN),
    stored(CAPTION_WORDS, "words of the figure's caption", OWN),
    stored(_image_column("duplicate", pa.int8(), _find_duplicate_urls),
           "1: an earlier image of the page has the same URL", OBELICS),
    _fetched("width", "px", "width of the fetched image", OBELICS, WIDTH),
    _fetched("height", "px", "height of the fetched image", OBELICS, HEIGHT),
    _fetched("aspect_ratio", "ratio", "width over height of the fetched image", OBELICS,
             WIDTH, HEIGHT),
    _fetched("format", "name", "format of the fetched bytes", OBELICS, names=True),
    _fetched("num_bytes", "bytes", "size of the fetched image", OWN),
    _fetched("blur", "variance", "of the Laplacian of grey levels; low: blurred", OWN),
    _fetched("entropy", "bits", "of the histogram of grey levels, 0 to 8", OWN),
    _fetched("flatness", "ratio", "share of the commonest grey level", OWN),
    _fetched("nsfw", "probability", "score of the NSFW classifier", OBELICS),
    Signal("images", ("document",), "count", "images kept", OBELICS, KEPT_IMAGES, trend="falls"),
    Signal("words_per_image", ("document",), "ratio", "words per image", OMNICORPUS,
           WORD_COUNT, KEPT_IMAGES, trend="rises"),
    Signal("image_text_ratio", ("document",), "ratio", "images per paragraph", OWN,
           KEPT_IMAGES, PARAGRAPHS, trend="falls"),
    Signal("alt_ratio", ("document",), "ratio", "images with alternative text", OWN,
           _kept_images_with("with_alt", ALT_WORDS), KEPT_IMAGES, trend="either"),
    Signal("caption_ratio", ("document",), "ratio", "images with a caption", OWN,
           _kept_images_with("with_caption", CAPTION_WORDS), KEPT_IMAGES, trend="either"),
    Signal("nsfw_images", ("document",), "count", "images that the NSFW rule dropped", OBELICS,
           KeptCount("nsfw_images", _count_nsfw_images), after_fetch=True),
)  # fmt: skip
