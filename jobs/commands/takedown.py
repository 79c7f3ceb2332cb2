"""Take documents and images down from a finished run, for good: `benben takedown RUN --host H`.

Without `--apply` it only shows what would go. A takedown that was stopped is finished by the same
command. What was taken down is kept out of later runs whose config names the run's list of
tombstones: takedown.tombstones=[RUN/takedown/tombstones.jsonl].
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import ValidationError

from benben.analysis.dataset_card import card
from benben.analysis.report import funnel
from benben.analysis.report import html_report as report
from benben.analysis.tables import RunTables
from benben.jobs.engine.progress import say
from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError, UserError
from benben.pipeline.images.store import tar_shards
from benben.pipeline.manifest import Manifest
from benben.pipeline.takedown import chain, erase, pending, stage, tombstones, withhold
from benben.pipeline.takedown.pending import FOLDER, Pending
from benben.pipeline.takedown.removal import Removed
from benben.pipeline.takedown.tombstones import Kind, Tombstone

KINDS = ("url", "host", "regex", "document", "sha256", "phash", "text")
SHOWN = 20  # documents a dry run names
BATCH_ROWS = 500


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benben takedown", description=__doc__)
    parser.add_argument("run", help="folder of a run")
    for kind, text in zip(KINDS, _HELP, strict=True):
        parser.add_argument(f"--{kind}", action="append", default=[], help=text)
    parser.add_argument("--distance", type=int, default=0, help="bits --phash may differ by")
    parser.add_argument("--list", action="append", default=[], help="file of tombstones as well")
    parser.add_argument("--note", default="", help="why, for the log")
    parser.add_argument("--apply", action="store_true", help="do it; else only show what would go")
    parser.add_argument("--check", action="store_true", help="check the log's chain, no more")
    given = parser.parse_args(arguments)
    if given.check:
        print(f"{len(chain.read(_log(given.run)))} takedowns, the log is as it was written")
        return 0
    asked = _tombstones(given)
    under_way = pending.read(given.run)
    if under_way and not given.apply:
        raise UserError(f"{given.run}: a takedown is not finished; run it again with --apply")
    if under_way:
        finish(given.run, under_way)
        if pending.same(under_way, asked):
            return 0
    if not asked:
        raise UserError("takedown: say what has to go: --" + ", --".join(KINDS))
    found, removed = find(given.run, asked, given.note)
    print("\n".join(tell(given.run, found, removed)))
    if given.apply:
        finish(given.run, found)
    else:
        print("nothing was changed; add --apply to take this down")
    return 0


_HELP = (
    "page or image by its URL",
    "pages and images of a host and its subdomains",
    "pages and images whose URL matches a regular expression",
    "document by its id",
    "image by the SHA-256 of its bytes",
    "image by its perceptual hash",
    "documents that say this, in any case and spacing",
)


def _tombstones(given: argparse.Namespace) -> list[Tombstone]:
    try:
        asked = [
            Tombstone(kind=kind, value=value, distance=given.distance if kind == "phash" else 0)
            for kind in get_args(Kind)
            for value in getattr(given, kind, [])
        ]
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"takedown: {message}") from None
    return asked + tombstones.read(given.list)


def find(output: str, asked: Sequence[Tombstone], note: str) -> tuple[Pending, Removed]:
    """Look up in all tables what tombstones mean. Raises InputError without a dataset."""
    tables = RunTables(output)
    if tables.find("dataset") is None:
        raise InputError(f"{output}: no dataset here yet; run `benben assemble` first")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    number = len(chain.read(_log(output))) + 1
    found = Pending(number=number, started=now, note=note, tombstones=list(asked))
    found.sha256 = sorted(_contents(tables, found))
    more: list[Tombstone] = []
    for rows in _pages(tables):
        reasons = withhold.documents(rows, found.request.tombstones)
        columns = (rows[name].to_pylist() for name in ("doc_id", "url", "payload_digest"))
        for doc_id, url, payload, reason in zip(*columns, reasons, strict=True):
            if reason:
                found.documents[doc_id] = reason
            if reason == f"{tombstones.REASON}document":
                more += [Tombstone(kind="url", value=url)] if url else []
                more += [Tombstone(kind="payload", value=payload)] if payload else []
        dropped = withhold.image_nodes(rows, found.request.tombstones).to_pylist()
        for doc_id, entries in zip(rows["doc_id"].to_pylist(), dropped, strict=True):
            if entries and doc_id not in found.documents:
                found.nodes[doc_id] = {entry["index"]: entry["reason"] for entry in entries}
    removed, _ = stage.scan(tables.folder("dataset"), found.request)
    found.documents |= removed.documents
    found.unused = sorted(stage.unused(tables.folder("dataset"), found.request, removed))
    found.tombstones = list(dict.fromkeys([*asked, *more]))
    return found, removed


def _contents(tables: RunTables, found: Pending) -> Iterator[str]:
    """Contents that tombstones name themselves, and those that look like a perceptual hash."""
    known = found.request.tombstones
    yield from (one.value for one in found.tombstones if one.kind == "sha256")
    for rows in tables.batches("images", ["sha256", "phash"]):
        for sha256, phash in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            if sha256 and known.content(sha256, phash):
                yield sha256


def _pages(tables: RunTables) -> Iterator[Any]:
    for _, paths in sorted(tables.paths("documents").items()):
        for path in paths:
            yield from storage.iter_parquet(path, withhold.COLUMNS, BATCH_ROWS)


def tell(output: str, found: Pending, removed: Removed) -> Iterator[str]:
    """Lines about what goes."""
    shipped = Counter(removed.documents.values())
    yield f"documents    {shipped.total():,} of the dataset, {len(found.documents):,} of the run"
    yield from (f"             {number:,}  {reason}" for reason, number in sorted(shipped.items()))
    yield f"image slots  {removed.slots.total():,}"
    yield f"images       {len(found.images):,}, {len(found.unused):,} of them shown no more"
    if removed.documents:
        ids = sorted(removed.documents)[:SHOWN]
        rows = RunTables(output).lookup("documents", "doc_id", ids, ["doc_id", "url"])
        yield from (f"  {one}  {rows.get(one, {}).get('url', '')}" for one in ids)
        if len(removed.documents) > SHOWN:
            yield f"  and {len(removed.documents) - SHOWN:,} more"


def finish(output: str, found: Pending) -> None:
    """Do all that is left of a takedown, in an order that can be taken up at any point."""
    pending.write(output, found)
    tombstones.add(_tombs(output), found.tombstones)
    for one in erase.erasures(found):
        for name in erase.erase(output, one, found.number):
            say(f"takedown: {one.table}/{name} made anew")
    for path in storage.list_files(storage.join(output, "image_bytes")):
        if path.endswith(tar_shards.ENDING):
            tar_shards.erase(path, set(found.images))
    storage.delete_folder(storage.join(output, "images", "work"))  # says what was fetched
    made = _dataset(output)
    if f"takedown/{found.number}" not in made.inputs:
        beside = stage.staging(output) == storage.join(output, "dataset")
        if beside:  # the card's patterns would take the new files for rows of the old dataset
            _write_card(output, listed=True)
        staged = stage.stage(output, found)
        tables = RunTables(output, (staged.folder, staged.manifest))
        texts = card.texts_of(tables, *_published(output), beside)
        stage.publish(output, staged, texts)
        made = staged.manifest
        say(f"takedown: {len(staged.replaced)} files of the dataset made anew")
    stage.clean(output)
    _write_card(output)
    for path in storage.list_files(output):
        if path.endswith(storage.UNFINISHED):
            storage.delete_file(path)  # what killed tries left
    _tell_again(output)
    chain.append(_log(output), _entry(found, made))
    storage.delete_file(pending.path(output))
    say(f"takedown: done; later runs heed takedown.tombstones=[{_tombs(output)}]")


def _log(output: str) -> str:
    return storage.join(output, FOLDER, "log.jsonl")


def _tombs(output: str) -> str:
    return storage.join(output, FOLDER, "tombstones.jsonl")


def _dataset(output: str) -> Manifest:
    """The manifest of the dataset, which a kill may have left aside (see storage.swap)."""
    dataset = storage.join(output, "dataset")
    storage.restore(dataset)
    made = manifest.read(dataset)
    if made is None:
        raise InputError(f"{output}: no dataset here; run `benben assemble` first")
    return made


def _write_card(output: str, listed: bool = False) -> None:
    card.write(output, *_published(output), listed)


def _published(output: str) -> tuple[str, str | None]:
    """Title and address that the run's report gives its dataset."""
    made = manifest.read(storage.join(output, "report"))
    settings = made.config.get("report", {}) if made else {}
    return settings.get("title", card.TITLE), settings.get("url")


def _tell_again(output: str) -> None:
    """Report and funnel without what is gone."""
    made = manifest.read(storage.join(output, "report"))
    if made:
        settings = made.config["report"]
        names = ("topics", "corpus_documents", "phrase_words", "against")
        corpus = report.Corpus(*(settings[name] for name in names))
        page = report.render(output, settings["sample_documents"], corpus).encode()
        storage.write_bytes(storage.join(output, "report", "report.html"), page)
        counts = funnel.as_json(funnel.read(output)).encode()
        storage.write_bytes(storage.join(output, funnel.FILE), counts)


def _entry(found: Pending, made: Manifest) -> dict[str, Any]:
    """What the log says of a takedown."""
    return {
        "number": found.number,
        "id": found.id,
        "time": found.started,
        "note": found.note,
        "tombstones": [one.model_dump() for one in found.tombstones],
        "documents": dict(Counter(found.documents.values())),
        "images": len(found.images),
        "dataset": [file.name for file in made.files],
    }
