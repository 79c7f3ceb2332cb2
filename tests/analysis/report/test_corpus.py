"""Topics and repeated phrases of a run's texts."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from benben.analysis.query import Query
from benben.analysis.report import html_report as report
from benben.analysis.report.corpus import phrases, topics
from benben.analysis.tables import RunTables
from benben.pipeline import schema
from tests.analysis.run_folder import make, write_table

FIELDS = {
    "food": ["bread", "butter", "oven", "flour", "sugar", "recipe", "salt", "dough"],
    "sport": ["goal", "match", "team", "league", "striker", "coach", "stadium", "referee"],
}
NOTICE = "all rights reserved by the publisher of this fine page"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run with documents about two subjects; every sixteenth has the same notice."""
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    for number in range(80):
        words = FIELDS["food" if number % 2 else "sport"]
        text = " ".join([*(chance.choice(words) for _ in range(60)), "the and of"])
        notice = f"{number}th. {NOTICE} {number}" if number % 16 == 1 else f"only here {number}"
        texts, slots = [text, notice], {"images": [None] * 2, "image_sha256": [None] * 2}
        plain = {"doc_id": f"{number:032x}", "lang": "en", "host": f"h{number}", "num_words": 70}
        general = {"general_metadata": '{"url": "http://e.example/"}', "texts": texts}
        rows.append({**dict.fromkeys(schema.DATASET.names), **plain, **general, **slots})
    output = make(tmp_path_factory.mktemp("run"))
    write_table(
        output, "dataset", "assemble",
        {"data/train": pa.RecordBatch.from_pylist(rows, schema.DATASET)},
    )  # fmt: skip
    return output


def test_topics_are_the_kinds_of_documents_and_their_shares(run: str) -> None:
    query = Query(RunTables(run))
    found = topics(query, 2, 500, query)
    assert (found.lang, found.documents) == ("en", 80)
    kinds = {frozenset(topic.words[:8]) for topic in found.topics}
    assert kinds == {frozenset(words) for words in FIELDS.values()}
    assert [topic.share for topic in found.topics] == pytest.approx([0.5, 0.5], abs=0.1)
    assert [topic.reference for topic in found.topics] == pytest.approx(
        [topic.share for topic in found.topics], abs=0.02
    )
    assert topics(query, 2, 500, query) == found


def test_too_few_documents_have_no_topics_and_say_so(run: str) -> None:
    assert "too few" in topics(Query(RunTables(run)), 30, 500).why


def test_a_phrase_is_listed_once_with_its_documents_and_hosts(run: str) -> None:
    found = phrases(Query(RunTables(run)), 8, 500)
    (notice,) = [one for one in found if "reserved" in one.text]
    assert notice.text == "all rights reserved by the publisher of this"
    assert (notice.documents, notice.hosts) == (5, 5)


def test_the_report_shows_topics_phrases_and_the_other_run(run: str) -> None:
    page = report.render(run, 1, report.Corpus(topics=2, against=run))
    assert "all rights reserved by the publisher" in page
    assert "striker" in page
    assert "Compared with another run" in page
