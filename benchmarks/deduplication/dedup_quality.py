"""Recall and false merges by Jaccard decile on planted pairs of edited real texts.

Pairs are made by replacing words at random until the exact Jaccard similarity of the shingle
sets falls in a decile; 200 pairs a decile in each of six languages. What is measured is compared
with theory: sharing a band, 1 - (1 - s^rows)^bands, and being similar enough as well, summed
over the numbers of agreeing slots.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections import defaultdict

import numpy as np

from benben import extract_page
from benben.pipeline import config
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.deduplication import minhash
from benben.pipeline.deduplication.shingles import shingle_hashes, token_hashes
from benben.pipeline.settings.deduplicate import FingerprintSettings
from benchmarks.support import figure
from benchmarks.support.data import WARC

LANGUAGES = ("en", "de", "zh", "es", "fr", "ru")
PAIRS, SEEDS = 200, 4
TEXTS, MIN_TOKENS, MAX_CHARACTERS = 25, 200, 6000


def texts_by_language() -> dict[str, list[str]]:
    """Main texts of real pages that are long enough to be edited."""
    folder = WARC
    if not (folder / "index.jsonl").exists():
        sys.exit(f"dedup_quality: no pages under {folder} (set BENBEN_SHARED)")
    lines = (folder / "index.jsonl").read_text().splitlines()
    languages = {page["url"]: page["lang"] for page in map(json.loads, lines)}
    found: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for path in sorted(folder.glob("TEST-MAIN-*.warc.gz")):
        for capture in read_captures(str(path)):
            texts = found.get(languages.get(getattr(capture, "url", ""), ""))
            if not isinstance(capture, Capture) or texts is None or len(texts) == TEXTS:
                continue
            page = extract_page(capture.payload, capture.url, capture.headers)
            text = page.main_text()[:MAX_CHARACTERS]
            if len(token_hashes([text])[0]) >= MIN_TOKENS:
                texts.append(text)
    return found


def edit(text: str, share: float, draw: random.Random) -> str:
    """Replace a share of the words (characters where there are no spaces) by new ones."""
    spaced = text.count(" ") > len(text) / 20
    units = text.split() if spaced else list(text)
    for place in range(len(units)):
        if draw.random() < share:
            fresh = draw.randrange(10**9)
            units[place] = f"q{fresh:x}" if spaced else chr(0x4E00 + fresh % 20_000)
    return (" " if spaced else "").join(units)


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Exact similarity of two shingle sets."""
    shared = len(np.intersect1d(one, other))
    return shared / (len(one) + len(other) - shared)


def theory(similar: float, settings: FingerprintSettings, threshold: float) -> tuple[float, float]:
    """Chance to share a band, and to share a band and be estimated at least `threshold` similar."""
    rows, bands = settings.rows, settings.bands
    agree = similar + (1 - similar) / 256  # of 8-bit slots
    whole = similar**rows
    counts = {(0, False): 1.0}  # agreeing slots so far, any band whole -> chance
    ways = [math.comb(rows, k) * agree**k * (1 - agree) ** (rows - k) for k in range(rows + 1)]
    for _ in range(bands):
        after: dict[tuple[int, bool], float] = defaultdict(float)
        for (slots, found), chance in counts.items():
            for k, way in enumerate(ways):
                if k < rows:
                    after[slots + k, found] += chance * way
                else:
                    after[slots + k, True] += chance * whole
                    after[slots + k, found] += chance * max(way - whole, 0.0)
        counts = after
    least = (threshold * 255 + 1) / 256 * rows * bands
    merged = sum(chance for (slots, found), chance in counts.items() if found and slots >= least)
    return 1 - (1 - whole) ** bands, merged


def main() -> None:
    """Plant pairs, sketch them under several seeds, compare with theory."""
    chosen = config.load("default", ["input=[x]"])
    settings, threshold = chosen.fingerprint, chosen.deduplicate.minhash.verify_jaccard
    draw = random.Random(1)
    table: dict[int, list[tuple[float, float, float, float, float]]] = defaultdict(list)
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    for language, texts in texts_by_language().items():
        if not texts:
            continue
        planted = plant(texts, settings.shingle_words, draw, wanted)
        print(
            language,
            {decile: len(pairs) for decile, pairs in sorted(planted.items())},
            file=sys.stderr,
        )
        for decile, pairs in planted.items():
            table[decile] += measure(pairs, settings, threshold)
    deciles, worst, false_merges, below = [], 0.0, 0.0, 0
    for decile, rows in sorted(table.items()):
        exact, shared, merged, shared_theory, merged_theory = np.mean(rows, axis=0)
        gap = max(abs(shared - shared_theory), abs(merged - merged_theory))
        worst = max(worst, gap)
        if decile < 5:
            false_merges, below = false_merges + merged * len(rows), below + len(rows)
        deciles.append(
            {
                "from": decile / 10,
                "pairs": len(rows) // SEEDS,
                "jaccard": exact,
                "shared_band": shared,
                "shared_band_theory": shared_theory,
                "merged": merged,
                "merged_theory": merged_theory,
            }
        )
        print(
            " ".join(f"{value:.4f}" for value in (decile / 10, *np.mean(rows, axis=0))),
            file=sys.stderr,
        )
    figure.report(
        "dedup_quality",
        worst * 100,
        2.0,
        unit="points, largest distance from theory of any decile; baseline is the bar",
        false_merges_below_half=false_merges / below,
        deciles=deciles,
    )


def plant(
    texts: list[str], size: int, draw: random.Random, pairs: int
) -> dict[int, list[tuple[np.ndarray, np.ndarray]]]:
    """Pairs of shingle sets by decile of their exact Jaccard similarity, `pairs` in each."""
    planted: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    while any(len(planted[decile]) < pairs for decile in range(10)):
        decile = min(range(10), key=lambda number: len(planted[number]))
        aim = max((decile + draw.random()) / 10, 0.005)
        share = 1 - (2 * aim / (1 + aim)) ** (1 / size)  # words that go for this similarity
        original = draw.choice(texts)
        sets = [
            np.unique(shingle_hashes(*token_hashes([text]), size)[0])
            for text in (original, edit(original, share, draw))
        ]
        found = min(int(jaccard(*sets) * 10), 9)
        if len(planted[found]) < pairs:
            planted[found].append((sets[0], sets[1]))
    return planted


def measure(
    pairs: list[tuple[np.ndarray, np.ndarray]], settings: FingerprintSettings, threshold: float
) -> list[tuple[float, float, float, float, float]]:
    """For each pair and seed: exact similarity, shares a band, is merged, and theory for both."""
    sets = [one for pair in pairs for one in pair]
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in sets])))
    exact = [jaccard(*pair) for pair in pairs]
    expected = [theory(similar, settings, threshold) for similar in exact]
    rows = []
    for seed in range(1, SEEDS + 1):
        slots = minhash.signatures(np.concatenate(sets), offsets, settings.slots, seed)
        bands, compact = minhash.band_keys(slots, settings.bands), minhash.compact(slots)
        shared = (bands[::2] == bands[1::2]).any(axis=1)
        merged = shared & (minhash.similarity(compact[::2], compact[1::2]) >= threshold)
        rows += [
            (similar, float(share), float(merge), *theory_)
            for similar, share, merge, theory_ in zip(exact, shared, merged, expected, strict=True)
        ]
    return rows


if __name__ == "__main__":
    main()
