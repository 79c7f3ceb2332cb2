"""Settings of the dataset and the report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from benben.pipeline.settings.section import Section


class SplitSettings(Section):
    """Which hosts are held out of train, by hash."""

    validation: float = Field(ge=0, lt=1, description="share of the hosts")
    test: float = Field(ge=0, lt=1, description="share of the hosts")
    near: float = Field(
        gt=0, le=1, description="similarity of texts at which two hosts may not be in two splits"
    )

    @model_validator(mode="after")
    def _some_left(self) -> SplitSettings:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave no host for train")
        return self


class AssembleSettings(Section):
    """Section `assemble`."""

    rows_per_shard: int = Field(gt=0, description="the most; shards of a split are even")
    row_group_rows: int = Field(gt=0, description="what a reader that filters can skip")
    bytes_per_token: float = Field(gt=0, description="of UTF-8, for the estimate `num_tokens`")
    redact: list[Literal["emails", "ips", "phones", "credentials"]] = Field(
        description="kinds of personal data and secrets replaced by markers in what ships"
    )
    splits: SplitSettings


class ReportSettings(Section):
    """Section `report`: the report, and the dataset's card."""

    sample_documents: int = Field(ge=0)
    distribution_documents: int = Field(
        gt=0, description="about so many are drawn from for distributions and rejected examples"
    )
    topics: int = Field(ge=0, description="topics of the model over the texts; 0: none")
    corpus_documents: int = Field(gt=0, description="documents read for topics and phrases")
    phrase_words: int = Field(gt=1, description="words of a phrase that documents repeat")
    against: str | None = Field(default=None, description="folder of a run to compare with")
    title: str = Field(min_length=1, description="name of the dataset on its card")
    url: str | None = Field(
        default=None, description="where the dataset is published, for machines"
    )


class TakedownSettings(Section):
    """Section `takedown`: what must not come back."""

    tombstones: list[str] = Field(
        default=[], description="lists that `benben takedown` leaves: RUN/takedown/tombstones.jsonl"
    )
