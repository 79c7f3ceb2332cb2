"""Texts in unusual places: <noscript>, dropped frames, XML, shadow roots, metadata."""

from __future__ import annotations

import html as entities
import json
import time

import pytest
from pydantic import ValidationError

from benben import extract_page
from benben.pipeline.document import Document
from benben.pipeline.page.extract import default_settings
from benben.pipeline.page.markup import mended
from benben.pipeline.settings.extract import ExtractSettings

URL = "http://ex.com/a/b.html"
TOWN = "The harbour town lies at the mouth of the river, and its boats leave before sunrise."
INN = "A figurehead hangs above the door of the inn and is said to bring luck to couples."
NOTICE = "<noscript><p>Please enable JavaScript to use this site.</p></noscript>"


def page(html: str, headers: dict[str, str] | None = None, **changes: object) -> Document:
    settings = ExtractSettings.model_validate(default_settings().model_dump() | changes)
    return extract_page(html, URL, headers, settings)


def texts(html: str, headers: dict[str, str] | None = None, **changes: object) -> list[str | None]:
    return [node.text for node in page(html, headers, **changes).texts()]


def test_noscript_says_what_the_page_does_not() -> None:
    assert texts(f"<div id=app></div><noscript><p>{TOWN}</p><p>{INN}</p></noscript>") == [TOWN, INN]
    assert texts(f"<p>{TOWN}</p><noscript><p>{TOWN}</p><p>{INN}</p></noscript>") == [TOWN, INN]
    assert texts(f"<p>{TOWN} {INN}</p><noscript><div>{INN} {TOWN}</div></noscript>") == [
        f"{TOWN} {INN}"
    ]


def test_notices_in_noscript_are_no_text() -> None:
    assert texts(f"{NOTICE}<p>{TOWN}</p>{NOTICE}") == [TOWN]
    assert texts("<noscript>Bitte JavaScript einschalten</noscript>") == []
    assert texts("<noscript>このページにはJavaScriptが必要です</noscript>") == []


@pytest.mark.parametrize(
    "inside",
    [
        '<iframe src="https://tags.example/ns.html" height="0" />',
        '<iframe src="https://tags.example/ns.html">',
        "<div><b>open",
        "<style>p { color: red }",
        "<!-- open",
        "<img src=//pixel.example/1.gif><textarea>",
    ],
)
def test_what_is_open_in_noscript_ends_there(inside: str) -> None:
    document = page(f"<body><noscript>{inside}</noscript><h1>Town</h1><p>{TOWN}</p>")
    assert [node.text for node in document.texts()][-2:] == ["Town", TOWN]
    for body in ("body", "BODY class=a", "Body"):
        head = f"<head><noscript>{inside}</noscript><title>T</title></head><{body}><p>{TOWN}</p>"
        document = page(head)
        assert document.title == "T"
        assert [node.text for node in document.texts()][-1] == TOWN


def test_body_and_html_are_never_dropped() -> None:
    html = f"<html class=footer><body class='site-info menu' id=header hidden><p>{TOWN}</p>"
    (node,) = page(html).texts()
    assert (node.text, node.hidden) == (TOWN, False)


@pytest.mark.parametrize(
    "opening",
    [
        "<div id=header>",
        "<div class=navbar>",
        "<nav>",
        "<footer>",
        "<div class='site-info'>",
        "<menu>",
    ],
)
def test_a_frame_around_the_page_is_no_frame(opening: str) -> None:
    assert texts(f"{opening}<h1>Town</h1><p>{TOWN}</p>") == ["Town", TOWN]
    assert texts(f"{opening}<p>{TOWN}</p><p>{INN}</p></div><p>Short.</p>")[:2] == [TOWN, INN]
    assert texts(f"{opening}<a href=/>Home</a>") == [] or "div" in opening


def test_frames_beside_the_text_are_dropped() -> None:
    links = "<a href=/1>One thing of many</a> <a href=/2>Another thing of many</a>" * 9
    html = f"<nav>{links}</nav><div id=header>Site</div><h1>Town</h1><p>{TOWN}</p>"
    assert texts(f"{html}<footer>{links} © 1204</footer>") == ["Town", TOWN]


def test_images_of_a_header_survive_without_its_text() -> None:
    html = f"<div class=header><img src=lead.jpg><p>Menu</p></div><h1>Town</h1><p>{TOWN}</p>"
    assert [node.text or node.url for node in page(html).nodes] == [
        "http://ex.com/a/lead.jpg",
        "Town",
        TOWN,
    ]


def test_nested_frames_cost_no_more_than_the_page() -> None:
    html = "<nav>" * 900 + "<h1>x</h1>" + "<p>y</p>" * 5000
    started = time.process_time()
    page(html)
    assert time.process_time() - started < 30  # not seconds for each level


def test_a_copy_for_the_eye_stands_once() -> None:
    assert texts(f"<p>{TOWN}</p><div aria-hidden=true><p>{TOWN}</p></div>") == [TOWN]
    assert texts(f"<div aria-hidden=true><p>{INN}</p></div><p>{TOWN}</p>") == [INN, TOWN]


def test_xhtml_is_read_as_xml() -> None:
    body = (
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><script src="/x.js"/><title/></head>'
        f'<body><a id="top"/><p class="a/b">{TOWN}</p><textarea/><div/><p>1 &lt; 2<br/>'
        "<![CDATA[a < b]]></p></body></html>"
    )
    expected = [TOWN, "1 < 2\na < b"]
    assert texts(body, {"Content-Type": "application/xhtml+xml; charset=utf-8"}) == expected
    assert texts(f'<?xml version="1.0"?>{body}') == expected
    assert texts(f'<?xml version="1.0"?>{body}', {"content-type": "text/html"}) == []


def test_markup_is_mended_in_linear_time() -> None:
    for piece in (
        "<noscript>",
        "<a b='",
        "<![CDATA[",
        "<template shadowroot=",
        '<a "',
        "<noscript ",
    ):
        html = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">' + piece * 100_000
        started = time.process_time()
        mended(html.encode(), None)
        assert time.process_time() - started < 20


def test_declarative_shadow_roots_are_shown() -> None:
    html = (
        f"<my-page><template shadowrootmode=open><style>p {{}}</style><p>{TOWN}</p>"
        f"<template><p>inert</p></template></template><p>{INN}</p></my-page>"
    )
    assert texts(html) == [TOWN, INN]
    assert texts(f"<template><p>{TOWN}</p></template>") == []


def test_an_article_in_metadata_stands_in_for_a_missing_one() -> None:
    data = {"@graph": [{"@type": "NewsArticle", "articleBody": f"{TOWN}\n\n{INN}"}]}
    script = f"<script type='application/ld+json'>{json.dumps(data)}</script>"
    document = page(f"<head>{script}</head><body><div id=root></div></body>")
    assert [node.text for node in document.texts()] == [TOWN, INN]
    assert [node.path.split("/")[0] for node in document.nodes] == ["json-ld.2", "json-ld.2"]
    assert texts(f"<head>{script}</head><body><p>{TOWN}</p><p>{INN}</p></body>") == [TOWN, INN]


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("", ""),
        ("//<![CDATA[\n", "\n//]]>"),
        ("<!--", "-->"),
        ("/* article */ ", ";"),
    ],
)
def test_json_of_metadata_may_be_wrapped_and_end_in_commas(before: str, behind: str) -> None:
    data = json.dumps({"@type": "Article", "articleBody": f"{TOWN}\n{INN}"})[:-1] + ",}"
    script = f"<script type='application/ld+json'>{before}{data}{behind}</script>"
    assert texts(f"{script}<div id=root></div>") == [TOWN, INN]


def test_an_article_in_metadata_may_be_escaped_html() -> None:
    body = entities.escape(f"<p>{TOWN}</p><p>{INN} Tom &amp; Ann</p>")
    script = json.dumps({"@type": "Article", "articleBody": body})
    found = texts(f"<script type='application/ld+json'>{script}</script><div id=root></div>")
    assert found == [TOWN, f"{INN} Tom & Ann"]


@pytest.mark.parametrize(
    "text", ["{" * 100_000, '{"image":' + "[" * 9000, "]" * 100_000 + '"image"']
)
def test_json_of_metadata_that_is_none_costs_nothing(text: str) -> None:
    page = f"<script type='application/ld+json'>\"image\"{text}</script><p>{TOWN}</p>"
    assert texts(page) == [TOWN]


def test_elements_of_the_config_change_something() -> None:
    elements = default_settings().elements.model_dump()
    inline = elements | {"inline": [*elements["inline"], "x-card"]}
    assert texts("<p>a <x-card><p>b</p></x-card>", elements=inline) == ["a", "b"]
    drop = elements | {"drop": [*elements["drop"], "x-card", "g-emoji"]}
    assert texts("<p>a <g-emoji>b</g-emoji>c</p><x-card><p>d", elements=drop) == ["a c"]
    line = elements | {"line": [*elements["line"], "x-line"]}
    (node,) = list(page("<x-line>a</x-line>", elements=line).texts())
    assert (node.tag, node.path) == ("x-line", "x-line.1")


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("drop", ["p.note"]),
        ("drop", ["Section"]),
        ("drop", ["two words"]),
        ("drop", [""]),
        ("inline", ["img"]),
        ("line", ["script"]),
        ("drop", ["title"]),
        ("drop", ["em"]),
    ],
)
def test_names_without_effect_are_refused(place: str, names: list[str]) -> None:
    elements = default_settings().elements.model_dump()
    with pytest.raises(ValidationError):
        page("", elements=elements | {place: [*elements[place], *names]})


def test_tokens_that_no_page_can_have_are_refused() -> None:
    tokens = default_settings().tokens.model_dump()
    for token in ("Footer", "site info", ""):
        with pytest.raises(ValidationError):
            page("", tokens=tokens | {"drop": [token]})


def test_selectors_drop_and_keep() -> None:
    html = f"<div class=ad>Buy</div><footer><p id=f>{INN}</p></footer><p>{TOWN}</p><p>{TOWN} 2</p>"
    assert texts(html, selectors={"drop": [".ad"], "keep": []}) == [TOWN, f"{TOWN} 2"]
    document = page(html, selectors={"drop": [], "keep": ["footer", ".ad"]})
    assert [(node.text, node.content_score) for node in document.texts()][:2] == [
        ("Buy", 1.0),
        (INN, 1.0),
    ]
    assert texts(html, selectors={"drop": ["p + p"], "keep": ["#f"]})[-1] == TOWN
    with pytest.raises(ValidationError, match="CSS selector"):
        page("", selectors={"drop": ["p["], "keep": []})


@pytest.mark.parametrize(
    ("shadow", "light", "expected"),
    [
        (
            "<h2><slot name=title>None</slot></h2><slot></slot>",
            f"<p>{TOWN}</p><b slot=title>Town</b>",
            ["Town", TOWN],
        ),
        ("<slot></slot><h3><slot name=more>No more</slot></h3>", f"{TOWN}", [TOWN, "No more"]),
        ("<slot name=x><p>Kept</p></slot><p>own</p>", "<p>without a slot</p>", ["Kept", "own"]),
        ("<slot>No text</slot>", " \n ", ["No text"]),
        (
            "<x-in><template shadowrootmode=open><i><slot></slot></i></template>"
            "<slot name=a></slot></x-in><slot></slot>",
            "<p>second</p><p slot=a>first</p><p>third</p>",
            ["first", "second", "third"],
        ),
    ],
)
def test_slots_are_filled_as_browsers_fill_them(
    shadow: str, light: str, expected: list[str]
) -> None:
    host = f"<x-box><template shadowrootmode=open>{shadow}</template>{light}</x-box>"
    assert texts(host) == expected


def test_nested_shadow_roots_do_not_cost_more_than_their_page() -> None:
    started = time.process_time()
    page("<x-a><template shadowrootmode=open><slot></slot></template>" * 400 + TOWN)
    assert time.process_time() - started < 20


def described(value: object) -> str:
    return f"<script type=application/ld+json>{json.dumps(value)}</script><div id=app></div>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {
                "@type": "QAPage",
                "mainEntity": {
                    "@type": "Question",
                    "name": "When do the boats leave?",
                    "text": TOWN,
                    "acceptedAnswer": {"@type": "Answer", "text": INN},
                    "suggestedAnswer": [{"@type": "Answer", "text": "<p>Ask at the pier.</p>"}],
                },
            },
            ["When do the boats leave?", TOWN, INN, "Ask at the pier."],
        ),
        (
            {
                "@graph": [
                    {
                        "@type": ["FAQPage", "WebPage"],
                        "mainEntity": [
                            {
                                "@type": "Question",
                                "name": "Where?",
                                "acceptedAnswer": {"@type": "Answer", "text": TOWN},
                            }
                        ],
                    }
                ]
            },
            ["Where?", TOWN],
        ),
        (
            {
                "@type": "https://schema.org/Recipe",
                "name": "Bread",
                "recipeIngredient": ["500 g flour", "10 g salt & yeast"],
                "recipeInstructions": [
                    {
                        "@type": "HowToSection",
                        "name": "Dough",
                        "itemListElement": [
                            {"@type": "HowToStep", "name": "Knead it.", "text": "Knead it."},
                            "Wait an hour.",
                        ],
                    }
                ],
            },
            ["Bread", "500 g flour", "10 g salt & yeast", "Dough", "Knead it.", "Wait an hour."],
        ),
        (
            {"@type": "Recipe", "name": "Tea", "recipeInstructions": "Boil water.\nAdd tea."},
            ["Tea", "Boil water.", "Add tea."],
        ),
        ({"@type": "Product", "name": "Lamp", "description": f"{TOWN}"}, ["Lamp", TOWN]),
        ({"@type": "Organization", "name": "Inn", "description": TOWN}, []),
    ],
)
def test_questions_recipes_and_products_in_metadata_count_where_the_page_has_no_text(
    value: object, expected: list[str]
) -> None:
    assert texts(described(value)) == expected
    assert texts(f"{described(value)}<p>{TOWN} {INN} {TOWN}</p>" * 4)[0] == f"{TOWN} {INN} {TOWN}"
