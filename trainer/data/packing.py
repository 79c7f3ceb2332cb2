"""Documents to packs: text to ids, documents to samples, samples to packs of a fixed length.

A document becomes pieces (texts, and marks that hold the place of images); a document longer than
a pack is cut into several samples. The samples of a window are packed by best-fit decreasing.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benben.common.config_files import ConfigError
from benben.trainer.counter_rng import generator
from benben.trainer.data.corpus import Document, Slot
from benben.trainer.data.order import Part
from benben.trainer.model.batch import IGNORE, Pack
from benben.trainer.model.fusion import Fusion
from benben.trainer.object_stores import Place, place

BEGIN = ("<s>", "<|begin_of_text|>", "<bos>")
END = ("</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>")
PAD, IMAGE, FENCE = ("<pad>",), ("<image>",), ("<image_fence>",)
NO_PART = Part(0, 0, 0, 0, 0)
PARAGRAPH = "\n\n"  # OBELICS's, between the paragraphs of a text

# Text to ids.


class Vocabulary:
    """A tokenizer and the ids of the marks bos, eos, pad, image and fence; `size` counts them all.

    Marks are never parsed out of text: "<image>" on a page is read as its letters.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self.bos, self.eos = self._mark(BEGIN), self._mark(END)
        self.pad, self.image, self.fence = map(self._mark, (PAD, IMAGE, FENCE))

    def _mark(self, names: Iterable[str]) -> int:
        """Return the tokenizer's own id of the first name it knows, or else a new one."""
        for name in names:
            known = self.tokenizer.token_to_id(name)
            if known is not None:
                return int(known)
        self.size += 1
        return self.size - 1

    def fingerprint(self) -> str:
        """Return a digest of the tokenizer: equal for equal ids of every text."""
        return hashlib.sha256(self.tokenizer.to_str().encode()).hexdigest()[:16]

    def encode(self, texts: list[str]) -> list[list[int]]:
        return [e.ids for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids without the marks."""
        marks = {self.bos, self.eos, self.pad, self.image, self.fence}
        return str(self.tokenizer.decode([i for i in ids if i not in marks]))

    def save(self, path: Place) -> None:
        path.write_text(self.tokenizer.to_str(pretty=True))


def load_vocabulary(path: str) -> Vocabulary:
    """Read a `tokenizer.json`, or the one in a folder or URL. Raises ConfigError without one."""
    file = place(path)
    if file.is_dir() if isinstance(file, Path) else not path.endswith(".json"):
        file = file / "tokenizer.json"
    if not file.is_file():
        raise ConfigError(
            f"data.tokenizer: no {file}: make one with `benben-train tokenizer train --out "
            f"{file.parent}`, or leave data.tokenizer out to train one on the data"
        )
    try:
        return Vocabulary(Tokenizer.from_str(file.read_text()))
    except Exception as error:  # tokenizers raises no narrower one
        why = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"data.tokenizer: {file} is no tokenizer of Hugging Face ({why})"
        ) from None


def train_vocabulary(texts: Iterable[str], size: int) -> Vocabulary:
    """Train a byte-level BPE without normalisation, as BLOOM's; equal texts give equal files."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return Vocabulary(tokenizer)


# Documents to samples.


@dataclass(frozen=True)
class Piece:
    """Tokens of a text, or an image (`slot`) with the marks that hold its place."""

    ids: tuple[int, ...]
    slot: Slot | None = None
    size: int = 0  # bytes of text
    caption: int = 0  # tokens of the first paragraph, if the text comes right after an image


@dataclass(frozen=True)
class Sample:
    """A document, or a part of a long one, that goes whole into a pack."""

    name: str
    lang: str
    pieces: tuple[Piece, ...]
    part: Part = NO_PART

    @property
    def length(self) -> int:
        return sum(len(piece.ids) for piece in self.pieces)


@dataclass(frozen=True)
class Renderer:
    """Tokenises documents and cuts them into samples of at most `seq_len` tokens."""

    vocabulary: Vocabulary
    seq_len: int
    max_images: int
    fusion: Fusion

    def render(
        self, documents: Sequence[Document], available: Callable[[Slot], bool]
    ) -> list[Sample]:
        """Return the samples of documents.

        Images that are not `available` leave no trace; the text stays.
        """
        texts = [slot.text for d in documents for slot in d.slots if slot.text is not None]
        encoded = iter(self.vocabulary.encode(texts))
        captions = iter(self.vocabulary.encode([c for d in documents for c in _captions(d)]))
        marks = self.fusion.image_marks(self.vocabulary.image, self.vocabulary.fence)
        samples: list[Sample] = []
        for document in documents:
            pieces: list[Piece] = []
            images, after_image = 0, False
            for slot in document.slots:
                after_image, was_after_image = slot.text is None, after_image
                if slot.text is not None:
                    caption = len(next(captions)) if was_after_image else 0
                    pieces += self._text(next(encoded), len(slot.text.encode()), caption)
                elif self.fusion.tokens_per_image and images < self.max_images and available(slot):
                    pieces.append(Piece(marks, slot))
                    images += 1
            if pieces:
                samples += self._cut(document, pieces)
        return samples

    def _text(self, ids: list[int], size: int, caption: int) -> list[Piece]:
        """Cut texts longer than a quarter of a pack; their bytes are shared out by tokens."""
        step = max(1, self.seq_len // 4)
        pieces: list[Piece] = []
        done = 0  # bytes given to earlier pieces
        for start in range(0, len(ids), step):
            part = tuple(ids[start : start + step])
            upto = size * (start + len(part)) // len(ids)
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
        tokens = sum(len(piece.ids) for part in parts for piece in part)
        return [
            Sample(document.name, document.lang, tuple(part), Part(*document.place, i, tokens))
            for i, part in enumerate(parts)
        ]


def _captions(document: Document) -> Iterator[str]:
    """Yield the first paragraph of each text right after an image: most often its caption."""
    after_image = False
    for slot in document.slots:
        if slot.text is not None and after_image:
            yield slot.text.split(PARAGRAPH, 1)[0]
        after_image = slot.text is None


# Samples to packs.


def fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Put items into bins of `size`, longest first, each into the fullest bin that has room.

    Returns the numbers of the items in each bin. Raises ValueError for an item longer than a bin.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    room: list[tuple[int, int]] = []  # (room left, bin), sorted
    bins: list[list[int]] = []
    for item in order:
        length = lengths[item]
        if length > size:
            raise ValueError(f"an item of {length} tokens does not fit a pack of {size}")
        at = bisect.bisect_left(room, (length, -1))
        if at == len(room):
            bins.append([item])
            bisect.insort(room, (size - length, len(bins) - 1))
        else:
            left, number = room.pop(at)
            bins[number].append(item)
            bisect.insort(room, (left - length, number))
    return bins


def plan(samples: Sequence[Sample], size: int, *key: object) -> list[list[Sample]]:
    """Pack the samples of a window, and shuffle the bins and their contents.

    Without the shuffle packs would come ordered by document length, and the share of images would
    drift.
    """
    random = generator("bins", *key)
    bins = fit([sample.length for sample in samples], size)
    result = []
    for number in random.permutation(len(bins)):
        items = bins[number]
        result.append([samples[items[i]] for i in random.permutation(len(items))])
    return result


def assemble(
    samples: Sequence[Sample],
    size: int,
    vocabulary: Vocabulary,
    decode: Callable[[Slot], np.ndarray | None],
    image_size: int,
    number: int = -1,
) -> Pack:
    """Lay out the samples of a pack and decode their images; one that does not decode is left out.

    A label is the next token of the document. Marks of images, padding and the last token of each
    document have none.
    """
    ids: list[int] = []
    labels: list[int] = []
    lengths: list[int] = []
    slots: list[int] = []
    pixels: list[np.ndarray] = []
    laid: list[Sample] = []
    captions: list[tuple[int, int]] = []
    for sample in samples:
        first = len(ids)
        after_image = False
        for piece in sample.pieces:
            if after_image and piece.caption:
                captions.append((len(ids), len(ids) + piece.caption))
            after_image = False
            if piece.slot is not None:
                picture = decode(piece.slot)
                if picture is None:
                    continue
                slots.append(len(ids) + piece.ids.index(vocabulary.image))
                pixels.append(picture)
                after_image = True
            ids += piece.ids
        if len(ids) == first:
            continue
        laid.append(sample)
        labels += _labels(ids[first:], vocabulary)
        lengths.append(len(ids) - first)
    padding = size - len(ids)
    if padding:
        ids += [vocabulary.pad] * padding
        labels += [IGNORE] * padding
        lengths.append(padding)
    shape = (0, 3, image_size, image_size)
    return Pack(
        ids=np.array(ids, np.int32),
        labels=np.array(labels, np.int32),
        lengths=tuple(lengths),
        pixels=np.stack(pixels) if pixels else np.zeros(shape, np.uint8),
        slots=tuple(slots),
        number=number,
        names=tuple(sample.name for sample in laid),
        languages=tuple(sample.lang for sample in laid),
        sizes=tuple(sum(p.size for p in sample.pieces) for sample in laid),
        captions=tuple(captions),
        padding=padding,
    )


def _labels(ids: list[int], vocabulary: Vocabulary) -> list[int]:
    labels = np.append(np.array(ids[1:], np.int64), IGNORE)
    labels[np.isin(labels, (vocabulary.image, vocabulary.fence))] = IGNORE
    return [int(label) for label in labels]
