"""A page as it was, from its archive: without scripts, addresses and anything that asks a network.

The browser shows it in a sandbox, under a policy that forbids scripts and requests; what this
module removes is what such a policy does not reach.
"""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser

POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
REMOVED = (
    *("script", "noscript", "link", "meta", "base", "iframe", "frame", "frameset", "object"),
    *("embed", "applet", "portal", "audio", "video", "source", "track", "template"),
)
# Attributes that lead somewhere, or run something.
ADDRESSES = {
    *("href", "src", "srcset", "action", "formaction", "background", "poster", "ping", "data"),
    *("xlink:href", "srcdoc", "manifest", "cite", "longdesc", "autofocus"),
}


def safe_page(source: str) -> str:
    """The HTML of a page with its texts and inline styles, and an empty box for each image."""
    tree = LexborHTMLParser(source)
    tree.strip_tags(list(REMOVED))
    for element in tree.css("*"):
        for name in list(element.attributes):
            if name.lower() in ADDRESSES or name.lower().startswith("on"):
                del element.attrs[name]
    return f"<!DOCTYPE html>\n{tree.html or ''}"
