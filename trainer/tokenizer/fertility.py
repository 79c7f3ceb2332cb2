"""Cost of a tokenizer for each language, against English and against a tokenizer of its own.

Fertility is tokens per word. BLOOM's acceptance rule: in no language may it exceed by more than
0.10 of itself that of a tokenizer trained on that language alone. Words are runs of letters with
their marks; in scripts without spaces a letter with its marks counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import regex  # type: ignore[import-untyped]
from tokenizers import Tokenizer

from benben.trainer.tokenizer.training import train

GAP = 0.10  # BLOOM's
BASELINE_SHARE = (
    0.2  # of the vocabulary: usual monolingual ones have 50,000 where BLOOM has 250,000
)
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*"
WORD = regex.compile(rf"{UNSPACED}|[\p{{L}}\p{{N}}][\p{{L}}\p{{M}}\p{{N}}]*")


@dataclass(frozen=True)
class Line:
    """One language. `parity`: its tokens per word over English's; `gap`: to its baseline."""

    lang: str
    bytes: int
    words: int
    fertility: float
    bytes_per_token: float
    continued: float  # share of words cut into more than one token
    parity: float | None
    baseline: float
    gap: float

    def passes(self, most: float = GAP) -> bool:
        return self.gap <= most


def report(
    tokenizer: Tokenizer,
    held_out: Mapping[str, Sequence[str]],
    training: Mapping[str, Sequence[str]],
    baseline_size: int,
) -> list[Line]:
    """Return a line for each language with held-out text; baselines train on as many bytes."""
    found = {}
    for lang in sorted(held_out):
        if not any(WORD.search(text) for text in held_out[lang]):
            continue
        alone = train({lang: training.get(lang, [])}, baseline_size)
        found[lang] = (measure(tokenizer, held_out[lang]), measure(alone, held_out[lang])[0])
    english = found["en"][0][0] if "en" in found else None
    lines = []
    for lang, ((fertility, width, continued, words), baseline) in found.items():
        size = sum(len(text.encode()) for text in held_out[lang])
        parity = fertility / english if english else None
        gap = fertility / baseline - 1
        values = (fertility, width, continued, parity, baseline, gap)
        lines.append(Line(lang, size, words, *values))
    return lines


def measure(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[float, float, float, int]:
    """Return tokens per word, bytes per token, the share of words that are cut, number of words."""
    words = [word for text in texts for word in WORD.findall(text)]
    cut = [len(e.ids) > 1 for e in tokenizer.encode_batch([f" {word}" for word in words])]
    tokens = sum(len(e.ids) for e in tokenizer.encode_batch(list(texts)))
    size = sum(len(text.encode()) for text in texts)
    return tokens / len(words), size / tokens, sum(cut) / len(words), len(words)


def table(lines: Sequence[Line], most: float = GAP) -> str:
    """Return a Markdown table with a row for each language."""
    head = "language bytes words fertility bytes/token continued parity baseline gap passes"
    names = head.split()
    rows = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for line in lines:
        parity = "" if line.parity is None else f"{line.parity:.3f}"
        cells = (
            *(line.lang, f"{line.bytes:,}", f"{line.words:,}", f"{line.fertility:.3f}"),
            *(f"{line.bytes_per_token:.3f}", f"{line.continued:.3f}", parity),
            *(f"{line.baseline:.3f}", f"{line.gap:+.3f}", "yes" if line.passes(most) else "no"),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def to_json(lines: Sequence[Line]) -> list[dict[str, object]]:
    return [asdict(line) for line in lines]
