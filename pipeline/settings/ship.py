"""Settings of the dataset, the report and takedowns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from benben.pipeline.settings.section import Section


class SplitSettings(Section):
    """Shares of the hosts that are held out of train."""

    validation: float = Field(ge=0, lt=1, description="share of the hosts in validation")
    test: float = Field(ge=0, lt=1, description="share of the hosts in test")
    near: float = Field(
        gt=0,
        le=1,
        description="similarity of two texts from which their hosts must be in the same split",
    )

    @model_validator(mode="after")
    def _some_left(self) -> SplitSettings:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together leave no host for train")
        return self


class AssembleSettings(Section):
    """Section `assemble`: the form of the dataset."""

    rows_per_shard: int = Field(
        gt=0, description="at most; the shards of a split have about equally many"
    )
    row_group_rows: int = Field(
        gt=0, description="rows of a row group, which a filtering reader can skip"
    )
    bytes_per_token: float = Field(
        gt=0, description="bytes of UTF-8 for each token, to estimate `num_tokens`"
    )
    text: Literal["markdown", "plain"] = Field(
        description="form of the texts: Markdown shows headings, lists, tables and code"
    )
    redact: list[Literal["emails", "ips", "phones", "credentials"]] = Field(
        description="kinds of personal data and secrets that markers replace in the dataset"
    )
    splits: SplitSettings


class ReportSettings(Section):
    """Section `report`: the HTML report and the dataset's card."""

    sample_documents: int = Field(ge=0, description="shipped documents shown in the report")
    distribution_documents: int = Field(
        gt=0, description="documents sampled for distributions and rejected examples, about"
    )
    topics: int = Field(ge=0, description="topics of the topic model; 0: no model")
    corpus_documents: int = Field(gt=0, description="documents read for topics and phrases")
    phrase_words: int = Field(
        gt=1, description="length of the repeated phrases that are listed, in words"
    )
    against: str | None = Field(default=None, description="folder of a run to compare with")
    proof: str | None = Field(
        default=None, description="`proved.json` that `benben-train prove` wrote, to show"
    )
    title: str = Field(min_length=1, description="name of the dataset on its card")
    url: str | None = Field(
        default=None, description="where the dataset is published, for its card"
    )


class TakedownSettings(Section):
    """Section `takedown`: documents and images that must not be shipped again."""

    tombstones: list[str] = Field(
        default=[], description="lists that `benben takedown` wrote: RUN/takedown/tombstones.jsonl"
    )
