"""A proof: equal bytes and order, resumed, the same table twice, and what it says of rules."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benben.trainer.ablation import ngrams, proof, proof_data, proof_table
from benben.trainer.ablation.ngrams import NGrams
from benben.trainer.commands import cli
from tests.analysis.proof import test_datasets

ARMS = {"default", "unfiltered", "without text_node.content_score"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The datasets that the pipeline's side writes of a small run."""
    return test_datasets.write(tmp_path_factory.mktemp("proof"))[0]


def prove(data: Path, out: Path, *more: str) -> int:
    arguments = ["prove", str(data), "--out", str(out), "--seeds", "2", "--processes", "1"]
    return cli.main([*arguments, "--bytes", "1500", *more])


def test_command_resumes_and_gives_the_same_table(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert prove(data, out) == 0
    first = (out / "proved.md").read_text()
    assert "| text_node.content_score |" in first
    assert "image_node.nsfw" in first.rsplit("change nothing", 1)[1]
    records = sorted(out.glob("*/seed_*.json"))
    before = {path: path.stat().st_mtime_ns for path in records}
    records[0].unlink()  # as if killed before the end
    assert prove(data, out) == 0
    assert (out / "proved.md").read_text() == first
    assert sum(before[path] != path.stat().st_mtime_ns for path in records) == 1
    assert prove(data, tmp_path / "again") == 0
    assert (tmp_path / "again" / "proved.md").read_text() == first
    capsys.readouterr()
    assert prove(data, out, "--bytes", "1400") == 2
    assert "made by another request" in capsys.readouterr().err
    assert prove(data, out, "--arms", "nothing") == 2
    assert "no arm nothing" in capsys.readouterr().err
    assert cli.main(["prove", str(tmp_path), "--out", str(out)]) == 2
    assert "benben proof RUN" in capsys.readouterr().err


def test_arms_see_equal_bytes_in_the_same_order(data: Path) -> None:
    contents = proof_data.read(data)
    assert set(contents.names()) >= ARMS
    for seed in (0, 1):
        orders = []
        for arm in ("default", "unfiltered", "without text_node.content_score"):
            texts = proof_data.training_texts(data, contents, arm, seed, 1500)
            assert sum(len(text.data) for text in texts) == 1500
            orders.append([text.name for text in texts])
        shared = [name for name in orders[0] if name in orders[1]]
        assert shared == [name for name in orders[1] if name in orders[0]]
    other = proof_data.training_texts(data, contents, "default", 2, 10**4)
    assert len(other) > len({text.name for text in other}), "a small arm begins again"


def test_without_a_rule_the_base_has_what_the_rule_drops(data: Path) -> None:
    contents = proof_data.read(data)
    size = contents.arms["default"].bytes
    plain, changed = (
        b" ".join(text.data for text in proof_data.training_texts(data, contents, arm, 0, size))
        for arm in ("default", "without text_node.content_score")
    )
    assert b"our shops" not in plain
    assert b"our shops" in changed


def test_bits_are_those_of_counting_one_by_one() -> None:
    random = np.random.default_rng(0)
    texts = [bytes(random.integers(97, 100, size).tolist()) for size in (1, 40, 200, 7)]
    asked = [b"abcabcaab", b"zz", b"", b"cab"]
    found = NGrams(texts).bits(asked)
    assert found == pytest.approx([_bits(texts, text) for text in asked])
    assert found[2] == 0.0


def _bits(texts: list[bytes], text: bytes) -> float:
    """Witten and Bell's method C, byte by byte."""
    joined = b"".join(ngrams.START + one for one in texts) + ngrams.START
    ends = len(joined) - len(ngrams.START)  # as many n-grams of each length
    data, total = ngrams.START + text, 0.0
    for place in range(len(ngrams.START), len(data)):
        probability = 1 / 256
        for n in range(1, ngrams.ORDER + 1):
            context, byte = data[place - n + 1 : place], data[place]
            followers = [
                joined[at + n - 1] for at in range(ends) if joined[at : at + n - 1] == context
            ]
            if followers:
                kinds = len(set(followers))
                count = followers.count(byte)
                probability = (count + kinds * probability) / (len(followers) + kinds)
        total -= math.log2(probability)
    return total


def records(changes: dict[str, list[float]], sites: int = 40) -> list[dict[str, Any]]:
    """Records whose bits a byte are 2 plus the arm's change of each seed."""
    noise = np.random.default_rng(0).normal(0, 0.002, (len(changes), sites))
    return [
        {
            "arm": arm,
            "seed": seed,
            "bytes": 100,
            "parameters": 9,
            "sites": {
                f"s{site}": [1000 * (2 + value + noise[place, site]), 1000] for site in range(sites)
            },
        }
        for place, (arm, values) in enumerate(changes.items())
        for seed, value in enumerate(values)
    ]


def test_only_differences_beyond_noise_have_a_sign() -> None:
    change = {"documents": 30, "added": 5, "lost": 2}
    contents = proof_data.Contents(
        version=1,
        base="default",
        language="en",
        arms={name: {"documents": 1, "bytes": 1, "images": 0} for name in ("default", "other")},
        rules={
            **dict.fromkeys(("good", "bad", "wild"), change),
            "rare": {**change, "documents": 29},
            "idle": {"documents": 0, "added": 0, "lost": 0},
        },
        gold={"documents": 1, "bytes": 1, "images": 0, "domains": 1},
    )
    found = proof_table.compare(
        records(
            {
                "default": [0.0, 0.0, 0.0],
                "other": [0.1, 0.11, 0.12],
                "without good": [0.05, 0.051, 0.049],
                "without bad": [-0.05, -0.051, -0.049],
                "without wild": [-0.3, 0.2, 0.0],
                "without rare": [0.05, 0.051, 0.049],
            }
        ),
        contents,
    )
    verdicts = {name: row["verdict"] for name, row in found["rules"].items()}
    assert verdicts == {
        "good": "helps",
        "bad": "hurts",
        "wild": "noise",
        "rare": "few",
        "idle": "unchanged",
    }
    assert found["arms"]["other"]["verdict"] == "worse"
    assert found["arms"]["other"]["difference"] == pytest.approx(0.11, abs=0.002)
    assert found["rules"]["wild"]["half"] > 0.5, "a rule has its own spread"
    assert json.dumps(found)
    text = proof_table.table(found)
    assert text.index("| good |") < text.index("| wild |") < text.index("| bad |")


@pytest.mark.slow
def test_the_trainers_own_model_is_scored_alike(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ("run.steps=4", "model.lm.hidden=32", "model.lm.layers=1", "data.tokenizer_vocab=300")
    small = ("--set", *sizes)
    more = ("--model", "proof", "--arms", "default", "unfiltered")
    assert prove(data, tmp_path / "a", *small, *more) == 0
    assert prove(data, tmp_path / "b", *small, *more) == 0
    first, second = ((tmp_path / one / "proved.md").read_text() for one in "ab")
    assert first == second
    assert "| unfiltered |" in first
    assert not list((tmp_path / "a").rglob("*.parquet")), "what it trained on is deleted"
    assert prove(data, tmp_path / "c", "--model", "demo", "--arms", "default") == 2
    assert "scored on text" in capsys.readouterr().err


def test_request_chooses_the_bytes_of_the_least_arm(data: Path, tmp_path: Path) -> None:
    contents = proof_data.read(data)
    sizes = [part.bytes for part in contents.arms.values() if part.bytes]
    assert proof.size_of(contents, proof.Request(data, tmp_path)) == min(sizes)
    assert proof.size_of(contents, proof.Request(data, tmp_path, size=7)) == 7
