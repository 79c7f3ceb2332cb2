"""A page as it was, from its archive: without scripts, addresses and anything that asks a network.

The browser shows it in a sandbox, under a policy that forbids scripts and requests; what this
module removes is what such a policy does not reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from selectolax.lexbor import LexborHTMLParser

from benben.analysis.explore import marks
from benben.analysis.provenance.history import NodeView
from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.dom.prescan import LimitError
from benben.pipeline.page.markup import mended

POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
NO_PICTURES: Mapping[str, str] = MappingProxyType({})
# A grey pixel, in place of a broken image.
NO_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAANra2gAAACwAAAAAAQABAAACAkQBADs="
REMOVED = (
    *("script", "noscript", "link", "meta", "base", "iframe", "frame", "frameset", "object"),
    *("embed", "applet", "portal", "audio", "video", "source", "track", "template"),
)
# Attributes that lead somewhere, or run something.
ADDRESSES = {
    *("href", "src", "srcset", "action", "formaction", "background", "poster", "ping", "data"),
    *("xlink:href", "srcdoc", "manifest", "cite", "longdesc", "autofocus"),
}


def safe_page(
    source: str, pictures: Mapping[str, str] = NO_PICTURES, nodes: Sequence[NodeView] = ()
) -> str | None:
    """The HTML of a page with its texts, inline styles and the pictures that are at hand.

    `pictures`: data URI by the address of an image as the page writes it; `nodes`: those whose
    verdicts are drawn. None for a page that would cost the parser too much, as in extraction.
    """
    try:
        tree = _as_extracted(source, nodes)
    except LimitError:
        return None
    marks.draw(tree, nodes)
    tree.strip_tags(list(REMOVED))
    for element in tree.css("*"):
        picture = pictures.get((element.attributes.get("src") or "").strip())
        for name in list(element.attributes):
            if name.lower() in ADDRESSES or name.lower().startswith("on"):
                del element.attrs[name]
        if element.tag == "img":
            element.attrs["src"] = picture or NO_PICTURE
    return f"<!DOCTYPE html>\n{tree.html or ''}"


def _as_extracted(source: str, nodes: Sequence[NodeView]) -> LexborHTMLParser:
    """Parse a page as extraction did, so that the paths of its nodes lead to their elements.

    It read the page as HTML or XHTML; the one in which more paths lead somewhere is taken. Raises
    LimitError.
    """
    tree = _parsed(source, "text/html")
    found = marks.reached(tree, nodes)
    if found == len(nodes):
        return tree
    other = _parsed(source, "application/xhtml+xml")
    return other if marks.reached(other, nodes) > found else tree


def _parsed(source: str, content_type: str) -> LexborHTMLParser:
    page, seen = mended(source.encode("utf-8", "replace"), content_type, mojibake=False)
    return parse(page, seen=seen)
