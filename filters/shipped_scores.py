"""What ships beside a document in plain numbers: its scores, over the nodes that are left."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benben.filters.columns import Nested, evaluate
from benben.filters.sums import Sums
from benben.filters.verdict import Ledger

NAMES = ("language_score", "perplexity", "quality")
COLUMNS = [  # of SIGNALS that the scores are made of
    *("language_score", "quality"),
    *(f"paragraphs.list.element.{n}" for n in ("index", "paragraph", "log_probability", "pieces")),
    "images.list.element.index",
]


def scores(signals: pa.RecordBatch, dropped: pa.ListArray) -> dict[str, pa.Array]:
    """The document signals NAMES of a batch of SIGNALS; null where no model measured one.

    `dropped`: the column of NODE_VERDICTs of the same rows.
    """
    paragraphs, images = (Nested(signals.column(name)) for name in ("paragraphs", "images"))
    ledger = Ledger(paragraphs, images)
    ledger.take_over(Nested(dropped))
    sums = Sums(signals, paragraphs, images, ledger.paragraphs.kept, ledger.images.kept, None)
    values = {name: np.asarray(evaluate("document", name, sums), np.float32) for name in NAMES}
    return {name: pa.array(column, from_pandas=True) for name, column in values.items()}
