"""The datasets of a proof: what each set of rules keeps, and gold of sites that none has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from benben.analysis.proof import arms, datasets, gold
from benben.analysis.tables import RunTables
from benben.filters.signal_table import read_rules
from benben.pipeline.errors import InputError
from tests.analysis.proof import run


def write(tmp_path: Path, share: float = 0.3, **others: Any) -> tuple[Path, dict[str, Any]]:
    tables = RunTables(run.make(tmp_path / "run"))
    found = (run.gold(tmp_path / "gold.jsonl"),)
    request = datasets.Request("default", "en", found, share, fetched=False)
    folder = tmp_path / "proof"
    return folder, datasets.write(tables, str(folder), request, others)


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    found = pq.read_table(folder).to_pylist()
    return {row["doc_id"]: row for row in found}


def test_arms_hold_what_their_rules_keep(tmp_path: Path) -> None:
    folder, made = write(tmp_path)
    assert json.loads((folder / "proof.json").read_text()) == made
    unfiltered, default = (rows(folder / "arms" / name) for name in ("unfiltered", "default"))
    assert list(unfiltered) == list(default), "row n is the same document in all arms"
    assert unfiltered["8"]["texts"] == [], "a page that opted out is in no arm"
    assert "9" not in unfiltered, "duplicates are in no arm"
    name = next(one for one in default if one not in ("1", "2"))
    assert run.MENU in "".join(text or "" for text in unfiltered[name]["texts"])
    assert run.MENU not in "".join(text or "" for text in default[name]["texts"])
    assert made["arms"]["default"]["bytes"] < made["arms"]["unfiltered"]["bytes"]
    assert default["2"]["texts"] == [], "default wants images"
    assert unfiltered["2"]["texts"]


def test_scored_sites_are_not_trained_on(tmp_path: Path) -> None:
    folder, made = write(tmp_path)
    scored = {row["host"] for row in rows(folder / "gold").values()}
    trained = {row["host"] for row in rows(folder / "arms" / "unfiltered").values()}
    assert scored
    assert trained
    assert not scored & trained
    assert len(scored) == made["gold"]["domains"]


def test_a_rule_is_known_by_the_documents_it_changes(tmp_path: Path) -> None:
    folder, made = write(tmp_path)
    rule = made["rules"]["text_node.content_score"]
    changed = rows(folder / "rules" / "text_node.content_score")
    assert rule["documents"] == len(changed)
    assert rule["added"] == len(changed) * len(run.MENU)
    assert rule["lost"] == 0
    assert made["rules"]["image_node.nsfw"] == {"documents": 0, "added": 0, "lost": 0}
    assert not (folder / "rules" / "image_node.nsfw").exists()
    repeated = made["rules"][arms.REPEATED]
    assert repeated["documents"] == ("1" in rows(folder / "arms" / "default"))


def test_another_extractors_text_takes_the_place_of_ours(tmp_path: Path) -> None:
    folder, _ = write(tmp_path, theirs=lambda row: f"text of {row['url']}")
    found = rows(folder / "arms" / "default-theirs")
    default = rows(folder / "arms" / "default")
    for name, row in found.items():
        expected = [f"text of https://site{name}.org/"] if default[name]["texts"] else []
        assert row["texts"] == expected


def test_consent_is_no_arms_to_change() -> None:
    shipped = arms.shipped("default")
    opt_outs = read_rules("default").document["opt_outs"]
    assert list(shipped) == ["unfiltered", "default", "obelics", "strict"]
    every = [*shipped.values(), *arms.without_each(shipped["default"]).values()]
    assert all(arm.rules.document["opt_outs"] == opt_outs for arm in every)
    assert "document.opt_outs" not in arms.without_each(shipped["default"])
    assert shipped["unfiltered"].rules.by_name().keys() == {"document.opt_outs"}


def test_each_arm_lacks_one_rule() -> None:
    base = arms.shipped("default")["default"]
    for name, arm in arms.without_each(base).items():
        missing = base.rules.by_name().keys() - arm.rules.by_name().keys()
        if name.startswith("inherit."):
            assert getattr(arm.rules.inherit, name.removeprefix("inherit.")) is None
        elif name != arms.REPEATED:
            assert missing == {name}


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no gold text"):
        write(tmp_path, share=0.0)
    (tmp_path / "other.jsonl").write_text('{"url": "https://a.org/"}\n')
    with pytest.raises(InputError, match="no lines with url and gold_text"):
        gold.read([str(tmp_path / "other.jsonl")], "en")
    folder, _ = write(tmp_path)
    assert write(tmp_path)[0] == folder, "it may be written again"
    (folder / "proof.json").unlink()
    with pytest.raises(InputError, match="holds other files"):
        write(tmp_path)
