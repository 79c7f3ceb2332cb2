"""The datasets of a proof, as `benben proof` writes them, and what a trial trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benben.common.config_files import ConfigError, validate
from benben.trainer import config as configs
from benben.trainer.counter_rng import generator
from benben.trainer.data.corpus import Corpus, Document
from benben.trainer.settings import Section

FILE = "proof.json"
WITHOUT = "without "  # begins the name of the base without a rule


class Part(Section):
    """What a dataset holds."""

    documents: int  # with text
    bytes: int  # of text
    images: int


class Change(Section):
    """How the base's text changes without a rule."""

    documents: int  # whose text changes
    added: int  # bytes
    lost: int


class Gold(Part):
    """Texts that are scored."""

    domains: int


class Contents(Section):
    """The file `proof.json`."""

    version: int
    base: str
    language: str
    arms: dict[str, Part]
    rules: dict[str, Change]
    gold: Gold
    interleaved: Part | None = None

    def names(self) -> list[str]:
        """Return the arms with text, the base first, then those without a rule that changes it."""
        others = [name for name, part in self.arms.items() if part.bytes and name != self.base]
        rules = [WITHOUT + name for name, change in self.rules.items() if change.documents]
        return [self.base, *others, *rules]

    def unchanged(self) -> list[str]:
        """Return the rules without which the base keeps the same text."""
        return [name for name, change in self.rules.items() if not change.documents]


@dataclass(frozen=True)
class Text:
    """The text of a document."""

    name: str
    host: str
    lang: str
    data: bytes


def read(folder: Path) -> Contents:
    """Read the list of a folder's datasets. Raises ConfigError."""
    file = folder / FILE
    if not file.is_file():
        raise ConfigError(f"{file}: no such file: `benben proof RUN {folder}` writes it")
    return validate(Contents, configs.FILES.parse_yaml(str(file)), str(file))


def gold(folder: Path, limit: int) -> list[Text]:
    """Return the texts that are scored, each up to `limit` bytes."""
    found = _texts(folder / "gold", "test")
    return [Text(one.name, one.host, one.lang, _cut(one.data, limit)) for one in found]


def training_texts(folder: Path, contents: Contents, arm: str, seed: int, size: int) -> list[Text]:
    """Return the documents that a trial trains on: `size` bytes, in an order of the seed's.

    The order is that of all documents, whichever of them an arm keeps; the last one is cut. An arm
    that has less text begins again.
    """
    if arm.startswith(WITHOUT):
        found = _texts(folder / "arms" / contents.base)
        changed = _texts(folder / "rules" / arm.removeprefix(WITHOUT))
        replaced = {one.name: one for one in changed}
        found = [replaced.get(one.name, one) for one in found]
    else:
        found = _texts(folder / "arms" / arm)
    order = generator("proof", seed).permutation(len(found))
    chosen: list[Text] = []
    left = size
    while left > 0 and any(one.data for one in found):
        for place in order:
            one = found[place]
            if one.data and left > 0:
                chosen.append(Text(one.name, one.host, one.lang, _cut(one.data, left)))
                left -= len(one.data)
    return chosen


def _texts(folder: Path, split: str = "train") -> list[Text]:
    corpus = Corpus(str(folder), split=split)
    documents = (corpus.read(index) for index in range(len(corpus)))
    return [Text(one.name, one.host, one.lang, _data(one)) for one in documents]


def _data(document: Document) -> bytes:
    """White space is made alike, for extractors and people write it differently."""
    words = (slot.text.split() for slot in document.slots if slot.text)
    return " ".join(" ".join(one) for one in words).encode("utf-8", "replace")


def _cut(data: bytes, size: int) -> bytes:
    """Cut between characters."""
    return data if len(data) <= size else data[:size].decode("utf-8", "ignore").encode()
