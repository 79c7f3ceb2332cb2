"""One image's bytes, decoded once: format by content, size, hashes, signals, or a reason.

Nothing is trusted: the size is checked before pixels are decoded, and everything a decoder raises
becomes a reason. JPEGs are decoded at a reduced scale where signals allow it (all of the stream is
still read, so truncation is seen).
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from PIL import Image, ImageFile

from benben.pipeline.images.fetch.budget import ThreadBudget
from benben.pipeline.images.processing import pixels as px
from benben.pipeline.settings.fetch import FetchSettings, ReencodeSettings

# Peak memory of a decode in bytes a pixel.
DECODE_COST = {"jpeg": 8, "png": 10, "gif": 10, "webp": 17, "avif": 20, "tiff": 16, "bmp": 10}
ORIENTATION = 0x0112  # EXIF tag
TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP = 322, 323, 278  # TIFF tags
NOT_PICTURES = ("html", "svg")
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
SNIFF_BYTES = 1_024

BLOCK_BYTES = 64 << 20  # above glibc's largest mmap threshold, so that freed blocks go back

ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # `Decoder` checks the size itself, against the config
Image.core.set_block_size(BLOCK_BYTES)  # type: ignore[attr-defined]
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of broken metadata


class Bad(Exception):
    """An image that gives no picture; `reason` goes into the ledger."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(slots=True)
class Picture:
    """What one decode measured. Names are columns of `images`."""

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


Use = Callable[[Picture, Image.Image], None]


def sniff(data: bytes) -> str | None:
    """Format of an image by its first bytes; "svg" and "html" for markup, None if unknown."""
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return {b"avif": "avif", b"avis": "avif"}.get(data[8:12], "heif")
    start = data[:SNIFF_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<"):
        return "svg" if b"<svg" in start and b"<html" not in start else "html"
    return None


@contextmanager
def reasons() -> Iterator[None]:
    """Turn whatever a decoder raises on hostile bytes into Bad."""
    try:
        yield
    except Exception as error:
        raise Bad(_why(error), f"{type(error).__name__}: {error}") from None


class Decoder:
    """Decodes under a config's limits; safe to share between threads.

    `decodes` counts decodes, so that "once an image" can be checked.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._memory = ThreadBudget(settings.limits.decode_bytes)
        self._whole = settings.reencode is not None
        self.decodes = 0
        Image.init()

    def decode(self, data: bytes, use: Use | None = None, sha256: str | None = None) -> Picture:
        """Measure one image. Bad data gives a picture with a reason.

        `sha256` is the data's, where the caller has it. `use` is given the pixels of a good one,
        upright and without transparency: all of them when the config re-encodes, else a small
        copy. They are gone after it returns.
        """
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        picture = Picture(sha256, len(data), sniff(data))
        try:
            self._decode(data, picture, use)
        except Bad as bad:
            picture.reason, picture.detail = bad.reason, bad.detail[:200] or None
        return picture

    def screen(self, start: bytes) -> str:
        """Format of an image by its first bytes. Raises Bad when it will not be decoded."""
        name = sniff(start)
        if not start:
            raise Bad("picture.empty")
        if name is None or name in NOT_PICTURES:
            raise Bad("picture.not_image", name or "")
        if name not in self._settings.formats:
            raise Bad("picture.format", name)
        return name

    def _decode(self, data: bytes, picture: Picture, use: Use | None) -> None:
        name = self.screen(data)
        with reasons():
            image = Image.open(io.BytesIO(data), formats=[name.upper()])
        with image:
            cost = self._check(image, picture)
            with self._memory.hold(cost), closing(image):  # pixels go before the hold does
                self.decodes += 1
                with reasons():
                    small = self._measure(image, picture)
                if use is not None:
                    use(picture, self._all_of(image, picture) if self._whole else small)

    def _check(self, image: Image.Image, picture: Picture) -> int:
        """Take the facts of the header; return the decode's memory in bytes."""
        limits = self._settings.limits
        picture.mode = image.mode
        picture.width, picture.height = image.size
        number = max(image.width * image.height, _tile_pixels(image))
        cost = number * DECODE_COST[picture.format or ""]
        if number > limits.pixels or cost > limits.decode_bytes:
            raise Bad("picture.pixels", f"{picture.width}x{picture.height}")
        return cost

    def _measure(self, image: Image.Image, picture: Picture) -> Image.Image:
        side = self._settings.signal_side
        picture.animated = bool(getattr(image, "is_animated", False))
        if image.format == "JPEG" and not self._whole:
            image.draft(None, (min(side, image.width), min(side, image.height)))
        image.load()
        picture.orientation = _orientation(image)
        if picture.orientation in px.SWAPPED:
            picture.width, picture.height = picture.height, picture.width
        small = px.upright(px.small_copy(image, side), picture.orientation)
        grey = small.convert("L")
        picture.phash = px.perceptual_hash(grey)
        picture.blur, picture.entropy, picture.flatness = px.measure(grey)
        return small

    def _all_of(self, image: Image.Image, picture: Picture) -> Image.Image:
        return px.upright(px.flatten(image), picture.orientation or 1)


def reencode(image: Image.Image, settings: ReencodeSettings) -> bytes:
    """Encode a picture anew, scaled down to the largest side; no metadata goes along."""
    side = settings.max_side
    if side is not None and max(image.size) > side:
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    clean = Image.frombytes(image.mode, image.size, image.tobytes())
    out = io.BytesIO()
    clean.save(out, settings.format.upper(), quality=settings.quality)
    return out.getvalue()


def _orientation(image: Image.Image) -> int:
    try:
        value = int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF is no reason to lose an image
        return 1
    return value if 1 <= value <= 8 else 1


def _tile_pixels(image: Image.Image) -> int:
    """Pixels of a TIFF's tile or strip, which is decoded whole however small the image."""
    tags = getattr(image, "tag_v2", None)
    if not tags:
        return 0
    strip = min(int(tags.get(ROWS_PER_STRIP, 0)), 2**31) * image.width
    if strip > image.width * image.height:
        strip = 0  # "all rows": bounded by the image
    return max(strip, int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_LENGTH, 0)))


def _why(error: Exception) -> str:
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or isinstance(error, EOFError):
        return "picture.truncated"
    if isinstance(error, MemoryError):
        return "picture.pixels"
    return "picture.corrupt"
