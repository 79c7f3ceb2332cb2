"""Signals of image nodes known before the image is fetched."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline import signal_schema
from benben.pipeline.settings.signals import SignalSettings

_FORMAT = r"\.(?P<ending>[A-Za-z]{3,4})(?:[?#].*)?$"
_FORMATS = {
    "jpg": "jpeg", "jpeg": "jpeg", "jpe": "jpeg", "png": "png", "webp": "webp", "gif": "gif",
    "svg": "svg", "bmp": "bmp", "ico": "ico", "tif": "tiff", "tiff": "tiff", "avif": "avif",
}  # fmt: skip


@lru_cache(maxsize=8)
def url_pattern(words: tuple[str, ...], match: str) -> str:
    """Regular expression of the banned words: as substrings, or not touching other letters."""
    joined = "|".join(re.escape(word) for word in words) or r"\z."
    return (
        f"(?:{joined})" if match == "substring" else f"(?i)(?:^|[^a-z])(?:{joined})s?(?:$|[^a-z])"
    )


def signals(documents: pa.RecordBatch, settings: SignalSettings) -> pa.ListArray:
    """Column `images`: one entry an image node."""
    nodes = documents.column("nodes")
    flat, parents = nodes.flatten(), pc.list_parent_indices(nodes)
    where = np.flatnonzero(pc.equal(flat.field("kind"), "image").to_numpy(zero_copy_only=False))
    images, parents = flat.take(pa.array(where)), parents.take(pa.array(where))
    urls = images.field("url").fill_null("")
    pattern = url_pattern(tuple(settings.url_words), settings.url_word_match)
    document = parents.to_numpy(zero_copy_only=False)
    columns = {
        "index": images.field("index"),
        "rendered_width": images.field("width"),
        "rendered_height": images.field("height"),
        "url_words": pc.count_substring_regex(urls, pattern),
        "url_format": _formats(urls),
        "alt_words": _words(images.field("alt")),
        "caption_words": _words(images.field("caption")),
        "duplicate": _repeats(document, urls),
    }
    fields = list(signal_schema.IMAGE_SIGNALS)
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in fields]
    entries = pa.StructArray.from_arrays(arrays, fields=fields)
    offsets = np.searchsorted(document, np.arange(documents.num_rows + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, entries)


def _formats(urls: pa.Array) -> pa.Array:
    endings = pc.utf8_lower(pc.extract_regex(urls, _FORMAT).field("ending"))
    place = pc.index_in(endings, pa.array(list(_FORMATS)))
    return pa.array(list(_FORMATS.values())).take(place)


def _words(texts: pa.Array) -> pa.Array:
    return pc.count_substring_regex(texts.fill_null(""), r"[^\s]+")


def _repeats(document: np.ndarray[tuple[int], np.dtype[np.int64]], urls: pa.Array) -> pa.Array:
    """1 where an earlier image of the same document has the same URL."""
    code = urls.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.lexsort((code, document))
    same = np.zeros(len(order), np.int8)
    before, after = order[:-1], order[1:]
    same[after] = (code[after] == code[before]) & (document[after] == document[before])
    return pa.array(same)
