"""The trainer's own model as the model of a proof: trained on a trial's documents, then scored."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benben.trainer import config as configs
from benben.trainer.ablation.proof_data import Text
from benben.trainer.config import ConfigError
from benben.trainer.data.corpus import Document, Slot
from benben.trainer.data.packing import plan, train_vocabulary
from benben.trainer.evaluation.evaluate import token_losses
from benben.trainer.loop.session import Session
from benben.trainer.loop.train import Training
from benben.trainer.model.batch import IGNORE, Pack, join

PACKS = 16  # scored in one forward pass


def settings(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return a config as a mapping. Raises ConfigError, also for a model that reads images."""
    data = configs.read(name)
    for override in overrides:
        configs.FILES.apply_override(data, override)
    config = configs.parse(copy.deepcopy(data), name)
    if config.model.vision is not None:
        raise ConfigError(f"{name}: a proof is scored on text; set model.vision to null")
    return data


def bits(
    settings: dict[str, Any], seed: int, texts: Sequence[Text], gold: Sequence[Text], folder: Path
) -> tuple[list[float], int]:
    """Train on texts in a folder of its own; return the bits of each gold text, and the parameters.

    The tokenizer is trained on the gold texts: the same for all arms, and in favour of none.
    """
    folder.mkdir(parents=True)
    write(texts, folder / "train-00000-of-00001.parquet")
    config = configs.parse(copy.deepcopy(settings), "proof")
    tokenizer = folder / "tokenizer.json"
    size = config.data.tokenizer_vocab
    train_vocabulary([text.data.decode() for text in gold], size).save(tokenizer)
    changed = copy.deepcopy(settings)
    changes = {
        "data.mix": [{"path": str(folder), "name": "proof"}],
        "data.tokenizer": str(tokenizer),
        "data.seed": seed,
        "run.seed": seed,
        "checkpoint.dir": str(folder / "run"),
    }
    for key, value in changes.items():
        configs.set_key(changed, key, value)
    training = Training(configs.parse(changed, "proof"))
    training.run()
    if training.stopped:
        raise ConfigError("stopped; the same command goes on where it was")
    parameters = sum(p.numel() for p in training.session.model.parameters())
    return score(training.session, gold), parameters


def write(texts: Sequence[Text], file: Path) -> None:
    """Write texts as parquet of OBELICS's schema."""
    rows = {
        "doc_id": [text.name for text in texts],
        "host": [text.host for text in texts],
        "lang": [text.lang for text in texts],
        "texts": [[text.data.decode()] for text in texts],
        "images": pa.array([[None]] * len(texts), pa.list_(pa.string())),
    }
    pq.write_table(pa.table(rows), file, row_group_size=1000)


def score(session: Session, gold: Sequence[Text]) -> list[float]:
    """Return the bits of each text."""
    source = session.loader.source
    documents = [
        Document(str(number), text.lang, text.host, [Slot(text.data.decode())])
        for number, text in enumerate(gold)
    ]
    samples = source.renderer.render(documents, lambda slot: False)
    planned = plan(samples, source.config.seq_len, "scoring")
    packs = [source.assemble(part, number) for number, part in enumerate(planned)]
    found = [0.0] * len(gold)
    session.model.eval()
    for start in range(0, len(packs), PACKS):
        for name, value in _bits(session, packs[start : start + PACKS]):
            found[int(name)] += value
    session.model.train()
    return found


def _bits(session: Session, packs: Sequence[Pack]) -> Iterator[tuple[str, float]]:
    """Yield each document's name and loss in bits; a long one comes in several parts."""
    losses = token_losses(session, join(packs)) / math.log(2)
    start = 0
    for pack in packs:
        valid = pack.labels != IGNORE
        for name, (a, b) in zip(pack.names, pairwise(pack.bounds), strict=False):
            yield name, float(losses[start + a : start + b][valid[a:b]].sum())
        start += len(pack.ids)
