"""Formulas: each once, as TeX, in the sentence they belong to, however a page writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benben import extract_page
from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.formulas import find
from benben.pipeline.page.mathml import to_tex

SET = yaml.safe_load((Path(__file__).parent / "formulas.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", SET, ids=[page["way"] for page in SET])
def test_formula_stands_once_as_tex_in_its_sentence(page: dict[str, str]) -> None:
    document = extract_page(page["html"], "https://example.org/")
    assert [node.text or node.url for node in document.nodes] == [page["text"]]


def test_other_images_stay_images() -> None:
    html = "<p>See <img class='math-teacher' src='/latex-gloves.jpg' alt='Gloves of latex'></p>"
    assert [node.kind for node in extract_page(html, "https://example.org/").nodes] == [
        "text",
        "image",
    ]


def test_boxes_without_a_source_keep_their_text() -> None:
    html = "<p>So <span class=MathJax><span>x</span>=2</span> it is.<img class=math src=x></p>"
    texts = [node.text for node in extract_page(html, "https://example.org/").texts()]
    assert texts == ["So x=2 it is."]


def test_deep_and_nested_formulas_are_bounded() -> None:
    deep = "<math>" + "<mrow>" * 900 + "<mi>x</mi>" + "</mrow>" * 900 + "</math>"
    math = parse(deep).css_first("math")
    assert math is not None
    assert to_tex(math) == "x"
    over = "<math>" + "<mover><munder>" * 25 + "<mi>x</mi>" + "<mo>^</mo></munder>" * 25
    nested = parse(over).css_first("math")
    assert nested is not None
    assert to_tex(nested).endswith("}")  # and does not take time by powers of two
    assert len(find(parse("<math>" * 300 + "<mi>x"))) == 1
