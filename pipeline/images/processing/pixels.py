"""Arithmetic on pixels: an upright 8-bit copy, the perceptual hash, blur, entropy, flatness."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from PIL import Image

from benben.pipeline import storage
from benben.pipeline.dataset.obelics import ImageFact
from benben.pipeline.schema import IMAGE_USES

HASH_SIDE, HASH_BITS = 32, 8
SWAPPED = (5, 6, 7, 8)  # EXIF orientations that turn by a quarter
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Measures(NamedTuple):
    """Signals of a grey picture."""

    blur: float  # variance of the Laplacian, squared grey levels; low: blurred or flat
    entropy: float  # Shannon, bits of the grey histogram, 0..8
    flatness: float  # share of pixels with the commonest grey value, 0..1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn and mirror a picture as its EXIF orientation (1..8) says."""
    turn = TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def small_copy(image: Image.Image, side: int) -> Image.Image:
    """A copy in RGB or L, transparency on white, its longer side at most `side` pixels."""
    factor = -(-max(image.size) // side)
    plain = _plain(image) if image.mode not in REDUCIBLE else image
    if factor > 1:
        plain = plain.reduce(factor)
    return flatten(plain)


REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")


def _plain(image: Image.Image) -> Image.Image:
    """Palettes, bits and deep samples as L, RGB or RGBA."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float32)
        high = 65_535.0 if image.mode.startswith("I") else float(np.nanmax(values, initial=1.0))
        scaled = np.nan_to_num(values) * (255.0 / max(high, 1e-9))
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    if image.mode == "1":
        return image.convert("L")
    transparent = image.mode in ("PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def flatten(image: Image.Image) -> Image.Image:
    """RGB or L, with transparency over white, as a page would show it."""
    if image.mode not in REDUCIBLE:
        image = _plain(image)
    if image.mode in ("RGBA", "LA"):
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def perceptual_hash(grey: Image.Image) -> str:
    """64 bits as hex: signs of the low DCT frequencies about their median, as imagehash's phash."""
    size = (HASH_SIDE, HASH_SIDE)
    reduced = grey.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    low = (_DCT @ np.asarray(reduced, np.float64) @ _DCT.T).ravel()
    middle = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1]
    median = (middle[0] + middle[1]) / 2
    bits = low > median + 1e-6  # a flat picture's frequencies are rounding noise
    return np.packbits(bits).tobytes().hex()


def _dct_rows() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The first rows of the DCT-II matrix."""
    place = np.arange(HASH_SIDE) + 0.5
    return np.cos(np.pi / HASH_SIDE * np.outer(np.arange(HASH_BITS), place))


_DCT = _dct_rows()


def measure(grey: Image.Image) -> Measures:
    """Blur, entropy and flatness of a grey picture."""
    counts = np.array(grey.histogram(), np.float64)
    shares = counts[counts > 0] / counts.sum()
    entropy = float(-(shares * np.log2(shares)).sum()) + 0.0
    blur = 0.0
    if min(grey.size) >= 3:
        values = np.asarray(grey).astype(np.int16)
        laplacian = values[:-2, 1:-1] + values[2:, 1:-1]
        laplacian += values[1:-1, :-2]
        laplacian += values[1:-1, 2:]
        laplacian -= 4 * values[1:-1, 1:-1]
        edges = laplacian.ravel().astype(np.float32)
        blur = max(0.0, float(np.dot(edges, edges)) / edges.size - float(edges.mean()) ** 2)
    return Measures(blur, entropy, float(shares.max()))


# FOLD-IN What is known of fetched images, laid beside the documents that show them.


FACTS = [field for field in IMAGE_USES if field.name != "key"]
NOT_FETCHED = "image.not-fetched"  # no row in `images`: the page was not asked for its images


def url_key(url: str) -> bytes:
    """Fixed-size name of a URL for joins: 16 bytes (XXH3)."""
    return xxhash.xxh3_128_digest(url.encode("utf-8", "surrogatepass"))


def image_urls(documents: pa.RecordBatch) -> tuple[list[str], np.ndarray]:
    """URLs of a batch's image nodes in order, and the row of the document each belongs to."""
    nodes = documents.column("nodes")
    flat = nodes.flatten()
    chosen = pc.equal(flat.field("kind"), "image")
    rows = pc.list_parent_indices(nodes).filter(chosen)
    return flat.field("url").filter(chosen).to_pylist(), rows.to_numpy(zero_copy_only=False)


def uses_of(images: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of IMAGES as rows of IMAGE_USES: a key in place of the URL, and facts of fixed size."""
    keys = pa.array([url_key(url) for url in images["url"].to_pylist()], pa.binary())
    columns = [images[field.name].cast(field.type) for field in FACTS]
    return pa.RecordBatch.from_arrays([keys, *columns], schema=IMAGE_USES)


class ImageFacts:
    """The facts of one part's images, looked up by URL."""

    def __init__(self, uses: pa.Table) -> None:
        self._table = uses.select([field.name for field in FACTS]).combine_chunks()
        self._row = {key: row for row, key in enumerate(uses["key"].to_pylist())}

    @classmethod
    def read(cls, path: str | None) -> ImageFacts:
        """Read a part's file of `image_uses`; without a file nothing is known."""
        return cls(storage.read_parquet(path) if path else IMAGE_USES.empty_table())

    def _rows(self, urls: Iterable[str]) -> list[int | None]:
        return [self._row.get(url_key(url)) for url in urls]

    def of_images(self, documents: pa.RecordBatch) -> pa.ListArray:
        """Facts of each document's image nodes: list<struct>, an entry an image node in order."""
        urls, owners = image_urls(documents)
        rows = pa.array(self._rows(urls), pa.int64())
        found = self._table.take(rows).combine_chunks()
        columns = [found[field.name].combine_chunks() for field in FACTS]
        unknown = rows.is_null()
        place = next(index for index, field in enumerate(FACTS) if field.name == "reason")
        columns[place] = pc.if_else(unknown, NOT_FETCHED, columns[place])
        counts = np.bincount(owners, minlength=documents.num_rows)
        offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
        entries = pa.StructArray.from_arrays(columns, fields=FACTS)
        return pa.ListArray.from_arrays(pa.array(offsets), entries)

    def fetched(self, urls: Iterable[str]) -> dict[str, ImageFact]:
        """What is shipped beside a URL: the images among `urls` that were fetched."""
        known = {}
        for url in urls:
            row = self._row.get(url_key(url))
            if row is not None and self._table["reason"][row].as_py() is None:
                fact = {name: self._table[name][row].as_py() for name in ImageFact.__slots__}
                known[url] = ImageFact(**fact)
        return known
