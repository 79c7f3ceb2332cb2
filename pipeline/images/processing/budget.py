"""What decoding a picture would cost, from its bytes and before it is decoded.

A header may say less than what a decoder will do: a progressive JPEG goes over all its pixels once
for each scan, and an AVIF decoder follows the sizes in the AV1 stream, not those of the file around
it. Both are read here in time linear in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

SCANS = 100  # of a JPEG; encoders write about ten, libjpeg-turbo's own tools refuse over 500
SCANNED_PIXELS = 1_500_000_000  # pixels times scans of a JPEG, some seconds of libjpeg-turbo's time

_SCAN = b"\xff\xda"
_ITEM_LOCATIONS = re.compile(rb"iloc[\0-\2]\0\0\0", re.DOTALL)
_ITEM_DATA = re.compile(b"idat")
_CODEC = re.compile(rb"av1C[\x81]...", re.DOTALL)
_CHUNKS = re.compile(rb"(?:stco|co64)\0\0\0\0", re.DOTALL)
_SEQUENCE_HEADER = 1  # type of an open bitstream unit (AV1 specification, 6.2.2)
# What is looked at in a file, under a second's time: items, their extents and chunks of tracks; and
# the units in all of them.
_MOST_PLACES = 10_000
_MOST_UNITS = 50_000


def jpeg_scans(data: bytes) -> int:
    """Number of scans of a JPEG, those of previews in its metadata included."""
    return data.count(_SCAN)


def avif_pixels(data: bytes) -> int:
    """Pixels of the largest frame that the AV1 streams of an AVIF may hold.

    0 if none is found, and if there may be one that is not looked at.
    """
    most = units = 0
    for number, (start, end) in enumerate(_streams(data)):
        for kind, at, stop in _units(data, start, min(end, len(data))):
            units += 1
            if kind == _SEQUENCE_HEADER:
                most = max(most, _frame_pixels(data[at:stop]))
            if units == _MOST_UNITS:
                return 0
        if number == _MOST_PLACES:
            return 0
    return most


def _streams(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of what may hold sequence headers: codec settings, items, chunks of tracks."""
    for found in _CODEC.finditer(data):
        size = int.from_bytes(data[found.start() - 4 : found.start()])
        yield found.end(), found.start() - 4 + size
    boxes = [found.end() for found in islice(_ITEM_DATA.finditer(data), _MOST_PLACES)]
    for found in _ITEM_LOCATIONS.finditer(data):
        for in_box, start, length in _items(data, found.start() + 4):
            for base in (boxes or [len(data)]) if in_box else [0]:  # a decoder may choose any
                yield base + start, base + start + length if length else len(data)
    for found in _CHUNKS.finditer(data):
        width = 8 if found[0].startswith(b"co64") else 4
        at = found.end() + 4
        for _ in range(int.from_bytes(data[found.end() : at])):
            if at + width > len(data):
                break
            yield int.from_bytes(data[at : at + width]), len(data)
            at += width


def _items(data: bytes, at: int) -> Iterator[tuple[bool, int, int]]:
    """Whether in the item data box, offset and length of each extent (ISO/IEC 14496-12, 8.11.3).

    An item without extents counts as one.
    """
    version = data[at]
    sizes = data[at + 4 : at + 6].ljust(2, b"\0")
    offset_size, length_size = sizes[0] >> 4, sizes[0] & 15
    base_size, index_size = sizes[1] >> 4, sizes[1] & 15 if version else 0
    wide = 4 if version == 2 else 2
    position = at + 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        return int.from_bytes(data[position - size : position])

    for _ in range(number(wide)):
        number(wide)  # id
        in_box = number(2) & 15 == 1 if version else False  # construction method
        number(2)  # data reference
        base = number(base_size)
        extents = number(2)
        for _ in range(extents):
            number(index_size)
            offset = number(offset_size)
            yield in_box, base + offset, number(length_size)
        if not extents:
            yield False, len(data), 0
        if position > len(data):
            return


def _units(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, start and end of each open bitstream unit in a series (AV1 specification, 5.3)."""
    while at < end:
        head = data[at]
        if head & 0x81:  # forbidden bits
            return
        if not head & 2:  # a unit without a size is the last one
            yield head >> 3 & 15, at + 1 + (head >> 2 & 1), end
            return
        at += 2 if head & 4 else 1
        size = shift = 0
        while at < end:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 56:
                break
        yield head >> 3 & 15, at, min(at + size, end)
        at += size


class _Bits:
    """Reads a header bit by bit; zeros follow its end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:64].ljust(64, b"\0")), 512

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self._left = max(0, self._left - count)
        return self._value >> self._left & (1 << count) - 1


def _frame_pixels(data: bytes) -> int:
    """Most pixels of a frame by a sequence header (AV1 specification, 5.5.1)."""
    bits = _Bits(data)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # reduced header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):  # equal intervals: their length as a number of variable length
            zeros = 0
            while zeros < 32 and not bits.take(1):
                zeros += 1
            bits.take(zeros)
        if bits.take(1):  # decoder model
            delay_bits = bits.take(5) + 1
            bits.take(42)
    delays = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if delays and bits.take(1):
            bits.take(4)
