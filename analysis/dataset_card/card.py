"""The dataset's card: README.md with YAML metadata for the Hugging Face Hub, and Croissant JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from benben.analysis.dataset_card import croissant
from benben.analysis.dataset_card.facts import Facts, gather, splits_of
from benben.analysis.report import funnel
from benben.analysis.report.funnel import Row
from benben.analysis.tables import RunTables
from benben.pipeline import manifest, storage
from benben.pipeline.manifest import PartFile

BASE = "no_rules"  # gives the sections that do not decide what a run makes, and no rules
TITLE = "Interleaved web documents"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"),
         (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip
LANGUAGE = re.compile(r"[a-z]{2,3}")


def write(
    output: str, title: str = TITLE, url: str | None = None, list_files: bool = False
) -> list[str]:
    """Write README.md and croissant.json into the dataset's folder; returns their paths.

    `url`: where the dataset is published; `list_files`: see `texts_of`. Raises InputError when the
    run has no dataset yet.
    """
    tables = RunTables(output)
    texts = texts_of(tables, title, url, list_files)
    paths = []
    for name, text in texts.items():
        paths.append(storage.join(tables.folder("dataset"), name))
        storage.write_bytes(paths[-1], text.encode("utf-8"))
    return paths


def texts_of(
    tables: RunTables,
    title: str,
    url: str | None,
    list_files: bool = False,
    files: Sequence[PartFile] | None = None,
) -> dict[str, str]:
    """The card's files: name -> text.

    `list_files` names each file of a split instead of a pattern. This is needed while files that
    do not belong to the dataset lie in its folders. `files` are those of the dataset in another
    form, if the card is of that.
    """
    facts = gather(tables)
    if files is not None:
        facts = replace(facts, splits=tuple(splits_of(files)))
    rows = funnel.rows_of(map(tables.find, funnel.TABLES))
    return {
        "README.md": render(facts, rows, title, list_files),
        "croissant.json": json.dumps(croissant.describe(facts, title, url), indent=2) + "\n",
    }


def title_and_url(output: str) -> tuple[str, str | None]:
    """The dataset's title and URL as in the run's report."""
    found = manifest.read(storage.join(output, "report"))
    settings = found.config.get("report", {}) if found else {}
    return settings.get("title", TITLE), settings.get("url")


def render(facts: Facts, rows: list[Row], title: str, list_files: bool = False) -> str:
    """The text of README.md."""
    environment = Environment(
        loader=PackageLoader("benben.analysis"), undefined=StrictUndefined, autoescape=False
    )  # this is Markdown: text that pages chose goes through `cell`
    environment.filters |= {"amount": amount, "cell": cell, "top": top, "rest": rest}
    return environment.get_template("card.md").render(
        header=f"---\n{yaml.safe_dump(metadata(facts, title, list_files), sort_keys=False)}---",
        title=title,
        facts=facts,
        names=partial(split_names, facts),
        funnel=rows,
        config=yaml.safe_dump(
            {"base": BASE, **facts.config}, sort_keys=True, allow_unicode=True
        ).rstrip(),
    )


def metadata(facts: Facts, title: str, list_files: bool) -> dict[str, Any]:
    """The metadata that the Hub reads from the head of README.md."""
    documents = int(facts.numbers["documents"])
    sizes = [name for limit, name in SIZES if documents < limit]
    return {
        "pretty_name": title,
        "language": sorted(lang for lang in facts.languages if LANGUAGE.fullmatch(lang)),
        "license": "other",
        "license_name": "rights-of-the-pages-owners",
        "task_categories": ["image-text-to-text", "text-generation"],
        "tags": ["interleaved", "multimodal", "obelics", "common-crawl", "benben"],
        "size_categories": [sizes[0] if sizes else "n>1B"],
        "configs": configs(facts, list_files),
    }


def configs(facts: Facts, list_files: bool) -> list[dict[str, Any]]:
    """One config for each kind of row that there are files of, with the files of its splits."""
    found: dict[str, dict[str, Any]] = {}
    for split in facts.splits:
        entry: dict[str, Any] = {"config_name": split.config, "data_files": []}
        if split.config != "images":
            entry["default"] = True
        split_files = "*" if split.config == "images" else f"{split.name}-*"
        pattern = f"{split.config}/{split_files}.parquet"
        files = {"split": split.name, "path": list(split.files) if list_files else pattern}
        found.setdefault(split.config, entry)["data_files"].append(files)
    return list(found.values())


def split_names(facts: Facts, kind: str) -> list[str]:
    """Names of the splits of one kind of row, `train` first."""
    names = [split.name for split in facts.splits if split.config == kind]
    return sorted(names, key=lambda name: (name != "train", name))


def amount(value: float) -> str:
    """Format a number with thousands separators."""
    return f"{int(value):,}" if value == int(value) else f"{value:,.1f}"


def cell(text: str) -> str:
    """Text that a page chose, for a Markdown table: as code, so that none of it acts as markup."""
    printable = "".join(char for char in text if char.isprintable())
    return "`" + printable.replace("`", "'").replace("|", "\\|")[:200] + "`"


def top(counts: Counter[str], limit: int) -> list[tuple[str, int]]:
    """The `limit` most frequent entries."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]


def rest(counts: Counter[str], limit: int) -> int:
    """The summed counts of all entries but the `limit` most frequent ones."""
    return counts.total() - sum(count for _, count in top(counts, limit))
