"""A corpus is read alike in both forms of the dataset."""

from __future__ import annotations

from pathlib import Path

from benben.analysis.tables import RunTables
from benben.jobs.commands import export
from benben.trainer.data.corpus import Corpus, ImageStore
from tests.analysis.run_folder import make


def test_images_in_the_rows_are_those_of_the_store(tmp_path: Path) -> None:
    run = Path(make(tmp_path / "run"))
    export.export_self_contained(RunTables(str(run)), str(tmp_path / "contained"))
    contained = Corpus(str(tmp_path / "contained"))
    by_reference = Corpus(str(run / "dataset" / "data"))
    store = ImageStore(str(run / "dataset" / "images"))
    assert contained.holds_images()
    assert not by_reference.holds_images()
    assert len(contained) == len(by_reference) == 5
    shown = 0
    for number in range(len(contained)):
        one, other = contained.read(number), by_reference.read(number)
        assert (one.name, one.lang, one.host) == (other.name, other.lang, other.host)
        assert [slot.text for slot in one.slots] == [slot.text for slot in other.slots]
        for slot, reference in zip(one.slots, other.slots, strict=True):
            assert slot.sha256 == reference.sha256
            if slot.sha256:
                assert slot.data == store.read(slot.sha256)
                shown += slot.data is not None
    assert shown == 10
