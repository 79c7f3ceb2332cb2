"""Forms of input that try to cost more than their bytes: pages, pictures, bodies, site files.

Each form makes at most `size` bytes. Those that a limit refuses whatever their size are small.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable

import brotli
from PIL import Image

Form = Callable[[int], bytes]


def filled(text: str, before: str = "", after: str = "", most: int = 10**8) -> Form:
    """A form that repeats a text."""

    def make(size: int) -> bytes:
        room = size - len(before.encode()) - len(after)
        number = min(most, max(1, room // len(text.encode())))
        return (before + text * number + after).encode()

    return make


def numbered(text: str, before: str = "", after: str = "", most: int = 10**7) -> Form:
    """A form that repeats a text with numbers in place of `{}`."""

    def make(size: int) -> bytes:
        number = min(most, size // (len(text) + 6))
        return (before + "".join(text.format(n) for n in range(number)) + after).encode()

    return make


def halves(first: str, second: str) -> Form:
    """A form of one text many times, then another as many times."""

    def make(size: int) -> bytes:
        number = size // (len(first) + len(second))
        return (first * number + second * number).encode()

    return make


def _joined(*forms: Form) -> Form:
    return lambda size: b"".join(form(size // len(forms)) for form in forms)


PAGES: dict[str, Form] = {
    "nested div": filled("<div>"),
    "nested and closed div": halves("<div>", "</div>"),
    "nested span, other end tags": halves("<span>", "</q>"),
    "nested lists": filled("<ul><li>"),
    "nested tables": filled("<table><tr><td>"),
    "nested elements without a name": filled("<x-y>"),
    "nested buttons": filled("<button>"),
    "nested select": filled("<select><option>"),
    "nested templates": filled("<template>"),
    "nested svg": filled("<svg><g>"),
    "nested foreignObject": filled("<svg><foreignObject><div>"),
    "attributes": numbered(" a{}", "<div", ">"),
    "attributes with quotes": numbered(" a{}='>'", "<div", ">"),
    "attributes of long tags": filled(
        "<q" + "".join(f" {number:x}" for number in range(6_000)) + ">"
    ),
    "attributes of tags of ten": numbered("<i a b c d e f g h i={}>", most=19_000),
    "attributes of breaks": filled("<br a b c d e f g h i j>", most=590_000),
    "attributes of many elements": numbered("<i a b c d e f g h i={}>", most=10**6),
    "formatting opened again": _joined(numbered("<b a={}>", most=400), filled("<p>x")),
    "formatting misnested": filled("<b><p></b>"),
    "links misnested": filled("<a><div></a>"),
    "smallest elements": filled("<b>"),
    "smallest void elements": filled("<br>"),
    "smallest comments": filled("<!>"),
    "smallest processing instructions": filled("<?>"),
    "text out of tables": filled("<table>x"),
    "paragraphs": filled("<p>x"),
    "long text": filled("word "),
    "long text without blanks": filled("x"),
    "entities": filled("&amp;"),
    "unknown entities": filled("&amq"),
    "entities of two characters": filled("&NotEqualTilde;"),
    "zero bytes": filled("\0"),
    "zero bytes in a comment": filled("\0", "<!--", "-->"),
    "zero bytes in a tag": filled("\0", "<div a='", "'>"),
    "less-than signs in a cell": filled("<", "<table><td>"),
    "less-than signs out of a table": filled("<", "<table>"),
    "less-than signs and elements": _joined(filled("<p>x", most=250_000), filled("<")),
    "quotes in a tag": filled('"', "<div a", ">"),
    "quotes in a value": filled('"', "<div a=b", ">"),
    "equals signs in a tag": filled("=", "<div a", ">"),
    "slashes in a tag": filled("/", "<div ", ">"),
    "slashes in tags": filled("<br" + "/" * 60 + ">"),
    "end tags without a name": filled("</>"),
    "end tags of nothing": filled("</b>"),
    "end tags that make breaks": filled("</br>"),
    "end tags with attributes": filled("</b a b c>"),
    "references without an end": filled("&lt"),
    "references without digits": filled("&#;"),
    "references to zero": filled("&#0;"),
    "references in a value": filled("&lt", "<div a='", "'>"),
    "marked sections": filled("<![CDATA["),
    "doctypes": filled("<!doctype>"),
    "comments in comments": filled("<!--", "<!--", "-->"),
    "text behind the page": filled("<!-->x", "</body></html>", ""),
    "half characters": lambda size: b"\xc3" * size,
    "carriage returns": filled("\r"),
    "one wide character": filled("word ", "\U0001f600"),
    "damaged text of wide characters": lambda size: "字".encode() * (size // 3 - 1) + b"\xff",
    "paragraphs that are only closed": filled("</p>", "<body>"),
    "elements and long text": _joined(filled("<i a=b>x", most=290_000), filled("word ")),
    "elements and slashes": _joined(
        filled("<p>x", most=580_000), filled("<br" + "/" * 30_000 + ">")
    ),
    "names of elements": numbered("<x{0}></x{0}>", most=590_000),
    "names of attributes": numbered("<p a{}>x", most=290_000),
    "elements and references": _joined(filled("<p>x", most=580_000), filled("&lt")),
    "unended script": filled("<script"),
    "unended comment": filled("<!--"),
    "script within script": filled("<!--<script>"),
    "unended title": filled("<title>"),
    "less-than signs": filled("<"),
    "images": filled("<img src=a>"),
    "images of one paragraph": filled("x<img src=a>", "<p>"),
    "candidates of an image": numbered("a{} 2x,", "<img srcset='", "'>"),
    "blanks in candidates": filled(" ,", "<img srcset='", "'>"),
    "classes of an element": numbered("c{} ", "<div class='", "'><p>x"),
    "styles with images": filled("<p style='background:url(a)'>x"),
    "brackets in a style": filled("url(", "<p style='", "'>x"),
    "robots meta elements": numbered("<meta name=robots content='noindex,{}'>"),
    "directives of one element": filled("a:b,", "<meta name=robots content='", "'>"),
    "structured data": filled("[", "<script type='application/ld+json'>", "</script>"),
    "article breaks": filled("<a class=more></a>"),
    "combining marks": filled("e" + "\u0301" * 30),
    "bytes of no encoding": lambda size: b"\xff\xfe\xfd<p>" * (size // 6),
    "escape sequences of an encoding": filled("\x1b$B"),
    "many languages": filled("слово 字 כל "),
    "nested pieces in noscript": filled(f"<noscript>{'<div>' * 700}</noscript>"),
    "nested formula scripts": filled(f"<script type='math/mml'>{'<div>' * 700}</script>"),
    "formulas": filled("<math><mi>x</mi></math>"),
    "drawn formulas": filled("<div class=MathJax>"),
    "addresses of formulas": filled("chart.apis.com/chart?", "<img src='/", "'>"),
    "blanks in an article": filled(
        " ", '<script type=\'application/ld+json\'>{"articleBody": "a', 'b"}</script>'
    ),
    "brackets in candidates": filled("(", "<img srcset='a ", "'>"),
    "blanks in a width": filled(" ", "<img src=a width='1", "z'>"),
    "images in a style": filled("a url(x)", "<p style='background:", "'>x"),
    "digits of a file name": filled("1", "<img src='http://a.example/", ".jpg'>"),
    "long base address": _joined(
        filled("b/", "<base href='http://a/", "'>"), filled("<img src=a>")
    ),
    "copies in noscript": filled(f"<noscript><p>{'word ' * 20}</noscript><p>{'word ' * 20}"),
}


def _picture(kind: str, width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), "red" if mode == "RGB" else 0).save(out, kind, **options)
    return out.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    body = _chunk(b"IDAT", data or zlib.compress(bytes(1 + 4 * width) * height))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body + _chunk(b"IEND", b"")


def _scans(size: int) -> bytes:
    data = _picture("JPEG", 6000, 5000, progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * min(1000, size // (len(data) - last)) + b"\xff\xd9"


def _lying_avif(size: int) -> bytes:
    large = _picture("AVIF", 8000, 8000)
    place = large.index(b"ispe" + bytes(4)) + 8
    return large[:place] + struct.pack(">II", 64, 64) + large[place + 8 :]


def _gif(frames: int, side: int) -> bytes:
    more = [Image.new("P", (side, side), color % 256) for color in range(1, frames)]
    return _picture("GIF", side, side, "P", save_all=True, append_images=more)


PICTURES: dict[str, Form] = {
    "JPEG of a thousand scans": _scans,
    "JPEG of ten scans": lambda size: _picture("JPEG", 6000, 5000, progressive=True),
    "JPEG of the largest size": lambda size: _picture("JPEG", 65_000, 600),
    "JPEG with preview marks": lambda size: (
        _picture("JPEG", 64, 64)[:2]
        + b"".join(b"\xff\xe1\xff\xff" + b"\xff\xda" * 32_766 + b"x" for _ in range(size // 65_540))
        + _picture("JPEG", 64, 64)[2:]
    ),
    "PNG of 65,000 by 65,000": lambda size: _png(65_000, 65_000, data=zlib.compress(bytes(10**6))),
    "PNG of 5,000 by 5,000": lambda size: _png(5_000, 5_000),
    "PNG with compressed text": lambda size: _png(
        64, 64, *[_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))] * 50
    ),
    "PNG with a compressed profile": lambda size: _png(
        64, 64, _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**9)))
    ),
    "PNG of small chunks": lambda size: _png(64, 64, _chunk(b"tEXt", b"a\0b") * (size // 15)),
    "GIF of 65,000 by 65,000": lambda size: (
        b"GIF89a" + struct.pack("<HH", 65_000, 65_000) + _gif(1, 8)[10:]
    ),
    "GIF of many frames": lambda size: _gif(500, 500),
    "WebP of 16,000 by 16,000": lambda size: _picture("WEBP", 16_000, 16_000),
    "AVIF that says a small size": _lying_avif,
    "AVIF of 8,000 by 8,000": lambda size: _picture("AVIF", 8000, 8000),
    "BMP of a large size": lambda size: (
        b"BM" + struct.pack("<IHHIIiiHHIIIIII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6)
    ),
}

BODIES: dict[str, tuple[str, Form]] = {  # name -> content encoding, form
    "gzip of zeros": ("gzip", lambda size: gzip.compress(bytes(10 * size))),
    "gzip of gzip": ("gzip, gzip", lambda size: gzip.compress(gzip.compress(bytes(10 * size)))),
    "brotli of zeros": ("br", lambda size: brotli.compress(bytes(10 * size), quality=5)),
    "gzip of empty members": ("gzip", lambda size: gzip.compress(b"") * (size // 20)),
}


def _response(head: str, body: bytes = b"<p>x") -> bytes:
    """A record with a response; `head` are its header lines."""
    http = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body
    fields = ("WARC-Type: response", "WARC-Target-URI: http://a.example/")
    record = "\r\n".join(("WARC/1.0", *fields, f"Content-Length: {len(http)}"))
    return f"{record}\r\n\r\n".encode() + http + b"\r\n\r\n"


ARCHIVES: dict[str, Form] = {
    "blanks in a header": lambda size: _response("a" + " " * size),
    "header lines": lambda size: _response("\r\n".join(["a: b"] * (size // 6))),
    "folded header lines": lambda size: _response("a: b" + "\r\n " * (size // 3)),
    "content encodings": lambda size: _response("content-encoding: " + "gzip," * (size // 5)),
    "small chunks": lambda size: _response(
        "transfer-encoding: chunked", b"1\r\na\r\n" * (size // 6)
    ),
    "gzip of zeros": lambda size: gzip.compress(_response("", bytes(10 * size))),
    "a head of fields": lambda size: b"WARC/1.0\r\n" + b"a: b\r\n" * (size // 6),
}

SITE_FILES: dict[str, Form] = {
    "robots.txt of wildcards": lambda size: (
        b"User-agent: *\n" + (b"Disallow: /" + b"*a" * 500 + b"$\n") * 500
    ),
    "robots.txt of agents": lambda size: b"User-agent: a\n" * 35_000 + b"Disallow: /\n",
    "robots.txt of rules": lambda size: b"User-agent: *\n" + b"Disallow: /a\n" * 38_000,
    "tdmrep.json of levels": lambda size: b"[" * 500_000,
    "tdmrep.json of rules": lambda size: json.dumps(
        [{"location": "/" + "*a" * 20, "tdm-reservation": 0}] * 5_000
    ).encode()[:512_000],
}
