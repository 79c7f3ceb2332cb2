"""What a takedown leaves of a run's order: what remains is not lost, and nothing comes twice."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies

from benben.trainer.checkpoint import store
from benben.trainer.checkpoint.store import CheckpointError
from benben.trainer.data import loader as loader_module
from benben.trainer.data.corpus import Document, Slot
from benben.trainer.data.loader import DataSource, Loader, remaining
from benben.trainer.data.order import DataState, LaneState, Part
from benben.trainer.data.packing import Sample, train_vocabulary
from benben.trainer.data.roster import OtherDocuments, Roster
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.model.fusion import EarlyFusion
from benben.trainer.settings import DataConfig
from tests.trainer import runs
from tests.trainer.dataset import write_dataset

VOCABULARY = train_vocabulary(["red square paper drawing hall blue"], 300)
SEQ_LEN = 32


class Made:
    """A corpus in memory: documents of given lengths in row groups, without some of them."""

    def __init__(self, name: str, words: list[int], group: int, gone: frozenset[int]) -> None:
        self.name = name
        self.left = [i for i in range(len(words)) if i not in gone]
        self.words = words
        groups = Counter(i // group for i in self.left)  # row groups shrink, empty ones vanish
        self.group_sizes = np.array([groups[g] for g in sorted(groups)], np.int64)
        self.fingerprint = hashlib.sha256(repr((name, self.left)).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.left)

    def ids(self) -> np.ndarray:
        digests = [hashlib.sha256(f"{self.name}/{i}".encode()).digest()[:8] for i in self.left]
        return np.frombuffer(b"".join(digests), "<u8")

    def languages(self) -> np.ndarray:
        return np.array(["en" if i % 3 else "sw" for i in self.left], object)

    def read(self, index: int) -> Document:
        number = self.left[index]
        text = " ".join(["paper"] * self.words[number])
        return Document(f"{self.name}/{number}", "en", "", [Slot(text)])


def make(
    corpora: list[tuple[list[int], int]], gone: list[frozenset[int]], **changes: Any
) -> DataSource:
    """A source on corpora in memory, given as documents' words and rows of a row group."""
    mix = [{"path": f"c{i}", "weight": 1.0 + i} for i in range(len(corpora))]
    config = DataConfig.model_validate({"mix": mix, "seq_len": SEQ_LEN, "holdout": 0.0, **changes})
    made = {f"c{i}": Made(f"c{i}", *c, gone[i]) for i, c in enumerate(corpora)}
    whole = loader_module.Corpus
    loader_module.Corpus = lambda path, *_: made[path]  # type: ignore[assignment, misc]
    try:
        return DataSource(config, VOCABULARY, EarlyFusion(0))
    finally:
        loader_module.Corpus = whole  # type: ignore[misc]


def merged(loaders: list[Loader]) -> DataState:
    lanes: dict[int, LaneState] = {}
    for loader in loaders:
        for lane, state in loader.gather().lanes.items():
            lanes[lane] = max(state, lanes.get(lane, LaneState()))
    state = DataState(loaders[0].state.next, lanes, loaders[0].state.skip)
    return DataState.from_json(json.loads(json.dumps(state.to_json())))


@strategies.composite
def trials(draw: strategies.DrawFn) -> dict[str, Any]:
    """Corpora, settings of the order, and stretches of training with what leaves before each."""
    lanes = draw(strategies.sampled_from([1, 2, 4, 6]))
    corpora = draw(
        strategies.lists(
            strategies.tuples(
                strategies.lists(strategies.integers(1, 70), min_size=8, max_size=40),
                strategies.integers(1, 9),
            ),
            min_size=1,
            max_size=2,
        )
    )
    degrees = [d for d in (1, 2, 3) if lanes % d == 0]
    stretch = strategies.tuples(
        strategies.integers(0, 6),  # rounds of the lanes
        strategies.sampled_from(degrees),
        strategies.lists(strategies.tuples(strategies.integers(0, 1), strategies.integers(0, 39))),
    )
    return {
        "corpora": corpora,
        "settings": {
            "lanes": lanes,
            "window": draw(strategies.integers(3, 16)),
            "block": draw(strategies.integers(2, 30)),
            "seed": draw(strategies.integers(0, 99)),
            "languages": draw(strategies.sampled_from([None, 0.5])),
        },
        "stretches": draw(strategies.lists(stretch, min_size=1, max_size=4)),
    }


# A window holds less than one document of some streams.
SHARES_BELOW_A_DOCUMENT: dict[str, Any] = {
    "corpora": [([1] * 8, 1), ([1] * 8, 1)],
    "settings": {"lanes": 1, "window": 3, "block": 2, "seed": 0, "languages": 0.5},
    "stretches": [(0, 1, [])],
}


def of_epoch(source: DataSource) -> dict[Part, int]:
    """Every part of the first epoch's documents, with its window."""
    found: dict[Part, int] = {}
    for window in range(source.mixture.epoch()):
        found |= {s.part: window for s in source.samples(window) if s.part.epoch == 0}
    return found


class Trace:
    """Trains in stretches and keeps which part came from which window."""

    def __init__(self) -> None:
        self.seen: Counter[Part] = Counter()
        self.window: dict[Part, int] = {}

    def train(self, source: DataSource, state: DataState, degree: int, rounds: int) -> DataState:
        loaders = [Loader(source, rank, degree, state) for rank in range(degree)]
        for _ in range(rounds):
            for loader in loaders:
                self._take(loader, source.config.lanes)
        return merged(loaders)

    def _take(self, loader: Loader, packs: int) -> None:
        before = dict(loader.gather().lanes)
        for pack in loader.take(packs):
            assert sum(pack.lengths) == SEQ_LEN
        for lane, state in loader.gather().lanes.items():
            old = before.get(lane, LaneState(lane))
            new = state.given
            if old.window == state.window and old.offset:
                new = state.given[len(old.given) :]
            self.seen.update(new)
            self.window |= dict.fromkeys(new, state.window)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(trials())
@example(SHARES_BELOW_A_DOCUMENT)
def test_what_remains_comes_once_in_its_window(trial: dict[str, Any]) -> None:
    """At any degree, lanes, window, block, kills and departures; whole documents in all parts."""
    corpora, gone = trial["corpora"], [set[int]() for _ in trial["corpora"]]
    first = make(corpora, [frozenset(g) for g in gone], **trial["settings"])
    expected, roster = of_epoch(first), first.roster()
    assert roster is not None
    roster = Roster.from_bytes(roster.to_bytes())
    trace, state, source = Trace(), DataState(), first
    for rounds, degree, leaving in trial["stretches"]:
        state = trace.train(source, state, degree, rounds)
        for corpus, number in leaving:
            if corpus < len(gone) and len(gone[corpus]) < len(corpora[corpus][0]) - 1:
                gone[corpus].add(number)
        left = make(corpora, [frozenset(g) for g in gone], **trial["settings"])
        source = left.as_begun(roster, first.began_with)
        state = state.after_removal(source.config.lanes)
    while min(state.lanes.get(lane, LaneState()).window
              for lane in range(source.config.lanes)) <= first.mixture.epoch():  # fmt: skip
        state = trace.train(source, state, 1, 3)
    for part, window in expected.items():
        removed = part.document in gone[part.corpus]
        assert trace.seen[part] <= 1 if removed else trace.seen[part] == 1, part
        if trace.seen[part]:
            assert trace.window[part] == window, part
    assert {part for part in trace.seen if part.epoch == 0} <= set(expected)


def test_nothing_changes_where_nothing_left() -> None:
    """The order made of a roster is the order itself, and so are its packs."""
    corpora = [([5, 20, 60, 7, 9, 31, 2] * 4, 4)]
    plain = make(corpora, [frozenset()], lanes=2, window=7)
    roster = plain.roster()
    assert roster is not None
    again = plain.as_begun(roster, plain.began_with)
    packs = [Loader(source).take(20) for source in (plain, again)]
    assert [p.ids.tobytes() for p in packs[0]] == [p.ids.tobytes() for p in packs[1]]


def test_a_roster_knows_strangers() -> None:
    corpora = [([5] * 12, 4)]
    few = make(corpora, [frozenset({3})], lanes=2, window=4)
    many = make(corpora, [frozenset()], lanes=2, window=4)
    roster = few.roster()
    assert roster is not None
    with pytest.raises(OtherDocuments, match="has 1 documents that the run began without"):
        many.as_begun(roster, few.began_with)


def test_the_rest_of_a_begun_document_whose_images_left_is_left_out() -> None:
    """Its cuts have moved: another part of it could repeat text."""
    begun, whole = Part(0, 0, 7, 0, 90), Part(0, 0, 8, 0, 40)
    now = [
        Sample("changed", "en", (), Part(0, 0, 7, 1, 70)),
        Sample("unchanged", "en", (), Part(0, 0, 8, 1, 40)),
        Sample("given", "en", (), whole),
        Sample("next epoch", "en", (), Part(0, 1, 7, 0, 70)),
    ]
    assert [s.name for s in remaining(now, [begun, whole])] == ["unchanged", "next epoch"]


def test_ranges_to_skip_that_reach_ahead_are_dropped() -> None:
    state = DataState(8, {}, ((0, 4), (6, 8), (7, 12), (20, 24)))
    assert state.after_removal(4).skip == ((0, 4), (6, 8))


def take_down(folder: Path, names: set[str]) -> None:
    """Rewrite a dataset's documents without some, row group by row group."""
    path = folder / "data" / "part-0.parquet"
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(i) for i in range(file.num_row_groups)]
    with pq.ParquetWriter(path.with_suffix(".new"), file.schema_arrow) as writer:
        for group in groups:
            kept = [name.as_py() not in names for name in group["doc_id"]]
            writer.write_table(group.filter(pc.equal(kept, True)))
    path.with_suffix(".new").replace(path)


def test_a_run_goes_on_after_a_takedown(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "made", 80)
    trained = runs.settings(folder, tmp_path, run={"steps": 2})
    training = Training(trained)
    seen: list[str] = []
    take = training.session.loader.take

    def noting(total: int) -> Any:
        packs = take(total)
        seen.extend(name for pack in packs for name in pack.names)
        return packs

    training.session.loader.take = noting  # type: ignore[method-assign]
    training.run()
    unseen = sorted({f"made-0-{i}" for i in range(80)} - set(seen))
    gone = {seen[0], *unseen[:3]}
    take_down(folder, gone)
    with pytest.raises(CheckpointError, match="`remaining` goes on where only"):
        Session(trained).resume()
    rule = {"dir": str(tmp_path), "new_data": "remaining"}
    other = runs.settings(folder, tmp_path, checkpoint=rule, data={"seed": 3})
    with pytest.raises(CheckpointError, match="allows other files alone"):
        Session(other).resume()
    session = Session(runs.settings(folder, tmp_path, checkpoint=rule))
    session.resume()
    assert (session.step, session.loader.state.next) == (2, 8)
    (note,) = session.departures.left
    digests = sorted(hashlib.sha256(name.encode()).digest()[:8] for name in gone)
    noted = sorted(int(name, 16).to_bytes(8, "little") for name in note["documents"])
    assert (note["after_step"], noted) == (2, digests)
    later = [name for pack in session.loader.take(4) for name in pack.names]
    assert later
    assert not set(later) & (set(seen) | gone)
    session.step = 3
    session.save({"guard": {"losses": []}, "rollbacks": 0})
    again = Session(trained)  # the data are the run's own now: no rule is needed
    again.resume()
    assert again.departures == session.departures
    following = [[p.ids.tobytes() for p in s.loader.take(8)] for s in (session, again)]
    assert following[0] == following[1]


def test_a_run_without_ids_cannot_go_on(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "made", 60)
    path = folder / "data" / "part-0.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["doc_id"]), path)
    config = runs.settings(folder, tmp_path, run={"steps": 1})
    Training(config).run()
    assert store.newest(tmp_path) is not None
    pq.write_table(pq.read_table(path).slice(1), path)
    rule = {"dir": str(tmp_path), "new_data": "remaining"}
    with pytest.raises(CheckpointError, match="which documents it began with is not known"):
        Session(runs.settings(folder, tmp_path, checkpoint=rule)).resume()
