"""Joining of addresses as browsers do it: cases of RFC 3986, 5.4, and the URL Standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline import url

BASE = "http://a/b/c/d;p?q"
RFC = [  # reference, target: RFC 3986 5.4.1 and 5.4.2, with http normalised as browsers do
    ("http:g", "http://a/b/c/g"),
    ("g", "http://a/b/c/g"),
    ("./g", "http://a/b/c/g"),
    ("g/", "http://a/b/c/g/"),
    ("/g", "http://a/g"),
    ("//g", "http://g/"),
    ("?y", "http://a/b/c/d;p?y"),
    ("g?y", "http://a/b/c/g?y"),
    ("#s", "http://a/b/c/d;p?q#s"),
    ("g#s", "http://a/b/c/g#s"),
    ("g?y#s", "http://a/b/c/g?y#s"),
    (";x", "http://a/b/c/;x"),
    ("g;x", "http://a/b/c/g;x"),
    ("g;x?y#s", "http://a/b/c/g;x?y#s"),
    ("", "http://a/b/c/d;p?q"),
    (".", "http://a/b/c/"),
    ("./", "http://a/b/c/"),
    ("..", "http://a/b/"),
    ("../", "http://a/b/"),
    ("../g", "http://a/b/g"),
    ("../..", "http://a/"),
    ("../../", "http://a/"),
    ("../../g", "http://a/g"),
    ("../../../g", "http://a/g"),
    ("../../../../g", "http://a/g"),
    ("/./g", "http://a/g"),
    ("/../g", "http://a/g"),
    ("g.", "http://a/b/c/g."),
    (".g", "http://a/b/c/.g"),
    ("g..", "http://a/b/c/g.."),
    ("..g", "http://a/b/c/..g"),
    ("./../g", "http://a/b/g"),
    ("./g/.", "http://a/b/c/g/"),
    ("g/./h", "http://a/b/c/g/h"),
    ("g/../h", "http://a/b/c/h"),
    ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
    ("g;x=1/../y", "http://a/b/c/y"),
    ("g?y/./x", "http://a/b/c/g?y/./x"),
    ("g#s/../x", "http://a/b/c/g#s/../x"),
]
PAGE = "https://Example.com:443/a/b/page.html?x=1#top"
STANDARD = [  # the WHATWG URL Standard's parser on what pages hold
    ("img.png", "https://example.com/a/b/img.png"),
    ("  img.png\n", "https://example.com/a/b/img.png"),
    ("i\tm\ng.png", "https://example.com/a/b/img.png"),
    ("\\img\\a.png", "https://example.com/img/a.png"),
    ("\\\\cdn.ex.org\\a.png", "https://cdn.ex.org/a.png"),
    ("https:/img.png", "https://example.com/img.png"),
    ("https:img.png", "https://example.com/a/b/img.png"),
    ("http:///other.org/x", "http://other.org/x"),
    ("//cdn.ex.org/a.png", "https://cdn.ex.org/a.png"),
    ("HTTP://EX.ORG/A.PNG", "http://ex.org/A.PNG"),
    ("http://ex.org:80/x", "http://ex.org/x"),
    ("http://ex.org:8080/x", "http://ex.org:8080/x"),
    ("http://ex.org", "http://ex.org/"),
    ("http://ex.org?x", "http://ex.org/?x"),
    ("http://user:pw@ex.org/x", "http://user:pw@ex.org/x"),
    ("my photo.jpg", "https://example.com/a/b/my%20photo.jpg"),
    ("bild_ä.jpg", "https://example.com/a/b/bild_%C3%A4.jpg"),
    ("写真.jpg?q=猫", "https://example.com/a/b/%E5%86%99%E7%9C%9F.jpg?q=%E7%8C%AB"),
    ('a"b<c>.png', "https://example.com/a/b/a%22b%3Cc%3E.png"),
    ("w_300,h_200/x.jpg", "https://example.com/a/b/w_300,h_200/x.jpg"),
    ("a%20b.png", "https://example.com/a/b/a%20b.png"),
    ("a%zz.png", "https://example.com/a/b/a%zz.png"),
    ("x/%2e%2e/y.png", "https://example.com/a/b/y.png"),
    ("x/%2E/y.png", "https://example.com/a/b/x/y.png"),
    ("http://bücher.example/x", "http://xn--bcher-kva.example/x"),
    ("http://EXAMPLE.com./x", "http://example.com./x"),
    ("http://0x7f.1/x", "http://127.0.0.1/x"),
    ("http://2130706433/x", "http://127.0.0.1/x"),
    ("http://[::1]:80/x", "http://[::1]/x"),
    ("?v=2", "https://example.com/a/b/page.html?v=2"),
    ("/x//y.png", "https://example.com/x//y.png"),
    ("a|b.png", "https://example.com/a/b/a|b.png"),
    ("data:image/png;base64,AAAA", None),
    ("blob:https://example.com/1", None),
    ("javascript:void(0)", None),
    ("about:blank", None),
    ("ftp://ex.org/x.png", None),
    ("mailto:a@ex.org", None),
    ("http://", None),
    ("http://ex ample.org/", None),
    ("http://ex.org:99999/", None),
    ("http://[::1", None),
    ("http://a%00b/", None),
]


@pytest.mark.parametrize(("reference", "target"), RFC)
def test_join_follows_rfc_3986(reference: str, target: str) -> None:
    assert url.join(BASE, reference) == target


@pytest.mark.parametrize(("reference", "target"), STANDARD)
def test_join_follows_the_url_standard(reference: str, target: str | None) -> None:
    assert url.join(PAGE, reference) == target


@given(st.text(alphabet="aZ0/.:?#%&=-_~+,;@!$()*\\ é\t2eE", max_size=30))
def test_the_short_way_gives_what_parsing_gives(reference: str) -> None:
    for text in (reference, "https://a.ex.org/" + reference, "/" + reference):
        assert url.join(PAGE, text) == url.parse_join(PAGE, text)


def test_an_address_that_no_server_need_take_is_none() -> None:
    base = f"http://a.example/{'b' * 7000}/"
    assert url.join(base, "c.jpg") == f"{base}c.jpg"
    assert url.join(base, "../c.jpg") == "http://a.example/c.jpg"
    for long in ("c" * 1000, f"/{'c' * 9000}", f"http://b.example/{'c' * 9000}", "ü" * 3000):
        assert url.join(base, long) is None


def test_host_and_domain() -> None:
    assert url.host("https://WWW.Example.co.uk:8080/x") == "www.example.co.uk"
    assert url.domain("www.example.co.uk") == "example.co.uk"
    assert url.domain("192.0.2.1") == "192.0.2.1"
    assert url.host("not a url") == ""


@pytest.mark.parametrize(
    "same",
    [
        "https://ex.org/a?y=2&x=1",
        "http://www.ex.org/a/?x=1&y=2#part",
        "http://EX.org:80/b/../a?x=1&&y=2",
        "http://ex.org/%61?%78=1&y=%32",
    ],
)
def test_addresses_of_one_page_share_a_key(same: str) -> None:
    assert url.url_key(same) == "ex.org/a?x=1&y=2"


def test_keys_of_addresses_ignore_how_a_byte_is_escaped() -> None:
    keys = {
        url.url_key(f"https://ex.org/{path}") for path in ("~ä/b", "%7e%c3%a4/b", "%7E%C3%a4/b")
    }
    assert keys == {"ex.org/~%C3%A4/b"}
    assert url.url_key("https://ex.org/a?%7a=1&b=2") == url.url_key("https://ex.org/a?b=2&z=1")
    assert url.url_key("https://ex.org/a%2fb") != url.url_key("https://ex.org/a/b")


def test_other_pages_have_other_keys() -> None:
    keys = {url.url_key(f"https://ex.org/{path}") for path in ("a", "A", "a?x=1", "a?x=2", "a:b")}
    assert len(keys) == 5
