"""Arithmetic on pixels: an upright 8-bit copy, the perceptual hash, blur, entropy, flatness."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

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
