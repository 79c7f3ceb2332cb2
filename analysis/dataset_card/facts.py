"""The facts on the dataset's card. All of them are counted from the run's tables."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benben.analysis.query import Query
from benben.analysis.report import funnel
from benben.analysis.tables import RunTables
from benben.pipeline.consent.receipts import PAGE_REASON
from benben.pipeline.images.image_facts import DISABLED
from benben.pipeline.manifest import PartFile

MAX_ARCHIVES = 20  # named on the card
# Name of a number -> SQL, in the order of the card.
NUMBERS = {
    "documents": "select count(*) from data",
    "image slots": "select coalesce(sum(num_images), 0) from data",
    "words": "select coalesce(sum(num_words), 0) from data",
    "text tokens (estimated)": "select coalesce(sum(num_tokens), 0) from data",
    "median words per document": "select median(num_words) from data",
    "median images per document": "select median(num_images) from data",
    "places with personal data replaced": "select coalesce(sum(num_redacted), 0) from data",
    "hosts": "select count(distinct host) from data",
    "languages": "select count(distinct lang) from data",
    "distinct images with bytes": "select count(*) from bytes",
    "bytes of images": "select coalesce(sum(octet_length(bytes)), 0) from bytes",
}
_SIZES = """
    select median(width), median(height) from
    (select any_value(width) as width, any_value(height) as height from images
     where sha256 in (select unnest(image_sha256) from data) group by sha256)
"""
_SCORED = """
    select count(nsfw) from images where sha256 in (select unnest(image_sha256) from data)
"""
_SHARED = """
    with held as (from validation union all from test)
    select count(*) from (
        select s from (select unnest(image_sha256) as s from held) where s is not null
        intersect select unnest(image_sha256) from train
    )
"""
_NUM_ARCHIVES = """
    select count(distinct documents.warc) from documents join data using (doc_id)
"""
_ARCHIVES = f"""
    select distinct documents.warc from documents join data using (doc_id) order by 1
    limit {MAX_ARCHIVES}
"""
_UNJUDGED = """
    select entry, count(*) from
    (select unnest(unjudged) as entry from final_verdicts
     where kept and doc_id in (select doc_id from data)) group by 1
"""
_REFUSED_PAGES = f"""
    select entry, count(*) from (select unnest(reasons) as entry from final_verdicts)
    where entry like 'consent.%' or entry = '{PAGE_REASON}' group by 1
"""
_SHOWN_REFUSED = f"""
    select count(*) from images join (select distinct unnest(images) as url from data) using (url)
    where reason <> '{DISABLED}'
"""
_PERIOD = """
    select min(captured_at), max(captured_at) from data
"""


@dataclass(frozen=True)
class Split:
    """The files of one kind of row and one split."""

    config: str  # data | images | self_contained
    name: str  # train | validation | test
    rows: int
    bytes: int
    files: tuple[str, ...]  # paths relative to the dataset's folder


@dataclass(frozen=True)
class Facts:
    """Everything that the card states about a run."""

    numbers: dict[str, float]  # name -> value, in the order of the card
    splits: tuple[Split, ...]
    languages: Counter[str]
    hosts: Counter[str]
    formats: Counter[str]
    licenses: Counter[str]  # of shipped pages
    opt_outs: Counter[str]  # reservations found on captured pages, shipped or not
    shipped_opt_outs: int  # shipped pages with such reservations: none of them binds this run
    refused: Counter[str]  # images left out because of a reservation, by reason
    refused_pages: Counter[str]  # pages left out because of one, by reason
    receipts: Counter[str]  # of consent, by kind
    markdown: bool  # whether texts are Markdown
    fetched: bool  # whether images were fetched, so that their sites were asked
    switched_off: tuple[str, ...]  # kinds of reservations that this run does not respect
    unjudged: Counter[str]  # shipped documents that a rule could not judge, by rule
    gaps: tuple[str, ...]  # sentences
    config: dict[str, Any]  # settings of all stages
    config_hash: str
    version: str
    num_archives: int  # that shipped pages come from
    archives: tuple[str, ...]  # names of the first MAX_ARCHIVES of them
    period: tuple[str, ...]  # days of the first and the last shipped capture


def gather(tables: RunTables) -> Facts:
    """Collect the facts of a finished run. Raises InputError when it has no dataset yet."""
    dataset = tables.need("dataset")
    query = Query(tables)
    config = _config(tables)
    packed = json.dumps(config, sort_keys=True, default=str).encode()
    return Facts(
        numbers=_numbers(query),
        splits=tuple(splits_of(dataset.files)),
        languages=_counter(query, "select lang, count(*) from data group by 1"),
        hosts=_counter(query, "select host, count(*) from data group by 1"),
        formats=_counter(query, "select format, count(*) from bytes group by 1"),
        licenses=_counter(query, _per_document("licenses", "where doc_id in (from shipped)")),
        opt_outs=_counter(query, _per_document("opt_outs", "")),
        refused=_counter(
            query,
            "select reason, count(*) from images where reason like 'consent.%' group by 1",
        ),
        shipped_opt_outs=query.value(
            "select count(*) from documents join data using (doc_id) where len(opt_outs) > 0"
        ),
        refused_pages=_counter(query, _REFUSED_PAGES),
        receipts=_counter(query, "select kind, count(*) from consent group by 1"),
        markdown=config.get("assemble", {}).get("text") == "markdown",
        fetched=bool(config.get("fetch", {}).get("enabled")),
        switched_off=tuple(_switched_off(config)),
        unjudged=_counter(query, _UNJUDGED),
        gaps=tuple(_gaps(query, config)),
        config=config,
        config_hash=hashlib.blake2b(packed, digest_size=8).hexdigest(),
        version=dataset.version,
        num_archives=query.value(_NUM_ARCHIVES),
        archives=tuple(row[0] for row in query.rows(_ARCHIVES)),
        period=tuple(str(day)[:10] for day in query.rows(_PERIOD)[0] if day),
    )


def _numbers(query: Query) -> dict[str, float]:
    """Sizes of the dataset. Numbers without a value, such as a median of no rows, are left out."""
    found = {name: query.value(sql) for name, sql in NUMBERS.items()}
    found["median image width"], found["median image height"] = query.rows(_SIZES)[0]
    return {name: float(value) for name, value in found.items() if value is not None}


def _counter(query: Query, sql: str) -> Counter[str]:
    return Counter({name or "unknown": count for name, count in query.rows(sql)})


def _per_document(column: str, where: str) -> str:
    """SQL that counts the documents with each entry of a list column."""
    return f"""
        with shipped as (select doc_id from data)
        select entry, count(*) from
        (select distinct doc_id, unnest({column}) as entry from documents {where}) group by 1
    """


def splits_of(files: Iterable[PartFile]) -> list[Split]:
    """Files by split; the splits are read from names such as data/train-00000-of-00001.parquet."""
    groups: dict[tuple[str, str], list[PartFile]] = {}
    for file in sorted(files, key=lambda file: file.name):
        folder, _, name = file.name.partition("/")
        split = "train" if folder == "images" else name.partition("-")[0]
        groups.setdefault((folder, split), []).append(file)
    return [
        Split(
            folder,
            split,
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
            files=tuple(file.name for file in files),
        )
        for (folder, split), files in groups.items()
    ]


def _switched_off(config: dict[str, Any]) -> list[str]:
    """Names of the switches of `fetch.consent` that are off, and of empty lists of directives."""
    consent = config.get("fetch", {}).get("consent", {})
    return [name for name, value in consent.items() if value is False] + [
        name for name in ("directives",) if consent.get(name) == []
    ]


def _gaps(query: Query, config: dict[str, Any]) -> list[str]:
    """Sentences about what the dataset lacks, as far as its own tables show."""
    gaps = []
    refused = query.value(_SHOWN_REFUSED)
    if refused:
        gaps.append(f"{refused:,} images ship though they were refused.")
    slots = query.value("select coalesce(sum(num_images), 0) from data")
    stored = query.value(
        "select count(*) from (select unnest(image_sha256) as s from data) where s is not null"
    )
    if stored < slots:
        gaps.append(f"{slots - stored:,} of {slots:,} image slots have a URL but no stored bytes.")
    shared = query.value(_SHARED)
    if shared:
        gaps.append(f"{shared:,} images of the held-out splits also appear in documents of train.")
    if not query.value(_SCORED):
        gaps.append("Images were not scored for adult content.")
    kinds = config.get("assemble", {}).get("redact", [])
    gaps.append(
        f"In texts, markers replace {', '.join(kinds)}; other personal data stays."
        if kinds
        else "Personal data in texts is not replaced."
    )
    paragraphs = "select unnest(paragraphs) as p from signals"
    if not query.value(f"select count(p.log_probability) from ({paragraphs})"):
        gaps.append("Texts were not scored by a language model.")
    gaps.append("Languages are identified by fastText lid.176, which is weak on short texts.")
    gaps.append("People in images and names in texts are neither removed nor blurred.")
    return gaps


def _config(tables: RunTables) -> dict[str, Any]:
    """Settings of all stages, merged from their manifests."""
    config: dict[str, Any] = {}
    for name in funnel.TABLES:
        found = tables.find(name)
        config |= found.config if found else {}
    return dict(sorted(config.items()))
