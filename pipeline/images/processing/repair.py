"""Pictures that our decoder refuses although browsers show them whole, changed so that it does not.

What is changed is never a pixel: metadata goes, a missing end mark or a wrong length or brand is
put right. A picture of which pixels are missing stays refused.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

# Chunks of a PNG that say what it looks like; of these, the ancillary ones are optional.
# https://www.w3.org/TR/png-3/#11Chunks
_PNG_SIZE = 8  # bytes of the signature
_PNG_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PNG_OPTIONAL = (b"tRNS", b"eXIf", b"acTL")
_PNG_COLOUR_TYPE = 25  # its place in the file
_TRNS_BYTES = {0: 2, 2: 6}  # needed, by colour type

_JPEG_END, _JPEG_SCAN = b"\xff\xd9", b"\xff\xda"
_JPEG_MORE = b"\xa5" * 64  # more bits for the last scan; a whole picture does not read them

_WEBP_META = (b"EXIF", b"XMP ", b"ICCP")


def repaired(data: bytes, name: str) -> bytes | None:
    """Return another form of a refused picture that shows the same; None if there is none.

    `name` is the format as `sniff` names it. A JPEG is decoded twice, the others are not decoded.
    """
    repair = _REPAIRS.get(name)
    changed = repair(data) if repair else None
    return None if changed == data else changed


def _png(data: bytes) -> bytes:
    """Leave out chunks without influence on the pixels, and optional ones that are damaged."""
    view = memoryview(data)
    parts = [view[:_PNG_SIZE]]
    for kind, start, end in _png_chunks(data):
        if kind in _PNG_OPTIONAL:
            sum_ = int.from_bytes(view[end - 4 : end])
            useful = zlib.crc32(view[start + 4 : end - 4]) == sum_
            if kind == b"tRNS":
                useful &= end - start - 12 >= _TRNS_BYTES.get(data[_PNG_COLOUR_TYPE], 0)
        else:
            useful = kind in _PNG_NEEDED
        if useful:
            parts.append(view[start:end])
    return b"".join(parts)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk; the last may be cut."""
    start = _PNG_SIZE
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        yield data[start + 4 : start + 8], start, end
        start = end


def _jpeg(data: bytes) -> bytes | None:
    """Add the end mark that is missing, if nothing else is.

    More bits before the mark are read, and change the picture, only if the last scan is not whole.
    """
    if data.rfind(_JPEG_END) > data.rfind(_JPEG_SCAN):
        return None
    start = data.rstrip(b"\xff")
    ended = start + _JPEG_END
    return ended if _pixels(ended) == _pixels(start + _JPEG_MORE + _JPEG_END) else None


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return hashlib.blake2b(image.tobytes()).digest()


def _avif(data: bytes) -> bytes:
    """Name AVIF as the major brand; it may be among the compatible brands only (AVIF 1.1, 6)."""
    return data[:8] + b"avif" + data[12:]


def _webp(data: bytes) -> bytes | None:
    """Correct the length of the file, and leave out metadata that is cut at the end."""
    end = 12
    while end + 8 <= len(data):
        size = int.from_bytes(data[end + 4 : end + 8], "little")
        behind = end + 8 + size + size % 2
        if behind > len(data) + size % 2:
            if data[end : end + 4] not in _WEBP_META:
                return None
            break
        end = behind
    body = data[8:end].ljust(end - 8, b"\0")
    return data[:4] + len(body).to_bytes(4, "little") + body


_REPAIRS: dict[str, Callable[[bytes], bytes | None]] = {
    "png": _png,
    "jpeg": _jpeg,
    "avif": _avif,
    "webp": _webp,
}
