"""The base class of every section of a config."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A section: unknown keys are errors, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, data: Any) -> Any:
        """Take one text for a list of one, as in input=crawl/."""
        if not isinstance(data, dict):
            return data
        lists = {
            name for name, field in cls.model_fields.items() if get_origin(field.annotation) is list
        }
        return {
            name: [value] if name in lists and isinstance(value, str) else value
            for name, value in data.items()
        }
