"""Settings of deduplication."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from benben.pipeline.deduplication.banding import best_bands
from benben.pipeline.settings.section import Section

Criterion = Literal["quality", "images", "words", "newest", "oldest"]


class DecontaminateSettings(Section):
    """Benchmark sets whose texts must not be in the dataset."""

    sets: dict[str, str] = Field(
        description="name -> file: .jsonl with id and text, or one text per line"
    )
    ngram_words: int = Field(
        gt=0, description="length of an n-gram; characters in scripts without spaces"
    )
    min_ngrams: int = Field(ge=1, description="n-grams that a text must share with one item")


class FingerprintSettings(Section):
    """Section `fingerprint`: signatures of texts; each has `bands` x `rows` slots."""

    shingle_words: int = Field(
        gt=0, description="length of a shingle; characters in scripts without spaces"
    )
    min_words: int = Field(ge=1, description="shorter texts are compared by URL and payload only")
    bands: int = Field(gt=0, description="of a signature; documents that share one are compared")
    rows: int = Field(gt=0, description="hashes in a band; more make a band harder to share")
    seed: int = Field(ge=0, description="of the hash functions")
    decontaminate: DecontaminateSettings

    @property
    def slots(self) -> int:
        """Number of slots of a signature."""
        return self.bands * self.rows


class MinHashSettings(Section):
    """Near-duplicates: documents that share a band and are similar enough."""

    enabled: bool = Field(description="whether it is looked for")
    verify_jaccard: float = Field(
        ge=0, le=1, description="least estimated similarity to the kept document"
    )
    threshold: float | None = Field(
        gt=0,
        lt=1,
        description="similarity for which `fingerprint.bands` and `rows` are chosen",
    )
    slots: int = Field(gt=0, le=1024, description="most slots of the chosen bands")
    weights: tuple[float, float] = Field(
        description="of pairs that share a band below the threshold, and of pairs missed above it"
    )

    @property
    def chosen(self) -> tuple[int, int] | None:
        """Bands and rows that suit the threshold; None without one."""
        if self.threshold is None:
            return None
        return best_bands(self.threshold, self.slots, self.weights)


class LineSettings(Section):
    """Text nodes that many documents share; every occurrence is dropped."""

    host_documents: int | None = Field(ge=2, description="in at least N documents of one host")
    all_documents: int | None = Field(ge=2, description="in at least N documents of all hosts")


class RepeatedImageSettings(Section):
    """Image URLs that many documents share; every occurrence is dropped."""

    max_documents: int | None = Field(ge=1, description="in more than N documents")


class ImageSetSettings(Section):
    """Documents whose remaining images have the same set of URLs."""

    enabled: bool = Field(description="whether it is looked for")
    min_images: int = Field(ge=1, description="smaller sets are not compared")
    min_similarity: float = Field(
        ge=0, le=1, description="least similarity of the texts as well; 0: texts are not compared"
    )


class SimilarImageSettings(Section):
    """Which images look alike: by the Hamming distance of their 64-bit perceptual hashes."""

    radius: int = Field(ge=0, le=16, description="bits that may differ")
    blocks: int = Field(
        ge=1,
        le=16,
        description="parts of a hash; hashes with (blocks - radius) equal parts are compared",
    )
    max_compared: int = Field(
        gt=0,
        description="hashes with the same key that are compared with all others: limits the work",
    )
    min_bits: int = Field(
        ge=0,
        le=32,
        description="a hash with fewer ones or zeros is ignored: its image has no content",
    )

    @model_validator(mode="after")
    def _more_blocks_than_bits(self) -> Self:
        if self.blocks <= self.radius:
            raise ValueError("blocks must be more than radius: at least one block must be equal")
        return self


class PictureSetSettings(ImageSetSettings):
    """Documents whose remaining images are the same set, by bytes or by perceptual hash."""

    by: Literal["content", "look"] = Field(description="equal bytes, or a similar look")


class ImageBenchmarkSettings(Section):
    """Benchmark sets whose images must not be in the dataset."""

    sets: dict[str, str] = Field(
        description="name -> folder of images, or .jsonl with id and phash (16 hex digits)"
    )
    radius: int = Field(ge=0, le=16, description="bits of the perceptual hash that may differ")


class PictureSettings(Section):
    """Section `pictures`: repeated images, by their bytes and perceptual hashes after the fetch."""

    content_documents: int | None = Field(
        ge=1, description="an image with the same bytes is in more than N documents"
    )
    look_documents: int | None = Field(
        ge=1, description="images that look alike are in more than N documents"
    )
    image_sets: PictureSetSettings
    look: SimilarImageSettings
    decontaminate: ImageBenchmarkSettings

    @property
    def compares_looks(self) -> bool:
        """Whether any rule needs to know which images look alike."""
        by_look = self.image_sets.enabled and self.image_sets.by == "look"
        return by_look or self.look_documents is not None


class KeepSettings(Section):
    """Which document of a cluster is kept."""

    order: list[Criterion] = Field(
        description="the first criterion by which two documents differ decides; then the lowest id"
    )
    quality_step: float = Field(
        gt=0, description="qualities that round to the same step count as equal"
    )


class DeduplicateSettings(Section):
    """Section `deduplicate`: documents, lines and images that repeat, before the fetch."""

    against: list[str] = Field(
        default=[], description="folders of the earlier runs that this one adds to, oldest first"
    )
    index: bool = Field(description="write the index that later runs need to add to this one")
    keep: KeepSettings
    url: bool = Field(description="keep one document of each normalised address")
    payload: bool = Field(description="keep one document of equal bytes")
    text: bool = Field(description="keep one document of equal words")
    minhash: MinHashSettings
    max_leaders: int = Field(
        gt=0, description="kept documents with which the others of a cluster are compared"
    )
    lines: LineSettings
    images: RepeatedImageSettings
    image_sets: ImageSetSettings
