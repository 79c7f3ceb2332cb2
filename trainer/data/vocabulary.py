"""Text to ids: a tokenizers file, and the ids that mark documents and images.

Marks are never parsed out of text: a page that says "<image>" says it in letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BEGIN = ("<s>", "<|begin_of_text|>", "<bos>")
END = ("</s>", "<|end_of_text|>", "<eos>", "<|endoftext|>")
PAD, IMAGE, FENCE = ("<pad>",), ("<image>",), ("<image_fence>",)


class Vocabulary:
    """A tokenizer and the marks bos, eos, pad, image, fence; `size` counts them all."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self.bos, self.eos = self._mark(BEGIN), self._mark(END)
        self.pad, self.image, self.fence = map(self._mark, (PAD, IMAGE, FENCE))

    def _mark(self, names: Iterable[str]) -> int:
        """Return the tokenizer's own id of the first name it knows, else a new one."""
        for name in names:
            known = self.tokenizer.token_to_id(name)
            if known is not None:
                return int(known)
        self.size += 1
        return self.size - 1

    def encode(self, texts: list[str]) -> list[list[int]]:
        return [e.ids for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids, marks left out."""
        marks = {self.bos, self.eos, self.pad, self.image, self.fence}
        return self.tokenizer.decode([i for i in ids if i not in marks])

    def save(self, path: Path) -> None:
        self.tokenizer.save(str(path))


def load(path: str) -> Vocabulary:
    """Read `tokenizer.json`, or the one of a folder."""
    file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
    return Vocabulary(Tokenizer.from_file(str(file)))


def train(texts: Iterable[str], size: int) -> Vocabulary:
    """Train a byte-level BPE without normalisation (as BLOOM's); the same texts give the same."""
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
