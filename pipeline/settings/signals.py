"""Settings of signals (what is measured) and rules (what is decided)."""

from __future__ import annotations

from pydantic import Field, model_validator

from benben.pipeline.settings.section import Section


class Bounds(Section):
    """What a signal may be: inclusive `min` and `max`, exclusive `below`, or `one_of` names."""

    min: float | None = None
    max: float | None = None
    below: float | None = None
    one_of: list[str] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.one_of is not None and (self.min, self.max, self.below) != (None, None, None):
            raise ValueError("a signal has a number's bounds or one_of names, not both")
        return self


class Rule(Bounds):
    """Bounds of one signal, with other bounds for some languages.

    `when` makes the rule apply only where other signals of the same scope lie in their bounds.
    """

    languages: dict[str, Bounds] = {}
    when: dict[str, Bounds] = {}


class RuleSettings(Section):
    """Section `rules`: signal name -> rule, for each scope, judged in the order written."""

    text_node: dict[str, Rule] = {}
    image_node: dict[str, Rule] = {}
    document: dict[str, Rule] = {}


class PerplexityModel(Section):
    """A KenLM model and, where it was trained on pieces, their SentencePiece model."""

    path: str = Field(min_length=1, description="KenLM .arpa or .binary, a local file")
    sentencepiece: str | None = Field(default=None, description="SentencePiece .model")


class QualityModel(Section):
    """A fastText classifier (.bin, .ftz) or a linear one over hashed words (.npz)."""

    path: str = Field(min_length=1)
    label: str = Field(default="__label__hq", description="fastText label of wanted pages")


class OptOutSettings(Section):
    """Which opt-outs of a page the signal `opt_outs` counts."""

    directives: list[str] = Field(description="words of robots meta and X-Robots-Tag")
    agents: list[str] = Field(description="product tokens whose own directives bind us too")
    tdm: bool = Field(description="a TDM reservation counts")


class SignalSettings(Section):
    """Section `signals`."""

    language_model: str | None = Field(
        default=None, description="fastText .bin/.ftz; none: the wheel-shipped lid.176.ftz"
    )
    language_names: dict[str, str] = Field(
        default={}, description="the model's label -> language code, where they differ"
    )
    language_chars: int | None = Field(
        default=None, gt=0, description="characters a page given to the language model; none: all"
    )
    perplexity: dict[str, PerplexityModel] = Field(default={}, description="language -> model")
    quality: QualityModel | None = None
    punctuation: str = Field(min_length=1, description="marks the punctuation ratio counts")
    terminal: str = Field(min_length=1, description="marks that end a sentence")
    bullets: str = Field(description="marks that begin a list item's line")
    short_line: int = Field(gt=0, description="a line of fewer characters is short")
    opt_outs: OptOutSettings
    url_words: list[str] = Field(description="words an image's URL should not have")
    url_word_match: str = Field(
        pattern="^(substring|word)$",
        description="substring: anywhere in the URL (OBELICS); word: between other than letters",
    )
    common_words: str = Field(
        pattern="^(small|large|best)$", description="wordfreq's list of common words"
    )
    spam_words: dict[str, list[str]] = Field(description="language -> words of page furniture")
