"""What of a document ends in its fingerprint."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from benben.pipeline import config
from benben.pipeline.deduplication import fingerprint
from benben.pipeline.schema import DOCUMENTS, NODE_VERDICT

SETTINGS = config.load("default", ["input=[x]"]).fingerprint
TEXT = " ".join(f"word{number}" for number in range(40))


def one(dropped: list[int], classified: float | None = None, **facts: Any) -> dict[str, Any]:
    nodes = [
        {"kind": "text", "index": 0, "text": TEXT, "content_score": 0.75},
        {"kind": "image", "index": 1, "url": "https://x.example/1.jpg"},
        {"kind": "text", "index": 2, "text": "and a second text node", "content_score": 0.25},
    ]
    row = dict.fromkeys(DOCUMENTS.names)
    row |= {"doc_id": "ab" * 16, "captured_at": "2024-05-18T00:00:00Z", "nodes": nodes} | facts
    documents = pa.RecordBatch.from_pylist([row], DOCUMENTS)
    gone = [{"index": index, "reason": "x", "value": 0.0, "bound": 0.0} for index in dropped]
    verdicts = pa.array([gone], pa.list_(NODE_VERDICT))
    quality = pa.array([classified], pa.float32())
    chosen = documents.select(fingerprint.COLUMNS)
    found = fingerprint.fingerprints(chosen, verdicts, quality, SETTINGS)
    return dict(found.to_pylist()[0])


def test_only_kept_nodes_count() -> None:
    whole, cut = one([]), one([2])
    assert (whole["words"], cut["words"]) == (45, 40)
    assert whole["text_key"] != cut["text_key"]
    assert [node["index"] for node in cut["text_nodes"]] == [0]
    assert (whole["images"], one([1])["images"]) == (1, 0)


def test_quality_is_the_classifier_s_or_the_content_score_by_length() -> None:
    assert one([2])["quality"] == 0.75
    assert 0.7 < one([])["quality"] < 0.75  # most of the text is in the first node
    assert one([], classified=0.5)["quality"] == 0.5
    assert one([0, 2])["quality"] is None


def test_short_texts_have_no_signature() -> None:
    short = one([0])
    assert (short["text_key"], short["signature"], short["bands"]) == (None, None, [])


def test_keys_of_unlike_kinds_never_meet() -> None:
    same = one([], url_key="same", payload_digest="same")
    assert same["url_key"] != same["payload_key"]
    assert one([])["url_key"] is None


def test_older_captures_sort_first_and_name_their_document() -> None:
    old = fingerprint.graph_node("ff" * 16, fingerprint.seconds("2023-01-01T00:00:00Z"))
    new = fingerprint.graph_node("00" * 16, fingerprint.seconds("2024-01-01T00:00:00Z"))
    assert old < new
    assert fingerprint.doc_id(old) == "ff" * 16
    assert fingerprint.seconds("no time") == fingerprint.seconds(None) == 0


def test_sketches_of_many_texts_equal_those_of_each() -> None:
    texts = [TEXT, "", "short", TEXT * 3, "語" * 200]
    together = fingerprint.sketches(texts, SETTINGS)
    for number, text in enumerate(texts):
        alone = fingerprint.sketches([text], SETTINGS)
        for name, column in together.items():
            assert column[number].as_py() == alone[name][0].as_py(), name
    assert {len(column) for column in fingerprint.sketches([], SETTINGS).values()} == {0}
