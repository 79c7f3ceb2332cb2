from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from benben.analysis.safe_html import MAX_PIXELS, thumbnail


def encode(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def decode(uri: str | None) -> Image.Image:
    assert uri is not None
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_any_format_becomes_a_small_jpeg(kind: str) -> None:
    small = decode(thumbnail(encode(Image.new("RGB", (800, 400), "red"), kind), 100))
    assert small.size == (100, 50)
    assert small.getpixel((50, 25))[0] > 240


def test_transparency_lies_on_white() -> None:
    small = decode(thumbnail(encode(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG")))
    assert small.getpixel((25, 25)) == (255, 255, 255)


def test_what_is_no_picture_is_none() -> None:
    whole = encode(Image.effect_noise((300, 300), 50), "PNG")
    for stored in (b"", b"<html>", whole[: len(whole) // 2]):
        assert thumbnail(stored) is None


def test_a_bomb_is_not_decoded() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    assert thumbnail(encode(Image.new("1", (side, side)), "PNG")) is None
