"""Settings of signals (what is measured) and rules (what is decided)."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.settings.section import Section


class Bounds(Section):
    """Inclusive bounds of a signal."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Rule(Bounds):
    """Bounds of one signal, with other bounds for some languages."""

    languages: dict[str, Bounds] = {}


class RuleSettings(Section):
    """Section `rules`: signal name -> rule, for each scope."""

    text_node: dict[str, Rule] = {}
    image_node: dict[str, Rule] = {}
    document: dict[str, Rule] = {}


class SignalSettings(Section):
    """Section `signals`."""

    language_model: str | None = Field(
        default=None, description="fastText .bin/.ftz; none: the wheel-shipped lid.176.ftz"
    )
