"""The table `signals`: all declared signals, its columns, documents measured, what rules may read.

Signals come from the modules of `filters/signals/` and from installed packages that name a tuple of
declarations in the entry point group `benben.signals`. Columns of other packages come after
Benben's own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from benben.filters.declaration import (
    SCOPES,
    Column,
    Derived,
    ImageFact,
    Integers,
    KeptCount,
    Scope,
    Signal,
)
from benben.filters.signals import (
    gopher,
    image_context,
    models,
    page,
    pii,
    repetition,
    structure,
    wordlists,
    words,
)
from benben.filters.signals.text import Batch
from benben.pipeline import config, plug_ins
from benben.pipeline.config import ConfigError
from benben.pipeline.errors import UserError
from benben.pipeline.settings.signals import (
    LANGUAGE,
    Bounds,
    Rule,
    RuleSettings,
    SignalSettings,
)

CHUNK = 128  # documents measured at once: few enough that their arrays stay in the CPU's cache
# Signals in the order of the table's columns and of docs/signals.md.
BUILT_IN: tuple[Signal, ...] = (
    *page.LANGUAGE,
    *words.WORDS,
    *wordlists.SIGNALS,
    *repetition.SIGNALS,
    *words.LINES,
    *pii.SIGNALS,
    *page.EXTRACTION,
    *page.NODES,
    *structure.SIGNALS,
    *models.PERPLEXITY,
    *page.IMAGES,
    *image_context.SIGNALS,
    *gopher.SIGNALS,
    *models.QUALITY,
)
IDENTITY = ("doc_id", "reason")  # copied from `documents`; reason: of extraction, null: extracted
NESTED: dict[str, Scope] = {"paragraphs": "text_node", "images": "image_node"}
# Columns that stand first, whether or not signals are computed from them.
FIRST: dict[Scope, tuple[Column, ...]] = {
    "text_node": (page.INDEX, page.PARAGRAPH),
    "image_node": (page.IMAGE_INDEX,),
    "document": (
        page.LANGUAGE_CODE,
        page.LANGUAGE_SCORE,
        repetition.REPEATS,
        page.TEXT_NODES,
        page.IMAGE_NODES,
        page.BREAK_NODES,
    ),
}


class SignalError(UserError):
    """A package declares a signal in the wrong way; the message says which and why."""


# The signals and their columns.


def collect(packages: Mapping[str, Iterable[Signal]]) -> dict[Scope, dict[str, Signal]]:
    """Collect the signals of packages, by scope and name. Raises SignalError."""
    found: dict[Scope, dict[str, Signal]] = {scope: {} for scope in SCOPES}
    columns: dict[tuple[Scope, str], Column | None] = {
        ("document", name): None for name in (*IDENTITY, *NESTED)
    }
    for scope in SCOPES:
        own = (*FIRST[scope], *structure.CONTEXT[scope])
        columns |= {(scope, column.name): column for column in own}
    for package, signals in packages.items():
        for signal in signals:
            _check_declaration(signal, package)
            where = f"{package}: signal '{signal.name}'"
            for scope in signal.scopes:
                if signal.name in found[scope]:
                    raise SignalError(f"{where}: {scope} has one of that name already")
                found[scope][signal.name] = signal
                for column in signal.columns(scope):
                    if columns.setdefault((column.scope, column.name), column) is not column:
                        raise SignalError(
                            f"{where}: {column.scope} has a column '{column.name}' already"
                        )
    return found


def _check_declaration(signal: Any, package: str) -> None:
    if not isinstance(signal, Signal):
        raise SignalError(f"{package}: {signal!r} is not a signal")
    where = f"{package}: signal '{signal.name}'"
    if not signal.scopes or not set(signal.scopes) <= set(SCOPES):
        raise SignalError(f"{where}: its scopes must be some of {', '.join(SCOPES)}")
    for count in [signal.count] if signal.per is None else [signal.count, signal.per]:
        if not isinstance(count, Column | Derived | KeptCount | ImageFact):
            raise SignalError(f"{where} has no column: {count!r} is none")
        for scope in signal.scopes:
            summed = scope == "document" and (
                count.scope == "text_node" or getattr(count, "in_document", None) is not None
            )
            if count.scope != scope and not summed:
                raise SignalError(f"{where}: '{count.name}' of {count.scope} has none for {scope}")


def _columns(scope: Scope) -> list[Column]:
    """Stored columns of a scope, in order."""
    found = {column.name: column for column in (*FIRST[scope], *structure.CONTEXT[scope])}
    for signal_scope, signals in CATALOGUE.items():
        for signal in signals.values():
            for column in signal.columns(signal_scope):
                if column.scope == scope:
                    found.setdefault(column.name, column)
    return list(found.values())


def _schema() -> pa.Schema:
    fields = [(name, pa.string()) for name in IDENTITY]
    nested = [(name, pa.list_(_struct(scope))) for name, scope in NESTED.items()]
    own = [(column.name, column.type) for column in COLUMNS["document"]]
    return pa.schema([*fields, *own[:2], *nested, *own[2:]])  # own[:2]: the language


def _struct(scope: Scope) -> pa.StructType:
    return pa.struct([(column.name, column.type) for column in COLUMNS[scope]])


CATALOGUE = collect({"benben": BUILT_IN, **plug_ins.load()})
COLUMNS: dict[Scope, list[Column]] = {scope: _columns(scope) for scope in SCOPES}
# One row per document, aligned with `documents`. Decisions read this table and no text.
# Null: not measured, since the document's language has no list or no model is configured.
SIGNALS = _schema()


# Measuring.


def measure_batch(documents: pa.RecordBatch, settings: SignalSettings) -> pa.RecordBatch:
    """Measure a batch of DOCUMENTS: a batch of SIGNALS with the same rows in the same order."""
    if documents.num_rows <= CHUNK:
        return _measure(documents, settings)
    starts = range(0, documents.num_rows, CHUNK)
    parts = [_measure(documents.slice(start, CHUNK), settings) for start in starts]
    return pa.concat_batches(parts)


def _measure(documents: pa.RecordBatch, settings: SignalSettings) -> pa.RecordBatch:
    batch = Batch(documents, settings)
    images = np.searchsorted(batch.image_documents(), np.arange(len(batch) + 1))
    measured = {
        **{name: documents.column(name) for name in IDENTITY},
        "paragraphs": _measure_nested("text_node", batch, batch.first),
        "images": _measure_nested("image_node", batch, images),
        **{one.name: _measure_column(one, batch, len(batch)) for one in COLUMNS["document"]},
    }
    arrays = [measured[field.name].cast(field.type) for field in SIGNALS]
    return pa.RecordBatch.from_arrays(arrays, schema=SIGNALS)


def _measure_nested(scope: Scope, batch: Batch, first: Integers) -> pa.ListArray:
    """Measure the columns of paragraphs or images; `first`: the first of each document, the end."""
    arrays = [_measure_column(column, batch, int(first[-1])) for column in COLUMNS[scope]]
    entries = pa.StructArray.from_arrays(arrays, fields=list(_struct(scope)))
    return pa.ListArray.from_arrays(first.astype(np.int32), entries)


def _measure_column(column: Column, batch: Batch, rows: int) -> pa.Array:
    values = column.measure(batch)
    if values is None:
        return pa.nulls(rows, column.type)
    if not isinstance(values, pa.Array):
        values = pa.array(values, from_pandas=True)
    if len(values) != rows:
        raise SignalError(f"column '{column.name}': {len(values)} values for {rows} rows")
    return values.cast(column.type)


# What rules may name and read.


def read_rules(path: str) -> RuleSettings:
    """Read the rules of a config, by name or path, and check them. Raises ConfigError."""
    source = config.find(path)
    section = config.read_layers(source).get("rules") or {}
    rules = config.validate(RuleSettings, section, f"{source}: rules")
    check_rules(rules)
    return rules


def check_rules(rules: RuleSettings) -> None:
    """Raise ConfigError with one line for each rule on an unknown signal or with a wrong bound."""
    mistakes = [
        mistake
        for scope in SCOPES
        for name, rule in getattr(rules, scope).items()
        for mistake in _mistakes(scope, name, rule)
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _mistakes(scope: Scope, name: str, rule: Rule) -> list[str]:
    where = f"rules.{scope}.{name}"
    found = [_mistake(scope, name, where, rule)]
    for language, bounds in rule.languages.items():
        found.append(_mistake(scope, name, f"{where}.languages.{language}", bounds))
    for grouping, table in rule.by.items():
        found.append(_cannot_group(scope, grouping, f"{where}.by.{grouping}", table))
        for group, bounds in table.items():
            found.append(_mistake(scope, name, f"{where}.by.{grouping}.{group}", bounds))
    for other, bounds in rule.when.items():
        found.append(_mistake(scope, other, f"{where}.when.{other}", bounds))
    if rule.over != "paragraph":
        found.append(_cannot_add(scope, name, where, rule))
    return [mistake for mistake in found if mistake]


def _mistake(scope: Scope, name: str, where: str, bounds: Bounds) -> str | None:
    signal = CATALOGUE[scope].get(name)
    if signal is None:
        return f"{where}: no signal '{name}' for {scope}{_hint(scope, name)}"
    if signal.names and (bounds.min, bounds.max, bounds.below) != (None, None, None):
        return f"{where}: '{name}' is a name; give one_of: [...] instead of min or max"
    if not signal.names and bounds.one_of is not None:
        return f"{where}: '{name}' is a number; give min or max instead of one_of"
    return _no_choice(signal, where, bounds.one_of or ())


def _no_choice(signal: Signal, where: str, names: Iterable[str]) -> str | None:
    """Tell which names a category does not have."""
    for name in names if signal.choices else ():
        if name not in signal.choices:
            return f"{where}: no {signal.name} '{name}'; there are {', '.join(signal.choices)}"
    return None


def _cannot_group(scope: Scope, name: str, where: str, names: Iterable[str]) -> str | None:
    """Tell why bounds cannot be given by a signal: rows are grouped by names."""
    if name == LANGUAGE:
        return f"{where}: write languages: instead of by: {{{LANGUAGE}: ...}}"
    signals = CATALOGUE["document"] | CATALOGUE[scope]
    if name in signals and signals[name].names:
        return _no_choice(signals[name], where, names)
    wrong = "is a number" if name in signals else f"is no signal of {scope} or document"
    known = ", ".join(sorted(one for one in signals if signals[one].names and one != LANGUAGE))
    return f"{where}: '{name}' {wrong}; bounds can be given by {known}"


def _cannot_add(scope: Scope, name: str, where: str, rule: Rule) -> str | None:
    """Tell why a rule cannot be judged over several paragraphs together."""
    signal = CATALOGUE[scope].get(name)
    if scope != "text_node":
        return f"{where}: over: {rule.over} is for rules of text_node"
    if signal and (signal.names or (signal.per is None and signal.unit != "count")):
        near = {"link_share": "link_ratio", "content_score": "boilerplate_ratio"}.get(name)
        hint = f"; use '{near}'" if near else ""
        return f"{where}: '{name}' cannot be added up over a {rule.over}{hint}"
    return None


def _hint(scope: Scope, name: str) -> str:
    """Name the scopes that have the signal, or the signals of nearest names."""
    elsewhere = [other for other in SCOPES if name in CATALOGUE[other]]
    if elsewhere:
        return f"; it is a signal of {' and '.join(elsewhere)}"
    near = difflib.get_close_matches(name, CATALOGUE[scope], n=3)
    return f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""


def required_columns(rules: RuleSettings) -> list[str]:
    """Return the columns that decisions by these rules read, for a parquet reader."""
    wanted = {scope: [*(getattr(rules, scope))] for scope in SCOPES}
    for scope in SCOPES:
        wanted[scope] += [name for rule in getattr(rules, scope).values() for name in rule.when]
        for rule in getattr(rules, scope).values():
            for name in rule.by:
                wanted[scope if name in CATALOGUE[scope] else "document"].append(name)
    found = columns_of(wanted)
    if rules.in_context:
        context = [column for columns in structure.CONTEXT.values() for column in columns]
        found += [_path(column) for column in (*context, page.CONTENT_SCORE)]
    return sorted(set(found))


def columns_of(names: Mapping[Scope, Iterable[str]]) -> list[str]:
    """Return the columns that signals of each scope are computed from, nested ones as paths."""
    found = {*IDENTITY, page.LANGUAGE_CODE.name, page.BREAK_NODES.name}
    found |= {_path(column) for scope in NESTED.values() for column in FIRST[scope]}
    for scope, chosen in names.items():
        for name in chosen:
            found |= {_path(column) for column in CATALOGUE[scope][name].columns(scope)}
    return sorted(found)


def _path(column: Column) -> str:
    """Name of a column for a parquet reader."""
    for name, scope in NESTED.items():
        if column.scope == scope:
            return f"{name}.list.element.{column.name}"
    return column.name
