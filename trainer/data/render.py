"""A document to pieces of tokens and images, cut into samples no longer than a pack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benben.trainer.data.corpus import Document, Slot
from benben.trainer.data.vocabulary import Vocabulary

PARAGRAPH = "\n\n"  # between the paragraphs of a text, OBELICS's


@dataclass(frozen=True)
class Piece:
    """Tokens of a text, or an image (`slot`) with the marks that hold its place."""

    ids: tuple[int, ...]
    slot: Slot | None = None
    size: int = 0  # bytes of text
    caption: int = 0  # tokens of its first paragraph, when it stands right behind an image


@dataclass(frozen=True)
class Sample:
    """A document, or a part of a long one, that goes whole into a pack."""

    name: str
    lang: str
    pieces: tuple[Piece, ...]

    @property
    def length(self) -> int:
        return sum(len(piece.ids) for piece in self.pieces)


@dataclass(frozen=True)
class Renderer:
    vocabulary: Vocabulary
    seq_len: int
    max_images: int
    tokens_per_image: int  # 0: text alone
    fusion: str

    def image_marks(self) -> tuple[int, ...]:
        """Return an image's ids: fenced placeholders (early), or one placeholder (cross)."""
        v = self.vocabulary
        if self.fusion == "cross":
            return (v.image,)
        return (v.fence, *[v.image] * self.tokens_per_image, v.fence)

    def render(
        self, documents: Sequence[Document], available: Callable[[Slot], bool]
    ) -> list[Sample]:
        """Tokenise documents and cut them to samples.

        Images that are not `available` leave their place without a trace; the text stays.
        """
        texts = [slot.text for d in documents for slot in d.slots if slot.text is not None]
        encoded = iter(self.vocabulary.encode(texts))
        captions = iter(self.vocabulary.encode([c for d in documents for c in _captions(d)]))
        samples: list[Sample] = []
        for document in documents:
            pieces, images, behind = [], 0, False
            for slot in document.slots:
                behind, was_behind = slot.text is None, behind
                if slot.text is not None:
                    caption = len(next(captions)) if was_behind else 0
                    pieces += self._text(next(encoded), len(slot.text.encode()), caption)
                elif self.tokens_per_image and images < self.max_images and available(slot):
                    pieces.append(Piece(self.image_marks(), slot))
                    images += 1
            if pieces:
                samples += self._cut(document, pieces)
        return samples

    def _text(self, ids: list[int], size: int, caption: int) -> list[Piece]:
        """Cut texts longer than a quarter of a pack; bytes are shared by tokens."""
        step = max(1, self.seq_len // 4)
        parts = [tuple(ids[i : i + step]) for i in range(0, len(ids), step)]
        done, pieces = 0, []
        for part in parts:
            upto = size * (sum(len(p.ids) for p in pieces) + len(part)) // len(ids)
            pieces.append(Piece(part, None, upto - done, 0 if pieces else min(caption, len(part))))
            done = upto
        return pieces

    def _cut(self, document: Document, pieces: list[Piece]) -> list[Sample]:
        """Fill samples piece by piece; images at a cut go with the text that follows them."""
        begin, end = Piece((self.vocabulary.bos,)), Piece((self.vocabulary.eos,))
        parts: list[list[Piece]] = [[begin]]
        for piece in [*pieces, end]:
            room = self.seq_len - sum(len(p.ids) for p in parts[-1])
            if len(piece.ids) > room:
                carried: list[Piece] = []
                current = parts[-1]
                while piece.slot is None and current[-1].slot and len(current) > 2:
                    carried.insert(0, current.pop())
                if sum(len(p.ids) for p in carried) + len(piece.ids) > self.seq_len:
                    current += carried
                    carried = []
                parts.append(carried)
            parts[-1].append(piece)
        return [Sample(document.name, document.lang, tuple(part)) for part in parts]


def _captions(document: Document) -> Iterator[str]:
    """Yield the first paragraph of each text right behind an image: most often its caption."""
    behind = False
    for slot in document.slots:
        if slot.text is not None and behind:
            yield slot.text.split(PARAGRAPH, 1)[0]
        behind = slot.text is None
