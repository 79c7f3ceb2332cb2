"""Settings of deduplication."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section

Criterion = Literal["images", "words", "newest", "oldest"]


class DecontaminateSettings(Section):
    """Benchmark sets whose items must not be in the dataset."""

    sets: dict[str, str] = Field(description="name -> file: .jsonl with id and text, or text lines")
    ngram_words: int = Field(gt=0, description="characters in scripts without spaces")
    min_ngrams: int = Field(ge=1, description="n-grams shared with one item")


class FingerprintSettings(Section):
    """Section `fingerprint`: how texts are sketched; `bands` x `rows` slots a signature."""

    shingle_words: int = Field(gt=0, description="characters in scripts without spaces")
    min_words: int = Field(ge=1, description="shorter texts are compared by URL and payload only")
    bands: int = Field(gt=0)
    rows: int = Field(gt=0)
    seed: int = Field(ge=0)
    decontaminate: DecontaminateSettings

    @property
    def slots(self) -> int:
        """Values in a signature."""
        return self.bands * self.rows


class MinHashSettings(Section):
    """Near-duplicates: documents that share a band and are similar enough."""

    enabled: bool
    verify_jaccard: float = Field(ge=0, le=1, description="least similarity to the kept document")


class LineSettings(Section):
    """Text nodes that many documents share; every occurrence is dropped."""

    host_documents: int | None = Field(ge=2, description="in at least N documents of a host")
    all_documents: int | None = Field(ge=2, description="in at least N documents of any hosts")


class RepeatedImageSettings(Section):
    """Image URLs that many documents share; every occurrence is dropped."""

    max_documents: int | None = Field(ge=1, description="in more than N documents")


class ImageSetSettings(Section):
    """Documents whose remaining images are the same set of URLs."""

    enabled: bool
    min_images: int = Field(ge=1, description="smaller sets are no sign of a duplicate")
    min_similarity: float = Field(ge=0, le=1, description="of the texts as well; 0: any")


class DeduplicateSettings(Section):
    """Section `deduplicate`."""

    against: list[str] = Field(
        default=[], description="folders of earlier runs, oldest first, that this one adds to"
    )
    index: bool = Field(description="leave what later runs need to add to this one")
    keep: list[Criterion] = Field(description="which document of a cluster stays; ties: lowest id")
    url: bool
    payload: bool
    text: bool
    minhash: MinHashSettings
    max_leaders: int = Field(gt=0, description="kept documents a cluster's others are compared to")
    lines: LineSettings
    images: RepeatedImageSettings
    image_sets: ImageSetSettings
