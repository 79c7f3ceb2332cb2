"""What a picture says against its own use, read from its bytes before they are decoded or stored.

PLUS `DataMining` of the IPTC Photo Metadata Standard 2023.1 and `tdm:reservation` of TDMRep stand
in XMP; the assertion on training and data mining of C2PA and CAWG stands in a C2PA manifest. Both
lie in all formats as plain bytes, except for compressed text chunks of PNG, so a search finds them.
It leaves out the pixels of JPEG, PNG and WebP, which are most of the bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

MAX_FOUND = 64  # of each kind that are read
MAX_CHUNKS = 10_000  # of a file that are told apart
PNG_PIXELS = frozenset((b"IDAT", b"fdAT", b"PLTE"))
WEBP_PIXELS = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ANMF"))
MAX_XMP = 1 << 20  # bytes of a compressed text chunk
_PNG_XMP = b"XML:com.adobe.xmp\0\x01\0"  # an iTXt chunk whose text is compressed
_MINING, _RESERVATION, _ASSERTION = b"DataMining", b"tdm:reservation", b"training-mining"
# The value follows as an attribute, as text or as a resource: a term of the PLUS vocabulary.
_TERM = re.compile(rb"DMI-([A-Z-]{1,60})", re.IGNORECASE)
_RESERVED = re.compile(rb"\s*(?:=\s*[\"']|>)\s*(?:1|true)\b", re.IGNORECASE)
_XMP_WINDOW, _WINDOW = 300, 4_096
# Entries of the assertion; in CBOR as in JSON the texts follow each other in plain bytes.
_ENTRY = re.compile(
    rb"(?:c2pa|cawg)\.(data_mining|ai_training|ai_generative_training|ai_inference)"
    rb"(?:(?!c2pa\.|cawg\.).){0,120}?(notAllowed|constrained|allowed)",
    re.DOTALL,
)


def metadata_refusal(data: bytes) -> str | None:
    """What the metadata of a picture says against training, such as "DMI-PROHIBITED"."""
    plain = _without_pixels(data)
    for text in (plain, *_compressed_xmp(plain)):
        refusal = _xmp_refusal(text)
        if refusal is not None:
            return refusal
    return _c2pa_refusal(plain)


def _without_pixels(data: bytes) -> bytes:
    """The bytes without pixels, as far as the structure of the file can be followed."""
    if data.startswith(b"\xff\xd8"):
        return data[: _start_of_scan(data)]
    if data.startswith(b"\x89PNG"):
        return _chunks_left(data, 8, 4, PNG_PIXELS)
    if data.startswith(b"RIFF"):
        return _chunks_left(data, 12, 0, WEBP_PIXELS)
    return data


def _start_of_scan(data: bytes) -> int:
    """Where the pixels of a JPEG begin; its end if its segments cannot be followed."""
    position = 2
    for _ in range(MAX_CHUNKS):
        marker = data[position : position + 2]
        if len(marker) < 2 or marker[0] != 0xFF:
            break
        if marker[1] == 0xDA:
            return position
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return len(data)


def _chunks_left(data: bytes, position: int, check: int, pixels: frozenset[bytes]) -> bytes:
    """The chunks of a PNG or a WebP that hold no pixels, and all that follows a broken one.

    A chunk of PNG is its length, name, bytes and checksum; one of WebP its name, length and bytes,
    filled up to an even length.
    """
    kept = []
    for _ in range(MAX_CHUNKS):
        head = data[position : position + 8]
        if len(head) < 8:
            break
        if check:
            size, name = int.from_bytes(head[:4]), head[4:]
        else:
            size, name = int.from_bytes(head[4:], "little"), head[:4]
        end = position + 8 + size + (check or size % 2)
        if name not in pixels:
            kept.append(data[position:end])
        position = end
    return b"".join((*kept, data[position:]))


def _windows(data: bytes, word: bytes, size: int) -> Iterator[bytes]:
    """What follows each place of a word."""
    position = data.find(word)
    for _ in range(MAX_FOUND):
        if position < 0:
            return
        position += len(word)
        yield data[position : position + size]
        position = data.find(word, position)


def _compressed_xmp(data: bytes) -> Iterator[bytes]:
    for chunk in _windows(data, _PNG_XMP, MAX_XMP):
        parts = chunk.split(b"\0", 2)  # the language and the translated keyword precede the text
        try:
            yield zlib.decompressobj().decompress(parts[-1], MAX_XMP)
        except zlib.error:
            continue


def _xmp_refusal(text: bytes) -> str | None:
    for after in _windows(text, _MINING, _XMP_WINDOW):
        found = _TERM.search(after)
        if found and found[1].upper().startswith(b"PROHIBITED"):
            return f"DMI-{found[1].decode().upper()}"
    reserved = any(map(_RESERVED.match, _windows(text, _RESERVATION, 40)))
    return "tdm:reservation" if reserved else None


def _c2pa_refusal(data: bytes) -> str | None:
    """The entry of the assertion that does not allow training; unread entries do not either."""
    entries: list[tuple[bytes, bytes]] = []
    named = False
    for after in _windows(data, _ASSERTION, _WINDOW):
        named = True
        entries += _ENTRY.findall(after)
    for name, use in entries:
        if name != b"ai_inference" and use != b"allowed":
            return f"{name.decode()}: {use.decode()}"
    return "training-mining: unread" if named and not entries else None
