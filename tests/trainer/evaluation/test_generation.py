"""Generation with a cache gives what the whole prompt gives, and encodes its images once."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benben.trainer.evaluation.fewshot import Prompt
from benben.trainer.evaluation.synthetic import examples
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.model.batch import Pack
from benben.trainer.model.decoder import Cache
from tests.trainer.runs import settings

MODELS: dict[str, dict[str, Any]] = {
    "rope": {},
    "alibi": {"positions": "alibi", "kv_heads": 2},
    "learned": {"positions": "learned"},
    "cross": {},
    "gemma": {"activation": "geglu", "embed_scale": 32**0.5, "qk_norm": True},
}


def session(made: Path, folder: Path, name: str) -> Session:
    lm = {"hidden": 32, "heads": 4, "layers": 3, **MODELS[name]}
    fusion = "cross" if name == "cross" else "early"
    model = {"lm": lm, "vision": {"hidden": 32, "heads": 2}, "fusion": fusion, "cross_every": 2}
    found = Session(settings(made, folder, model=model))
    with torch.no_grad():
        for parameter in found.model.parameters():  # gates at zero would hide the images
            parameter += 0.2 * torch.randn(parameter.shape, generator=torch.manual_seed(0))
    found.model.eval()
    return found


def whole(prompt: Prompt, ids: list[int]) -> torch.Tensor:
    """The logits of the prompt and more tokens, all at once and without a cache."""
    array = np.array([*prompt.ids, *ids], np.int64)
    labels = np.full(len(array), -100)
    pack = Pack(array, labels, (len(array),), prompt.pixels, tuple(prompt.slots))
    with torch.no_grad():
        return prompt.session.model(prompt.session.batch([pack]), want="logits")


@pytest.mark.parametrize("name", MODELS)
def test_a_cache_changes_nothing(name: str, made: Path, tmp_path: Path) -> None:
    run = session(made, tmp_path, name)
    first, second = examples(2, "cache")
    prompt = Prompt(run, [first.png, first.caption, second.png, "A"])
    encoded = []
    run.model.vision.register_forward_hook(lambda *_: encoded.append(1))
    answer = run.vocabulary.encode([" red square. It is there."])[0]
    cache, rows = Cache(), []
    rows.append(prompt._logits(prompt.ids, cache)[-1:])
    for part in ([answer[0]], answer[1:4], answer[4:]):  # one token, then several
        rows.append(prompt._logits(part, cache))
    assert len(encoded) == 1
    found, expected = torch.cat(rows), whole(prompt, answer)[len(prompt.ids) - 1 :]
    assert float((found - expected).abs().max()) < 2e-5
    assert cache.length == len(prompt.ids) + len(answer)
    nll = torch.nn.functional.cross_entropy(expected[:-1], torch.tensor(answer), reduction="sum")
    assert prompt.losses(" red square. It is there.") == pytest.approx(float(nll), rel=1e-5)
    blind = Prompt(run, [second.png, first.caption, first.png, "A"])
    assert prompt.losses(" red.") != blind.losses(" red.")
    greedy: list[int] = []
    while len(greedy) < 8:
        greedy.append(int(whole(prompt, greedy)[-1].argmax()))
    ends = {run.vocabulary.eos, run.vocabulary.fence, run.vocabulary.image}
    stop = next((i for i, token in enumerate(greedy) if token in ends), len(greedy))
    assert prompt.complete(8, "\0") == run.vocabulary.decode(greedy[:stop])


def test_an_answer_encodes_its_images_once(made: Path, tmp_path: Path) -> None:
    run = session(made, tmp_path, "rope")
    prompt = Prompt(run, [examples(1, "once")[0].png, "A"])
    encoded = []
    run.model.vision.register_forward_hook(lambda *_: encoded.append(1))
    prompt.complete(12, "\0")
    for answer in (" yes.", " no."):
        prompt.losses(answer)
    assert len(encoded) == 1
    with pytest.raises(ValueError, match="without tokens"):
        prompt.losses("")


def test_lmms_eval_asks_a_run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins of the two classes that the adapter takes from lmms-eval."""
    config = settings(made, tmp_path / "run", run={"steps": 1})
    Training(config).run()
    file = tmp_path / "run.yaml"
    file.write_text(config.model_dump_json())
    base = types.ModuleType("lmms_eval.api.model")
    base.lmms = type("lmms", (), {"__init__": lambda self: None})  # type: ignore[attr-defined]
    registry = types.ModuleType("lmms_eval.api.registry")
    registry.register_model = lambda _: lambda kind: kind  # type: ignore[attr-defined]
    for name, module in (
        ("lmms_eval", types.ModuleType("lmms_eval")),
        ("lmms_eval.api", types.ModuleType("lmms_eval.api")),
        ("lmms_eval.api.model", base),
        ("lmms_eval.api.registry", registry),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "benben.trainer.evaluation.lmms", raising=False)
    from benben.trainer.evaluation.lmms import Benben

    model = Benben(str(file))
    picture = Image.new("RGB", (40, 30), "red")
    model.task_dict = {"task": {"test": [{"image": picture, "answer": " red."}]}}

    def visuals(document: dict[str, Any]) -> list[Any]:
        return [document["image"]]

    place = (0, "task", "test")
    options = {"until": ["\n\n"], "max_new_tokens": 5}
    asked = types.SimpleNamespace(args=("What colour?", options, visuals, *place))
    (answer,) = model.generate_until([asked])
    prompt = Prompt(model.session, [_png(picture), "What colour?"])
    assert answer == prompt.complete(5, "\n\n")
    scored = [
        types.SimpleNamespace(args=("What colour?", target, visuals, *place))
        for target in (" red.", lambda document: document["answer"])
    ]
    (one, _), (two, _) = model.loglikelihood(scored)
    assert one == two == pytest.approx(-prompt.losses(" red."))


def _png(picture: Any) -> bytes:
    from benben.trainer.evaluation.lmms import _png as encode

    return encode(picture)
