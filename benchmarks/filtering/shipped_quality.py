"""Text, structure and images that ship under a config's node rules, against what people marked.

    python -m benchmarks.shipped_quality                    cross-validated by domain (minutes)
    python -m benchmarks.shipped_quality --weights strict   the shipped weights, another config

Prints `shipped_quality`: mean token F1 of what ships on the human gold, the baseline trafilatura's
on the same pages; then F1 by page type, gold tokens that each rule loses beside the boilerplate
tokens that it removes, ROUGE-5 and edit distance of the shipped Markdown beside trafilatura's,
shares of the gold's headings, list items, table rows and code blocks whose text is extracted,
ships, ships with its mark in Markdown or with another's, and recall and precision of images before
the fetch. Documents are not judged, only their nodes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import trafilatura

from benben.analysis.tuning.gold import align
from benben.pipeline import config
from benben.pipeline.dataset.obelics import to_row
from benben.pipeline.document import Node
from benben.pipeline.page.score import content_score
from benben.pipeline.settings import Config
from benchmarks.extraction import extract_images
from benchmarks.extraction.content_score_data import rows
from benchmarks.extraction.train_content_score import fold, fold_models
from benchmarks.support import figure, gold_structure
from benchmarks.support.data import GOLD
from benchmarks.support.gold import HUMAN, LABELLED, Page, edit_distance, pages, rouge, token_f1
from benchmarks.support.judged_gold import Judged, Measured, judge, measure

MAIN_CONTENT = 0.5  # content score from which `Document.main_text` takes a text
KEPT = "kept"


def measure_gold(sets: Sequence[str], chosen: Config, weights: bool) -> list[Measured]:
    """Extract the pages of some sets, each by a content score that saw no page of its domain.

    `weights`: by the shipped content score in place of that.
    """
    found = list(pages(sets))
    if weights:
        return list(measure(found, chosen))
    measured: list[Measured] = []
    shipped = content_score.model
    for number, model in fold_models(rows(LABELLED)):
        content_score.model = lambda model=model: model  # type: ignore[assignment]
        measured += measure((page for page in found if fold(page.domain) == number), chosen)
    content_score.model = shipped
    return measured


def text_scores(measured: Sequence[Measured], judged: Sequence[Judged]) -> dict[str, Any]:
    """Token F1 by page type and set, of what is extracted, what ships, and trafilatura's text."""
    groups: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for one, verdict in zip(measured, judged, strict=True):
        texts = (
            one.document.main_text(MAIN_CONTENT),
            verdict.text,
            trafilatura.extract(one.page.html) or "",
        )
        scores = tuple(token_f1(text, one.page.text) for text in texts)
        for name in ("all", f"type:{one.page.page_type}", f"set:{one.page.source}"):
            groups[name].append(scores)
    return {
        name: {"pages": len(found)}
        | dict(
            zip(("extracted", "shipped", "trafilatura"), np.mean(found, axis=0).tolist(),
                strict=True)
        )
        for name, found in sorted(groups.items())
    }  # fmt: skip


def rule_costs(measured: Sequence[Measured], judged: Sequence[Judged]) -> dict[str, dict[str, int]]:
    """Count the gold and other tokens of paragraphs by the rule that drops them."""
    gold: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for one, verdict in zip(measured, judged, strict=True):
        texts = [(node.index, node.text or "") for node in one.document.texts()]
        for part in align(texts, one.page.text):
            reason = verdict.reason(part.index, part.number) or KEPT
            gold[reason] += part.gold
            other[reason] += part.other
    return {name: {"gold": gold[name], "boilerplate": other[name]} for name in sorted(gold)}


def structure_kept(
    measured: Sequence[Measured], judged: Sequence[Judged]
) -> dict[str, dict[str, float]]:
    """Share of the elements of gold Markdown whose text is extracted, ships, and ships as such."""
    number: Counter[str] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for one, verdict in zip(measured, judged, strict=True):
        wanted = list(gold_structure.parts(one.page.gold.get("gold_markdown") or ""))
        number.update(part.kind for part in wanted)
        for name, text in (("extracted", one.document.main_text(0)), ("shipped", verdict.text)):
            hits = gold_structure.kept(wanted, text)
            found.update((part.kind, name) for part, hit in zip(wanted, hits, strict=True) if hit)
        marked = {(part.kind, part.key) for part in gold_structure.parts(_markdown(one, verdict))}
        others = {key for _, key in marked}
        for part in wanted:
            if (part.kind, part.key) in marked:
                found[part.kind, "marked"] += 1
            elif part.key in others:
                found[part.kind, "other_mark"] += 1
    names = ("extracted", "shipped", "marked", "other_mark")
    return {
        kind: {"number": number[kind]} | {name: found[kind, name] / number[kind] for name in names}
        for kind in gold_structure.ELEMENTS
        if number[kind]
    }


def markdown_scores(
    measured: Sequence[Measured], judged: Sequence[Judged]
) -> dict[str, dict[str, float]]:
    """Mean ROUGE-5 (F1) and edit distance of Markdown from the gold's, on pages that have it."""
    scores: dict[str, list[tuple[float, float]]] = {"shipped": [], "trafilatura": []}
    for one, verdict in zip(measured, judged, strict=True):
        wanted = one.page.gold.get("gold_markdown")
        if not wanted:
            continue
        other = trafilatura.extract(one.page.html, output_format="markdown") or ""
        for name, text in (("shipped", _markdown(one, verdict)), ("trafilatura", other)):
            scores[name].append((rouge(text, wanted), edit_distance(text, wanted)))
    return {
        name: {"pages": len(found)}
        | dict(zip(("rouge_5", "edit_distance"), np.mean(found, axis=0).tolist(), strict=True))
        for name, found in scores.items()
        if found
    }


def _markdown(one: Measured, verdict: Judged) -> str:
    """The Markdown that ships of a page."""
    row = to_row(verdict.nodes, one.page.url, {}, markdown=True)
    return "\n\n".join(text for text in row.texts if text)


def image_scores(chosen: Config) -> dict[str, float]:
    """Recall and precision of distinct images before the fetch, on pages whose gold has images.

    Over all images, and as means over pages, since a few pages show hundreds of formulas.
    """
    wanted = [(page, images) for page, images in _pages_with_images() if images]
    measured = list(measure((page for page, _ in wanted), chosen))
    if not measured:
        return {}
    judged = judge(measured, chosen.rules)
    found = np.array([
        (len(images), _matched(images, one.document.nodes), *_shown(images, verdict.nodes))
        for one, verdict, (_, images) in zip(measured, judged, wanted, strict=True)
    ])  # fmt: skip
    total, extracted, hits, shipped = found.sum(axis=0)
    per_page = found[found[:, 3] > 0]
    return {
        "pages": len(wanted), "images": int(total), "extracted": extracted / total,
        "recall": hits / total, "precision": hits / max(1, shipped),
        "page_recall": float(np.mean(found[:, 2] / found[:, 0])),
        "page_precision": float(np.mean(per_page[:, 2] / per_page[:, 3])),
    }  # fmt: skip


def _pages_with_images() -> Iterator[tuple[Page, list[set[str]]]]:
    for page in pages(extract_images.SOURCES):
        distinct = {frozenset(names): names for names in extract_images.gold_images(page)}
        yield page, list(distinct.values())


def _shown(images: list[set[str]], nodes: Sequence[Node]) -> tuple[int, int]:
    """Count the images of the gold that are shown, and all distinct images that are."""
    return _matched(images, nodes), len({node.url for node in nodes if node.kind == "image"})


def _matched(images: list[set[str]], nodes: Sequence[Node]) -> int:
    shown = [node for node in nodes if node.kind == "image"]
    return sum(place is not None for place in extract_images.match(images, shown))


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="default")
    parser.add_argument("--weights", action="store_true", help="the shipped content score as it is")
    parser.add_argument("--sets", default=",".join(HUMAN), help="gold sets, by name")
    arguments = parser.parse_args()
    if not GOLD.is_dir():
        print(f"shipped_quality: no gold data under {GOLD} (set BENBEN_SHARED)")
        return 2
    chosen = config.load(arguments.config, ["input=[x]"])
    found = measure_gold(arguments.sets.split(","), chosen, arguments.weights)
    measured = [one for one in found if one.page.text]
    judged = judge(measured, chosen.rules)
    texts = text_scores(measured, judged)
    details = {
        "texts": texts,
        "rules": rule_costs(measured, judged),
        "markdown": markdown_scores(measured, judged),
        "structure": structure_kept(measured, judged),
        "images": image_scores(chosen),
    }
    figure.report("shipped_quality", texts["all"]["shipped"], texts["all"]["trafilatura"],
                  unit="token F1", config=arguments.config, **details)  # fmt: skip
    for title, table in details.items():
        _print(title, table if title != "images" else {"": table})
    return 0


def _print(title: str, table: dict[str, dict[str, Any]]) -> None:
    shown: Callable[[Any], str] = lambda v: f"{v:.3f}" if isinstance(v, float) else str(v)  # noqa: E731
    for name, values in table.items():
        print(f"  {title} {name}:", *(f"{key} {shown(value)}" for key, value in values.items()))


if __name__ == "__main__":
    sys.exit(main())
