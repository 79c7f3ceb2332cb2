"""Training rows of the content score: a gold page's blocks, their features and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benben.analysis.tuning.gold import common_tokens, tokens
from benben.pipeline.compiled import Integers
from benben.pipeline.hash_tables import Table
from benben.pipeline.page import extract
from benben.pipeline.page.dom.columns import CHARS, IMAGE_BLOCK
from benben.pipeline.page.dom.copies import without_copies
from benben.pipeline.page.dom.elements import compile_plan
from benben.pipeline.page.dom.lexbor import parse
from benben.pipeline.page.dom.prescan import LimitError
from benben.pipeline.page.dom.walk import Walk, walk
from benben.pipeline.page.extract import default_settings, read_facts
from benben.pipeline.page.markup import mended
from benben.pipeline.page.score.features import Blocks, describe
from benben.pipeline.page.score.surroundings import NO_WEIGHTS, Words, read_words
from benchmarks.support.cache import cached
from benchmarks.support.data import GOLD
from benchmarks.support.gold import Page, pages

_IMAGE_WEIGHT = 0.1  # an image counts as a short text
_SNIPPET_WEIGHT = 3.0
_PART = 15  # characters of a block that a snippet runs across
_BLOCK_WEIGHT = 0.02  # every block counts a little, however short


@dataclass
class Rows:
    """One page's blocks as the walk found them, and what they should be."""

    page: Page  # without its HTML
    walk: Walk
    title: str | None
    texts: list[str]
    labels: npt.NDArray[np.float64]  # share of the block that is in the main text
    weights: npt.NDArray[np.float64]

    @property
    def lengths(self) -> Integers:
        """Characters of the blocks."""
        return self.walk.blocks[:, CHARS]

    def describe(self, weights: Table = NO_WEIGHTS) -> Blocks:
        """Compute the features of the blocks; `weights`: of words."""
        return describe(self.walk, self.title, weights)

    @cached_property
    def words(self) -> Words:
        """Words of the blocks."""
        return read_words(self.walk.blocks, np.frombuffer(self.walk.text or b"\0", np.uint8))


def rows(sources: Sequence[str]) -> list[Rows]:
    """Return the labelled rows of gold sets; pages without blocks are left out.

    What does not depend on the features is kept between runs.
    """
    return cached("labelled", _makers(sources), lambda: list(_label(sources)))


def _makers(sources: Sequence[str]) -> Iterator[Path | str]:
    """Yield what the walks and labels of gold sets depend on."""
    yield from (default_settings().model_dump_json(), *sources)
    yield from (GOLD / f"{source}.jsonl.gz" for source in sources)
    code = Path(extract.__file__).parent
    for path in (*sorted(code.glob("*.py")), *sorted((code / "dom").iterdir()), Path(__file__)):
        if path.is_file():
            yield path


def _label(sources: Sequence[str]) -> Iterator[Rows]:
    settings = default_settings()
    plan = compile_plan(settings)
    for page in pages(sources):
        try:
            html, seen = mended(page.html.encode("utf-8", "replace"), None, settings.mojibake)
            tree = parse(html, seen=seen)
            walked = walk(tree.root, plan, settings.limits)
        except LimitError:
            continue
        walked = without_copies(
            walked, settings.noscript.notice_bytes, settings.noscript.notice_words
        )
        if not len(walked.blocks):
            continue
        texts = [walked.text_of(block) for block in range(len(walked.blocks))]
        title = read_facts(walked.facts_by(plan.attribute_names), page.url, None).title
        if page.text:
            images = walked.images[:, IMAGE_BLOCK].tolist()
            labels, weights = _labels(texts, images, page.text)
        else:
            labels, weights = _snippet_labels(texts, page.gold)
        page.html = ""
        yield Rows(page, walked, title, texts, labels, weights)


def _snippet_labels(
    texts: list[str], gold: dict[str, Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Labels of the blocks that hold a text the main text must or must not have.

    Other blocks weigh nothing: nobody said what they are.
    """
    labels, weights = np.zeros(len(texts)), np.zeros(len(texts))
    plain = [" ".join(text.split()) for text in texts]
    for key, label in (("without", 0.0), ("with", 1.0)):
        for snippet in gold.get(key) or []:
            wanted = " ".join(snippet.split())
            for place, text in enumerate(plain):
                if wanted in text or (len(text) >= _PART and text in wanted):
                    labels[place], weights[place] = label, _SNIPPET_WEIGHT
    return labels, weights


def _labels(
    texts: list[str], images: list[int], gold: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Share of each block's tokens in the gold, and how much the block counts.

    A page counts by the square root of its tokens, so long pages do not drown the others. An image
    is what the texts around it are.
    """
    found = [tokens(text) for text in texts]
    sizes = np.array([len(block) for block in found])
    chosen = common_tokens([token for block in found for token in block], tokens(gold))
    sums = np.append(0, np.cumsum(chosen))
    ends = np.cumsum(sizes)
    labels = (sums[ends] - sums[ends - sizes]) / np.maximum(sizes, 1)
    weights = sizes / np.sqrt(max(1, sizes.sum())) + _BLOCK_WEIGHT
    written = np.flatnonzero(sizes)
    for image in images:
        place = int(np.searchsorted(written, image))
        around = [labels[written[p]] for p in (place - 1, place) if 0 <= p < len(written)]
        labels[image] = np.mean(around) if around else 0
        weights[image] = _IMAGE_WEIGHT
    return labels, weights
