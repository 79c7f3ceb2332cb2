"""MathML to TeX: presentation markup as HTML pages carry it (MathML Core, and MathML 3's tables).

A formula that says its TeX itself needs none of this (see formulas.py). Elements without a meaning
here are unwrapped, so no symbol is lost. Groups are always in braces: x^{2}.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

_DEPTH = 60  # levels of elements; deeper ones are taken as text
_INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b\u00ad\ufeff"))
_COMMAND_BEFORE_LETTER = re.compile(r"\\[A-Za-z]+$")
_FENCES = {"(": "p", "[": "b", "{": "B", "|": "v", "‖": "V", "∥": "V"}
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|", "‖": "‖", "∥": "∥"}
_PRIMES = {"′": "'", "'": "'", "″": "''", "‴": "'''"}
_VARIANTS = {
    "bold": "mathbf", "bold-italic": "boldsymbol", "double-struck": "mathbb", "script": "mathcal",
    "fraktur": "mathfrak", "sans-serif": "mathsf", "monospace": "mathtt", "normal": "mathrm",
}  # fmt: skip
_ESCAPED = str.maketrans(
    {"{": r"\{", "}": r"\}", "#": r"\#", "%": r"\%", "&": r"\&", "$": r"\$", "_": r"\_"}
)
_QUAD = 1.0  # em: widths of \quad and, twice that, \qquad


@lru_cache(maxsize=1)
def _symbols() -> dict[str, dict[str, Any]]:
    """Commands of characters, functions and accents (mathml.yaml)."""
    text = (resources.files("benben.pipeline.page") / "mathml.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return found


def to_tex(math: Any) -> str:
    """Convert a <math> element (of selectolax) to TeX."""
    return _clean(_row(_children(math), 0)) or _symbol_text(_text(math))


def _clean(tex: str) -> str:
    return " ".join(tex.split())


def _children(node: Any) -> list[Any]:
    return [child for child in node.iter() if child.tag != "-comment"]


def _text(node: Any) -> str:
    return " ".join(node.text(deep=True).translate(_INVISIBLE).split())


def _join(parts: Sequence[str]) -> str:
    """Join TeX; a blank keeps a command apart from a letter behind it."""
    found = ""
    for part in parts:
        if part and _COMMAND_BEFORE_LETTER.search(found) and (part[0].isalpha()):
            found += " "
        found += part
    return found


def _convert(node: Any, depth: int) -> str:
    """Convert one element."""
    name = node.tag
    if depth > _DEPTH:
        return _symbol_text(_text(node))
    if name in _LEAVES:
        return _LEAVES[name](node)
    children = _children(node)
    if name in _ELEMENTS:
        return str(_ELEMENTS[name](node, children, depth + 1))
    if name in ("annotation", "annotation-xml", "none", "mprescripts"):
        return ""
    if not children:
        return _symbol_text(_text(node))
    return _row(children, depth + 1)


def _row(nodes: Sequence[Any], depth: int) -> str:
    """Convert elements that stand side by side; a table or binomial takes its fences with it."""
    parts: list[str] = []
    place = 0
    while place < len(nodes):
        node = nodes[place]
        opening = _text(node) if node.tag == "mo" else ""
        inside = nodes[place + 1] if place + 1 < len(nodes) else None
        closing = nodes[place + 2] if place + 2 < len(nodes) else None
        ends = _text(closing) if closing is not None and closing.tag == "mo" else None
        fenced = _fenced(opening, inside, ends, depth) if opening and inside is not None else None
        if fenced:
            parts.append(fenced)
            place += 3 if ends == _CLOSING[opening] else 2
        else:
            parts.append(_convert(node, depth))
            place += 1
    return _join(parts)


def _only(node: Any) -> Any:
    """Return the element inside rows that hold nothing else."""
    while node.tag in ("mrow", "mstyle", "mpadded") and len(children := _children(node)) == 1:
        node = children[0]
    return node


def _fenced(opening: str, inside: Any, ends: str | None, depth: int) -> str | None:
    """Convert a table or binomial between fences; None for anything else."""
    inner = _only(inside)
    if opening not in _FENCES:
        return None
    closed = ends == _CLOSING[opening]
    if inner.tag == "mtable" and closed:
        return _matrix(inner, depth, f"{_FENCES[opening]}matrix")
    if inner.tag == "mtable" and opening == "{":
        return _matrix(inner, depth, "cases")
    if inner.tag == "mfrac" and opening == "(" and closed and _is_bare(inner):
        above, below = (_convert(child, depth) for child in _children(inner)[:2])
        return rf"\binom{{{above}}}{{{below}}}"
    return None


def _is_bare(fraction: Any) -> bool:
    width = (fraction.attributes.get("linethickness") or "").strip()
    return bool(re.fullmatch(r"0+(\.0+)?[a-z%]*", width)) and len(_children(fraction)) >= 2


# Leaves.


def _symbol_text(text: str) -> str:
    """Write characters as TeX commands where they have one."""
    characters = _symbols()["characters"]
    return _join([characters.get(c) or _letter(c) for c in text.translate(_INVISIBLE)])


def _letter(character: str) -> str:
    """Write one character; letters of Unicode's mathematical alphabets by their name."""
    code = ord(character)
    if 0x1D400 <= code <= 0x1D7FF:
        plain = unicodedata.normalize("NFKC", character)
        name = unicodedata.name(character, "")
        inner = _symbols()["characters"].get(plain) or plain
        for word, command in _symbols()["alphabets"].items():
            if word in name:
                return rf"\{command}{{{inner}}}"
        return inner
    return character.translate(_ESCAPED)


def _identifier(node: Any) -> str:
    text = _text(node)
    variant = (node.attributes.get("mathvariant") or "").strip()
    if text in _symbols()["functions"]:
        return str(_symbols()["functions"][text])
    if len(text) > 1 and text.isalpha() and text.isascii():
        command = _VARIANTS.get(variant, "mathrm")
        return rf"\{command}{{{text}}}"
    tex = _symbol_text(text)
    if variant in _VARIANTS and text and not (variant == "normal" and tex.startswith("\\")):
        return rf"\{_VARIANTS[variant]}{{{tex}}}"
    return tex


def _operator(node: Any) -> str:
    text = _text(node)
    return str(_symbols()["functions"].get(text) or _symbol_text(text))


def _words(node: Any) -> str:
    text = node.text(deep=True).replace("\u00a0", " ").translate(_INVISIBLE)
    text = re.sub(r"\s+", " ", text)
    return rf"\text{{{text.translate(_ESCAPED)}}}" if text.strip() else (" " if text else "")


def _string(node: Any) -> str:
    return rf"\text{{\"{_text(node).translate(_ESCAPED)}\"}}"


def _space(node: Any) -> str:
    found = re.fullmatch(r"\s*(\d*\.?\d+)em\s*", node.attributes.get("width") or "")
    width = float(found[1]) if found else 0.0
    return r"\qquad " if width >= 2 * _QUAD else r"\quad " if width >= _QUAD else " "


_LEAVES: dict[str, Callable[[Any], str]] = {
    "mi": _identifier,
    "mn": lambda node: _symbol_text(_text(node)),
    "mo": _operator,
    "mtext": _words,
    "ms": _string,
    "mspace": _space,
    "-text": lambda node: _symbol_text(_text(node)),
}


# Elements with parts.


def _part(children: Sequence[Any], place: int, depth: int) -> str:
    return _clean(_convert(children[place], depth)) if place < len(children) else ""


def _base(children: Sequence[Any], depth: int) -> str:
    """Convert what scripts stand at; more than one symbol is a group."""
    tex = _part(children, 0, depth)
    single = len(tex) <= 1 or re.fullmatch(r"\\[A-Za-z]+(\{[^{}]*\})?|[0-9]+|\\[{}|]", tex)
    inner = _only(children[0]) if children else None
    if single or (inner is not None and inner.tag in ("mi", "mn", "mo", "msub", "msup", "mover")):
        return tex
    return tex if _is_fence(tex) else f"{{{tex}}}"


def _is_fence(tex: str) -> bool:
    return tex[:1] in "([" and tex[-1:] in ")]"


def _fraction(node: Any, children: Sequence[Any], depth: int) -> str:
    above, below = _part(children, 0, depth), _part(children, 1, depth)
    return rf"{{{above} \atop {below}}}" if _is_bare(node) else rf"\frac{{{above}}}{{{below}}}"


def _root(_: Any, children: Sequence[Any], depth: int) -> str:
    return rf"\sqrt[{_part(children, 1, depth)}]{{{_part(children, 0, depth)}}}"


def _above(_: Any, children: Sequence[Any], depth: int) -> str:
    exponent = _text(children[1]) if len(children) > 1 else ""
    if exponent and all(c in _PRIMES for c in exponent):
        return _base(children, depth) + "".join(_PRIMES[c] for c in exponent)
    return _base(children, depth) + f"^{{{_part(children, 1, depth)}}}"


def _below(_: Any, children: Sequence[Any], depth: int) -> str:
    return _base(children, depth) + f"_{{{_part(children, 1, depth)}}}"


def _both(_: Any, children: Sequence[Any], depth: int) -> str:
    base, below, above = (_base(children, depth), _part(children, 1, depth),
                          _part(children, 2, depth))  # fmt: skip
    return f"{base}_{{{below}}}" + (above if set(above) == {"'"} else f"^{{{above}}}")


# Each part is converted once, or nested ones would take time by powers of two.


def _is_large(base: str) -> bool:
    """Tell whether the limits of an operator stand below and above it."""
    return base in _symbols()["large"]


def _over(_: Any, children: Sequence[Any], depth: int) -> str:
    base, mark = _part(children, 0, depth), _text(children[1]) if len(children) > 1 else ""
    if _is_large(base):
        return f"{base}^{{{_part(children, 1, depth)}}}"
    command = _symbols()["over"].get(mark)
    if command:
        return rf"\{command}{{{base}}}"
    return rf"\overset{{{_part(children, 1, depth)}}}{{{base}}}"


def _under(_: Any, children: Sequence[Any], depth: int) -> str:
    base, mark = _part(children, 0, depth), _text(children[1]) if len(children) > 1 else ""
    command = _symbols()["under"].get(mark)
    if command:
        return rf"\{command}{{{base}}}"
    if _is_large(base) or base.startswith((r"\underbrace", r"\overbrace")):
        return f"{base}_{{{_part(children, 1, depth)}}}"
    return rf"\underset{{{_part(children, 1, depth)}}}{{{base}}}"


def _under_over(_: Any, children: Sequence[Any], depth: int) -> str:
    base, below, above = (_part(children, n, depth) for n in range(3))
    if _is_large(base):
        return f"{base}_{{{below}}}^{{{above}}}"
    return rf"\overset{{{above}}}{{\underset{{{below}}}{{{base}}}}}"


def _scripts(_: Any, children: Sequence[Any], depth: int) -> str:
    """Convert <mmultiscripts>: scripts behind the base, then those before it."""
    behind: Sequence[Any] = children[1:]
    before: Sequence[Any] = ()
    for place, child in enumerate(behind):
        if child.tag == "mprescripts":
            behind, before = behind[:place], behind[place + 1 :]
            break
    left = _script_pairs(before, depth)
    return (f"{{}}{left}" if left else "") + _base(children, depth) + _script_pairs(behind, depth)


def _script_pairs(nodes: Sequence[Any], depth: int) -> str:
    tex = ""
    for place in range(0, len(nodes), 2):
        below, above = _part(nodes, place, depth), _part(nodes, place + 1, depth)
        tex += (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
    return tex


def _between(node: Any, children: Sequence[Any], depth: int) -> str:
    """Convert <mfenced>: parts between fences, with separators."""
    attributes = node.attributes
    opening, closing = attributes.get("open", "("), attributes.get("close", ")")
    if len(children) == 1 and (fenced := _fenced(opening or "", children[0], closing, depth)):
        return fenced
    marks = "".join((attributes.get("separators", ",") or "").split())
    tex = ""
    for place, child in enumerate(children):
        if place and marks:
            tex += marks[min(place - 1, len(marks) - 1)]
        tex += _convert(child, depth)
    return _symbol_text(opening or "") + tex + _symbol_text(closing or "")


def _matrix(table: Any, depth: int, name: str = "matrix") -> str:
    rows = []
    for row in _children(table):
        cells = _children(row)[1 if row.tag == "mlabeledtr" else 0 :]
        rows.append(" & ".join(_clean(_row(_children(cell), depth + 1)) for cell in cells))
    return rf"\begin{{{name}}} " + r" \\ ".join(rows) + rf" \end{{{name}}}"


def _wrapped(command: str) -> Any:
    def convert(_: Any, children: Sequence[Any], depth: int) -> str:
        return rf"\{command}{{{_clean(_row(children, depth))}}}"

    return convert


_ELEMENTS: dict[str, Any] = {
    "mfrac": _fraction,
    "msqrt": _wrapped("sqrt"),
    "mroot": _root,
    "msup": _above,
    "msub": _below,
    "msubsup": _both,
    "mover": _over,
    "munder": _under,
    "munderover": _under_over,
    "mmultiscripts": _scripts,
    "mfenced": _between,
    "mtable": lambda node, _, depth: _matrix(node, depth),
    "mphantom": _wrapped("phantom"),
    "semantics": lambda _, children, depth: _part(children, 0, depth),
    "maction": lambda _, children, depth: _part(children, 0, depth),
}
