"""Markup that is mended before the parse, which reads every page as HTML without scripts.

Each of these is rare, so a page is first searched for the word that gives it away.
"""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator

from benben.pipeline.page.dom.lexbor import parse

_XHTML = "http://www.w3.org/1999/xhtml"
_PROLOG = 2000  # characters in which a page of XML says so
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
     "track", "wbr")
)  # fmt: skip
# Neither may run past the next tag, so that the time is linear.
_SELF_CLOSED = re.compile(r"""<([A-Za-z][\w:.-]*+)((?:[^"'<>/]|/(?!>)|"[^"<]*+"|'[^'<]*+')*+)/>""")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_NOSCRIPT = re.compile(r"<(/?)noscript(?=[\s/>])[^<>]*+>", re.I)
_TAG = re.compile(r"<(/?)([A-Za-z][^\s/>]*+)|<!--")
_BODY = re.compile(r"<body(?=[\s/>])[^<>]*+>", re.I)
_TEMPLATE = re.compile(r"<(/?)template(?=[\s/>])([^<>]*+)>", re.I)
_SHADOW = re.compile(r"\sshadowroot(mode)?\s*=", re.I)
_PARAGRAPHS = re.compile(r"\s*\n\s*")
_MARKUP = re.compile(r"</?(p|br|div|h[1-6]|ul|ol|li|a|b|i|em|strong|span)\b[^<>]*>", re.I)


def mended(html: str, content_type: str | None) -> str:
    """Return a page as the parser must see it to find what a browser shows."""
    if _is_xhtml(html, content_type):
        html = _as_html(html)
    if "<noscript" in html:
        html = _with_closed_noscript(html)
    if "shadowroot" in html:
        html = _with_open_shadow(html)
    return html


def _is_xhtml(html: str, content_type: str | None) -> bool:
    """Tell whether a browser reads a page as XML: by its type, without one by its first lines."""
    if content_type:
        return "xml" in content_type.split(";")[0].lower()
    start = html[:_PROLOG]
    return start.lstrip("\ufeff \t\r\n").startswith("<?xml") and _XHTML in start


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


def _with_closed_noscript(html: str) -> str:
    """Close what is open at the end of a <noscript>, and move those of the head to the body.

    With scripts, a browser takes a <noscript> as text up to its end tag. To the parser an element
    left open in it, such as <iframe/>, goes on behind it, and one that the head cannot hold ends
    the head.
    """
    body = _BODY.search(html)
    parts: list[str] = []
    moved: list[str] = []
    done, opened, begins, changed = 0, None, True, False
    for tag in _noscript_tags(html):
        if not tag[1]:
            opened = opened or tag
        elif opened:
            inside = html[opened.end() : tag.start()]
            closed = inside if _is_closed(inside) else _closed(inside)
            whole = opened[0] + closed + tag[0]
            if body is None and begins and _breaks_head(inside):
                whole, begins = f"<body>{whole}", False
            if body and opened.start() < body.start() and tag.end() <= body.start():
                parts.append(html[done : opened.start()])
                moved.append(whole)
            else:
                parts += _up_to(html, done, opened.start(), body, moved)
                parts.append(whole)
            changed = changed or closed is not inside or bool(moved) or not begins
            done, opened = tag.end(), None
    if not changed:
        return html
    return "".join([*parts, *_up_to(html, done, len(html), body, moved)])


def _noscript_tags(html: str) -> Iterator[re.Match[str]]:
    """Yield the tags of <noscript>; a plain search finds them faster than the expression."""
    place = html.find("noscript")
    while place >= 0:
        start = place - 2 if html.startswith("</", place - 2) and place > 1 else place - 1
        if start >= 0 and (tag := _NOSCRIPT.match(html, start)):
            yield tag
        place = html.find("noscript", place + 8)


def _up_to(
    html: str, start: int, stop: int, body: re.Match[str] | None, moved: list[str]
) -> list[str]:
    """Return a stretch of a page; behind the start tag of its body, what was moved there."""
    if not moved or body is None or not start <= body.start() < stop:
        return [html[start:stop]]
    found = [html[start : body.end()], *moved, html[body.end() : stop]]
    moved.clear()
    return found


def _is_closed(inside: str) -> bool:
    """Tell whether each element in a piece of HTML is closed, as those in most <noscript> are."""
    opened: list[str] = []
    for found in _TAG.finditer(inside):
        name = (found[2] or "").lower()
        if not name:
            return False  # a comment, which may be open
        if found[1]:
            if not opened or opened.pop() != name:
                return False
        elif name not in _VOID:
            opened.append(name)
    return not opened


def _breaks_head(inside: str) -> bool:
    """Tell whether a <noscript> holds more than a head may hold, or only text."""
    names = {(found[2] or "").lower() for found in _TAG.finditer(inside)}
    return not names or not names <= {"link", "meta", "style"}


def _closed(inside: str) -> str:
    """Return a piece of HTML with each element closed."""
    body = parse(f"<body>{inside}").body
    whole = body.html or "" if body is not None else ""
    return whole[whole.find(">") + 1 : -len("</body>")]


def _with_open_shadow(html: str) -> str:
    """Turn declarative shadow roots, which browsers show, from templates into elements."""
    parts: list[str] = []
    shown: list[bool] = []
    done = 0
    for tag in _TEMPLATE.finditer(html):
        if not tag[1]:
            shown.append(_SHADOW.search(tag[2]) is not None)
            name = "<shadow-root>"
        elif not shown:
            continue
        else:
            name = "</shadow-root>"
        if shown[-1]:
            parts += [html[done : tag.start()], name]
            done = tag.end()
        if tag[1]:
            shown.pop()
    return "".join([*parts, html[done:]])


def with_article(html: str, article: str) -> str:
    """Add an article of a page's metadata to its end, in an element that says where it is from."""
    if not _MARKUP.search(article):
        paragraphs = _PARAGRAPHS.split(entities.unescape(article).strip())
        article = "".join(f"<p>{entities.escape(text, quote=False)}</p>" for text in paragraphs)
    end = html.lower().rfind("</body")
    end = len(html) if end < 0 else end
    return f"{html[:end]}<json-ld>{_closed(article)}</json-ld>{html[end:]}"
