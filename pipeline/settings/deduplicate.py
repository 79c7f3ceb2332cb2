"""Settings of deduplication."""

from __future__ import annotations

from pydantic import Field

from pipeline.settings.section import Section


class MinHashSettings(Section):
    """MinHash LSH over shingles: `bands` x `rows` permutations."""

    enabled: bool
    shingle_words: int = Field(gt=0)
    bands: int = Field(gt=0)
    rows: int = Field(gt=0)
    verify_jaccard: float = Field(ge=0, le=1)
    seed: int


class DeduplicateSettings(Section):
    """Section `deduplicate`."""

    url: bool
    minhash: MinHashSettings
