"""The whole model leaves for transformers: it computes the same, and its processor asks alike."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from benben.trainer.checkpoint import archive, store
from benben.trainer.counter_rng import generator
from benben.trainer.data.packing import Vocabulary, train_vocabulary
from benben.trainer.evaluation.fewshot import Prompt
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.model import huggingface_vlm
from benben.trainer.model.batch import Pack
from benben.trainer.model.foreign_config import FormatError
from benben.trainer.model.huggingface_vlm import positions_agree
from benben.trainer.settings import Config, ModelConfig
from benben.trainer.tokenizer import training
from tests.trainer.model.test_vlm import logits
from tests.trainer.runs import settings

TEXT = "A red circle. <image> We drew <image> this one."


def trained(made: Path, folder: Path, **changes: Any) -> tuple[Config, Path]:
    """One step of training with a large rate, so that no weight is what it was made."""
    optim = {"batch_packs": 4, "lr": 1e-2}
    config = settings(made, folder, optim=optim, run={"steps": 1}, **changes)
    Training(config).run()
    path = store.newest(folder)
    assert path is not None
    return config, path


def picture(seed: int) -> bytes:
    pixels = generator("picture", seed).integers(0, 256, (48, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("tie", [False, True])
def test_transformers_computes_the_same(made: Path, tmp_path: Path, tie: bool) -> None:
    lm = {"hidden": 32, "heads": 4, "kv_heads": 2, "layers": 2, "tie": tie}
    vision = {"hidden": 32, "heads": 2}
    config, path = trained(made, tmp_path / "run", model={"lm": lm, "vision": vision})
    archive.to_huggingface(path, tmp_path / "out", "float32")
    model = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "out").eval()
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    assert type(model).__name__ == "Idefics3ForConditionalGeneration"
    session = Session(config)
    session.resume()
    pictures = [picture(0), picture(1)]
    first, second, third = TEXT.split("<image>")
    prompt = Prompt(session, [first, pictures[0], second, pictures[1], third])
    images = [Image.open(io.BytesIO(data)) for data in pictures]
    inputs = processor(text=TEXT, images=[images], return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == prompt.ids
    assert session.model.vision is not None
    mine = session.model.vision.normalise(torch.from_numpy(prompt.pixels), torch.float32)
    assert (inputs["pixel_values"][0] - mine).abs().max() <= 2 / 127.5  # two resizers' rounding
    ids = np.array(prompt.ids)
    pack = Pack(ids, ids, (len(ids),), prompt.pixels, tuple(prompt.slots))
    with torch.no_grad():
        theirs = model(
            input_ids=inputs["input_ids"],
            pixel_values=mine[None],
            pixel_attention_mask=torch.ones(1, 2, 32, 32, dtype=torch.bool),
        ).logits[0]
    ours = logits(session.model, pack)
    assert theirs.shape == ours.shape
    assert float((ours - theirs).abs().max()) <= 1e-4
    assert float(ours.std()) > 0.1, "logits that tell models apart"


def test_low_rank_additions_are_in_the_weights(made: Path, tmp_path: Path) -> None:
    model = {
        "lm": {"hidden": 32, "heads": 4, "layers": 1},
        "vision": {"hidden": 32, "heads": 2},
        "lora_rank": 2,
    }
    config, path = trained(made, tmp_path / "run", model=model)
    archive.to_huggingface(path, tmp_path / "out", "float32", decoder=True)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    session = Session(config)
    session.resume()
    ids = tokenizer("A red circle.", return_tensors="pt")["input_ids"]
    encoded = session.vocabulary.encode(["A red circle."])[0]
    assert ids[0].tolist() == [session.vocabulary.bos, *encoded]
    with torch.no_grad():
        theirs = loaded(ids).logits[0]
    array = ids[0].numpy()
    pack = Pack(array, array, (len(array),), np.zeros((0, 3, 32, 32), np.uint8), ())
    assert float((logits(session.model, pack) - theirs).abs().max()) <= 1e-4


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fusion": "cross"}, "model.fusion cross"),
        ({"vision": {"family": "clip", "hidden": 32, "heads": 2}}, "vision.family clip"),
        (
            {"vision": {"connector": "perceiver", "hidden": 32, "heads": 2}},
            "vision.connector perceiver",
        ),
        ({"vision": {"stem": 4, "hidden": 32, "heads": 2}}, "vision.stem 4"),
    ],
)
def test_what_it_cannot_hold_is_refused(changes: dict[str, Any], why: str) -> None:
    config = ModelConfig.model_validate(changes)
    with pytest.raises(FormatError, match=f"cannot hold {why}.*--decoder exports that alone"):
        huggingface_vlm._vision_sizes(config)


def test_sides_whose_positions_it_rounds_are_known() -> None:
    assert [n for n in range(1, 33) if not positions_agree(n)] == [19, 25, 29, 31]


def test_marks_of_a_tokenizer_keep_their_ids(tmp_path: Path) -> None:
    """As `benben-train tokenizer train` makes them, beside one whose marks are added."""
    texts = {"en": ["A red circle. We drew this one.", "A blue square in the hall."]}
    own = Vocabulary(training.train(texts, 320, reserved=3))
    for name, vocabulary in (("own", own), ("added", train_vocabulary(texts["en"], 300))):
        (tmp_path / name).mkdir()
        huggingface_vlm.write_tokenizer(vocabulary, tmp_path / name)
        loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        marks = "<image><global-img><fake_token_around_image>"
        assert loaded(marks, add_special_tokens=False)["input_ids"] == [
            vocabulary.image,
            vocabulary.fence,
        ]
        ends = (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id)
        assert ends == (vocabulary.bos, vocabulary.eos, vocabulary.pad)
        ids = loaded("A red circle.")["input_ids"]
        assert ids == [vocabulary.bos, *vocabulary.encode(["A red circle."])[0]]
