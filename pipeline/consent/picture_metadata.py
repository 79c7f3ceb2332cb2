"""What a picture says against its own use, read from its bytes before they are decoded or stored.

PLUS `DataMining` of the IPTC Photo Metadata Standard 2023.1 and `tdm:reservation` of TDMRep stand
in XMP; the assertion on training and data mining of C2PA and CAWG stands in a C2PA manifest. Both
lie in all formats as plain bytes, except for compressed text chunks of PNG, so a search finds them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

MAX_FOUND = 64  # of each kind that are read
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
    for text in (data, *_compressed_xmp(data)):
        refusal = _xmp_refusal(text)
        if refusal is not None:
            return refusal
    return _c2pa_refusal(data)


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
