"""How many files of the project a batch passes on its way from parquet to its loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benben.trainer.data.loader import DataSource, Loader
from benben.trainer.data.packing import train_vocabulary
from benben.trainer.model.batch import join, to_batch
from benben.trainer.model.vlm import VLM
from tests.passed_files import passed
from tests.trainer.runs import settings


@pytest.mark.slow
def test_parquet_to_loss_passes_at_most_ten_files(made: Path, tmp_path: Path) -> None:
    config = settings(made, tmp_path)
    losses: list[float] = []

    def work() -> None:
        vocabulary = train_vocabulary(["A red circle."], 300)
        lm = config.model.lm.model_copy(update={"vocab_size": vocabulary.size})
        model = VLM(config.model.model_copy(update={"lm": lm}))
        source = DataSource(config.data, vocabulary, model.fusion)
        pack = join(Loader(source).take(4))
        with torch.no_grad():
            loss, _ = model(to_batch(pack, model.fusion.spans(pack)))
        losses.append(float(loss))

    files = passed(work)
    assert losses[0] == losses[0]
    assert len(files) <= 10, files
    assert {"trainer/data/corpus.py", "trainer/model/fusion.py", "trainer/model/vlm.py"} <= {*files}
