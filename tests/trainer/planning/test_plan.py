"""Plans against real steps under the same tracker, and predicted times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from benben.trainer.commands import cli
from benben.trainer.config import ConfigError, load
from benben.trainer.distributed import torch_compat
from benben.trainer.loop.optimizer import AdamW
from benben.trainer.model.foreign_config import FormatError
from benben.trainer.model.vlm import VLM, initialise
from benben.trainer.planning import hardware, memory, published, steptime
from benben.trainer.settings import Config
from tests.trainer.runs import settings

LM = {"vocab_size": 2048, "hidden": 256, "heads": 4}
CONFIGS: dict[str, dict[str, Any]] = {
    "activations": {"model": {"lm": {**LM, "layers": 6}, "vision": None}},
    "boundaries": {
        "model": {"lm": {**LM, "layers": 8}, "vision": None},
        "memory": {"recompute": "layer", "tile_loss": 256, "tile_mlp": 512},
    },
    "offloaded": {
        "model": {"lm": {**LM, "layers": 8}, "vision": None},
        "memory": {"recompute": "layer", "tile_loss": 256, "offload": True, "group": 2},
    },
    "images": {
        "model": {"lm": {**LM, "layers": 4}, "vision": {"image_size": 96, "hidden": 128}},
        "memory": {"recompute": "layer", "tile_loss": 256},
    },
    "frozen": {
        "model": {
            "lm": {**LM, "layers": 8},
            "vision": {"image_size": 96, "hidden": 128},
            "freeze": ["lm", "vision"],
        },
        "memory": {"recompute": "layer", "tile_loss": 256},
    },
    "update": {"model": {"lm": {**LM, "layers": 2, "vocab_size": 30000}, "vision": None}},
}
TOKENS = {"update": 64}


def measured(config: Config, tokens: int) -> int:
    """Return the peak bytes of one real step: real tensors, forward, backward and update."""
    tracker = torch_compat.memory_tracker()
    with tracker:
        model = VLM(config.model, config.memory)
        initialise(model)
        optimizer = AdamW(model, config.optim)
        images = max(1, tokens // memory.TOKENS_PER_IMAGE)
        tracker.reset_mod_stats()
        loss, _ = model(memory.fake_batch(model, tokens, images))
        loss.backward()
        optimizer.step(1, 1e-3)
    parts = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]
    return int(next(v for k, v in parts.items() if getattr(k, "value", k) == "Total"))


@pytest.mark.parametrize("name", CONFIGS)
def test_plan_is_within_a_tenth_of_a_real_step(name: str) -> None:
    """The bar, for configs a CPU can run."""
    config, tokens = Config.model_validate(CONFIGS[name]), TOKENS.get(name, 2048)
    planned = memory.run_memory(config, tokens)
    found = measured(config, tokens) + _on_host(config, planned)
    assert planned.device == pytest.approx(found, rel=0.1)


def _on_host(config: Config, planned: memory.Memory) -> int:
    """On a CPU the states kept on the host are of the device the tracker counts."""
    return -planned.host if config.memory.offload else 0


def test_sharded_states_are_a_share() -> None:
    whole = Config.model_validate(CONFIGS["boundaries"])
    shared = whole.model_copy(update={"parallel": whole.parallel.model_copy(update={"dp": 8})})
    assert memory.state_bytes(shared) == memory.state_bytes(whole) / 8
    assert memory.run_memory(shared, 2048).device < memory.run_memory(whole, 2048).device


def llama(**sections: Any) -> Config:
    data = load("llama-8b-512k").model_dump()
    for section, values in sections.items():
        data[section] |= values
    return published.with_sizes(Config.model_validate(data))


def test_times_follow_what_is_asked() -> None:
    config = llama(data={"seq_len": 8192}, optim={"batch_packs": 64})
    card = hardware.gpu("h200")
    one, eight, many = (steptime.predict(config, card, n, 0) for n in (1, 8, 64))
    assert one.tokens == eight.tokens == 64 * 8192
    assert one.seconds > 7 * eight.seconds > 7 * many.seconds
    assert 0.3 < one.mfu < 0.75
    assert one.links == 0 < eight.links < many.links * 8
    waiting = steptime.predict(config, card, 1, 1e13)
    assert waiting.seconds == waiting.host + waiting.optimizer


def test_advice_is_the_first_rung_that_fits() -> None:
    config = Config.model_validate({**CONFIGS["activations"], "data": {"seq_len": 2048}})
    need = memory.run_memory(config, 2048).device / memory.GIB
    found = memory.advise(config, need * 1.01, 1)
    assert found is not None
    assert found[0] == []
    found = memory.advise(config, need * 0.7, 1)
    assert found is not None
    assert "memory.recompute=layer" in found[0]
    assert found[2].device <= need * 0.7 * memory.GIB
    assert memory.advise(config, 1e-4, 1) is None


def test_command(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(settings(made, tmp_path).model_dump_json())
    asked = [str(file), "model.lm.vocab_size=300"]
    tokens = ["--tokens", "2048"]
    assert cli.main(["plan", *asked, *tokens, "--gpus", "1", "4", "--advise"]) == 0
    out = capsys.readouterr().out
    assert out.count("| yes |") == 2
    assert "advice for 4: fits as it is" in out
    assert cli.main(["plan", *asked, "parallel.sp=4", *tokens, "--gpus", "2"]) == 2
    assert "2 GPUs do not divide by sp 4" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="known: v100"):
        hardware.gpu("tpu")


def test_what_train_refuses_does_not_fit(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(settings(made, tmp_path).model_dump_json())
    asked = ["plan", str(file), "model.lm.vocab_size=300"]
    assert cli.main([*asked, "--gpus", "8"]) == 0
    out = capsys.readouterr().out
    assert "no: optim.batch_packs 4 must be a multiple of the 8 data ranks" in out
    assert "| yes |" not in out
    assert cli.main([*asked, "data.workers=3", "--gpus", "4"]) == 0
    assert "data.workers 3 must divide the 1 lanes" in capsys.readouterr().out


def test_a_local_tower_is_planned_by_its_own_sizes(tmp_path: Path) -> None:
    sizes = {"hidden_size": 96, "intermediate_size": 200, "num_hidden_layers": 3}
    hf = transformers.SiglipVisionConfig(**sizes, num_attention_heads=4, image_size=64)
    hf.save_pretrained(tmp_path)
    vision = {"huggingface": str(tmp_path), "hidden": 7}
    config = Config.model_validate({"model": {"vision": vision}})
    found = published.with_sizes(config).model.vision
    assert found is not None
    assert (found.hidden, found.intermediate, found.layers) == (96, 200, 3)
    assert (found.heads, found.image_size, found.patch_size) == (4, 64, 16)
    assert found.huggingface is None
    clip = config.model_copy(
        update={
            "model": config.model.model_copy(
                update={"vision": found.model_copy(update={**vision, "family": "clip"})}
            )
        }
    )
    with pytest.raises(FormatError, match=r"not a clip: set vision\.family=siglip"):
        published.with_sizes(clip)


def test_a_micro_batch_is_planned_whole() -> None:
    """Two packs at a time need the activations of twice the tokens, one alone those of one."""
    one = Config.model_validate(CONFIGS["boundaries"])
    two = one.model_copy(update={"run": one.run.model_copy(update={"micro_packs": 2})})
    assert memory.run_memory(two, 1024).device == memory.run_memory(one, 2048).device
    few = two.model_copy(update={"optim": two.optim.model_copy(update={"batch_packs": 1})})
    assert memory.run_memory(few, 1024).device == memory.run_memory(one, 1024).device


def test_mixed_precision_needs_gathered_copies() -> None:
    """Of root and groups, beside the float32 states; none where both types are the same."""
    low = {"optim": {"dtype": "bfloat16", "params": "bfloat16"}}
    plain = Config.model_validate({**CONFIGS["boundaries"], **low})
    assert memory._gathered_bytes(plain) == 0
    mixed = Config.model_validate({**CONFIGS["boundaries"], "optim": {"dtype": "bfloat16"}})
    model = VLM(mixed.model, mixed.memory)
    root = sum(p.numel() for p in [*model.lm.embed.parameters(), *model.lm.head.parameters()])
    group = sum(p.numel() for p in model.lm.groups[0].parameters())
    root += mixed.model.lm.hidden  # the final norm
    expected = root * (2 + 2) + max(group * (2 * 2 + 2 + 4), root * 4)
    assert memory._gathered_bytes(mixed) == expected
