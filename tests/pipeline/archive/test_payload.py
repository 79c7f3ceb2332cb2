from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline.archive.http_response import PayloadError, dechunk, decode_body

PAGE = b"<!doctype html><p>" + "Über den Fluß. ".encode() * 200
LIMIT = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def chunked(data: bytes, size: int = 700) -> bytes:
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=4),
    "zstd": zstandard.compress,
    "identity": bytes,
}


def decode(body: bytes, content: str = "", transfer: str = "", limit: int = LIMIT) -> bytes:
    headers = {"content-encoding": content, "transfer-encoding": transfer}
    return decode_body(body, headers, limit)


@pytest.mark.parametrize("name", CODINGS)
def test_codings_are_undone(name: str) -> None:
    body = CODINGS[name](PAGE)
    assert decode(body, name) == PAGE
    assert decode(body, name.upper()) == PAGE
    assert decode(body, transfer=name) == PAGE
    assert decode(chunked(body), name, "chunked") == PAGE


def test_several_codings_are_undone_last_first() -> None:
    assert decode(brotli.compress(gzip.compress(PAGE)), "gzip, br") == PAGE
    assert decode(gzip.compress(gzip.compress(PAGE)), "gzip") == PAGE
    assert decode(chunked(gzip.compress(PAGE)), transfer="gzip, chunked") == PAGE


@pytest.mark.parametrize("name", CODINGS)
def test_lies_about_codings_do_no_harm(name: str) -> None:
    assert decode(PAGE, name) == PAGE
    assert decode(PAGE, name, "chunked") == PAGE
    assert decode(gzip.compress(PAGE)) == PAGE
    assert decode(raw_deflate(PAGE), "deflate") == PAGE
    assert decode(PAGE, "utf-8") == decode(PAGE, "none") == PAGE
    assert decode(chunked(PAGE)) == PAGE


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_of_a_body_that_breaks_off_the_beginning_is_kept(name: str) -> None:
    words = b"".join(b"<p>%d</p>" % (n * n * 7919) for n in range(20_000))
    body = CODINGS[name](words)
    kept = decode(body[: len(body) * 2 // 3], name)
    assert len(kept) > 1_000
    assert words.startswith(kept)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_bombs_are_bounded(name: str) -> None:
    bomb = CODINGS[name](bytes(8 << 20))
    with pytest.raises(PayloadError, match="too-large"):
        decode(bomb, name)
    with pytest.raises(PayloadError, match="too-large"):
        decode(gzip.compress(gzip.compress(bytes(LIMIT + 1))), "gzip")


def test_what_cannot_be_had_has_a_reason() -> None:
    for body, content, reason in (
        (b"", "", "payload.empty"),
        (b"x" * (LIMIT + 1), "", "payload.too-large"),
        (bytes(range(256)), "br", "payload.encoding"),
        (b"\x1f\x8b\x08\xff" + bytes(range(256)), "gzip", "payload.encoding"),
        (PAGE, "gzip," * 9, "payload.encoding"),
    ):
        with pytest.raises(PayloadError) as caught:
            decode(body, content)
        assert caught.value.reason == reason


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 999))
def test_chunks_are_joined(data: bytes, size: int) -> None:
    body = chunked(data, size)
    assert dechunk(body) == data
    assert data.startswith(dechunk(body[: len(body) // 2])) or len(body) < 30
    assert dechunk(body.replace(b"\r\n0\r\n", b"\r\n0;x=y\r\nTrailer: z\r\n", 1)) is not None


@given(st.binary(max_size=300), st.sampled_from([*CODINGS, "x", ""]), st.booleans())
def test_random_bytes_give_bytes_or_a_reason(data: bytes, name: str, chunks: bool) -> None:
    with contextlib.suppress(PayloadError):
        assert len(decode(data, name, "chunked" if chunks else "")) <= LIMIT
