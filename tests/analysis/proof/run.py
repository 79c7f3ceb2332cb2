"""A small run without rules, to prove rules on: tables without Spark, and gold texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from benben.filters.signal_table import measure_batch
from benben.pipeline import config, schema
from tests.analysis.run_folder import write_table
from tests.filters.pages import image, page, text

STORY = (
    "The owl in the old barn was asleep when the rain began, and it did not wake before the "
    "farmer came home with the lamp. He looked at it for a while, and then he went to bed. "
    "All through the night there was wind from the sea, so nobody heard how one of the doors fell "
    "into the yard. When the sun came up, there were five small white feathers on the floor."
)
MENU = "home about us our shops help"  # below the content score of `default`
PAGES = 8


def make(folder: Path) -> str:
    """Write the run: a page a site, in each a story and a menu; two more are special."""
    pages = [story(number) for number in range(PAGES)]
    pages.append(story(8, opt_outs=["robots-meta:noai"]))
    pages.append(story(9))  # a duplicate
    rows = [_row(number, one) for number, one in enumerate(pages)]
    documents = pa.RecordBatch.from_pylist(rows, schema=schema.DOCUMENTS)
    settings = config.load("default", ["input=[x]"]).signals
    write_table(str(folder), "documents", "extract", {"part": documents})
    signals = measure_batch(documents, settings)
    write_table(str(folder), "signals", "measure", {"part": signals})
    repeated = {"doc_id": "9", "reason": "duplicate.text", "kept_id": "0", "dropped": []}
    nodes = {"doc_id": "1", "reason": None, "dropped": [{"index": 0, "reason": "repeated"}]}
    duplicates = pa.RecordBatch.from_pylist([nodes, repeated], schema=schema.DUPLICATES)
    write_table(str(folder), "duplicates", "deduplicate", {"part": duplicates})
    return str(folder)


def story(number: int, **facts: Any) -> dict[str, Any]:
    """A page with a line of its own, a story, a menu, and (page 2 alone has none) a picture."""
    place = {"tag": "p", "path": "p"}
    own = text(f"This is what we tell on page {number} of the book about all the birds.", **place)
    told = text(f"{STORY} That was number {number}.", **place)
    menu = text(MENU, content_score=0.1, **place)
    shown = image(f"https://site{number}.org/owl.jpg", tag="img", path="img")
    return page(own, told, menu, *([] if number == 2 else [shown]), **facts)


def _row(number: int, made: dict[str, Any]) -> dict[str, Any]:
    domain = f"site{number}.org"
    place = {"doc_id": str(number), "url": f"https://{domain}/", "host": domain, "domain": domain}
    return {**made, **place, "warc": "a.warc.gz", "warc_offset": number, "warc_length": 1}


def gold(file: Path, sites: int = PAGES) -> str:
    """Write gold texts of the pages' sites."""
    records = [
        {"id": f"gold/{number}", "url": f"https://site{number}.org/", "gold_text": STORY}
        for number in range(sites)
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(file)
