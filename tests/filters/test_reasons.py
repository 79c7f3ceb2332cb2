"""Every reason that a stage can give is explained."""

from __future__ import annotations

import ast
import re

import pytest

from benben.filters import reasons
from benben.pipeline import config
from tests.import_graph import python_files
from tests.shared import ROOT

# Reasons whose first part is put before them elsewhere.
PARTS = {"gzip": "archive.gzip", "record": "archive.record", "payload": "capture.payload"}
FAMILIES = {*PARTS} | {one.name.partition(".")[0] for one in reasons.fixed()}
REASON = re.compile(rf"({'|'.join(sorted(FAMILIES))})\.[a-z_.-]+")
CONFIG_KEYS = set(config.key_names())
# Texts that look like reasons: names of files, columns and keys.
OTHERS = re.compile(r".*\.(py|yaml|json|jsonl|txt|md|html|parquet|gz|css|js)|fetch\.img2dataset")


def source_reasons() -> set[str]:
    """The texts in the source of stages that have the form of a reason."""
    found: set[str] = set()
    for path in python_files():
        if path.relative_to(ROOT).parts[0] not in ("pipeline", "filters", "jobs"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {
        f"{PARTS.get(text.partition('.')[0], text.partition('.')[0])}.{text.partition('.')[2]}"
        for text in found
        if REASON.fullmatch(text)
        and not OTHERS.fullmatch(text)
        and text not in CONFIG_KEYS
        and not text.endswith("_")  # the beginning of several
    }


def rejected_reasons() -> set[str]:
    """The reasons that the source gives in calls such as `count.reject("split.near_another")`."""
    found: set[str] = set()
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = ast.walk(node.args[0]) if node.args and node.func.attr == "reject" else ()
                texts = [one.value for one in given if isinstance(one, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str) and "." in text[:-1]}
    return found


def test_reasons_of_families_that_the_table_does_not_name_are_explained_too() -> None:
    found = rejected_reasons()
    assert {"split.near_another", "index.not-chosen"} <= found
    assert [name for name in sorted(found) if not reasons.explain(name)] == []


def test_every_reason_in_the_source_is_explained() -> None:
    found = source_reasons()
    assert {"duplicate.url", "http.timeout", "picture.scans", "consent.robots"} <= found
    assert [name for name in sorted(found) if not reasons.explain(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "capture.http-status",
        "archive.gzip.corrupt",
        "http.404",
        "takedown.host",
        "contamination.mmlu",
        "record.request",
        "consent.list_sha256",
        "picture.hung",
    ],
)
def test_reasons_made_of_parts_are_explained(name: str) -> None:
    found = reasons.explain(name)
    assert found is not None
    assert found.name == name
    assert found.means


def test_a_reason_of_a_rule_names_signal_unit_and_key() -> None:
    found = reasons.explain("document.images.max")
    assert found is not None
    assert "images is above the most" in found.means
    assert "(count)" in found.means
    assert found.change == "rules.document.images.max"


@pytest.mark.parametrize("name", ["", "document", "document.nothing.max", "document.images.most"])
def test_what_no_stage_gives_is_not_explained(name: str) -> None:
    assert reasons.explain(name) is None


def test_the_keys_that_change_a_reason_exist() -> None:
    changes = {one.change for one in reasons.fixed() if one.change}
    assert changes <= CONFIG_KEYS


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "reasons.md").read_text() == reasons.document(), (
        "make it anew: python -m benben.filters.reasons > docs/reasons.md"
    )
