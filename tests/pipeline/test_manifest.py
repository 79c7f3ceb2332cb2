from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benben.pipeline import manifest
from benben.pipeline.manifest import ConservationError, Count, Manifest, PartFile

reasons = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 9))


@given(st.lists(st.tuples(st.integers(0, 9), reasons)))
def test_sums_of_conserving_counts_conserve(parts: list[tuple[int, dict[str, int]]]) -> None:
    total: manifest.Counts = {}
    for kept, rejected in parts:
        count = Count(entered=kept + sum(rejected.values()), kept=kept, rejected=rejected)
        manifest.add_counts(total, {"documents": count})
    for count in total.values():
        count.check("sum")
        assert count.entered == sum(k + sum(r.values()) for k, r in parts)


def test_a_lost_document_is_an_error() -> None:
    with pytest.raises(ConservationError, match=r"decide: 5 entered, but 3 kept \+ 1 rejected"):
        Count(entered=5, kept=3, rejected={"x": 1}).check("decide")


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    assert manifest.read(str(tmp_path)) is None
    written = Manifest(
        table="documents",
        id="1",
        stage="extract",
        version="0",
        config={},
        inputs={},
        files=[
            PartFile(part=1, name="b", rows=2, bytes=3),
            PartFile(part=0, name="a", rows=1, bytes=1),
        ],
    )
    manifest.write(str(tmp_path), written)
    read = manifest.read(str(tmp_path))
    assert read == written
    assert read.paths("t") == ["t/a", "t/b"]
    assert read.rows == 3


def test_identity_changes_with_config_input_and_stage() -> None:
    base = manifest.stage_id("decide", {"a": 1}, {"signals": "x"})
    assert base == manifest.stage_id("decide", {"a": 1}, {"signals": "x"})
    assert base != manifest.stage_id("decide", {"a": 2}, {"signals": "x"})
    assert base != manifest.stage_id("decide", {"a": 1}, {"signals": "y"})
    assert base != manifest.stage_id("measure", {"a": 1}, {"signals": "x"})
