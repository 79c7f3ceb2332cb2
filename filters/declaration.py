"""How a signal is declared: its columns, how each is measured, and its value for nodes and pages.

One declaration tells everything about a signal. The Arrow schema of the table `signals`, the
columns that a set of rules reads, the checks of rules and docs/signals.md all follow from it. The
signals that come with Benben and those of other packages are declared in the same way:

    HASHTAGS = Column("hashtags", "text_node", pa.int32(), measure=count_hashtags)
    SIGNALS = (
        Signal("hashtags", ("text_node", "document"), "count", "hashtags", "Acme", HASHTAGS),
    )

A text node's value is a paragraph's. A document's value is made of the nodes that the rules keep.
By default its counts are sums over the kept paragraphs, so a ratio is a ratio of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benben.filters.signals.text import Batch

Scope = Literal["text_node", "image_node", "document"]
SCOPES: tuple[Scope, ...] = ("text_node", "image_node", "document")
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Counts = Callable[["Count"], Any]  # values of a count, one per row; see `Nested.__call__`


class Nested:
    """Entries of a list<struct> column of a batch, and the row (document) of each."""

    def __init__(self, column: pa.ListArray) -> None:
        offsets = column.offsets.to_numpy().astype(np.int64)
        lengths = np.diff(offsets)
        lengths[column.is_null().to_numpy(zero_copy_only=False)] = 0
        self.entries: pa.StructArray = column.flatten()
        self.first = np.append(0, np.cumsum(lengths))  # first entry of each row, and the end
        self.document = np.repeat(np.arange(len(lengths)), lengths)
        self._known: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.document)

    def has(self, name: str) -> bool:
        """Tell whether the entries have a field."""
        return bool(self.entries.type.get_field_index(name) >= 0)

    def __call__(self, name: str) -> Any:
        """Return a field as numbers (null: NaN) or, if it holds text, as names."""
        if name not in self._known:
            self._known[name] = to_numpy(self.entries.field(name))
        return self._known[name]

    def integers(self, name: str) -> Integers:
        """Return a field that has no nulls as integers."""
        return np.asarray(self(name), np.int64)


def to_numpy(column: pa.Array) -> Any:
    """Convert numbers to float64 (null: NaN), text to its distinct names and each row's code."""
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return encoded.dictionary.to_pylist(), codes.astype(np.int64)
    return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)


class KeptNodes:
    """A batch of SIGNALS and which of its nodes are kept: what documents' counts are made of."""

    def __init__(
        self,
        signals: pa.RecordBatch,
        paragraphs: Nested,
        images: Nested,
        kept_paragraphs: Mask,
        kept_images: Mask,
        nsfw_images: Mask | None,
    ) -> None:
        self.signals, self.paragraphs, self.images = signals, paragraphs, images
        self.kept_paragraphs, self.kept_images = kept_paragraphs, kept_images
        self.nsfw_images = nsfw_images  # images that the NSFW rule dropped; None: not classified
        self._known: dict[Count, Any] = {}
        self._of_paragraphs = node_counts(paragraphs)

    def __call__(self, count: Count) -> Any:
        """Return a count of each document; NaN where a part of it is not known."""
        if count not in self._known:
            self._known[count] = self._count(count)
        return self._known[count]

    def _count(self, count: Count) -> Any:
        if isinstance(count, KeptCount):
            return count.count(self)
        if count.scope == "document":
            return to_numpy(self.signals.column(count.name))
        if isinstance(count, Column) and count.in_document is not None:
            return count.in_document(self, count)
        return self.sum(count)

    def sum(self, count: Count) -> Floats:
        """Sum over kept paragraphs; NaN for a document with a paragraph that was not measured."""
        values, document = self._of_paragraphs(count), self.paragraphs.document
        total = self.total(document[self.kept_paragraphs], values[self.kept_paragraphs])
        total[document[np.isnan(values)]] = np.nan
        return total

    def number(self, document: Integers) -> Floats:
        """Count how often each document's row occurs."""
        return np.bincount(document, minlength=self.signals.num_rows).astype(np.float64)

    def total(self, document: Integers, values: NDArray[Any]) -> Floats:
        """Sum values by their document's row."""
        # astype, since bincount of an empty array returns integers
        return np.bincount(document, values, self.signals.num_rows).astype(np.float64)


@dataclass(frozen=True, eq=False, slots=True)
class KeptCount:
    """A document's count that is made of its kept nodes when it is asked for, and not stored."""

    name: str
    count: Callable[[KeptNodes], Floats]
    reads: tuple[Column, ...] = ()  # columns that `count` reads
    scope: Scope = field(default="document", init=False)


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """A column of the table `signals`, and how it is measured.

    `measure` returns a value for each paragraph of the batch (scope text_node), image node
    (image_node) or document, as a numpy or Arrow array; NaN: not measured; None: none is measured.
    `in_document` computes the documents' count where it is no sum over the kept paragraphs;
    `document_reads`: the columns that it reads, where those are not just this one.
    """

    name: str
    scope: Scope
    type: pa.DataType
    measure: Callable[[Batch], Any]
    in_document: Callable[[KeptNodes, Column], Floats] | None = None
    document_reads: tuple[Column, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Derived:
    """A count of each node that is computed from stored columns of the same scope."""

    name: str
    of: tuple[Column, ...]
    compute: Callable[..., Floats]  # takes the values of `of`

    @property
    def scope(self) -> Scope:
        """Scope of the columns that it is computed from."""
        return self.of[0].scope


@dataclass(frozen=True, eq=False, slots=True)
class ImageFact:
    """A fact about a fetched image: in the table `images`, not in `signals`."""

    name: str
    names: bool = False
    scope: Scope = field(default="image_node", init=False)


Count = Column | Derived | KeptCount | ImageFact


def ratio(count: Floats, per: Floats) -> Floats:
    """Divide; 0 where `per` is 0, NaN where either is not known."""
    quotient = np.divide(count, per, out=np.zeros_like(count), where=per != 0)
    return np.where(np.isnan(count) | np.isnan(per), np.nan, quotient)


@dataclass(frozen=True, eq=False, slots=True)
class Signal:
    """A number or name that rules can judge a paragraph, an image or a document by.

    The value is `count`, or `formula(count, per)` where there is `per`.
    `after_fetch`: known only once images are fetched. `names`: a category, judged by `one_of`.
    `choices`: all names of a category, where they are known.
    `trend`: how a document's value moves as images are dropped; a bound that it may still meet is
    not judged before the fetch.
    """

    name: str
    scopes: tuple[Scope, ...]
    unit: str
    meaning: str
    source: str
    count: Count
    per: Count | None = None
    formula: Callable[[Floats, Floats], Floats] = ratio
    after_fetch: bool = False
    names: bool = False
    choices: tuple[str, ...] = ()
    trend: Literal["falls", "rises", "either"] | None = None

    def values(self, counts: Counts) -> Any:
        """Compute the signal of each row from its counts."""
        if self.per is None:
            return counts(self.count)
        return self.formula(counts(self.count), counts(self.per))

    def columns(self, scope: Scope) -> Iterator[Column]:
        """Stored columns that the signal's value in a scope is computed from."""
        for count in (self.count, self.per):
            if count is not None:
                yield from _columns(count, scope)


def _columns(count: Count, scope: Scope) -> Iterator[Column]:
    if isinstance(count, Derived):
        yield from count.of
    elif isinstance(count, KeptCount):
        yield from count.reads
    elif isinstance(count, Column):
        yield from (count.document_reads if scope == "document" else ()) or (count,)


def node_counts(nodes: Nested, facts: Nested | None = None) -> Counts:
    """Return a function from a count to its value for each node, NaN where it is not known.

    `facts`: of images once they are fetched.
    """

    def values(count: Count) -> Any:
        if isinstance(count, Derived):
            return count.compute(*(values(column) for column in count.of))
        for known in (nodes, facts):
            if known is not None and known.has(count.name):
                return known(count.name)
        if isinstance(count, ImageFact) and count.names:
            return [], np.full(len(nodes), -1)
        return np.full(len(nodes), np.nan)

    return values


# Where the numbers come from.
OBELICS = "OBELICS (Laurençon et al. 2023)"
GOPHER = "Gopher (Rae et al. 2021)"
C4 = "C4 (Raffel et al. 2020)"
FINEWEB = "FineWeb (Penedo et al. 2024)"
CCNET = "CCNet (Wenzek et al. 2020)"
OMNICORPUS = "OmniCorpus (Li et al. 2024)"
OWN = "Benben"
TEXT: tuple[Scope, ...] = ("text_node", "document")  # scopes of a signal of text


def text_ratio(name: str, count: Count, per: Count, meaning: str, source: str) -> Signal:
    """Declare a ratio that paragraphs and documents have."""
    return Signal(name, TEXT, "ratio", meaning, source, count, per)


def stored(
    column: Column, meaning: str, source: str, unit: str = "count",
    scopes: tuple[Scope, ...] | None = None, names: bool = False, choices: tuple[str, ...] = (),
) -> Signal:  # fmt: skip
    """Declare a signal that is a stored column, under the column's name and scope."""
    scopes = scopes or (column.scope,)
    return Signal(column.name, scopes, unit, meaning, source, column, names=names, choices=choices)


def measured_together(measure: Callable[[Batch], Any], name: str) -> Callable[[Batch], Any]:
    """Return how to measure a column that `measure` returns by name, with others, in a dict."""
    return lambda batch: batch.once(measure).get(name)
