"""Pictures that speak against their own use: XMP and C2PA in the formats that hold them."""

from __future__ import annotations

import io
import zlib

import pytest
from PIL import Image, PngImagePlugin

from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.consent.picture_metadata import metadata_refusal
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.processor import ImageProcessor
from tests.web import picture, settings

TERMS = "http://ns.useplus.org/ldf/vocab/DMI-"


def xmp(inside: str = "", attributes: str = "") -> bytes:
    """An XMP packet with one description."""
    names = (
        'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" xmlns:tdm="http://www.w3.org/ns/tdmrep/"'
    )
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {names} {attributes}>{inside}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def image(packet: bytes, kind: str) -> bytes:
    """A picture with an XMP packet."""
    out = io.BytesIO()
    drawing = Image.open(io.BytesIO(picture()))
    if kind.startswith("PNG"):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode(), zip=kind == "PNG compressed")
        drawing.save(out, "PNG", pnginfo=info)
    else:
        drawing.save(out, kind, xmp=packet)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG compressed", "WEBP", "AVIF"])
def test_all_formats_with_xmp(kind: str) -> None:
    packet = xmp(attributes=f'plus:DataMining="{TERMS}PROHIBITED-AIMLTRAINING"')
    assert metadata_refusal(image(packet, kind)) == "DMI-PROHIBITED-AIMLTRAINING"
    assert metadata_refusal(image(xmp(), kind)) is None


@pytest.mark.parametrize(
    ("packet", "refused"),
    [
        (xmp(f"<plus:DataMining>{TERMS}PROHIBITED</plus:DataMining>"), True),
        (xmp(f'<plus:DataMining rdf:resource="{TERMS}PROHIBITED-GENAIMLTRAINING"/>'), True),
        (xmp(f"<plus:DataMining>{TERMS}PROHIBITED-EXCEPTSEARCHENGINEINDEXING</plus:DataMining>"),
         True),
        (xmp(attributes='plus:DataMining="DMI-PROHIBITED-SEECONSTRAINT"'), True),
        (xmp(attributes=f'plus:DataMining="{TERMS}ALLOWED"'), False),
        (xmp(attributes=f'plus:DataMining="{TERMS}UNSPECIFIED"'), False),
        (xmp("<tdm:reservation>1</tdm:reservation>"), True),
        (xmp(attributes='tdm:reservation="1"'), True),
        (xmp("<tdm:reservation>0</tdm:reservation>"), False),
    ],
)  # fmt: skip
def test_xmp(packet: bytes, refused: bool) -> None:
    assert (metadata_refusal(picture() + packet) is not None) == refused


def cbor(entries: dict[str, str]) -> bytes:
    """The assertion's map of entries, as CBOR texts."""
    texts = b""
    for name, use in entries.items():
        key = name.encode()
        head = bytes([0x60 + len(key)]) if len(key) < 24 else bytes([0x78, len(key)])
        value = use.encode()
        texts += head + key + b"\xa1\x63use" + bytes([0x60 + len(value)]) + value
    return b"c2pa.training-mining\0cbor\xa1\x67entries" + bytes([0xA0 + len(entries)]) + texts


@pytest.mark.parametrize(
    ("entries", "refused"),
    [
        ({"c2pa.ai_generative_training": "notAllowed"}, True),
        ({"c2pa.ai_inference": "allowed", "c2pa.ai_training": "notAllowed"}, True),
        ({"cawg.data_mining": "constrained"}, True),
        ({"c2pa.ai_training": "allowed", "c2pa.data_mining": "allowed"}, False),
        ({"c2pa.ai_inference": "notAllowed"}, False),
        ({}, True),
    ],
)
def test_c2pa(entries: dict[str, str], refused: bool) -> None:
    assert (metadata_refusal(picture() + cbor(entries)) is not None) == refused


def test_hostile_pictures_cost_little() -> None:
    for data in (b"DataMining" * 500_000, b"c2pa." * 500_000, b"training-mining" * 200_000,
                 b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(50_000_000))):  # fmt: skip
        metadata_refusal(data)


def test_such_a_picture_is_not_kept() -> None:
    data = image(xmp(attributes=f'plus:DataMining="{TERMS}PROHIBITED"'), "JPEG")
    for switch, reason in (("yes", "consent.metadata"), ("no", None)):
        chosen = settings(f"consent.metadata={switch}")
        outcome = Outcome("http://a.test/x", "http://a.test/x")
        ImageProcessor(chosen, OptOutLists(chosen.consent)).process(data, outcome)
        assert outcome.reason == reason
        assert (outcome.data is None) == (reason is not None)
