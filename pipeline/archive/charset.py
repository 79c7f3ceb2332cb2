"""The encoding of a page, and its text.

The order is that of the WHATWG Encoding Standard (labels, BOM) and of the HTML Standard, 13.2.3
(transport, meta prescan, then detection). Unlike the standards, this ignores a declaration that the
bytes contradict, since servers and authors of old pages often disagree. Well-formed UTF-8 is UTF-8
whatever is declared, which is also the fastest test; damaged UTF-8 is UTF-8 if what is left of it
can hardly be anything else.
"""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding
from webencodings import LABELS

from benben.pipeline.archive.http_response import media_type

PRESCAN = 1024  # bytes, HTML Standard 13.2.3.2
LATE_PRESCAN = 32 << 10  # browsers also find metas that come later, after scripts and comments
DETECT = 64 << 10  # bytes shown to the detector
MOST_REPLACED = 0.1  # of the characters beyond ASCII; with more, the declaration is wrong
# Characters beyond ASCII that must be well-formed UTF-8 for each damaged one: if header and meta
# say UTF-8, if one of them does, and if nothing does. Other encodings give a few by accident.
GOOD_IF_AGREED, GOOD_IF_DECLARED, GOOD_ALWAYS = 1, 2, 20
SURE = 10  # such characters, for UTF-8 that nothing declares
LATIN_LETTERS = 0.35  # share of letters beyond ASCII; no language in Latin script has more

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
)
_META = re.compile(
    rb"<meta[\s/][^>]{0,512}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([^\"'\s;>/]{1,40})", re.IGNORECASE
)
_XML = re.compile(rb"\s{0,99}<\?xml[^>]{1,99}?encoding\s*=\s*[\"']([\w.:-]{1,40})", re.IGNORECASE)
_LETTER = re.compile(rb"[A-Za-z]")

# Python's codec with the table of the standard, where its name differs.
_CODECS = {
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "gbk": "gb18030",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-8859-8-i": "iso-8859-8",
    "macintosh": "mac_roman",
    "shift_jis": "cp932",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-user-defined": "latin-1",
}

_NOT_ASCII = ("iso-2022-jp", "utf-16be", "utf-16le")  # bytes below 128 mean other things
# Names of the detector that are no labels of the standard.
_GUESSES = {"cp949": "euc-kr", "iso2022_jp": "iso-2022-jp", "mac_cyrillic": "x-mac-cyrillic"}
# Tried when the codec fails: the EUC-JP of the standard includes the rows added by NEC and IBM.
_WIDER = {"euc-jp": "euc_jis_2004"}


def whatwg_label(label: str) -> str | None:
    """Map a label, such as "latin1", to the name of the encoding in lower case; None if unknown.

    Labels of the "replacement" encoding (such as hz-gb-2312), which browsers refuse to decode,
    count as unknown.
    """
    name = LABELS.get(label.strip("\t\n\f\r ").lower())
    return name if name != "replacement" else None


def decode_html(payload: bytes, content_type: str | None) -> tuple[str, str]:
    """Return the text of a page and the WHATWG name of its encoding; never fails.

    `content_type` is the value of the HTTP header.
    """
    _, html, charset = _read(payload, content_type)
    return html, charset


def to_utf8(payload: bytes, content_type: str | None) -> tuple[bytes, str]:
    """Return a page in UTF-8, and the name of the encoding it had; see `decode_html`."""
    same, html, charset = _read(payload, content_type)
    return html.encode("utf-8", "replace") if same is None else same, charset


def _read(payload: bytes, content_type: str | None) -> tuple[bytes | None, str, str]:
    """Return the bytes of a page if they are the UTF-8 of its text, the text, the encoding."""
    for bom, name in _BOMS:
        if payload.startswith(bom):
            payload = payload[len(bom) :]
            return None, payload.decode(name, "replace"), name
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None, *_guess(payload, "", content_type)
    if not text.isascii():
        return payload, text, "utf-8"
    found, charset = _guess(payload, text, content_type)
    return payload if found is text else None, found, charset


def _guess(payload: bytes, text: str, content_type: str | None) -> tuple[str, str]:
    """Decode what is ASCII (`text`), or not in UTF-8."""
    label = media_type(content_type)[1]
    header, meta = whatwg_label(label) if label else None, _declared_in(payload)
    declared = header or meta
    if not text and (damaged := _damaged_utf8(payload, header, meta)):
        return damaged, "utf-8"
    if declared is not None:
        if text and declared not in _NOT_ASCII:
            return text, declared
        believed = _believe(payload, declared)
        if believed is not None:
            return believed, declared
    return _detect(payload, text, declared)


def _damaged_utf8(payload: bytes, header: str | None, meta: str | None) -> str | None:
    """Return the text of UTF-8 in which a few bytes are wrong, with marks for them; else None."""
    text = payload.decode("utf-8", "replace")
    marks = text.count("\ufffd")
    good = _beyond_ascii(text) - marks
    bad = marks - payload.count("\ufffd".encode())
    declared = (header, meta).count("utf-8")
    if declared and (declared == 2 or (header or meta) == "utf-8"):
        wanted = GOOD_IF_AGREED if declared == 2 else GOOD_IF_DECLARED
        return text if good and good >= wanted * bad else None
    return text if good >= max(SURE, GOOD_ALWAYS * bad) else None


def _declared_in(payload: bytes) -> str | None:
    """Return the encoding that a meta element or an XML declaration names."""
    for found in _META.finditer(payload, 0, LATE_PRESCAN):
        before = payload[: found.start()]
        if before.rfind(b"<!--") > before.rfind(b"-->"):
            continue
        name = whatwg_label(found[1].decode("latin-1"))
        if name is not None:  # a page whose meta could be read is not in UTF-16
            return "utf-8" if name.startswith("utf-16") else name
    xml = _XML.match(payload)
    return whatwg_label(xml[1].decode("latin-1")) if xml else None


def _believe(payload: bytes, name: str) -> str | None:
    """Return the text if the bytes fit the declaration, else None."""
    if name.startswith("utf-16"):
        return payload.decode(name, "replace") if b"\0" in payload[:PRESCAN] else None
    if name == "windows-1252" and not _may_be_latin(payload):
        return None
    text = _decode(payload, name)
    return text if _mostly_fits(text) else None


def _mostly_fits(text: str) -> bool:
    """Tell whether few enough characters could not be decoded."""
    replaced = text.count("\ufffd")
    return replaced == 0 or replaced <= MOST_REPLACED * _beyond_ascii(text)


def _beyond_ascii(text: str) -> int:
    """Number of characters beyond ASCII."""
    return len(text) - len(text.encode("ascii", "ignore"))


def _may_be_latin(payload: bytes) -> bool:
    """Tell whether letters beyond ASCII are as rare as in languages of Latin script."""
    head = re.sub(rb"<[^>]{0,2048}>", b" ", payload[:DETECT])
    beyond = len(head) - len(head.translate(None, bytes(range(0xC0, 0x100))))
    return beyond <= LATIN_LETTERS * (beyond + len(_LETTER.findall(head)))


def _detect(payload: bytes, ascii_text: str, declared: str | None) -> tuple[str, str]:
    """Guess the encoding from the bytes; a declaration that did not fit is the last resort."""
    if ascii_text and "\x1b" not in ascii_text and "\0" not in ascii_text[:PRESCAN]:
        return ascii_text, "windows-1252"
    guess = detect_encoding(payload, DETECT, False) or ""
    name = whatwg_label(_GUESSES.get(guess, guess.replace("_", "-")))
    if name is None or name == declared:
        name = declared or "windows-1252"
    return _decode(payload, name), name


def _decode(payload: bytes, name: str) -> str:
    wider = _WIDER.get(name)
    if wider is not None:
        try:
            return payload.decode(name)
        except UnicodeDecodeError:
            return payload.decode(wider, "replace")
    return payload.decode(_CODECS.get(name, name), "replace")
