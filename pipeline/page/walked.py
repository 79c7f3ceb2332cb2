"""A page after the walk: its columns, cut to what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from benben.pipeline.page.columns import START, STOP
from benben.pipeline.page.dom import Integers
from benben.pipeline.page.notes import Attributes, read_note


@dataclass(frozen=True)
class Walk:
    """Columns of a page; see columns."""

    elements: Integers
    blocks: Integers
    images: Integers
    facts: Integers
    text: bytes
    notes: bytes

    @cached_property
    def parts(self) -> list[str]:
        """The parts of the notes."""
        return self.notes.decode("utf-8", "replace").split("\0")

    def text_of(self, block: int) -> str:
        """Text of a block; empty for images and article breaks."""
        start, stop = self.blocks[block, START : STOP + 1]
        return self.text[start:stop].decode("utf-8", "replace")

    def facts_by(self, names: tuple[str, ...]) -> Iterator[tuple[int, Attributes]]:
        """Tag and attributes of the elements that say something of the page."""
        for tag, start, stop in self.facts.tolist():
            yield tag, read_note(self.parts[start:stop], names)[0]
