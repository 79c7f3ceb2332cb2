from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benben.analysis.explore import scan
from benben.analysis.explore.explorer import Explorer
from benben.analysis.explore.index import Index, numeric_signals
from benben.analysis.explore.search import Search, find, mixed
from benben.analysis.query import Query
from benben.analysis.tables import RunTables
from tests.analysis.run_folder import make


def test_facets_count_what_a_click_on_them_finds(index: Index) -> None:
    for start in (Search(), Search(status="rejected"), Search(host="site0.example", lang="en")):
        counted = 0
        for name, values in find(index, start).facets.items():
            for value, number in values:
                narrowed = Search(**{**start.given(), name: value})
                assert find(index, narrowed).total == number, (start, name, value)
                counted += 1
        assert counted >= 5


def test_links_narrow_and_take_off_and_begin_again_at_page_one() -> None:
    given = Search(host="a b&c", page="3", sort="-words")
    assert given.link(lang="de") == "index.html?host=a+b%26c&lang=de&sort=-words"
    assert given.link(host="", sort="") == "index.html"
    assert Search(page="-1").number == Search(page="x").number == Search(page="9" * 40).number == 1


def test_ids_and_rows_name_each_other(index: Index) -> None:
    assert [index.row(index.doc_id(row)) for row in range(len(index))] == list(range(13))
    assert [index.row(name) for name in ("", "zz", "0" * 32, "f" * 32)] == [None] * 4


def test_reasons_of_nodes_and_images_lead_to_documents(index: Index) -> None:
    found = find(index, Search(dropped="text_node.stopword_ratio.min"))
    assert found.total == 12  # all that have nodes
    assert find(index, Search(dropped="text_node.stopword_ratio")).total == 0
    assert find(index, Search(dropped="duplicate.minhash")).total == 1  # with its document
    assert find(index, Search(image="http://site0.example/3-1.png")).total == 1


def test_order_by_a_signal_both_ways_with_unknown_values_last(output: str, index: Index) -> None:
    known = Query(RunTables(output)).rows("select doc_id, image_nodes from signals")
    expected = dict(known)
    for sort, sign in (("images", 1), ("-images", -1)):
        found = find(index, Search(sort=sort), 13)
        values = [sign * value for value in found.values if not np.isnan(value)]
        assert values == sorted(values)
        assert np.isnan(found.values[len(values) :]).all()
        assert len(found.rows) == len(set(found.rows)) == 13
    assert expected[index.doc_id(found.rows[0])] == 2
    joined = [
        row for page in "1234" for row in find(index, Search(sort="images", page=page), 4).rows
    ]
    assert joined == find(index, Search(sort="images"), 13).rows


def test_every_signal_can_order(index: Index) -> None:
    for name in numeric_signals():
        assert len(find(index, Search(sort=name)).rows) == 13


def test_stored_and_computed_values_of_signals_are_equal(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["language_score", "duplicate_5gram_ratio", "curly_brackets"]
    stored = [index.signal(name) for name in names]
    monkeypatch.setattr("benben.analysis.explore.index._stored_column", lambda name: None)
    for name, values in zip(names, stored, strict=True):
        assert np.array_equal(values, Index(index.tables).signal(name), equal_nan=True)
        assert np.isnan(values).sum() == 1  # extraction rejected it


def test_samples_depend_on_the_seed_alone(index: Index) -> None:
    first, again, other = (find(index, Search(sample=seed)).rows for seed in ("1", "1", "2"))
    assert first == again != other
    assert sorted(first) == sorted(other) == list(range(13))
    numbers = np.arange(10_000, dtype=np.uint64)
    assert len(set(mixed(numbers, "7").tolist())) == 10_000
    assert 0.4 < (mixed(numbers, "7") >> np.uint64(63)).mean() < 0.6


def test_documents_whose_verdict_differs_from_another_run(index: Index, tmp_path: Path) -> None:
    changed = Path(make(tmp_path))
    for path in (changed / "final_verdicts").glob("*.parquet"):
        table = pq.read_table(path, partitioning=None)
        kept = [row["doc_id"] != index.doc_id(0) for row in table.to_pylist()]
        place = table.schema.get_field_index("kept")
        pq.write_table(table.set_column(place, "kept", [kept]), path)
    other = Index(RunTables(str(changed)))
    rows = find(index, Search(differs="newly kept"), other=other).rows
    assert rows == [0]
    assert find(index, Search(differs="newly rejected"), other=other).total == 5
    assert find(index, Search(differs="only here"), other=other).total == 0
    assert dict(find(index, Search(), other=other).facets["differs"])["newly rejected"] == 5


def test_a_search_for_texts_goes_step_by_step_and_says_how_far(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = find(Index(RunTables(output)), Search(words="this is page"))
    assert exact.part is None
    monkeypatch.setattr(scan, "STEP_BYTES", 1)  # a step is one row group
    seen, index = [], Index(RunTables(output))
    for further in range(20):
        search = Search(words="This is page", further=str(further))
        found = find(index, search)
        alone = find(Index(RunTables(output)), search)  # has looked at nothing before
        assert (found.total, found.rows, found.facets) == (alone.total, alone.rows, alone.facets)
        seen.append(found.total)
        if found.part is None:
            break
        assert found.total <= found.part.looked < found.part.candidates == len(index)
        assert not found.part.exact
        assert found.part.about(found.total) >= found.total
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == exact.total == find(index, Search(words="This is page", further="all")).total


def test_a_search_for_texts_looks_first_where_the_other_conditions_hold(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "STEP_BYTES", 1)
    index = Index(RunTables(output))
    for row in range(len(index)):
        host = index.names["host"].values[index.names["host"].codes[row]]
        found = find(index, Search(words="page", host=host))
        assert found.part is not None
        assert found.part.looked > 0
        assert found.part.candidates == int(index.with_name("host", host).sum())


def test_the_page_says_that_a_count_is_of_a_part(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = Explorer(output)
    whole = explorer.page("index.html", {"words": "this is page"}) or ""
    assert "At least" not in whole
    assert 'class="part"' not in whole
    monkeypatch.setattr(scan, "STEP_BYTES", 1)
    part = explorer.page("index.html", {"words": "this is page"}) or ""
    assert "At least" in part
    assert "of 13 documents were searched" in part
    assert 'href="index.html?words=this+is+page&amp;further=1"' in part
    assert 'href="index.html?words=this+is+page&amp;further=all"' in part
