"""What is mended before the parse, which reads every page as HTML without scripts.

Each of these is rare, and a look at the page's tags tells where it is needed.
"""

from __future__ import annotations

import codecs
import html as entities
import re
from collections.abc import Iterator
from typing import Any

from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.dom.prescan import Survey, encoded_twice, survey

_XHTML = b"http://www.w3.org/1999/xhtml"
_PROLOG = 2000  # bytes in which a page of XML says so
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
     "track", "wbr")
)  # fmt: skip
_VOID_TAGS = frozenset(name.encode() for name in _VOID)
# Neither may run past the next tag, so that the time is linear.
_SELF_CLOSED = re.compile(r"""<([A-Za-z][\w:.-]*+)((?:[^"'<>/]|/(?!>)|"[^"<]*+"|'[^'<]*+')*+)/>""")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_NOSCRIPT = re.compile(rb"<(/?)noscript(?=[\s/>])[^<>]*+>", re.I)
_TAG = re.compile(rb"<(/?)([A-Za-z][^\s/>]*+)|<!--")
_BODY = re.compile(rb"<body(?=[\s/>])[^<>]*+>", re.I)
_TEMPLATE = re.compile(rb"<(/?)template(?=[\s/>])([^<>]*+)>", re.I)
_SHADOW = re.compile(rb"\sshadowroot(mode)?\s*=", re.I)
_SLOT = re.compile(rb"<slot(?=[\s/>])", re.I)
_MOST_FILLED = 4  # times a page's size that elements with shadow roots, which nest, may have
_MARKUP = re.compile(r"</?(p|br|div|h[1-6]|ul|ol|li|a|b|i|em|strong|span)\b[^<>]*>", re.I)
# Of text that was encoded twice:
_PIECE = 2_000  # bytes repaired at once
_MOST_REPAIRED = 150_000  # bytes of a page


def mended(page: bytes, content_type: str | None, mojibake: bool = True) -> tuple[bytes, Survey]:
    """Return a page in UTF-8 as the parser must see it to find what a browser shows.

    The survey is that of the returned page. `mojibake`: text that was encoded twice is repaired.
    """
    if _is_xhtml(page, content_type):
        page = _as_html(page.decode("utf-8", "replace")).encode("utf-8", "replace")
    if mojibake and not page.isascii() and encoded_twice(page) >= 0:
        page = _decoded_once_more(page)
    seen, given = survey(page), page
    if seen.noscripts:
        page = _with_closed_noscript(page, seen)
    if seen.templates:
        page = _with_open_shadow(page)
    return page, seen if page is given else survey(page)


def _is_xhtml(page: bytes, content_type: str | None) -> bool:
    """Tell whether a browser reads a page as XML: by its type, without one by its first lines."""
    if content_type:
        return "xml" in content_type.split(";")[0].lower()
    start = page[:_PROLOG]
    return start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<?xml") and _XHTML in start


def _as_html(html: str) -> str:
    """Write elements that XML closes at once, and its marked sections, as HTML does."""
    # Up to the last end of a section, each start finds one: the time is linear.
    end = html.rfind("]]>") + 3 if "<![CDATA[" in html else 0
    html = _CDATA.sub(lambda found: _cdata(found, html), html[:end]) + html[end:]

    def close(found: re.Match[str]) -> str:
        name, attributes = found[1], found[2]
        return found[0] if name.lower() in _VOID else f"<{name}{attributes}></{name}>"

    return _SELF_CLOSED.sub(close, html)


def _cdata(found: re.Match[str], html: str) -> str:
    """Return the text of a marked section; scripts and styles keep theirs, as it is."""
    before = html.rfind("<", 0, found.start())  # near: sections begin with one
    if html.startswith(("<script", "<style"), before):
        return found[1]
    return entities.escape(found[1], quote=False)


def _with_closed_noscript(page: bytes, seen: Survey) -> bytes:
    """Close what is open at the end of a <noscript>, and move those of the head to the body.

    With scripts, a browser takes a <noscript> as text up to its end tag. To the parser an element
    left open in it, such as <iframe/>, goes on behind it, and one that the head cannot hold ends
    the head.
    """
    body = _BODY.match(page, seen.body) if seen.body >= 0 else None
    parts: list[bytes] = []
    moved: list[bytes] = []
    done, opened, begins, changed = 0, None, True, False
    for tag in filter(None, (_NOSCRIPT.match(page, place) for place in seen.noscripts)):
        if not tag[1]:
            opened = opened or tag
        elif opened:
            inside = page[opened.end() : tag.start()]
            closed = inside if _is_closed(inside) else _closed(inside)
            whole = opened[0] + closed + tag[0]
            if body is None and begins and _breaks_head(inside):
                whole, begins = b"<body>" + whole, False
            if body and opened.start() < body.start() and tag.end() <= body.start():
                parts.append(page[done : opened.start()])
                moved.append(whole)
            else:
                parts += _up_to(page, done, opened.start(), body, moved)
                parts.append(whole)
            changed = changed or closed is not inside or bool(moved) or not begins
            done, opened = tag.end(), None
    if not changed:
        return page
    return b"".join([*parts, *_up_to(page, done, len(page), body, moved)])


def _up_to(
    page: bytes, start: int, stop: int, body: re.Match[bytes] | None, moved: list[bytes]
) -> list[bytes]:
    """Return a stretch of a page; behind the start tag of its body, what was moved there."""
    if not moved or body is None or not start <= body.start() < stop:
        return [page[start:stop]]
    found = [page[start : body.end()], *moved, page[body.end() : stop]]
    moved.clear()
    return found


def _is_closed(inside: bytes) -> bool:
    """Tell whether each element in a piece of HTML is closed, as those in most <noscript> are."""
    opened: list[bytes] = []
    for found in _TAG.finditer(inside):
        name = (found[2] or b"").lower()
        if not name:
            return False  # a comment, which may be open
        if found[1]:
            if not opened or opened.pop() != name:
                return False
        elif name not in _VOID_TAGS:
            opened.append(name)
    return not opened


def _breaks_head(inside: bytes) -> bool:
    """Tell whether a <noscript> holds more than a head may hold, or only text."""
    names = {(found[2] or b"").lower() for found in _TAG.finditer(inside)}
    return not names or not names <= {b"link", b"meta", b"style"}


def _closed(inside: bytes) -> bytes:
    """Return a piece of HTML with each element closed."""
    body = parse(b"<body>" + inside, is_piece=True).body
    whole = (body.html or "" if body is not None else "").encode("utf-8", "replace")
    return whole[whole.find(b">") + 1 : -len(b"</body>")]


def _with_open_shadow(page: bytes) -> bytes:
    """Turn declarative shadow roots, which browsers show, from templates into elements."""
    parts: list[bytes] = []
    shown: list[bool] = []
    done = 0
    for tag in _TEMPLATE.finditer(page):
        if not tag[1]:
            shown.append(_SHADOW.search(tag[2]) is not None)
            name = b"<shadow-root>"
        elif not shown:
            continue
        else:
            name = b"</shadow-root>"
        if shown[-1]:
            parts += [page[done : tag.start()], name]
            done = tag.end()
        if tag[1]:
            shown.pop()
    if not parts:
        return page
    page = b"".join([*parts, page[done:]])
    return _with_filled_slots(page) if _SLOT.search(page) else page


def _with_filled_slots(page: bytes) -> bytes:
    """Put the children of an element with a shadow root into its slots, as browsers show them.

    A slot keeps its own text if nothing fills it; what has no slot is not shown (HTML Standard,
    4.13.4; DOM Standard, 4.2.2.3).
    """
    tree = parse(page)
    left = _MOST_FILLED * (len(page) + 1000)
    for root in reversed(tree.css("shadow-root")):  # inner ones first
        host = root.parent
        left -= len(host.html or "") if host is not None else 0
        if host is None or left < 0:
            break
        given: dict[str, list[Any]] = {}
        for child in host.iter(include_text=True):
            if child.mem_id != root.mem_id:
                name = (child.attributes.get("slot") or "") if child.tag != "-text" else ""
                given.setdefault(name, []).append(child)
        for slot in root.css("slot"):
            filling = given.pop(slot.attributes.get("name") or "", [])
            if any(child.tag != "-text" or child.text(strip=True) for child in filling):
                for child in filling:
                    slot.insert_before(child)
                    child.decompose()
                slot.decompose()
            else:
                slot.unwrap()
        for rest in given.values():
            for child in rest:
                child.decompose()
    return (tree.html or "").encode("utf-8", "replace")


def as_html(text: str) -> str:
    """Return a text of a page's metadata, which may be HTML or escaped HTML, as HTML."""
    if not _MARKUP.search(text):
        text = entities.unescape(text)
    if _MARKUP.search(text):
        return text
    paragraphs = filter(None, map(str.strip, text.split("\n")))
    return "".join(f"<p>{entities.escape(part, quote=False)}</p>" for part in paragraphs)


def with_article(page: bytes, article: str) -> bytes:
    """Add an article of a page's metadata, as HTML, to its end, in an element of its own."""
    end = page.lower().rfind(b"</body")
    end = len(page) if end < 0 else end
    closed = _closed(article.encode("utf-8", "replace"))
    return b"".join([page[:end], b"<json-ld>", closed, b"</json-ld>", page[end:]])


# Text that was encoded twice.


def _decoded_once_more(page: bytes) -> bytes:
    """Return a page with the stretches of text that were encoded twice decoded once more.

    The library ftfy judges each: what could have been meant stays.
    """
    import ftfy  # here, since few pages need it

    parts, end = [], 0
    for start, stop in _suspicious(page):
        text = page[start:stop].decode("utf-8", "replace")
        parts += [page[end:start], ftfy.fix_encoding(text).encode("utf-8", "replace")]
        end = stop
    return b"".join([*parts, page[end:]])


def _suspicious(page: bytes) -> Iterator[tuple[int, int]]:
    """Yield the texts between tags that look as if they were encoded twice."""
    end = repaired = 0
    while repaired < _MOST_REPAIRED and (found := encoded_twice(page, end)) >= 0:
        before = max(end, _character(page, found - _PIECE // 2))
        start = max(before, page.rfind(b">", before, found) + 1)
        end = _stretch_end(page, start, found)
        repaired += end - start
        yield start, end


def _stretch_end(page: bytes, start: int, found: int) -> int:
    """Return where a text ends that is repaired at once: at a tag, or at a blank of a long text.

    ASCII is never a part of a character that was encoded twice.
    """
    end = page.find(b"<", found, start + _PIECE)
    if end < 0:
        end = page.rfind(b" ", found, start + _PIECE)
    if end < 0:
        end = page.find(b"<", found, start + _MOST_REPAIRED)
    return end if end >= 0 else _character(page, start + _MOST_REPAIRED)


def _character(page: bytes, place: int) -> int:
    """Return the place of the character that a place of UTF-8 lies in."""
    place = min(max(place, 0), len(page))
    while 0 < place < len(page) and 0x80 <= page[place] < 0xC0:
        place -= 1
    return place
