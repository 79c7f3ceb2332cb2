"""One class for each fusion; a name without a class is refused wherever a config is used."""

from __future__ import annotations

from typing import get_args

import pytest

from benben.common.config_files import ConfigError
from benben.trainer.config import parse
from benben.trainer.model.fusion import FUSIONS
from benben.trainer.model.vlm import VLM
from benben.trainer.planning import lint
from benben.trainer.planning.memory import parameter_count
from benben.trainer.settings import Config, FusionName, LMConfig, ModelConfig


def test_settings_name_every_fusion() -> None:
    assert set(get_args(FusionName)) == set(FUSIONS)


def test_an_unknown_fusion_is_never_read_as_early() -> None:
    with pytest.raises(ConfigError, match=r"model\.fusion"):
        parse({"model": {"fusion": "late"}})
    model = ModelConfig(lm=LMConfig(vocab_size=300)).model_copy(update={"fusion": "late"})
    with pytest.raises(ConfigError, match="known: early, cross"):
        VLM(model)
    with pytest.raises(ConfigError, match="known: early, cross"):
        parameter_count(model)
    found = lint.lint(Config().model_copy(update={"model": model}))
    assert [f.rule for f in found if f.severity == "error"] == ["fusion"]
