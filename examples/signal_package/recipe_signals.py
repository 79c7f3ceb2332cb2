"""Signals of recipes: measured quantities in a paragraph, and a recipe's structured data."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benben.filters.declaration import Column, Signal
from benben.filters.signals.text import Batch
from benben.filters.signals.words import WORD_COUNT

QUANTITY = re.compile(r"\b\d+(?:[.,/]\d+)?\s?(?:g|kg|ml|l|oz|lb|cups?|tbsp|tsp)\b", re.IGNORECASE)


def count_quantities(batch: Batch) -> NDArray[np.int64]:
    """Count the quantities, such as "200 g", in each paragraph."""
    return np.array([len(QUANTITY.findall(text)) for text in batch.paragraphs()], np.int64)


def title_names_recipe(batch: Batch) -> NDArray[np.int64]:
    """Return 1 for pages whose title has the word "recipe"."""
    titles = batch.documents.column("title").to_pylist()
    return np.array(["recipe" in (title or "").lower() for title in titles], np.int64)


SIGNALS = (
    Signal(
        name="quantity_ratio",
        scopes=("text_node", "document"),  # of a document: the ratio of sums over kept paragraphs
        unit="ratio",
        meaning="quantities per word",
        source="recipe-signals",
        count=Column("quantities", "text_node", pa.int32(), count_quantities),
        per=WORD_COUNT,
    ),
    Signal(
        name="recipe_title",
        scopes=("document",),
        unit="count",
        meaning="1: the title has the word recipe",
        source="recipe-signals",
        count=Column("recipe_title", "document", pa.int8(), title_names_recipe),
    ),
)
