"""Trains a tokenizer for the languages of the data, in the way of BLOOM's (2022).

Byte-level BPE without normalisation, so decoding gives back every text unchanged. Languages
are sampled with p ~ n ** alpha (n: bytes), so small ones get tokens of their own. The marks of
documents and images and the reserved ids are special tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from benben.trainer.counter_rng import generator
from benben.trainer.data.corpus import Corpus
from benben.trainer.data.packing import BEGIN, END, FENCE, IMAGE, PAD
from benben.trainer.planning.lint import vocabulary_multiple

MARKS = (BEGIN[0], END[0], PAD[0], IMAGE[0], FENCE[0])
# A word with its combining marks (Indic and Thai vowels), a digit, a run of symbols, or space; a
# single space goes with what follows it.
WORDS = r" ?[\p{L}\p{M}]+| ?\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+"
Texts = dict[str, list[str]]  # by language


def sample(corpora: Sequence[Corpus], alpha: float, size: int, seed: int = 0) -> Texts:
    """Return about `size` bytes of text, languages by n ** alpha of their documents.

    A language that has less than its share gives all it has. Documents are taken in an order that
    depends on the seed alone.
    """
    places: dict[str, list[tuple[int, int]]] = {}
    for number, corpus in enumerate(corpora):
        for index, lang in enumerate(corpus.languages()):
            places.setdefault(str(lang), []).append((number, index))
    total = sum(len(found) ** alpha for found in places.values())
    texts: Texts = {}
    for lang, found in sorted(places.items()):
        budget = size * len(found) ** alpha / total
        order = generator("tokenizer", seed, lang).permutation(len(found))
        chosen = (corpora[found[i][0]].read(found[i][1]) for i in order)
        texts[lang] = list(_up_to(chosen, budget))
    return texts


def _up_to(documents: Iterator[object], budget: float) -> Iterator[str]:
    used = 0
    for document in documents:
        for slot in document.slots:  # type: ignore[attr-defined]
            if slot.text is None:
                continue
            if used >= budget:
                return
            used += len(slot.text.encode())
            yield slot.text


def train(texts: Mapping[str, Sequence[str]], size: int, reserved: int = 0) -> Tokenizer:
    """Train on texts by language; `size` counts special and reserved ids. Same texts, same file."""
    special = [*MARKS, *(f"<reserved_{n}>" for n in range(reserved))]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((t for lang in sorted(texts) for t in texts[lang]), trainer)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    tokenizer.encode_special_tokens = True
    return tokenizer


def rows(size: int, tp: int) -> int:
    """Return the rows of the embedding: the vocabulary, padded for the hardware."""
    multiple = vocabulary_multiple(tp)
    return -(-size // multiple) * multiple


def load(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`, or the one in a folder."""
    file = path / "tokenizer.json" if path.is_dir() else path
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    return tokenizer
