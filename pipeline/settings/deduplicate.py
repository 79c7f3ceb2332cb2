"""Settings of deduplication."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from benben.pipeline.settings.section import Section

Criterion = Literal["quality", "images", "words", "newest", "oldest"]


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


class LookSettings(Section):
    """Which images look alike: by the Hamming distance of their 64-bit perceptual hashes."""

    radius: int = Field(ge=0, le=16, description="bits that may differ")
    blocks: int = Field(
        ge=1, le=16, description="hashes are cut in so many; those that agree in all but `radius`"
    )
    max_compared: int = Field(
        gt=0, description="hashes of one key that are compared with all others: bounds the work"
    )
    min_bits: int = Field(
        ge=0, le=32, description="a hash with fewer ones or zeros is of no picture"
    )

    @model_validator(mode="after")
    def _some_agree(self) -> Self:
        if self.blocks <= self.radius:
            raise ValueError("blocks must be more than radius: one at least must be equal")
        return self


class PictureSetSettings(ImageSetSettings):
    """Documents whose remaining images are the same set, by their bytes or by their looks."""

    by: Literal["content", "look"]


class ImageBenchmarkSettings(Section):
    """Benchmark sets whose images must not be in the dataset."""

    sets: dict[str, str] = Field(
        description="name -> folder of images, or .jsonl with id and phash (16 hex digits)"
    )
    radius: int = Field(ge=0, le=16, description="bits of the perceptual hash that may differ")


class PictureSettings(Section):
    """Section `pictures`: what repeats once images are fetched and their bytes are known."""

    content_documents: int | None = Field(ge=1, description="same bytes in more than N documents")
    look_documents: int | None = Field(ge=1, description="same look in more than N documents")
    image_sets: PictureSetSettings
    look: LookSettings
    decontaminate: ImageBenchmarkSettings

    @property
    def looks(self) -> bool:
        """Whether any rule needs to know which images look alike."""
        by_look = self.image_sets.enabled and self.image_sets.by == "look"
        return by_look or self.look_documents is not None


class KeepSettings(Section):
    """Which document of a cluster stays."""

    order: list[Criterion] = Field(description="the first that tells two apart; then lowest id")
    quality_step: float = Field(gt=0, description="qualities that round to the same step are equal")


class DeduplicateSettings(Section):
    """Section `deduplicate`."""

    against: list[str] = Field(
        default=[], description="folders of earlier runs, oldest first, that this one adds to"
    )
    index: bool = Field(description="leave what later runs need to add to this one")
    keep: KeepSettings
    url: bool
    payload: bool
    text: bool
    minhash: MinHashSettings
    max_leaders: int = Field(gt=0, description="kept documents a cluster's others are compared to")
    lines: LineSettings
    images: RepeatedImageSettings
    image_sets: ImageSetSettings
