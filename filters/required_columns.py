"""The columns of SIGNALS that a set of rules asks for: decisions read no others."""

from __future__ import annotations

from collections.abc import Iterator

from benben.filters.signal import CATALOGUE, SCOPES, Scope
from benben.filters.sums import REPEATS
from benben.pipeline.settings.signals import RuleSettings
from benben.pipeline.signal_schema import IMAGE_SIGNALS, PARAGRAPH_SIGNALS, SIGNALS

ALWAYS = ("doc_id", "reason", "language", "break_nodes")
PARAGRAPH, IMAGE = "paragraphs.list.element.{}", "images.list.element.{}"
# Counts that are made of stored columns: see `columns.paragraph_count` and `sums.Sums`.
MADE_OF = {
    "char_grams": ("chars",),
    "word_grams": ("words",),
    "duplicate_chars": ("duplicate", "chars"),
    "link_chars": ("link_share", "chars"),
    "boilerplate_chars": ("content_score", "chars"),
}
IMAGES_WITH = {"with_alt": "alt_words", "with_caption": "caption_words"}


def columns(rules: RuleSettings) -> list[str]:
    """Names for a parquet reader, nested ones as paths."""
    found = set(ALWAYS)
    found |= {PARAGRAPH.format(name) for name in ("index", "paragraph")}
    found.add(IMAGE.format("index"))
    for scope in SCOPES:
        for count in _counts(rules, scope):
            found.update(_stored(scope, count))
    return sorted(found)


def _counts(rules: RuleSettings, scope: Scope) -> Iterator[str]:
    for name, rule in getattr(rules, scope).items():
        for signal in (CATALOGUE[scope][one] for one in (name, *rule.when)):
            yield signal.count
            if signal.per is not None:
                yield signal.per


def _stored(scope: Scope, count: str) -> Iterator[str]:
    if scope == "image_node":
        if count in IMAGE_SIGNALS.names:
            yield IMAGE.format(count)
        return
    if scope == "document":
        if count in IMAGES_WITH:
            yield IMAGE.format(IMAGES_WITH[count])
        if count in REPEATS:
            yield "repeats"
            yield PARAGRAPH.format("chars")
            return
        if count in SIGNALS.names:
            yield count
            return
    for name in MADE_OF.get(count, (count,)):
        if name in PARAGRAPH_SIGNALS.names:
            yield PARAGRAPH.format(name)
