"""Every key of a config is explained, and the page and the schema follow from the settings."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from benben.common import config_reference
from benben.pipeline import config
from benben.pipeline.settings import Config
from tests.shared import ROOT

KEYS = list(config_reference.keys(Config))


def test_every_key_has_a_description_a_type_and_a_default_or_is_needed() -> None:
    assert len(KEYS) > 300
    lacking = [one.name for one in KEYS if not one.description or not one.type]
    assert lacking == []
    assert next(one for one in KEYS if one.name == "fetch.tasks").default == "null"
    assert next(one for one in KEYS if one.name == "input").default is None


def test_types_are_told_in_words() -> None:
    types = {one.name: one.type for one in KEYS}
    assert types["fetch.limits.ports"] == "list of whole number"
    assert types["fetch.store"] == "`webdataset` or `parquet`"
    assert types["rules.document.NAME.min"] == "number or null"
    assert types["fetch.enabled"] == "true or false"


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "config.md").read_text() == config.reference(), (
        "make it anew: python -m benben.pipeline.config > docs/config.md"
    )


def test_the_page_has_every_key() -> None:
    page = config.reference()
    assert [one.name for one in KEYS if not one.section and f"| `{one.name}` |" not in page] == []


@pytest.mark.parametrize("name", config.shipped())
def test_the_schema_accepts_the_shipped_configs(name: str) -> None:
    data = yaml.safe_load((config.CONFIGS / f"{name}.yaml").read_text())
    jsonschema.validate(data, config_reference.schema(Config))


def test_the_schema_refuses_a_misspelt_key() -> None:
    with pytest.raises(jsonschema.ValidationError, match="fetsh"):
        jsonschema.validate({"base": "default", "fetsh": {}}, config_reference.schema(Config))
