"""Pictures that would cost their decoder more than their size says are refused before."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from benben.pipeline.images.processing import budget
from benben.pipeline.images.processing.picture import Decoder, Picture
from tests.web import settings

SIZE = (64, 48)


def encoded(kind: str, size: tuple[int, int] = SIZE, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "red").save(out, kind, **options)
    return out.getvalue()


def decoded(data: bytes) -> Picture:
    return Decoder(settings()).decode(data)


def with_scans(number: int) -> bytes:
    """A progressive JPEG whose last scan is there many times."""
    data = encoded("JPEG", (400, 300), progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * number + b"\xff\xd9"


def test_scans_of_a_jpeg_are_limited() -> None:
    assert decoded(encoded("JPEG", progressive=True)).reason is None
    assert decoded(with_scans(budget.SCANS + 1)).reason == "picture.scans"


def test_scans_times_pixels_of_a_jpeg_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoded(with_scans(30)).reason is None
    monkeypatch.setattr(budget, "SCANNED_PIXELS", 30 * 400 * 300)
    assert decoded(with_scans(30)).reason == "picture.scans"


@pytest.mark.parametrize("size", [SIZE, (1001, 333), (2500, 1), (1, 1)])
@pytest.mark.parametrize("options", [{}, {"quality": 100}, {"subsampling": "4:4:4"}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_size_in_the_stream_of_an_avif_is_found(
    size: tuple[int, int], options: dict[str, Any], mode: str
) -> None:
    data = encoded("AVIF", size, mode, **options)
    assert budget.avif_pixels(data) == size[0] * size[1]


def test_what_lies_behind_a_stream_is_not_taken_for_one() -> None:
    for number in range(1, 40):
        size = (16 + 7 * number, 9 + 5 * number)
        out = io.BytesIO()
        Image.effect_noise(size, 80).save(out, "AVIF", quality=number)
        assert budget.avif_pixels(out.getvalue()) == size[0] * size[1]


def test_the_size_in_the_stream_of_an_animated_avif_is_found() -> None:
    more = [Image.new("RGB", SIZE, "blue")] * 3
    data = encoded("AVIF", save_all=True, append_images=more)
    assert budget.avif_pixels(data) == SIZE[0] * SIZE[1]


def test_an_avif_that_lies_about_its_size_is_refused() -> None:
    small, large = encoded("AVIF", SIZE), encoded("AVIF", (4000, 3900))
    size = b"ispe" + bytes(4)
    told = small[small.index(size) :][:16]
    lying = large.replace(large[large.index(size) :][:16], told)
    picture = decoded(lying)
    assert (picture.reason, picture.width, picture.height) == ("picture.pixels", *SIZE)


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_are_scanned(seed: int) -> None:
    data = bytearray(encoded("AVIF"))
    for place in range(seed, len(data), 37):
        data[place] ^= 0xFF >> seed % 8
    assert budget.avif_pixels(bytes(data)) >= 0
    assert budget.avif_pixels(bytes(data[: seed * 20])) >= 0


def locations(version: int, sizes: bytes, items: bytes) -> bytes:
    """An item location box from its version on."""
    return b"iloc" + bytes([version, 0, 0, 0]) + sizes + items


UNCLEAR = {
    "items without extents": locations(2, b"\0\0", b"\xff" * 4) + bytes(2_000_000),
    "extents without a size": locations(1, b"\0\0", b"\xff" * 2) + b"\0\1\0\1\0\0\xff\xff" * 99_999,
    "many boxes": locations(0, b"\0\0", b"\xff" * 2) * 200_000,
    "many item data boxes": locations(1, b"\0\0", b"\xff" * 2) + b"\0\1\0\1" * 9 + b"idat" * 99_999,
    "many chunks": b"stco" + bytes(4) + b"\0\xff\xff\xff" + bytes(400_000),
    "many units": b"av1C\x81" + bytes(3) + b"\x12\0" * 99_999,
    "many codec settings": b"\xff\xff\xff\xffav1C\x81" * 99_999,
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_an_avif_that_is_not_looked_at_whole_is_refused(name: str) -> None:
    """Its pixels are not those of what was found; nor does looking take long."""
    real = encoded("AVIF")
    assert budget.avif_pixels(real) > 0
    assert budget.avif_pixels(real[:-4] + UNCLEAR[name]) == 0


def test_each_item_data_box_may_be_the_one_that_is_decoded() -> None:
    large = encoded("AVIF", (1600, 1200))
    header = large.index(b"\x0a", large.index(b"mdat"))  # a unit with a sequence header
    item = locations(1, b"\0\0", b"\0\1" + b"\0\1\0\1\0\0\0\1")
    data = encoded("AVIF") + item + b"idat" + bytes(20) + b"idat" + large[header:]
    assert budget.avif_pixels(data) == 1600 * 1200
