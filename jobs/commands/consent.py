"""`benben consent recheck RUN`: ask the sites of a run's images for consent once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import click
import xxhash

from benben.analysis.tables import RunTables
from benben.common.command_line import RUN, Command
from benben.common.text import lines
from benben.jobs.commands import takedown
from benben.pipeline import storage
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.images.fetch.fetcher import ALLOWED, Sinks, fetch_images
from benben.pipeline.images.fetch.request import RETRYABLE, Outcome, Request
from benben.pipeline.images.fetch.resolver import owner
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.takedown import tombstones
from benben.pipeline.takedown.tombstones import Tombstone


@dataclass
class Recheck:
    """What the sites say now."""

    asked: int = 0  # images and pages
    reasons: Counter[str] = field(default_factory=Counter)  # of refusals
    unclear: Counter[str] = field(default_factory=Counter)  # no answer now
    refused: list[Tombstone] = field(default_factory=list)


@click.group(no_args_is_help=True)
def main() -> None:
    """Ask sites again for consent to what a run uses."""


@main.command("recheck", cls=Command)
@RUN
@click.option("--sample", type=click.IntRange(1), help="Images to ask for; default: all.")
@click.option("--pages", is_flag=True, help="Ask for the run's pages too.")
@click.option("--apply", is_flag=True, help="Take down what is refused now.")
def recheck_command(run: str, sample: int | None, pages: bool, apply: bool) -> int:
    """Ask the sites of the images of the folder RUN once more; no image is requested.

    What is refused now is written to a list of tombstones.
    """
    found = recheck(RunTables(run), sample, pages)
    print(f"{found.asked:,} asked for, {len(found.refused):,} refused now")
    for reason, number in (found.reasons + found.unclear).most_common():
        print(f"{number:9,}  {reason}" + (" (asks later)" if reason in found.unclear else ""))
    if not found.refused:
        return 0
    name = datetime.now(UTC).strftime("refused-%Y%m%dT%H%M%SZ.jsonl")
    path = storage.join(run, "recheck", name)
    lines = (one.model_dump_json() for one in found.refused)
    storage.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
    if apply:
        note = "refused when asked again"
        return takedown.take_down(run, tombstones.read([path]), note, apply=True)
    print(f"to take this down: benben takedown {run} --list {path} --apply")
    return 0


def recheck(tables: RunTables, sample: int | None = None, pages: bool = False) -> Recheck:
    """Ask for what a run uses. Raises InputError when it has no receipts."""
    settings = FetchSettings.model_validate(tables.need("consent").config["fetch"])
    # This backend asks for consent alone.
    settings = settings.model_copy(update={"backend": "img2dataset", "img2dataset": []})
    targets = sorted(_targets(tables, pages), key=_order)[:sample]
    wanted: dict[str, list[Tombstone]] = {}
    for addresses, tombstone in targets:
        for address in addresses:
            wanted.setdefault(address, []).append(tombstone)
    found = Recheck(asked=len(targets))
    refused: dict[Tombstone, None] = {}

    def note(outcome: Outcome) -> None:
        reason = outcome.reason or ""
        if reason.startswith("consent.") and reason not in RETRYABLE:
            found.reasons[reason] += 1
            refused.update(dict.fromkeys(wanted[outcome.url]))
        elif reason != ALLOWED:
            found.unclear[reason] += 1

    requests = (Request(address, address) for address in sorted(wanted, key=owner))
    processor = ImageProcessor(settings, OptOutLists(settings.consent))
    fetch_images(requests, settings, Sinks(note), processor)
    found.refused = list(refused)
    return found


def _order(target: tuple[list[str], Tombstone]) -> int:
    """A place by hash: the same sample in each call."""
    return int(xxhash.xxh3_64_intdigest(target[1].value.encode("utf-8", "surrogatepass")))


def _targets(tables: RunTables, pages: bool) -> Iterator[tuple[list[str], Tombstone]]:
    """Addresses to ask for, and what is taken down when one is refused."""
    for batch in tables.batches("consent", ["kind", "url", "path", "reason"]):
        for row in batch.to_pylist():
            if row["reason"] is not None:
                continue
            if row["kind"] == "image":
                addresses = lines(row["path"] or row["url"])
                yield addresses, Tombstone(kind="url", value=row["url"])
            elif row["kind"] == "page" and pages:
                yield [row["url"]], Tombstone(kind="document", value=row["path"])
