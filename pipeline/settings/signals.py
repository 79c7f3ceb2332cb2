"""Settings of signals (how they are measured) and of rules (how they are judged)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from benben.pipeline.settings.consent import OptOutRules
from benben.pipeline.settings.section import Section


class Bounds(Section):
    """Allowed values of a signal: inclusive `min`, `max`, exclusive `below`, or `one_of` names."""

    min: float | None = Field(default=None, description="least value that is kept")
    max: float | None = Field(default=None, description="greatest value that is kept")
    below: float | None = Field(default=None, description="values from here on are dropped")
    one_of: list[str] | None = Field(default=None, description="names that are kept")

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.one_of is not None and (self.min, self.max, self.below) != (None, None, None):
            raise ValueError("a rule has bounds of a number or one_of names, not both")
        return self


Group = tuple[str, str]  # what rows are grouped by, and the name that those of the group have
LANGUAGE = "language"  # of the document: groups rows of every scope
UNGROUPED: Group = ("", "")  # rows of no other group


def group_name(group: Group) -> str:
    """Return a group in words: a language by its code, others as in `kind list_item`."""
    by, name = group
    return name if by == LANGUAGE else f"{by} {name}".strip()


class Rule(Bounds):
    """Bounds of one signal, with other bounds for some groups of rows.

    A group is the documents of a language, or the rows with one name of a signal such as `kind`.
    With `when`, the rule applies only where other signals of the same scope are within bounds.
    `over`: what is measured as one. A run is a stretch of neighbouring blocks of one kind (items of
    a list, rows of a table, code, texts under one heading); a section, a heading with what follows.
    """

    over: Literal["paragraph", "run", "section"] = Field(
        default="paragraph", description="what is measured as one: see the guide on filtering"
    )
    languages: dict[str, Bounds] = Field(
        default={}, description="other bounds for documents of a language, by its code"
    )
    by: dict[str, dict[str, Bounds]] = Field(
        default={},
        description="other bounds for rows with a name: signal that is a name (of the rule's scope "
        "or the document, such as kind or page_type) -> name -> bounds; before `languages`",
    )
    when: dict[str, Bounds] = Field(
        default={}, description="signals of the same scope that must be within bounds for the rule"
    )

    @field_validator("languages", "by", mode="before")
    @classmethod
    def _without_removed(cls, value: Any) -> Any:
        """Leave out what is null, by which a config removes a group of its base."""
        return _without_null({} if value is None else value)

    @field_validator("by")
    @classmethod
    def _with_groups(cls, value: dict[str, dict[str, Bounds]]) -> dict[str, dict[str, Bounds]]:
        return {grouping: table for grouping, table in value.items() if table}

    def groups(self) -> dict[Group, Bounds]:
        """Return the bounds of each group; a row has those of the first group that it is in."""
        tables = [*self.by.items(), (LANGUAGE, self.languages)]
        return {
            (grouping, name): bounds for grouping, table in tables for name, bounds in table.items()
        }

    def of_group(self, group: Group) -> Bounds:
        """Return the bounds of a group; the rule's own for one without."""
        return self.groups().get(group, self)

    def with_group(self, group: Group, bounds: Bounds) -> Rule:
        """Return the rule with other bounds for a group; of UNGROUPED: with other own bounds."""
        grouping, name = group
        if group == UNGROUPED:
            own = {end: getattr(bounds, end) for end in Bounds.model_fields}
            return self.model_copy(update=own)
        if grouping == LANGUAGE:
            return self.model_copy(update={"languages": {**self.languages, name: bounds}})
        table = {**self.by.get(grouping, {}), name: bounds}
        return self.model_copy(update={"by": {**self.by, grouping: table}})


def _without_null(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_null(one) for name, one in value.items() if one is not None}


class InheritSettings(Section):
    """What is not judged alone, but shares the fate of what it belongs to."""

    headings: float | None = Field(
        default=None,
        description="content score from which a heading is kept if something it heads is; one of "
        "which nothing is kept goes; none: headings are judged alone",
    )
    captions: float | None = Field(
        default=None,
        description="content score from which a caption is kept if an image of its figure is; one "
        "without a kept image goes; none: captions are judged alone",
    )

    @property
    def any(self) -> bool:
        """Tell whether anything is not judged alone."""
        return self.headings is not None or self.captions is not None


class RuleSettings(Section):
    """Section `rules`: for each scope, signal name -> rule, in the order of judging.

    Null in place of a rule removes the base's; in place of a scope, all of the base's there.
    """

    text_node: dict[str, Rule] = {}
    image_node: dict[str, Rule] = {}
    document: dict[str, Rule] = {}
    inherit: InheritSettings = InheritSettings()

    @field_validator("*", mode="before")
    @classmethod
    def _without_removed(cls, value: Any) -> Any:
        if value is None:
            return {}
        if not isinstance(value, dict):
            return value
        return {name: rule for name, rule in value.items() if rule is not None}

    def by_name(self) -> dict[str, Rule]:
        """Return all rules by SCOPE.SIGNAL."""
        return {
            f"{scope}.{name}": rule
            for scope in ("text_node", "image_node", "document")
            for name, rule in getattr(self, scope).items()
        }

    @property
    def in_context(self) -> bool:
        """Tell whether any paragraph's verdict depends on other nodes."""
        return self.inherit.any or any(rule.over != "paragraph" for rule in self.text_node.values())


class PerplexityModel(Section):
    """A KenLM model and, if it was trained on pieces, the SentencePiece model that makes them."""

    path: str = Field(min_length=1, description="KenLM .arpa or .binary, a local file")
    sentencepiece: str | None = Field(
        default=None, description="SentencePiece .model, a local file"
    )


class QualityModel(Section):
    """A fastText classifier (.bin, .ftz) or a linear classifier over hashed words (.npz)."""

    path: str = Field(min_length=1, description="fastText .bin or .ftz, a local file")
    label: str = Field(default="__label__hq", description="fastText label of wanted pages")


class SignalSettings(Section):
    """Section `signals`: word lists and models by which texts are measured."""

    language_model: str | None = Field(
        default=None,
        description="fastText .bin or .ftz; none: the installed lid.176.ftz",
    )
    language_names: dict[str, str] = Field(
        default={}, description="label of the model -> language code, where they differ"
    )
    language_chars: int | None = Field(
        default=None,
        gt=0,
        description="characters used to identify the language; none: all",
    )
    perplexity: dict[str, PerplexityModel] = Field(default={}, description="language -> model")
    quality: QualityModel | None = None
    punctuation: str = Field(min_length=1, description="marks that punctuation_ratio counts")
    terminal: str = Field(min_length=1, description="marks that end a sentence")
    bullets: str = Field(description="marks that begin a line of a list")
    short_line: int = Field(gt=0, description="lines with fewer characters are short")
    opt_outs: OptOutRules = Field(description="which opt-outs of a page the signal counts")
    url_words: list[str] = Field(description="banned words of image URLs")
    url_word_match: str = Field(
        pattern="^(substring|word)$",
        description="substring: anywhere in the URL (OBELICS); word: not next to other letters",
    )
    common_words: str = Field(
        pattern="^(small|large|best)$", description="wordfreq's list of common words"
    )
    spam_words: dict[str, list[str]] = Field(description="language -> words of page furniture")
