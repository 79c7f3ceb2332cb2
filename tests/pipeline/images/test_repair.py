"""Pictures that browsers show whole are read; those whose pixels are missing are not."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benben.pipeline.images.processing.picture import Decoder, Picture, sniff
from tests.web import settings

SIZE = (210, 141)


def scene() -> Image.Image:
    """A picture without flat parts, so that missing pixels show."""
    noise = np.random.default_rng(11).normal(120, 45, (14, 21, 3))
    small = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    return small.resize(SIZE, Image.Resampling.BICUBIC)


def encoded(form: str, **options: Any) -> bytes:
    out = BytesIO()
    scene().save(out, form, **options)
    return out.getvalue()


def decode(data: bytes) -> Picture:
    return Decoder(settings()).decode(data)


def same_picture(data: bytes, whole: bytes) -> bool:
    found, wanted = decode(data), decode(whole)
    assert found.reason is None, (found.reason, found.detail)
    return (found.width, found.height, found.phash) == (wanted.width, wanted.height, wanted.phash)


# PNG

PNG = encoded("PNG")
HEAD_END = 33  # after the signature and IHDR


def chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def with_chunk(kind: bytes, body: bytes, checksum: int | None = None) -> bytes:
    return PNG[:HEAD_END] + chunk(kind, body, checksum) + PNG[HEAD_END:]


XMP = b"XML:com.adobe.xmp\0\1\0\0\0"


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(b"iCCP", b"wide\0\0" + zlib.compress(bytes(2_500_000))),
        with_chunk(b"iTXt", XMP + zlib.compress(b"<rdf>" * 400_000)),
        PNG[:-12] + chunk(b"zTXt", b"log\0\0" + zlib.compress(b"x" * 1_200_000)) + PNG[-12:],
        with_chunk(b"tEXt", b"Software\0painter", 77),
        with_chunk(b"gAMA", struct.pack(">I", 45_455), 0),
        with_chunk(b"prVt", b"of one program", 5),
        with_chunk(b"iCCP", b"name\0\7unknown method"),
        with_chunk(b"gAMA", b"\0"),
        with_chunk(b"tRNS", b"\1"),
        with_chunk(b"tRNS", bytes(6), 9),
        with_chunk(b"acTL", struct.pack(">II", 4, 0), 1),
        with_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 8, 9999, 9, 0, 0, 1, 1, 0, 0)),
        PNG[:-12],
        PNG + b"trailing bytes",
    ],
    ids=[
        "profile of 2.5 MB", "xmp of 2 MB", "long text behind the pixels", "checksum of text",
        "checksum of gamma", "checksum of a private chunk", "profile of an unknown method",
        "short gamma", "short transparency", "checksum of transparency", "checksum of animation",
        "frame larger than the picture", "no end", "trailing bytes",
    ],
)  # fmt: skip
def test_png_with_odd_metadata_is_read(data: bytes) -> None:
    assert same_picture(data, PNG)


def test_png_keeps_transparency_orientation_and_animation_when_it_is_repaired() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [scene().convert("RGBA"), scene().rotate(180).convert("RGBA")]
    out = BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], exif=exif)
    data = out.getvalue()
    damaged = data[:HEAD_END] + chunk(b"tEXt", b"a\0b", 1) + data[HEAD_END:]
    found, wanted = decode(damaged), decode(data)
    assert (found.orientation, found.animated, found.mode) == (6, True, "RGBA")
    assert (found.width, found.height, found.phash) == (141, 210, wanted.phash)
    palette = BytesIO()
    scene().convert("P").save(palette, "PNG", transparency=3)
    data = palette.getvalue()
    damaged = data[:HEAD_END] + chunk(b"tEXt", b"a\0b", 1) + data[HEAD_END:]
    assert same_picture(damaged, data)


@pytest.mark.parametrize(
    "data",
    [
        PNG[: len(PNG) // 2],
        PNG[:HEAD_END] + PNG[-12:],
        PNG[:29] + b"\0\0\0\0" + PNG[HEAD_END:],
        PNG[:40],
    ],
    ids=["cut pixels", "no pixels", "checksum of the head", "cut in a head"],
)
def test_png_without_its_pixels_is_refused(data: bytes) -> None:
    assert decode(data).reason in ("picture.truncated", "picture.corrupt")


# JPEG

JPEGS = {
    "baseline": encoded("JPEG", quality=85),
    "progressive": encoded("JPEG", quality=85, progressive=True),
    "full colour": encoded("JPEG", quality=95, subsampling=0),
    "restarts": encoded("JPEG", restart_marker_rows=1),
}


@pytest.mark.parametrize("name", JPEGS)
def test_jpeg_without_its_end_mark_is_read(name: str) -> None:
    data = JPEGS[name]
    assert same_picture(data[:-2], data)
    assert same_picture(data[:-1], data)
    assert same_picture(data[:-2] + b"\n", data)
    assert same_picture(data[:-2] + bytes(40), data)


def test_jpeg_with_an_ended_thumbnail_and_no_end_of_its_own_is_read() -> None:
    inner = BytesIO()
    scene().resize((40, 30)).save(inner, "JPEG")
    thumbnail = b"Exif\0\0" + inner.getvalue()
    data = JPEGS["baseline"]
    app1 = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert same_picture(data[:2] + app1 + data[2:-2], data)


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
def test_jpeg_without_its_last_rows_is_refused(name: str, share: float) -> None:
    data = JPEGS[name]
    assert decode(data[: int(len(data) * share)]).reason == "picture.truncated"


# AVIF and WebP


def branded(data: bytes, major: bytes, *compatible: bytes) -> bytes:
    """An AVIF with other brands and the same length, since boxes name places in the file."""
    size = int.from_bytes(data[:4])
    brands = b"".join(compatible).ljust(size - 16, b" ")
    return data[:8] + major + bytes(4) + brands + data[size:]


@pytest.mark.parametrize("major", [b"mif1", b"msf1", b"miaf", b"MA1B", b"heic"])
def test_avif_is_known_by_its_compatible_brands(major: bytes) -> None:
    data = encoded("AVIF")
    assert sniff(branded(data, major, b"miaf", b"avif")) == "avif"
    assert same_picture(branded(data, major, b"avif"), data)
    assert sniff(branded(data, major, b"heic")) == "heif"


def test_webp_of_a_wrong_length_is_read() -> None:
    data = encoded("WEBP")
    for length in (len(data), len(data) - 9, len(data) + 500, 4):
        assert same_picture(data[:4] + struct.pack("<I", length) + data[8:], data)
    long = encoded("WEBP", exif=b"Exif\0\0" + bytes(60))
    assert same_picture(long[:-30], data)
    assert decode(data[:-300]).reason == "picture.corrupt"
