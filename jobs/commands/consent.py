"""Ask again for consent to what a run uses: `benben consent recheck RUN`.

Asks the sites of the run's images for their files once more, for all images or a sample; no image
is requested. What is refused now is written to a list of tombstones. `--apply` takes it down at
once; without it the command prints how.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import xxhash

from benben.analysis.tables import RunTables
from benben.common.text import lines
from benben.jobs.commands import takedown
from benben.pipeline import storage
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.fetcher import ALLOWED, Sinks, fetch_images
from benben.pipeline.images.fetch.request import RETRYABLE, Outcome, Request
from benben.pipeline.images.fetch.resolver import owner
from benben.pipeline.images.processing.processor import ImageProcessor
from benben.pipeline.settings.fetch import FetchSettings
from benben.pipeline.takedown.tombstones import Tombstone


@dataclass
class Recheck:
    """What the sites say now."""

    asked: int = 0  # images and pages
    reasons: Counter[str] = field(default_factory=Counter)  # of refusals
    unclear: Counter[str] = field(default_factory=Counter)  # no answer now
    refused: list[Tombstone] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benben consent", description=__doc__)
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    verb = verbs.add_parser("recheck", help="ask the sites of a run's images again")
    verb.add_argument("run", help="folder of a run")
    verb.add_argument("--sample", type=int, help="number of images to ask for; default: all")
    verb.add_argument("--pages", action="store_true", help="ask for the run's pages too")
    verb.add_argument("--apply", action="store_true", help="take down what is refused now")
    given = parser.parse_args(arguments)
    found = recheck(RunTables(given.run), given.sample, given.pages)
    print(f"{found.asked:,} asked for, {len(found.refused):,} refused now")
    for reason, number in (found.reasons + found.unclear).most_common():
        print(f"{number:9,}  {reason}" + (" (asks later)" if reason in found.unclear else ""))
    if not found.refused:
        return 0
    name = datetime.now(UTC).strftime("refused-%Y%m%dT%H%M%SZ.jsonl")
    path = storage.join(given.run, "recheck", name)
    lines = (one.model_dump_json() for one in found.refused)
    storage.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())
    command = [given.run, "--list", path, "--note", "refused when asked again", "--apply"]
    if given.apply:
        return takedown.main(command)
    print(f"to take this down: benben takedown {given.run} --list {path} --apply")
    return 0


def recheck(tables: RunTables, sample: int | None = None, pages: bool = False) -> Recheck:
    """Ask for what a run uses. Raises InputError when it has no receipts."""
    table = tables.find("consent")
    if table is None:
        raise InputError(f"{tables.output}: no receipts here yet; run `benben fetch` first")
    settings = FetchSettings.model_validate(table.config["fetch"])
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
