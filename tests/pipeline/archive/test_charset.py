from __future__ import annotations

import codecs
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings import LABELS

from benben.pipeline.archive.charset import decode_html, to_utf8, whatwg_label

JAPANESE = "このツールは選択範囲を現行の描画色で塗りつぶします。" * 8
RUSSIAN = "Инструмент выделения по цвету выделяет области изображения. " * 8
GERMAN = "Das Käfigwerkzeug ist ein besonderes Transformationswerkzeug für Übungen. " * 8
CHINESE = "我认为学习一个计算机系统，就像学习一门新的外语。" * 8


def page(text: str, meta: str = "") -> str:
    return f"<!doctype html><html><head>{meta}<title>t</title></head><body><p>{text}</p></body>"


def charset_meta(label: str) -> str:
    return f'<meta http-equiv="Content-Type" content="text/html; charset={label}">'


@pytest.mark.parametrize(
    ("text", "codec", "label", "name"),
    [
        (JAPANESE, "cp932", "Shift_JIS", "shift_jis"),
        (JAPANESE, "euc_jp", "EUC-JP", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp", "iso-2022-jp"),
        (RUSSIAN, "cp1251", "windows-1251", "windows-1251"),
        (RUSSIAN, "koi8_r", "koi8-r", "koi8-r"),
        (RUSSIAN, "iso8859_5", "iso-8859-5", "iso-8859-5"),
        (GERMAN, "latin-1", "iso-8859-1", "windows-1252"),
        (GERMAN, "cp1250", "windows-1250", "windows-1250"),
        (CHINESE, "gbk", "gb2312", "gbk"),
        (CHINESE, "gb18030", "gb18030", "gb18030"),
        (GERMAN, "utf-8", "utf8", "utf-8"),
    ],
)
def test_declared_encodings(text: str, codec: str, label: str, name: str) -> None:
    in_header = page(text).encode(codec)
    assert decode_html(in_header, f"text/html; charset={label}") == (page(text), name)
    for meta in (charset_meta(label), f"<meta charset={label}>", f"<META CHARSET='{label}' />"):
        in_meta = page(text, meta).encode(codec)
        assert decode_html(in_meta, "text/html") == (page(text, meta), name)
        late = page(text, f"<!--{'x' * 3000}-->{meta}")
        assert decode_html(late.encode(codec), None) == (late, name)


@pytest.mark.parametrize(
    ("bom", "codec", "name"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16le"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16be"),
    ],
)
def test_a_byte_order_mark_wins(bom: bytes, codec: str, name: str) -> None:
    body = bom + page(JAPANESE).encode(codec)
    assert decode_html(body, "text/html; charset=iso-8859-1") == (page(JAPANESE), name)


def test_the_header_goes_before_the_meta() -> None:
    text = page(RUSSIAN, charset_meta("koi8-r"))
    assert decode_html(text.encode("cp1251"), "text/html; charset=cp1251")[0] == text


def test_a_meta_in_a_comment_does_not_count() -> None:
    text = page(GERMAN, f"<!-- {charset_meta('koi8-r')} -->")
    assert decode_html(text.encode("cp1252"), None)[0] == text


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (JAPANESE, "cp932", "utf-8"),
        (RUSSIAN, "cp1251", "iso-8859-1"),
        (CHINESE, "utf-8", "gbk"),
        (GERMAN, "utf-8", "iso-8859-1"),
        (GERMAN, "utf-8", "utf-16"),
        (GERMAN, "utf-8", "utf8mb4"),
        (GERMAN, "utf-8", "none"),
    ],
)
def test_declarations_the_bytes_contradict_are_passed_over(
    text: str, codec: str, label: str
) -> None:
    body = page(text).encode(codec)
    assert decode_html(body, f"text/html; charset={label}")[0] == page(text)
    meta = page(text, charset_meta(label))
    assert decode_html(meta.encode(codec), None)[0] == meta


def test_some_bad_bytes_do_not_make_utf8_something_else() -> None:
    body = page(JAPANESE).encode().replace("選".encode(), b"\xff", 3)
    text, name = decode_html(body, "text/html; charset=utf-8")
    assert name == "utf-8"
    assert text == page(JAPANESE).replace("選", "\ufffd", 3)


def test_pages_that_declare_nothing_are_guessed() -> None:
    for text, codec, name in (
        (JAPANESE, "cp932", "shift_jis"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (GERMAN, "cp1252", "windows-1252"),
        (page("plain"), "ascii", "windows-1252"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
    ):
        assert decode_html(text.encode(codec), None) == (text, name)


def test_labels_are_those_of_the_standard() -> None:
    assert whatwg_label(" LATIN1\n") == "windows-1252"
    assert whatwg_label("ks_c_5601-1987") == "euc-kr"
    assert whatwg_label("sjis") == "shift_jis"
    assert whatwg_label("hz-gb-2312") is None
    assert whatwg_label("utf8mb4") is None


@pytest.mark.parametrize("name", sorted(set(LABELS.values()) - {"replacement"}))
def test_every_encoding_of_the_standard_can_be_decoded(name: str) -> None:
    wide = name.startswith("utf-16")
    body = page("abc").encode(name) if wide else page("abc").encode()
    assert decode_html(body, f"text/html; charset={name}") == (page("abc"), name)


def test_rows_that_nec_added_to_euc_jp() -> None:
    text, name = decode_html(page("x").encode() + b"\xad\xa1", "text/html; charset=euc-jp")
    assert (text[-1], name) == ("①", "euc-jp")


@given(st.binary(max_size=2000), st.sampled_from([None, *sorted(LABELS)]))
def test_random_bytes_never_fail(data: bytes, label: str | None) -> None:
    text, name = decode_html(data, f"text/html; charset={label}" if label else None)
    assert name in LABELS.values()
    text.encode("utf-8", "surrogatepass")


def test_hostile_metas_take_no_time() -> None:
    body = b"<meta " * 20_000 + b"\xff" + b"<!--" * 20_000
    assert decode_html(body, None)[0].startswith("<meta ")


UTF8 = "text/html; charset=utf-8"


@pytest.mark.parametrize("text", [b"\xc3" * 3_000_000, "字".encode() * 1_000_000 + b"\xff"])
def test_damaged_text_takes_memory_like_its_bytes(text: bytes) -> None:
    tracemalloc.start()
    try:
        to_utf8(text, UTF8)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10 * len(text)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("Café ".encode() + b"\xe9", UTF8),  # header and meta agree
        ("über Café ".encode() + b"\x92", None),  # only the meta says so
        ("déjà vu ".encode() * 12 + b"\xff", "text/html; charset=iso-8859-1"),
        (CHINESE.encode() + CHINESE.encode()[:-1], "text/html; charset=gbk"),
        (RUSSIAN.encode() + b"\xd0", "text/html; charset=windows-1251"),
    ],
)
def test_damaged_utf8_stays_utf8(body: bytes, content_type: str | None) -> None:
    meta = b"<meta charset=utf-8>" if content_type in (UTF8, None) else b""
    text, name = decode_html(meta + b"<p>" + body, content_type)
    assert name == "utf-8"
    assert text == (meta + b"<p>" + body).decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("text", "codec"),
    [(GERMAN, "latin-1"), (RUSSIAN, "cp1251"), (CHINESE, "gbk"), (JAPANESE, "cp932")],
)
def test_other_encodings_that_are_declared_as_utf8_are_found(text: str, codec: str) -> None:
    body = page(text, "<meta charset=utf-8>").encode(codec)
    assert text[:40] in decode_html(body, UTF8)[0]


@given(st.binary(), st.sampled_from([None, UTF8, "text/html; charset=latin-1"]))
def test_a_page_in_utf8_is_the_text_of_the_page(body: bytes, content_type: str | None) -> None:
    text, label = decode_html(body, content_type)
    assert to_utf8(body, content_type) == (text.encode("utf-8", "replace"), label)
