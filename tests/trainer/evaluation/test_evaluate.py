"""Evaluation, questions on the made set, and that images are learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benben.trainer.evaluation import evaluate, fewshot
from benben.trainer.evaluation.synthetic import examples
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import train
from tests.trainer.ranks import Ranks
from tests.trainer.runs import settings


def test_report_adds_up(made: Path, tmp_path: Path) -> None:
    session = Session(settings(made, tmp_path, data={"holdout": 0.3}))
    result = evaluate.held_out(session, 4)
    languages = result["languages"].values()
    assert result["tokens"] == sum(entry["tokens"] for entry in languages)
    total = result["interleaved"]["tokens"] + result["text_only"]["tokens"]
    assert result["tokens"] == total
    nll = sum(entry["nll"] * entry["tokens"] for entry in languages) / result["tokens"]
    assert nll == pytest.approx(result["nll"])
    assert result["bits_per_byte"] > 0
    assert result["captions"]["tokens"] > 0
    assert result["captions"]["blank"] != result["captions"]["given"]


def evaluated(made: str, folder: str, sp: int) -> dict[str, object]:
    config = settings(Path(made), Path(folder), parallel={"sp": sp})
    return evaluate.held_out(Session(config), 4)


@pytest.mark.timeout(1200)
def test_any_mesh_reports_the_same(ranks: Ranks, made: Path, tmp_path: Path) -> None:
    one = evaluate.flat(evaluated(str(made), str(tmp_path), 1))
    split = one.pop("split")
    for world, sp in ((2, 2), (2, 1)):
        for found in ranks.run(evaluated, world, str(made), str(tmp_path), sp):
            values = evaluate.flat(found)
            assert values.pop("split") == split
            assert values == pytest.approx(one, rel=1e-5)


def test_no_held_out_documents_is_said(made: Path, tmp_path: Path) -> None:
    session = Session(settings(made, tmp_path, data={"holdout": 0.0}))
    assert evaluate.held_out(session, 2) == {"split": "0 of train", "documents": 0}


def test_cider_orders_captions() -> None:
    references = [e.caption for e in examples(20, "cider")]
    shuffled = references[1:] + references[:1]
    assert fewshot.cider(references, references) > 2
    assert fewshot.cider(shuffled, references) < fewshot.cider(references, references)
    assert fewshot.cider([""] * 20, references) == 0


@pytest.mark.timeout(3600)  # half a minute of computing, shared with whatever else runs
def test_images_are_learnt_from(made: Path, tmp_path: Path) -> None:
    """The bar: captions cost at most half of what they cost with blank images."""
    config = settings(
        made,
        tmp_path,
        model={"lm": {"hidden": 128, "heads": 4, "layers": 2}, "vision": {}},
        data={"seq_len": 256, "window": 64},
        optim={"batch_packs": 4, "lr": 2e-3, "warmup_tokens": 5000},
        run={"steps": 70, "eval_packs": 8},
    )
    captions = train(config)["evaluation"]["captions"]
    assert captions["given_over_blank"] <= 0.5
    assert captions["shuffled"] > 1.5 * captions["given"]
    session = Session(config)
    session.resume()
    result = fewshot.evaluate(session, 2, 12)
    assert set(result) == {"exact", "colour", "shape", "cider", "yes_no"}
    assert result["colour"] > 0.5  # chance: 1/6
    assert np.isfinite(result["cider"])
