"""What is mended before the parse: text that was encoded twice, <noscript> in any form."""

from __future__ import annotations

import pytest

from benben import extract_page
from benben.pipeline.page.markup import mended

JAPANESE = "このツールは選択範囲を現行の描画色で塗りつぶします。" * 8
RUSSIAN = "Инструмент выделения по цвету выделяет области изображения. " * 8
CHINESE = "我认为学习一个计算机系统，就像学习一门新的外语。" * 8


def twice(text: str, times: int = 1) -> str:
    """Text encoded as UTF-8 and read as windows-1252, which leaves some bytes as controls."""
    for _ in range(times):
        characters = []
        for byte in text.encode():
            try:
                characters.append(bytes([byte]).decode("cp1252"))
            except UnicodeDecodeError:
                characters.append(chr(byte))
        text = "".join(characters)
    return text


def repaired(html: str) -> str:
    return mended(html.encode(), None)[0].decode()


@pytest.mark.parametrize(
    "text",
    ["le café très près de l’église", "„Größe“ – “yes”…", RUSSIAN, CHINESE, JAPANESE, "Ελληνικά",
     "100 € für 5 °C"],
)  # fmt: skip
def test_text_encoded_twice_is_decoded_again(text: str) -> None:
    for times in (1, 2):
        html = f"<p>x</p><p>{twice(text, times)}</p><p>ü—ber</p>"
        assert repaired(html) == f"<p>x</p><p>{text}</p><p>ü—ber</p>"


@pytest.mark.parametrize(
    "text",
    [
        "“Å” and “Ä”",
        "NÃO É SÃO",
        "HÔTEL «\u00a0À LA GARE\u00a0»",
        "voilà… é”",
        "”Ö”",
        RUSSIAN,
        CHINESE,
    ],
)
def test_text_that_was_meant_stays(text: str) -> None:
    assert repaired(f"<p>{text}</p>") == f"<p>{text}</p>"


def test_a_page_of_much_damage_costs_little() -> None:
    html = "<p>" + "Ã© " * 400_000
    assert repaired(html).count("é") < 100_000


def test_text_encoded_twice_is_repaired_whatever_its_length() -> None:
    for text in (RUSSIAN * 20, CHINESE * 20):
        assert repaired(f"<p>{twice(text)}</p>") == f"<p>{text}</p>"
        assert repaired(twice(text)) == text


def test_a_page_may_end_in_text_that_was_encoded_twice() -> None:
    assert repaired("<p>voil" + twice("à la carte, café")) == "<p>voilà la carte, café"


def test_noscript_is_read_in_any_case_and_however_many_there_are() -> None:
    parts = "".join(f"<NoScript><p>Part {number} of it</NOSCRIPT>" for number in range(200))
    document = extract_page(f"<body>{parts}<p>The end</p>", "https://example.org/")
    texts = [node.text for node in document.texts()]
    assert texts == [*(f"Part {number} of it" for number in range(200)), "The end"]


@pytest.mark.parametrize("name", ["noscripts", "noscript-x", "nos", "template2"])
def test_elements_of_similar_names_are_left_alone(name: str) -> None:
    html = f"<body><{name}><p>words</{name}><p>more".encode()
    assert mended(html, None)[0] is html
