"""Derive the verdicts on consent again, from the receipts of a run alone.

Each receipt has to fit its digest, each verdict to follow from what the receipts hold, and each
image that was used or refused for consent to have a receipt with the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterator

from benben.analysis.tables import RunTables
from benben.pipeline import storage
from benben.pipeline.consent.receipts import ReceiptCheck, Row
from benben.pipeline.settings.consent import OptOutRules
from benben.pipeline.settings.fetch import FetchSettings


def verify(tables: RunTables) -> Iterator[tuple[str, str]]:
    """Yield (what a receipt is of, what is wrong with it); "" if nothing is wrong.

    Raises InputError when the run has no receipts.
    """
    settings = FetchSettings.model_validate(tables.need("consent").config["fetch"])
    pages = page_rules(tables)
    verdicts: dict[str, str | None] = {}
    for files in tables.paths("consent").values():
        for path in files:
            check = ReceiptCheck(settings.consent, settings.product, pages)
            for row, problem in check.problems(_rows(path)):
                if row["kind"] == "image":
                    verdicts[row["url"]] = row["reason"]
                yield f"{row['kind']} {row['url']}{_suffix(row)}", problem
    for images in tables.batches("images", ["url", "reason"]):
        for url, reason in zip(*(column.to_pylist() for column in images.columns), strict=True):
            refused = reason is not None and reason.startswith("consent.")
            if (reason is None or refused) and verdicts.pop(url, "") != reason:
                yield f"image {url}", f"no receipt says that its verdict is {reason}"
    for url in verdicts:
        yield f"image {url}", "a receipt of an image that the table `images` does not have"


def page_rules(tables: RunTables) -> OptOutRules | None:
    """What makes a page an opt-out in this run; None if no rule refuses such pages."""
    signals, verdicts = tables.find("signals"), tables.find("verdicts")
    if signals is None or verdicts is None:
        return None
    rules = verdicts.config.get("rules", {}).get("document", {})
    if (rules.get("opt_outs") or {}).get("max") != 0:
        return None
    return OptOutRules.model_validate(signals.config["signals"]["opt_outs"])


def _suffix(row: Row) -> str:
    return row["path"] or "" if row["kind"] == "source" else ""


def _rows(path: str) -> Iterator[Row]:
    for batch in storage.iter_parquet(path):
        yield from batch.to_pylist()
