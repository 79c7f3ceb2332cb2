"""fastText's supervised models, read from their files and applied in compiled code.

The language of a page takes thousands of look-ups of n-grams; fastText's library makes a string
for each. Results are the library's: the same sums, in the same order and precision.
Formats and formulas: fastText 0.9 (Joulin et al. 2016, arXiv:1607.01759 and 1612.03651).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benben.common.hashing import Hashes
from benben.pipeline.compiled import Bytes, Integers, borrowed, compiled, count_bits, int64
from benben.pipeline.hash_tables import FREE, first_slot, slot_bits

Numbers = NDArray[np.int32]
Vectors = NDArray[np.float32]
Hidden = NDArray[np.float32]

_MAGIC, _VERSION = 793712314, 12
_SUPERVISED = 3
_HIERARCHICAL, _SOFTMAX = 1, 3  # losses
_CENTROIDS = 256  # of each part of a quantised vector
_UNMADE = 10**15  # count of a node that the tree does not have yet
_OFFSET, _PRIME, _LOW = 2166136261, 16777619, 0xFFFFFFFF  # FNV-1a of 32 bits
_BEGIN, _END, _BLANK = ord("<"), ord(">"), ord(" ")
_END_OF_LINE = 0  # row of the word </s>
_LABEL = np.frombuffer(b"__label__", np.uint8)
_ONE = np.uint64(1)
_ADDED = 1e-5  # to a probability, before its logarithm is taken


class Model(NamedTuple):
    """A model, as compiled code reads it."""

    letters: Bytes  # of all words and then of all labels
    ends: Integers  # of each of them in `letters`, after a 0
    slots: Integers  # hash table of them: rows, or FREE
    words: int  # number of words, the labels not counted
    shortest: int  # n-gram of characters
    longest: int
    buckets: int  # number of n-grams' hashes
    bits: Hashes  # one per hash: set if the model keeps its n-grams; none: it keeps all
    ranks: Integers  # bits that are set before each of `bits`
    vectors: Vectors  # of the words, then of n-grams
    output: Vectors  # of the labels; of the tree's inner nodes
    tree: Integers  # (nodes, 2): left and right of each; first the labels, last the root


class Classifier(NamedTuple):
    """A model and the names of its labels."""

    model: Model
    labels: list[str]

    def best(self, texts: Sequence[str]) -> list[tuple[str, float] | None]:
        """Return the likeliest label of each text and its probability; None: no word is known."""
        encoded = [text.encode() for text in texts]
        data = np.frombuffer(bytearray(b" ".join([b"", *encoded, b""])), np.uint8)
        ends = np.cumsum([len(one) + 1 for one in encoded], dtype=np.int64)
        label, score = np.empty(len(texts), np.int64), np.empty(len(texts), np.float32)
        _find_best(self.model, data, ends, label, score)
        found = zip(label.tolist(), score.tolist(), strict=True)
        return [(self.labels[row], value) if row >= 0 else None for row, value in found]


# Reading a model's file.


class _Reader:
    """Numbers of a file, one after the other."""

    def __init__(self, path: str) -> None:
        self.data: NDArray[Any] = np.memmap(path, np.uint8, "r")
        self.place = 0

    def array(self, kind: Any, count: int) -> NDArray[Any]:
        """Read an array of numbers. Raises ValueError if the file ends before."""
        size = np.dtype(kind).itemsize * count
        if count < 0 or self.place + size > len(self.data):
            raise ValueError("the file ends too early")
        self.place += size
        return np.array(self.data[self.place - size : self.place]).view(kind)

    def numbers(self, kind: Any, count: int = 1) -> list[int]:
        """Read some numbers. Raises ValueError if the file ends before."""
        found: list[int] = self.array(kind, count).tolist()
        return found


def read(path: str) -> Classifier | None:
    """Read a model's file; None if it is none, or of a kind that only the library can apply."""
    try:
        return _read(_Reader(path))
    except (ValueError, IndexError):
        return None


def _read(file: _Reader) -> Classifier | None:
    if file.numbers(np.int32, 2) != [_MAGIC, _VERSION]:
        return None
    settings = file.numbers(np.int32, 12)
    word_ngrams, loss, kind, buckets, shortest, longest = settings[5:11]
    if kind != _SUPERVISED or loss not in (_HIERARCHICAL, _SOFTMAX) or word_ngrams != 1:
        return None
    file.array(np.float64, 1)
    size, words, _ = file.numbers(np.int32, 3)
    _, kept = file.numbers(np.int64, 2)
    letters, ends, counts = _read_words(file, size)
    pairs = file.array(np.int32, 2 * max(kept, 0)).reshape(-1, 2)
    vectors = _read_quantised(file) if file.numbers(np.bool_) == [True] else _read_dense(file)
    if kept > 0:
        pairs = pairs[np.argsort(pairs[:, 0])]
        vectors = np.concatenate([vectors[:words], vectors[words + pairs[:, 1]]])
    if file.numbers(np.bool_) == [True]:  # the output is quantised
        return None
    output = _read_dense(file)
    rows = words + (kept if kept >= 0 else buckets if longest > 0 else 0)
    if len(vectors) < rows or len(output) < size - words:
        return None
    tree = _make_tree(counts[words:].tolist()) if loss == _HIERARCHICAL else []
    bits, ranks = _mark(pairs[:, 0], buckets)
    model = Model(
        letters, ends, _word_table(letters, ends), words, shortest, longest if kept else 0,
        buckets, bits, ranks, vectors, output, np.array(tree, np.int64).reshape(-1, 2),
    )  # fmt: skip
    spelled = letters.tobytes()
    labels = [spelled[ends[row] : ends[row + 1]].decode() for row in range(words, size)]
    return Classifier(model, labels)


def _mark(kept: Numbers, buckets: int) -> tuple[Hashes, Integers]:
    """Return a bit for each hash, in words of 64, and how many are set before each word."""
    if not len(kept):
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    marked = np.zeros(-(-buckets // 64) * 64, np.bool_)
    marked[kept] = True
    bits = np.packbits(marked, bitorder="little").view("<u8").astype(np.uint64)
    number = marked.reshape(-1, 64).sum(axis=1)
    return bits, np.cumsum(number) - number


def _read_words(file: _Reader, number: int) -> tuple[Bytes, Integers, Integers]:
    """Read letters, ends and counts of all words and labels."""
    left = file.data[file.place :]
    ends, counts = np.zeros(number + 1, np.int64), np.empty(number, np.int64)
    letters = np.empty(len(left), np.uint8)
    size = _copy_words(np.asarray(left), letters, ends, counts)
    file.array(np.uint8, size)
    return letters[: ends[-1]].copy(), ends, counts


@compiled
def _copy_words(data: Bytes, letters: Bytes, ends: Integers, counts: Integers) -> int:
    """Copy words that each end with a 0, their count (8 bytes) and kind (1); return the bytes."""
    place, end = 0, 0
    for row in range(len(counts)):
        while place < len(data) and data[place] != 0:
            letters[end] = data[place]
            place, end = place + 1, end + 1
        if place + 10 > len(data):
            return len(data) + 1
        count = int64(0)
        for byte in range(8):
            count |= int64(data[place + 1 + byte]) << (8 * byte)
        ends[row + 1], counts[row] = end, count
        place += 10
    return place


def _read_dense(file: _Reader) -> Vectors:
    rows, columns = file.numbers(np.int64, 2)
    return file.array(np.float32, rows * columns).reshape(rows, columns)


def _read_quantised(file: _Reader) -> Vectors:
    """Read vectors whose parts (and lengths) are numbers of centroids, and write them out."""
    scaled = file.numbers(np.bool_) == [True]
    rows, _ = file.numbers(np.int64, 2)
    codes = file.array(np.uint8, file.numbers(np.int32)[0]).reshape(rows, -1)
    vectors = _decode(file, codes)
    if scaled:
        vectors *= _decode(file, file.array(np.uint8, rows).reshape(rows, 1))
    return vectors


def _decode(file: _Reader, codes: Bytes) -> Vectors:
    columns, parts, width, _ = file.numbers(np.int32, 4)
    centroids = file.array(np.float32, columns * _CENTROIDS)
    vectors = np.empty((len(codes), columns), np.float32)
    for part in range(parts):
        begin, end = part * width, min((part + 1) * width, columns)
        of_part = centroids[begin * _CENTROIDS : end * _CENTROIDS].reshape(_CENTROIDS, -1)
        vectors[:, begin:end] = of_part[codes[:, part]]
    return vectors


def _make_tree(counts: list[int]) -> list[tuple[int, int]]:
    """Return left and right of each node of the Huffman tree over labels, the commonest first."""
    size = len(counts)
    counts = counts + [_UNMADE] * (size - 1)
    children = [(FREE, FREE)] * size
    leaf, node = size - 1, size
    for made in range(size, len(counts)):
        pair = []
        for _ in range(2):
            if leaf >= 0 and counts[leaf] < counts[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        children.append((pair[0], pair[1]))
        counts[made] = counts[pair[0]] + counts[pair[1]]
    return children


def _word_table(letters: Bytes, ends: Integers) -> Integers:
    slots = np.full(1 << slot_bits(len(ends) - 1), FREE, np.int64)
    _fill_word_table(letters, ends, slots)
    return slots


@compiled
def _fill_word_table(letters: Bytes, ends: Integers, slots: Integers) -> None:
    for row in range(len(ends) - 1):
        start, end = ends[row], ends[row + 1]
        value = int64(_OFFSET)
        for place in range(start, end):
            value = _hash_step(value, letters[place])
        slots[_find_word(letters, ends, slots, letters, start, end, value)] = row


# Applying a model, compiled.


@compiled
def _borrowed_model(model: Model) -> Model:
    """A model without reference counts: see `borrowed`."""
    return Model(
        borrowed(model.letters), borrowed(model.ends), borrowed(model.slots), model.words,
        model.shortest, model.longest, model.buckets, borrowed(model.bits), borrowed(model.ranks),
        borrowed(model.vectors), borrowed(model.output), borrowed(model.tree),
    )  # fmt: skip


@compiled
def _hash_step(value: int, byte: int) -> int:
    """Add a byte to a hash, as a signed number like fastText."""
    signed = int64(byte) - ((int64(byte) & 0x80) << 1)
    return ((value ^ signed) * _PRIME) & _LOW


@compiled
def _find_word(
    letters: Bytes, ends: Integers, slots: Integers, data: Bytes, start: int, end: int, value: int
) -> int:
    """Slot of a word of `data`, or the FREE slot where it belongs; `value`: its hash."""
    last, bits = len(slots) - 1, 0
    while (1 << bits) < len(slots):
        bits += 1
    slot = first_slot(value, bits)
    while slots[slot] != FREE:
        begin, size = ends[slots[slot]], ends[slots[slot] + 1] - ends[slots[slot]]
        if size == end - start:
            same = 0
            while same < size and letters[begin + same] == data[start + same]:
                same += 1
            if same == size:
                break
        slot = (slot + 1) & last
    return slot


@compiled
def _is_blank(byte: int) -> bool:
    return byte == _BLANK or 9 <= byte <= 13 or byte == 0


@compiled
def _add(model: Model, row: int, hidden: Hidden) -> None:
    for column in range(len(hidden)):
        hidden[column] += model.vectors[row, column]


@compiled
def _add_ngrams(model: Model, data: Bytes, start: int, end: int, hidden: Hidden) -> int:
    """Add the vectors of a word's n-grams of characters; return how many there are."""
    number = 0
    for first in range(start, end):
        if data[first] & 0xC0 == 0x80:
            continue
        value, place, size = int64(_OFFSET), first, 0
        while place < end and size < model.longest:
            value = _hash_step(value, data[place])
            place, size = place + 1, size + 1
            while place < end and data[place] & 0xC0 == 0x80:
                value = _hash_step(value, data[place])
                place += 1
            if size < model.shortest or (size == 1 and (first == start or place == end)):
                continue
            row = value % model.buckets
            if len(model.bits):
                bits, bit = model.bits[row >> 6], _ONE << np.uint64(row & 63)
                if not bits & bit:
                    continue
                row = model.ranks[row >> 6] + count_bits(bits & (bit - _ONE))
            _add(model, model.words + row, hidden)
            number += 1
    return number


@compiled
def _add_word(model: Model, data: Bytes, start: int, end: int, hidden: Hidden) -> int:
    """Add the vectors of a word and of its n-grams; return how many, or FREE if it ends the text.

    The bytes around the word are written, and blank again when this returns.
    """
    value = int64(_OFFSET)
    for place in range(start, end):
        value = _hash_step(value, data[place])
    slot = _find_word(model.letters, model.ends, model.slots, data, start, end, value)
    row = model.slots[slot]
    if row == _END_OF_LINE:
        _add(model, row, hidden)
        return int64(FREE)
    if row >= model.words:
        return int64(0)
    number = int64(0)
    if row >= 0:
        _add(model, row, hidden)
        number += 1
    elif end - start >= len(_LABEL) and (data[start : start + len(_LABEL)] == _LABEL).all():
        return number
    data[start - 1], data[end] = _BEGIN, _END
    number += _add_ngrams(model, data, start - 1, end + 1, hidden)
    data[start - 1], data[end] = _BLANK, _BLANK
    return number


@compiled
def _read_text(model: Model, data: Bytes, start: int, end: int, hidden: Hidden) -> int:
    """Write the mean of the vectors of a text's words and n-grams; return how many there are."""
    hidden[:] = 0
    number, begin = int64(0), start
    for place in range(start, end + 1):
        if _is_blank(data[place]):
            if begin < place:
                added = _add_word(model, data, begin, place, hidden)
                number += max(added, 1) if added == FREE else added
                if added == FREE:
                    break
            begin = place + 1
    if number:
        hidden *= np.float32(1.0 / number)
    return number


@compiled
def _dot(output: Vectors, row: int, hidden: Hidden) -> np.float32:
    total = np.float32(0)
    for column in range(len(hidden)):
        total += output[row, column] * hidden[column]
    return total


@compiled
def _log(value: np.float32) -> np.float32:
    return np.float32(np.log(np.float64(value) + _ADDED))


@compiled
def _best_leaf(model: Model, hidden: Hidden) -> tuple[int, np.float32]:
    """Find the likeliest label by the tree, and the logarithm of its probability."""
    labels = (len(model.tree) + 1) // 2
    nodes, scores = np.empty(labels + 1, np.int64), np.empty(labels + 1, np.float32)
    nodes[0], scores[0], left = 2 * labels - 2, np.float32(0), 1
    best, most = int64(-1), _log(np.float32(0))
    while left:
        left -= 1
        node, score = nodes[left], scores[left]
        if score < most:
            continue
        if node < labels:
            best, most = node, score
            continue
        value = np.exp(-_dot(model.output, node - labels, hidden))
        right = np.float32(1.0 / np.float64(np.float32(1) + value))
        nodes[left], nodes[left + 1] = model.tree[node, 1], model.tree[node, 0]
        scores[left] = score + _log(right)
        scores[left + 1] = score + _log(np.float32(1.0 - np.float64(right)))
        left += 2
    return best, most


@compiled
def _best_of_all(model: Model, hidden: Hidden) -> tuple[int, np.float32]:
    """Find the likeliest label by a softmax, and the logarithm of its probability."""
    labels = len(model.output)
    scores = np.empty(labels, np.float32)
    for label in range(labels):
        scores[label] = _dot(model.output, label, hidden)
    best, total = int64(np.argmax(scores)), np.float32(0)
    most = scores[best]
    for label in range(labels):
        total += np.exp(scores[label] - most)
    return best, _log(np.float32(1) / total)


@compiled
def _find_best(
    model: Model, data: Bytes, ends: Integers, labels: Integers, scores: Vectors
) -> None:
    """Write the likeliest label of each text and its probability; FREE: it has no known word.

    `data`: a blank, and each text with a blank after it; `ends`: place of that blank.
    """
    model, data = _borrowed_model(model), borrowed(data)
    hidden = np.empty(model.vectors.shape[1], np.float32)
    start = 1
    for row in range(len(ends)):
        labels[row], scores[row] = FREE, 0
        if _read_text(model, data, start, ends[row], hidden):
            if len(model.tree):
                label, score = _best_leaf(model, hidden)
            else:
                label, score = _best_of_all(model, hidden)
            labels[row], scores[row] = label, np.exp(score)
        start = ends[row] + 1
