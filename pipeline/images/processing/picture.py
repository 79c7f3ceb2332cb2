"""One image's bytes, decoded once: format by content, size, hashes, signals, or a reason.

Nothing is trusted: the size is checked before pixels are decoded, and whatever a decoder raises
becomes a reason. JPEGs are decoded at a reduced scale when only signals are needed; all of the
stream is still read, so that truncation is noticed.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from benben.common.text import describe
from benben.pipeline.images.processing import budget
from benben.pipeline.images.processing.repair import repaired
from benben.pipeline.settings.fetch import FetchSettings, ReencodeSettings

# Peak memory of a decode, in bytes per pixel.
DECODE_COST = {"jpeg": 8, "png": 10, "gif": 10, "webp": 17, "avif": 20, "tiff": 16, "bmp": 10}
ORIENTATION = 0x0112  # EXIF tag
TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP = 322, 323, 278  # TIFF tags
NOT_IMAGES = ("html", "svg")
SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\0\0\x01\0", "ico"),
    (b"\0\0\0\x0cjP  ", "jpeg2000"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"8BPS", "psd"),
)
AVIF_BRANDS = {b"avif", b"avis"}
SNIFF_BYTES = 1_024
QUARTER_TURNS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
TRANSPOSE = {  # EXIF orientation -> what shows the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")  # Pillow modes that can be averaged
HASH_SIDE, HASH_BITS = 32, 8
BLOCK_BYTES = 64 << 20  # above glibc's largest mmap threshold, so that freed blocks are returned

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # `Decoder` checks the size itself, against the config
Image.core.set_block_size(BLOCK_BYTES)  # type: ignore[attr-defined]
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of broken metadata


class BadImage(Exception):
    """Bytes that give no picture; `reason` goes into the ledger."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(slots=True)
class Picture:
    """What one decode measured. Fields have the names of columns of `images`."""

    sha256: str
    num_bytes: int
    format: str | None = None  # lower case, by content
    mode: str | None = None  # Pillow's: RGB, L, P, CMYK, I;16 ...
    width: int | None = None  # as shown: EXIF orientation applied
    height: int | None = None
    orientation: int | None = None  # EXIF, 1..8
    animated: bool | None = None
    phash: str | None = None  # 64 bits as 16 hex digits
    blur: float | None = None
    entropy: float | None = None
    flatness: float | None = None
    reason: str | None = None
    detail: str | None = None


UsePixels = Callable[[Picture, Image.Image], None]


def sniff(data: bytes) -> str | None:
    """Format of an image by its first bytes; "svg" and "html" for markup, None if unknown."""
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "avif" if AVIF_BRANDS & _brands(data) else "heif"
    start = data[:SNIFF_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<"):
        return "svg" if b"<svg" in start and b"<html" not in start else "html"
    return None


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of a file in the ISO base media format (ISO 14496-12, 4.3)."""
    end = min(int.from_bytes(data[:4]), SNIFF_BYTES)
    return {data[start : start + 4] for start in (8, *range(16, end, 4))}


class Decoder:
    """Decodes images within a config's limits. Safe to share between threads.

    `decodes` counts decodes, so that tests can check that each image is decoded once.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._memory = MemoryLimit(settings.limits.decode_bytes)
        self._full_size = settings.reencode is not None
        self.decodes = 0
        Image.init()

    def decode(
        self, data: bytes, use: UsePixels | None = None, sha256: str | None = None
    ) -> Picture:
        """Measure one image. Bad data gives a picture with a reason.

        `sha256` is that of the data, if the caller knows it. `use` is called with the pixels of a
        good image, upright and without transparency: at full size when the config re-encodes,
        else a small copy. The pixels are freed when it returns.
        """
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        picture = Picture(sha256, len(data), sniff(data))
        try:
            try:
                self._decode(data, picture, use)
            except BadImage as bad:
                self._decode(self._repair(data, picture, bad), picture, use)
        except BadImage as bad:
            picture.reason, picture.detail = bad.reason, bad.detail[:200] or None
        return picture

    def _repair(self, data: bytes, picture: Picture, bad: BadImage) -> bytes:
        """Return a refused picture as browsers read it. Raises BadImage if that is no help."""
        changed = None
        if bad.reason in ("picture.corrupt", "picture.truncated") and picture.format:
            cost = (picture.width or 0) * (picture.height or 0) * DECODE_COST[picture.format]
            with self._memory.hold(cost), _decoder_errors():
                changed = repaired(data, picture.format)
        if changed is None:
            raise bad
        return changed

    def check_format(self, start: bytes) -> str:
        """Format of an image by its first bytes. Raises BadImage when it will not be decoded."""
        name = sniff(start)
        if not start:
            raise BadImage("picture.empty")
        if name is None or name in NOT_IMAGES:
            raise BadImage("picture.not_image", name or "")
        if name not in self._settings.formats:
            raise BadImage("picture.format", name)
        return name

    def _decode(self, data: bytes, picture: Picture, use: UsePixels | None) -> None:
        name = self.check_format(data)
        with _decoder_errors():
            image = Image.open(io.BytesIO(data), formats=[name.upper()])
        with image:
            cost = self._read_header(image, picture, data)
            with self._memory.hold(cost), closing(image):  # free the pixels, then the memory
                self.decodes += 1
                with _decoder_errors():
                    small = self._measure(image, picture)
                if use is not None:
                    use(picture, self._upright(image, picture) if self._full_size else small)

    def _read_header(self, image: Image.Image, picture: Picture, data: bytes) -> int:
        """Take mode and size from the header; return the memory in bytes that a decode needs.

        Raises BadImage for a picture that is too large, or that would take too long.
        """
        limits = self._settings.limits
        picture.mode = image.mode
        picture.width, picture.height = image.size
        number = max(image.width * image.height, _tile_pixels(image))
        if picture.format == "jpeg":
            scans = budget.jpeg_scans(data)
            if scans > budget.SCANS or scans * number > budget.SCANNED_PIXELS:
                raise BadImage("picture.scans", f"{scans} scans of {number} pixels")
        if picture.format == "avif":
            coded = budget.avif_pixels(data)
            if not coded:
                raise BadImage("picture.corrupt", "its AV1 sequence header cannot be found")
            number = max(number, coded)
        cost = number * DECODE_COST[picture.format or ""]
        if number > limits.pixels or cost > limits.decode_bytes:
            raise BadImage("picture.pixels", f"{picture.width}x{picture.height}")
        return cost

    def _measure(self, image: Image.Image, picture: Picture) -> Image.Image:
        side = self._settings.signal_side
        picture.animated = bool(getattr(image, "is_animated", False))
        if image.format == "JPEG" and not self._full_size:
            image.draft(None, (min(side, image.width), min(side, image.height)))
        image.load()
        picture.orientation = _orientation(image)
        if picture.orientation in QUARTER_TURNS:
            picture.width, picture.height = picture.height, picture.width
        small = _turn(_small_copy(image, side), picture.orientation)
        grey = small.convert("L")
        picture.phash = perceptual_hash(grey)
        picture.blur, picture.entropy, picture.flatness = _measures(grey)
        return small

    def _upright(self, image: Image.Image, picture: Picture) -> Image.Image:
        return _turn(_flatten(image), picture.orientation or 1)


def reencode(image: Image.Image, settings: ReencodeSettings) -> bytes:
    """Encode a picture again, scaled down to the largest side, without any metadata."""
    side = settings.max_side
    if side is not None and max(image.size) > side:
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    out = io.BytesIO()
    clean.save(out, settings.format.upper(), quality=settings.quality)
    return out.getvalue()


# Metadata


def _orientation(image: Image.Image) -> int:
    try:
        value = int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF is no reason to lose an image
        return 1
    return value if 1 <= value <= 8 else 1


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of a TIFF's tile or strip, which is decoded whole however small the image is."""
    tags = getattr(image, "tag_v2", None)
    if not tags:
        return 0
    strip = min(int(tags.get(ROWS_PER_STRIP, 0)), 2**31) * image.width
    if strip > image.width * image.height:
        strip = 0  # "all rows": not more than the image has
    return max(strip, int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0)))


# Pixels


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    """Turn and mirror a picture as its EXIF orientation (1..8) says."""
    method = TRANSPOSE.get(orientation)
    return image if method is None else image.transpose(method)


def _small_copy(image: Image.Image, side: int) -> Image.Image:
    """A copy in RGB or L, transparency on white, its longer side at most `side` pixels."""
    factor = -(-max(image.size) // side)
    plain = _plain(image) if image.mode not in REDUCIBLE else image
    if factor > 1:
        plain = plain.reduce(factor)
    return _flatten(plain)


def _plain(image: Image.Image) -> Image.Image:
    """Palettes, single bits and samples of more than 8 bits as L, RGB or RGBA."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float32)
        high = 65_535.0 if image.mode.startswith("I") else float(np.nanmax(values, initial=1.0))
        scaled = np.nan_to_num(values) * (255.0 / max(high, 1e-9))
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8))
    if image.mode == "1":
        return image.convert("L")
    transparent = image.mode in ("PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def _flatten(image: Image.Image) -> Image.Image:
    """RGB or L, with transparency on white, as most pages show it."""
    if image.mode not in REDUCIBLE:
        image = _plain(image)
    if image.mode in ("RGBA", "LA"):
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, mask=image.getchannel("A"))
        return ground
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


# Signals


class Measures(NamedTuple):
    """Signals of a grey picture."""

    blur: float  # variance of the Laplacian, squared grey levels; low: blurred or flat
    entropy: float  # Shannon entropy of the grey histogram in bits, 0..8
    flatness: float  # share of pixels with the most frequent grey value, 0..1


def _measures(grey: Image.Image) -> Measures:
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


def perceptual_hash(grey: Image.Image) -> str:
    """Perceptual hash as `phash` of the package imagehash: 64 bits as hex digits.

    Each bit tells whether one of the lowest DCT frequencies is above their median.
    """
    size = (HASH_SIDE, HASH_SIDE)
    reduced = grey.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    low = (_DCT @ np.asarray(reduced, np.float64) @ _DCT.T).ravel()
    middle = np.sort(low)[low.size // 2 - 1 : low.size // 2 + 1]
    median = (middle[0] + middle[1]) / 2
    bits = low > median + 1e-6  # the frequencies of a flat picture are rounding noise
    return np.packbits(bits).tobytes().hex()


def _dct_rows() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The first rows of the DCT-II matrix."""
    place = np.arange(HASH_SIDE) + 0.5
    return np.cos(np.pi / HASH_SIDE * np.outer(np.arange(HASH_BITS), place))


_DCT = _dct_rows()


# Errors and memory


@contextmanager
def _decoder_errors() -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes into BadImage."""
    try:
        yield
    except Exception as error:
        raise BadImage(_reason(error), describe(error)) from None


def _reason(error: Exception) -> str:
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
        return "picture.truncated"
    if isinstance(error, MemoryError):
        return "picture.pixels"
    return "picture.corrupt"


class MemoryLimit:
    """Bounds the memory that threads hold at once.

    A request for more than `total` bytes is granted when everything is free.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Wait until `amount` bytes are free, and hold them for the block."""
        amount = min(amount, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
