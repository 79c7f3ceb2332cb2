"""`benben takedown RUN --host H`: take documents and images down from a finished run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import get_args

import click
import pyarrow as pa
from pydantic import ValidationError

from benben.analysis.dataset_card import card
from benben.analysis.report import funnel, html_report
from benben.analysis.tables import RunTables
from benben.common.command_line import RUN, Command
from benben.jobs.engine import lock
from benben.jobs.engine.progress import say
from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError, UserError
from benben.pipeline.images.store import tar_shards
from benben.pipeline.manifest import Manifest
from benben.pipeline.takedown import (
    apply_tombstones,
    rewrite_dataset,
    rewrite_tables,
    takedown_log,
    tombstones,
)
from benben.pipeline.takedown.dataset_rows import Removal, Removed
from benben.pipeline.takedown.takedown_log import PendingTakedown
from benben.pipeline.takedown.tombstones import Kind, Tombstone, Tombstones

OPTIONS = {
    "url": "page or image by its URL",
    "host": "pages and images of a host and its subdomains",
    "regex": "pages and images whose URL matches a regular expression",
    "document": "document by its id",
    "sha256": "image by the SHA-256 of its bytes",
    "phash": "image by its perceptual hash",
    "text": "documents that contain this text, ignoring case and spacing",
}
LISTED_DOCUMENTS = 20  # how many documents the summary lists
BATCH_ROWS = 500


def _kinds(function: Callable[..., int]) -> Callable[..., int]:
    """Add an option for each kind of tombstone."""
    for kind, text in reversed(OPTIONS.items()):
        function = click.option(f"--{kind}", multiple=True, help=f"{text}.")(function)
    return function


@click.command(cls=Command)
@RUN
@_kinds
@click.option(
    "--distance", type=click.IntRange(0, 64), default=0, help="Bits in which a --phash may differ."
)
@click.option("--list", "lists", multiple=True, metavar="FILE", help="File of tombstones to add.")
@click.option("--note", default="", help="Reason for the takedown, kept in the log.")
@click.option("--apply", is_flag=True, help="Remove; without it, show what would be removed.")
@click.option("--check", is_flag=True, help="Only check that nobody changed the log.")
def main(
    run: str,
    distance: int,
    lists: tuple[str, ...],
    note: str,
    apply: bool,
    check: bool,
    **kinds: tuple[str, ...],
) -> int:
    """Take documents and images down from the finished run of the folder RUN.

    Without --apply the command only shows what would be removed. To finish a takedown that was
    interrupted, run the same command again. To keep what was taken down out of later runs, name
    the run's list in their config: takedown.tombstones=RUN/takedown/tombstones.jsonl.
    """
    if check:
        entries = takedown_log.check(run, takedown_log.read_pending(run))
        print(f"{len(entries)} takedowns; the log is unchanged")
        return 0
    return take_down(run, [*_requested(kinds, distance), *tombstones.read(lists)], note, apply)


def take_down(run: str, requested: list[Tombstone], note: str, apply: bool) -> int:
    """Show what tombstones match in a run, and with `apply` remove it. Raises UserError."""
    if apply and storage.list_folders(run):  # a name mistyped makes no folder
        with lock.writing(run):
            return _take_down(run, requested, note, apply)
    return _take_down(run, requested, note, apply)


def _take_down(run: str, requested: list[Tombstone], note: str, apply: bool) -> int:
    pending = takedown_log.read_pending(run)
    if pending and not apply:
        raise UserError(f"{run}: a takedown is not finished; run it again with --apply")
    if pending:
        finish(run, pending)
        if pending.includes(requested):
            return 0
    if not requested:
        raise UserError("takedown: say what to remove: --" + ", --".join(OPTIONS))
    takedown, removed = find(run, requested, note)
    print("\n".join(summary(run, takedown, removed)))
    if apply:
        finish(run, takedown)
    elif not takedown.removes_nothing:
        print("nothing was changed; add --apply to remove this")
    return 0


def _requested(kinds: Mapping[str, tuple[str, ...]], distance: int) -> list[Tombstone]:
    try:
        return [
            Tombstone(kind=kind, value=value, distance=distance if kind == "phash" else 0)
            for kind in get_args(Kind)
            for value in kinds.get(kind, ())
        ]
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"takedown: {message}") from None


# What the tombstones match


def find(output: str, requested: Sequence[Tombstone], note: str) -> tuple[PendingTakedown, Removed]:
    """Find in all tables what tombstones match. Raises InputError without a dataset."""
    tables = RunTables(output)
    tables.need("dataset")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    number = len(takedown_log.check(output)) + 1
    asked = Tombstones(requested)
    wanted = [*requested, *_find_thumbnails(tables, asked)]
    takedown = PendingTakedown(number=number, started=now, note=note, tombstones=wanted)
    known = Tombstones(wanted)
    takedown.sha256 = sorted(_find_images(tables, requested, known))
    added = _find_documents(tables, takedown, known)
    dataset = tables.folder("dataset")
    removal = Removal(known, takedown.documents, frozenset(takedown.sha256))
    removed, _ = rewrite_dataset.find_removed(dataset, removal)
    takedown.documents |= removed.documents
    takedown.unused = sorted(rewrite_dataset.find_unused_images(dataset, takedown.removal, removed))
    matched = asked.matched | known.matched | {("sha256", name) for name in removed.sha256}
    takedown.unmatched = [each for each in requested if (each.kind, each.value) not in matched]
    takedown.tombstones = list(dict.fromkeys([*wanted, *added]))
    return takedown, removed


def _find_images(
    tables: RunTables, requested: Sequence[Tombstone], known: Tombstones
) -> Iterator[str]:
    """Yield the SHA-256 of images that tombstones name, or match by perceptual hash."""
    yield from (each.value for each in requested if each.kind == "sha256")
    for rows in tables.batches("images", ["sha256", "phash"]):
        for sha256, phash in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            if sha256 and known.match_content(sha256, phash):
                yield sha256


def _find_thumbnails(tables: RunTables, asked: Tombstones) -> list[Tombstone]:
    """Return tombstones for the images that lead to a picture in full size which is taken down.

    Other tables know a thumbnail by its own address alone.
    """
    addresses = ["nodes.list.element.url", "nodes.list.element.full_size"]
    found = {
        address
        for rows in tables.batches("documents", addresses)
        for address in apply_tombstones.thumbnails(rows, asked)
    }
    return [one for address in sorted(found) for one in _tombstones_of(address, None)]


def _find_documents(
    tables: RunTables, takedown: PendingTakedown, known: Tombstones
) -> list[Tombstone]:
    """Add to a takedown the documents and image nodes that its tombstones match.

    A document's id depends on its archive, so it does not recognise the page in another crawl. The
    tombstones returned do: the URL and the payload digest of each document that an id names.
    """
    added: list[Tombstone] = []
    for rows in _documents(tables):
        reasons = apply_tombstones.document_reasons(rows, known)
        columns = (rows[name].to_pylist() for name in ("doc_id", "url", "payload_digest"))
        for doc_id, url, payload, reason in zip(*columns, reasons, strict=True):
            if reason:
                takedown.documents[doc_id] = reason
            if reason == tombstones.reason_of("document"):
                added += _tombstones_of(url, payload)
        nodes = apply_tombstones.matching_image_nodes(rows, known).to_pylist()
        for doc_id, entries in zip(rows["doc_id"].to_pylist(), nodes, strict=True):
            if entries and doc_id not in takedown.documents:
                takedown.nodes[doc_id] = {entry["index"]: entry["reason"] for entry in entries}
    return added


def _tombstones_of(url: str | None, payload: str | None) -> Iterator[Tombstone]:
    """Yield tombstones for a page's URL and payload; not for a URL that no browser would open."""
    named: tuple[tuple[Kind, str | None], ...] = (("url", url), ("payload", payload))
    for kind, value in named:
        with suppress(ValidationError):
            yield Tombstone(kind=kind, value=value or "")


def _documents(tables: RunTables) -> Iterator[pa.RecordBatch]:
    for _, paths in sorted(tables.paths("documents").items()):
        for path in paths:
            yield from storage.iter_parquet(path, apply_tombstones.COLUMNS, BATCH_ROWS)


def summary(output: str, takedown: PendingTakedown, removed: Removed) -> Iterator[str]:
    """Yield lines that say what is removed."""
    for each in takedown.unmatched:
        yield f"nothing in this run matches {each.kind} {each.value}"
    if takedown.removes_nothing:
        return
    by_reason = Counter(removed.documents.values())
    in_run = len(takedown.documents)
    yield f"documents    {by_reason.total():,} of the dataset, {in_run:,} of the run"
    yield from (
        f"             {number:,}  {reason}" for reason, number in sorted(by_reason.items())
    )
    yield f"image slots  {removed.slots.total():,}"
    yield f"images       {len(takedown.images):,}, {len(takedown.unused):,} of them no longer shown"
    if removed.documents:
        ids = sorted(removed.documents)[:LISTED_DOCUMENTS]
        rows = RunTables(output).lookup("documents", "doc_id", ids, ["doc_id", "url"])
        yield from (f"  {doc_id}  {rows.get(doc_id, {}).get('url', '')}" for doc_id in ids)
        if len(removed.documents) > LISTED_DOCUMENTS:
            yield f"  and {len(removed.documents) - LISTED_DOCUMENTS:,} more"


# Removing it


def finish(output: str, takedown: PendingTakedown) -> None:
    """Do what is left of a takedown. The order allows it to be resumed from any point."""
    takedown_log.write_pending(output, takedown)
    tombstones.add(takedown_log.tombstones_path(output), takedown.tombstones)
    for change in rewrite_tables.table_changes(takedown):
        for name in rewrite_tables.rewrite_table(output, change, takedown.number):
            say(f"takedown: {change.table}/{name} rewritten")
    for path in storage.list_files(storage.join(output, "image_bytes")):
        if path.endswith(tar_shards.ENDING):
            tar_shards.erase(path, set(takedown.images))
    storage.delete_folder(storage.join(output, "images", "work"))  # the journal names the images
    dataset = _replace_dataset(output, takedown)
    rewrite_dataset.delete_leftovers(output)
    _write_card(output)
    for path in storage.list_files(output):
        if path.endswith(storage.UNFINISHED):
            storage.delete_file(path)  # left by takedowns that were killed
    _rewrite_report(output)
    entry = takedown.log_entry([file.name for file in dataset.files])
    takedown_log.append_to_log(takedown_log.log_path(output), entry)
    takedown_log.delete_pending(output)
    path = takedown_log.tombstones_path(output)
    outcome = "nothing was there to remove" if takedown.removes_nothing else "done"
    say(f"takedown: {outcome}; to apply it to later runs, set takedown.tombstones=[{path}]")


def _replace_dataset(output: str, takedown: PendingTakedown) -> Manifest:
    """Replace the dataset unless that was done before, and return its manifest."""
    current = _dataset_manifest(output)
    if takedown.key in current.inputs:
        return current
    same_folder = rewrite_dataset.new_folder(output) == storage.join(output, "dataset")
    if same_folder:  # the card's patterns would match new files before they are published
        _write_card(output, listed=True)
    new = rewrite_dataset.write_new_dataset(output, takedown)
    tables = RunTables(output, (new.folder, new.manifest))
    card_files = card.texts_of(tables, *card.title_and_url(output), same_folder)
    rewrite_dataset.publish(output, new, card_files)
    say(f"takedown: {len(new.replaced)} files of the dataset rewritten")
    return new.manifest


def _dataset_manifest(output: str) -> Manifest:
    """Read the dataset's manifest, after undoing a swap that was killed (see storage.swap)."""
    dataset = storage.join(output, "dataset")
    storage.restore(dataset)
    found = manifest.read(dataset)
    if found is None:
        raise InputError(f"{output}: no dataset here; run `benben assemble` first")
    return found


def _write_card(output: str, listed: bool = False) -> None:
    card.write(output, *card.title_and_url(output), listed)


def _rewrite_report(output: str) -> None:
    """Write the report and the funnel again, without what was removed."""
    found = manifest.read(storage.join(output, "report"))
    if found:
        settings = found.config["report"]
        names = ("topics", "corpus_documents", "phrase_words", "against")
        corpus = html_report.Corpus(*(settings[name] for name in names))
        page = html_report.render(output, settings["sample_documents"], corpus).encode()
        storage.write_bytes(storage.join(output, "report", "report.html"), page)
        counts = funnel.as_json(funnel.read(output)).encode()
        storage.write_bytes(storage.join(output, funnel.FILE), counts)
