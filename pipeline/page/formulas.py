"""The formulas of a page: each once, as the TeX it was written in where the page says so.

Pages write a formula two or three times: as MathML for readers that speak, as boxes for the eye, as
TeX in an annotation, an attribute, a script or the alt text of an image. `find` says of each such
element what TeX stands for it, or that another element says it already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.mathml import to_tex

# What renderers write for the eye beside the source of a formula.
_BOXES = (
    ".MathJax_Preview, .MathJax, .MathJax_Display, .MathJax_SVG, .MathJax_SVG_Display,"
    " .MathJax_CHTML, .MJXc-display, .MathJax_MathML, .MathJax_PHTML, .mjx-chtml"
)
_IMAGE_CLASSES = frozenset(
    ("tex", "latex", "math", "mwe-math-fallback-image-inline", "mwe-math-fallback-image-display",
     "mwe-math-fallback-image", "ee_img", "tr_noresize", "latex-formula", "ql-img-inline-formula",
     "ql-img-displayed-equation", "math-inline", "mathjax-img")
)  # fmt: skip
# Services that draw TeX: WordPress, CodeCogs, Zhihu, mimeTeX, mathTeX, Wikimedia, Google charts.
_IMAGE_SERVICE = re.compile(
    r"latex\.php|latex\.codecogs\.com|/equation\?tex=|mimetex|mathtex|/media/math/render/"
    r"|chart\.(?:google)?apis?\.[a-z.]{1,20}+/chart\?[^?]*cht=tx|/latex/|texify",
    re.I,
)
_QUERY_NAMES = ("latex", "tex", "chl")
_LOOKS_LIKE_TEX = re.compile(r"\\[A-Za-z]|[\^_{}=<>+]|^[A-Za-z0-9]$")
_DISPLAY_STYLE = re.compile(r"\{\s*\\(?:display|text)style\s*(.*)\}$", re.S)
_STYLE = re.compile(r"\\(?:display|text)style\b\s*")
_COMMENT = re.compile(r"(?<!\\)%\s*\n\s*")
_DELIMITERS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))
_MOST_LEVELS = 12  # between a formula and the element that says how it is set


def find(tree: Any) -> dict[int, str]:
    """Return by address of an element the TeX, in dollar signs, that stands for it on a page.

    It is empty for what repeats a formula. Formulas inside another are not looked at.
    """
    found: dict[int, str | None] = {}
    scripts = tree.css("script[type^='math/']")
    for script in scripts:
        found[script.mem_id] = _from_script(script)
    for box in tree.css(_BOXES):
        found[box.mem_id] = "" if scripts else _from_box(box)
    for container in tree.css("mjx-container"):
        found[container.mem_id] = _from_box(container)
    for math in _outermost(tree, "math"):
        around = _around(math, "mwe-math-element")
        found[(around or math).mem_id] = _from_math(math)
    for boxes in tree.css(".katex-html"):
        if boxes.parent is not None and boxes.parent.css_first("math") is not None:
            found[boxes.mem_id] = ""
    for image in tree.css("img[alt], img[src]"):
        tex = _from_image(image)
        if tex:
            found[image.mem_id] = tex
    return {place: tex for place, tex in found.items() if tex is not None}


def _outermost(tree: Any, name: str) -> Iterator[Any]:
    """Yield elements of a name that lie in no other of that name, in the page's order."""
    inside: set[int] = set()
    for node in tree.css(name):
        if node.mem_id not in inside:
            nested = node.css(name)
            if len(nested) > 1:
                inside.update(other.mem_id for other in nested)
            yield node


def _from_math(math: Any) -> str:
    """Return the TeX of a MathML formula: its annotation, its alternative text, or converted."""
    attributes = math.attributes
    tex = ""
    for note in math.css("annotation"):
        if "tex" in (note.attributes.get("encoding") or "").lower():
            tex = note.text(deep=True)
            break
    tex = tex or attributes.get("alttext") or attributes.get("data-latex") or ""
    if not tex.strip():
        tex = to_tex(math)
    is_display = attributes.get("display") == "block" or attributes.get("mode") == "display"
    return _set(tex, is_display or _around(math, "katex-display") is not None)


def _from_script(script: Any) -> str:
    """Return the TeX of a script of MathJax 2."""
    kind = (script.attributes.get("type") or "").lower()
    text: str = script.text(deep=True)
    if kind.startswith("math/mml"):
        math = parse(text, is_piece=True).css_first("math")
        return "" if math is None else _from_math(math)
    if not kind.startswith("math/tex"):
        return text.strip()
    return _set(text.removeprefix("% <![CDATA[").removesuffix("%]]>"), "display" in kind)


def _from_box(box: Any) -> str | None:
    """Return the TeX of what MathJax has drawn, from the MathML beside it; None without any."""
    is_display = box.attributes.get("display") == "true" or "isplay" in (
        box.attributes.get("class") or ""
    )
    math = box.css_first("math")
    if math is not None:
        formula = _from_math(math)
        single = is_display and formula and not formula.startswith("$$")
        return f"${formula}$" if single else formula
    source = box.css_first("[data-latex]")
    tex = source.attributes.get("data-latex") if source is not None else None
    return _set(tex, is_display) if tex else None


def _from_image(image: Any) -> str:
    """Return the TeX of an image of a formula; "" for other images."""
    attributes = image.attributes
    source = attributes.get("src") or attributes.get("data-src") or ""
    names = set((attributes.get("class") or "").lower().split())
    service = source.startswith(("http", "/", ".")) and _IMAGE_SERVICE.search(source)
    if not (service or names & _IMAGE_CLASSES):
        return ""
    tex = (attributes.get("data-tex") or attributes.get("alt") or "").strip()
    if not _LOOKS_LIKE_TEX.search(tex):
        tex = _of_address(source) if service else ""
    is_display = any("display" in name for name in names)
    return _set(tex, is_display) if tex else ""


def _of_address(source: str) -> str:
    """Return the TeX that an address asks to be drawn."""
    try:
        query = urlsplit(source).query
    except ValueError:  # a host in brackets that is none
        return ""
    fields = parse_qs(query)
    for name in _QUERY_NAMES:
        if name in fields:
            return fields[name][0]
    tex = unquote(query)
    return tex if _LOOKS_LIKE_TEX.search(tex) else ""


def _around(node: Any, name: str) -> Any:
    """Return the nearest element around a node that has a class; None if there is none near."""
    around = node.parent
    for _ in range(_MOST_LEVELS):
        if around is None:
            return None
        if name in (around.attributes.get("class") or "").split():
            return around
        around = around.parent
    return None


def _set(tex: str, is_display: bool) -> str:
    """Write TeX in dollar signs, without what only says how it is set."""
    tex = " ".join(_COMMENT.sub("", tex).split())
    for start, end in _DELIMITERS:
        if len(tex) > len(start + end) and tex.startswith(start) and tex.endswith(end):
            tex = tex[len(start) : -len(end)].strip()
    whole = _DISPLAY_STYLE.fullmatch(tex)
    if whole and _is_balanced(whole[1]):
        tex = whole[1].strip()
    tex = _STYLE.sub("", tex, count=1) if tex.startswith(("\\displaystyle", "\\textstyle")) else tex
    mark = "$$" if is_display else "$"
    return f"{mark}{tex}{mark}" if tex else ""


def _is_balanced(tex: str) -> bool:
    """Tell whether no brace closes a group that was not opened."""
    depth = 0
    for place, character in enumerate(tex):
        if place and tex[place - 1] == "\\":
            continue
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0
