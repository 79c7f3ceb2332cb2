"""An adapter for lmms-eval (an extra: `pip install lmms-eval`): COCO, VQAv2 and the rest on GPUs.

python -m lmms_eval --model benben --model_args config=RUN.yaml --tasks vqav2_val
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from lmms_eval.api.model import lmms
from lmms_eval.api.registry import register_model

from benben.trainer.config import load
from benben.trainer.evaluation.fewshot import Prompt
from benben.trainer.loop.session import Session


@register_model("benben")
class Benben(lmms):
    """A model for lmms-eval: a run's newest checkpoint, or `checkpoint`."""

    def __init__(self, config: str, checkpoint: str | None = None, **_: Any) -> None:
        super().__init__()
        self.session = Session(load(config))
        if self.session.resume(Path(checkpoint) if checkpoint else None, training=False) is None:
            raise ValueError(f"{config}: the run has no checkpoint")
        self.session.model.eval()

    def _prompt(self, arguments: tuple[Any, ...], text: str, visuals: Any) -> Prompt:
        document, task, split = arguments
        pictures = visuals(self.task_dict[task][split][document])
        return Prompt(self.session, [*map(_png, pictures), text])

    def generate_until(self, requests: list[Any]) -> list[str]:
        answers = []
        for request in requests:
            text, options, visuals, *place = request.args
            prompt = self._prompt(tuple(place), text, visuals)
            stops = options.get("until") or ["\n"]
            stop = stops if isinstance(stops, str) else stops[0]
            answers.append(prompt.complete(int(options.get("max_new_tokens", 64)), stop))
        return answers

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        answers = []
        for request in requests:
            text, target, visuals, *place = request.args
            if callable(target):
                document, task, split = place
                target = target(self.task_dict[task][split][document])
            prompt = self._prompt(tuple(place), text, visuals)
            answers.append((-prompt.losses(target), False))
        return answers

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError("the model was not trained for conversations of several rounds")


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
