"""A document's verdict gives the nodes that ship, and every other node is accounted for."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benben.filters.decide import decide_batch
from benben.filters.shipped import kept_nodes
from benben.filters.signal_table import measure_batch
from benben.filters.verdicts import count_verdicts
from benben.pipeline import config
from benben.pipeline import document as records
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.document import Document, Node
from benben.pipeline.page.extract import extract_page
from tests.filters.pages import SETTINGS, batch, image, page, rules, text
from tests.shared import DATA, needs_shared

PARAGRAPHS = st.lists(
    st.text("aб天\n .,1", max_size=30) | st.sampled_from(["one two three four", "share"]),
    max_size=4,
)
NODES = st.lists(
    st.one_of(
        PARAGRAPHS.map("\n\n".join).map(text),
        st.sampled_from(["https://e.com/a.jpg", "https://e.com/logo.png"]).map(image),
        st.just({"kind": "break", "link_share": 0.0}),
    ),
    max_size=8,
)


def as_document(one: dict[str, Any]) -> Document:
    return Document(one["url"], [Node(**node) for node in one["nodes"]])


@settings(max_examples=25, deadline=None)
@given(st.lists(NODES, min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 2))
def test_every_node_is_shipped_or_counted(
    pages: list[Any], least_words: int, least_images: int
) -> None:
    built = [page(*nodes) for nodes in pages]
    signals = measure_batch(batch(*built), SETTINGS)
    judged = rules(
        text_node={"words": {"min": least_words}},
        image_node={"url_words": {"max": 0}},
        document={"images": {"min": least_images}},
    )
    verdicts = decide_batch(signals, judged)
    counts = count_verdicts(signals, verdicts)
    for unit, count in counts.items():
        count.check(unit)
    left = [
        node
        for one, verdict in zip(built, verdicts.to_pylist(), strict=True)
        if verdict["kept"]
        for node in kept_nodes(as_document(one), verdict["dropped"])
    ]
    assert counts["documents"].entered == len(pages)
    assert counts["nodes"].entered == sum(len(nodes) for nodes in pages)
    assert counts["nodes"].kept == len(left)
    assert counts["images"].kept == sum(node.kind == "image" for node in left)


def test_a_node_loses_paragraphs_and_keeps_the_rest_as_it_was() -> None:
    document = Document(
        "u", [Node("text", 0, text="a\n\nb \n\n\nc"), Node("text", 1, text="d\n\ne")]
    )
    dropped = [{"index": 0, "paragraph": 1}, {"index": 1, "paragraph": 0}]
    whole = [{"index": 1, "paragraph": None}]
    assert [node.text for node in kept_nodes(document, dropped)] == ["a\n\nc", "e"]
    assert [node.text for node in kept_nodes(document, whole)] == ["a\n\nb \n\n\nc"]


def expected(document: Document, dropped: list[dict[str, Any]]) -> list[Node]:
    """What ships, worked out node by node from the paragraphs' own lines."""
    reasons = {(one["index"], one["paragraph"]) for one in dropped}
    nodes = []
    for node in document.nodes:
        if node.kind != "text":
            nodes += [] if (node.index, None) in reasons else [node]
            continue
        blocks = [one.strip("\n") for one in (node.text or "").split("\n\n")]
        blocks = [one for one in blocks if one] or [" "]
        kept = [one for number, one in enumerate(blocks) if (node.index, number) not in reasons]
        if len(kept) == len(blocks):
            nodes.append(node)
        elif kept:
            nodes.append(replace(node, text="\n\n".join(kept)))
    return nodes


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["default", "obelics"])
def test_replay_gives_the_shipped_nodes_of_real_pages(name: str) -> None:
    chosen = config.load(name, ["input=[x]"])
    pages = 0
    for path in sorted((DATA / "warc").glob("TEST-MAIN-*.warc.gz")):
        found = [one for one in read_captures(str(path)) if isinstance(one, Capture)]
        for start in range(0, len(found), 200):
            captures = found[start : start + 200]
            documents = [extract_page(one.payload, one.url, one.headers) for one in captures]
            signals = measure_batch(records.to_batch(captures, documents), chosen.signals)
            verdicts = decide_batch(signals, chosen.rules)
            counts = count_verdicts(signals, verdicts)
            shipped = 0
            for document, verdict in zip(documents, verdicts.to_pylist(), strict=True):
                nodes = kept_nodes(document, verdict["dropped"])
                wanted = expected(document, verdict["dropped"])
                assert [asdict(node) for node in nodes] == [asdict(node) for node in wanted]
                shipped += len(nodes) if verdict["kept"] else 0
            for unit, count in counts.items():
                count.check(unit)
            assert shipped == counts["nodes"].kept
            pages += len(captures)
    assert pages > 1000
