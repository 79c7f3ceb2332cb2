"""k-shot captioning and yes/no questions about synthetic drawings of shapes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benben.trainer.counter_rng import generator
from benben.trainer.data.corpus import decode
from benben.trainer.evaluation.synthetic import COLOURS, SHAPES, Example, examples
from benben.trainer.loop.session import Session
from benben.trainer.model.batch import IGNORE, Pack
from benben.trainer.model.decoder import Cache

LONGEST = 24  # tokens generated for a caption


class Prompt:
    """An interleaved prompt: images as PNG bytes, texts as strings, in order."""

    def __init__(self, session: Session, parts: Sequence[bytes | str]) -> None:
        self.session = session
        v, model = session.vocabulary, session.model
        self.ids: list[int] = [v.bos]
        self.slots: list[int] = []
        self._start: tuple[torch.Tensor, Cache] | None = None
        marks = model.fusion.image_marks(v.image, v.fence)
        pixels = []
        tower = model.vision
        for part in parts:
            if isinstance(part, str):
                self.ids += v.encode([part])[0]
            elif tower is not None:
                picture = decode(part, tower.image_size)
                assert picture is not None
                pixels.append(picture)
                self.slots.append(len(self.ids) + marks.index(v.image))
                self.ids += marks
        side = tower.image_size if tower is not None else 1
        self.pixels = np.stack(pixels) if pixels else np.zeros((0, 3, side, side), np.uint8)

    def losses(self, answer: str) -> float:
        """Return the NLL of a continuation. Raises ValueError for an empty one."""
        ids = self.session.vocabulary.encode([answer])[0]
        if not ids:
            raise ValueError("an answer without tokens has no loss")
        first, cache = self._begun()
        rows = [first[None], self._logits(ids[:-1], cache.fork())] if ids[1:] else [first[None]]
        logits = torch.cat(rows).float().log_softmax(-1)
        return -float(logits[torch.arange(len(ids)), torch.tensor(ids)].sum())

    def complete(self, limit: int, stop: str) -> str:
        """Return the greedy continuation up to `stop` (exclusive) or `limit` tokens."""
        ids: list[int] = []
        v = self.session.vocabulary
        logits, begun = self._begun()
        cache = begun.fork()
        while len(ids) < limit:
            following = int(logits.argmax())
            if following in (v.eos, v.fence, v.image):
                break
            ids.append(following)
            if stop in v.decode(ids):
                break
            logits = self._logits([following], cache)[-1]
        return v.decode(ids).split(stop)[0]

    def _begun(self) -> tuple[torch.Tensor, Cache]:
        """Return the logits after the prompt, and its cache: it is computed once."""
        if self._start is None:
            cache = Cache()
            self._start = self._logits(self.ids, cache)[-1], cache
        return self._start

    @torch.no_grad()
    def _logits(self, ids: list[int], cache: Cache) -> torch.Tensor:
        """Return the logits of the next tokens; the images are those of the first ones."""
        array = np.array(ids, np.int64)
        labels = np.full(len(ids), IGNORE)
        pixels, slots = (self.pixels[:0], ()) if cache.length else (self.pixels, tuple(self.slots))
        pack = Pack(array, labels, (len(ids),), pixels, slots)
        logits = self.session.model(self.session.batch([pack]), want="logits", cache=cache)
        assert isinstance(logits, torch.Tensor)
        return logits.cpu()


def evaluate(session: Session, shots: int, count: int = 32) -> dict[str, Any]:
    """Caption drawings and answer yes/no questions, each after `shots` examples.

    Returns `exact` (colour and shape right), `colour`, `shape` and `yes_no` as shares of `count`
    questions, by chance 1/24, 1/6, 1/4 and 1/2; and `cider`. Raises ValueError with sequence
    parallelism.
    """
    if session.mesh.sp > 1:
        raise ValueError("questions are short: evaluate them with parallel.sp=1")
    session.model.eval()
    given, asked = examples(shots, "shots"), examples(count, "asked")
    lead: list[bytes | str] = [part for e in given for part in (e.png, e.caption)]
    answers = [Prompt(session, [*lead, e.png]).complete(LONGEST, ".") + "." for e in asked]
    result = {
        "exact": _share(
            e.colour in a and e.shape in a for e, a in zip(asked, answers, strict=True)
        ),
        "colour": _share(e.colour in a for e, a in zip(asked, answers, strict=True)),
        "shape": _share(e.shape in a for e, a in zip(asked, answers, strict=True)),
        "cider": cider(answers, [e.caption for e in asked]),
        "yes_no": _yes_no(session, given, asked),
    }
    session.model.train()
    return result


def _share(values: Any) -> float:
    return float(np.mean([bool(v) for v in values]))


def _yes_no(session: Session, given: Sequence[Example], asked: Sequence[Example]) -> float:
    """Ask about what the drawing shows and, every second time, about what it does not."""
    random = generator("yes_no")
    right = 0
    lead: list[bytes | str] = []
    for number, e in enumerate([*given, *asked]):
        truth = number % 2 == 0
        colour, shape = e.colour, e.shape
        while not truth and (colour, shape) == (e.colour, e.shape):
            colour, shape = str(random.choice(list(COLOURS))), str(random.choice(SHAPES))
        question = f"A {colour} {shape}?"
        if number < len(given):
            lead += [e.png, question, " yes." if truth else " no."]
            continue
        prompt = Prompt(session, [*lead, e.png, question])
        right += (prompt.losses(" yes.") < prompt.losses(" no.")) == truth
    return right / max(len(asked), 1)


def cider(candidates: Sequence[str], references: Sequence[str]) -> float:
    """Return the mean CIDEr (Vedantam et al. 2015) with one reference each; the best is 10.

    It is the cosine of tf-idf weighted n-grams for n = 1 to 4, with idf over the references.
    """
    total = 0.0
    for n in range(1, 5):
        grams = [_grams(text, n) for text in references]
        seen = Counter(gram for counts in grams for gram in counts)
        idf = {gram: math.log(len(references) / number) for gram, number in seen.items()}
        for text, reference in zip(candidates, grams, strict=True):
            total += _cosine(_grams(text, n), reference, idf, math.log(len(references)))
    return 10 * total / 4 / max(len(references), 1)


def _grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = text.lower().replace(".", " ").replace(",", " ").split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _cosine(
    a: Counter[tuple[str, ...]],
    b: Counter[tuple[str, ...]],
    idf: dict[tuple[str, ...], float],
    unseen: float,
) -> float:
    left = {g: c * idf.get(g, unseen) for g, c in a.items()}
    right = {g: c * idf.get(g, unseen) for g, c in b.items()}
    dot = sum(value * right.get(g, 0.0) for g, value in left.items())
    size = math.hypot(*left.values()) * math.hypot(*right.values())
    return dot / size if size else 0.0
