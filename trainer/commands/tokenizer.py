"""`benben-train tokenizer train|report`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the `tokenizer` command and its actions."""
    parser = commands.add_parser(
        "tokenizer", help="train a tokenizer; report its cost for each language"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    train = actions.add_parser("train", help="byte-level BPE with language-weighted sampling")
    train.set_defaults(run=_train)
    train.add_argument(
        "--vocab", type=int, default=32_000, help="special and reserved tokens included"
    )
    train.add_argument("--reserved", type=int, default=200, help="ids kept for later")
    train.add_argument(
        "--tp", type=int, default=1, help="tensor-parallel degree that the rows are padded for"
    )
    report = actions.add_parser("report", help="fertility, bytes per token, parity, pass or fail")
    report.set_defaults(run=_report)
    report.add_argument("--baseline-vocab", type=int, help="a fifth of the vocabulary by default")
    report.add_argument(
        "--gap", type=float, help="share by which a language may exceed its baseline"
    )
    for action in (train, report):
        action.add_argument(
            "--data", nargs="+", required=True, help="folders or globs of parquet files"
        )
        action.add_argument("--out", type=Path, required=True, help="folder of the tokenizer")
        action.add_argument("--alpha", type=float, default=0.3, help="languages by n ** alpha")
        action.add_argument("--bytes", type=float, default=1e9, help="of text trained on")
        action.add_argument("--seed", type=int, default=0)


def _texts(options: argparse.Namespace) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return training and held-out texts: every tenth text of a language is held out."""
    from benben.trainer.data.corpus import Corpus
    from benben.trainer.tokenizer import training as tokenizer

    corpora = [Corpus(path) for path in options.data]
    texts = tokenizer.sample(corpora, options.alpha, int(options.bytes), options.seed)
    training = {lang: [t for i, t in enumerate(v) if i % 10] for lang, v in texts.items()}
    return training, {lang: v[::10] for lang, v in texts.items()}


def _train(options: argparse.Namespace) -> None:
    from benben.trainer.tokenizer import training as tokenizer

    training, _ = _texts(options)
    made = tokenizer.train(training, options.vocab, options.reserved)
    options.out.mkdir(parents=True, exist_ok=True)
    made.save(str(options.out / "tokenizer.json"))
    size = made.get_vocab_size()
    padded = tokenizer.rows(size, options.tp)
    print(f"{options.out / 'tokenizer.json'}: {size:,} ids, {padded:,} rows at tp {options.tp}")
    for lang, texts in training.items():
        print(f"  {lang}: {sum(len(t.encode()) for t in texts):,} bytes")


def _report(options: argparse.Namespace) -> int:
    from benben.trainer.tokenizer import fertility
    from benben.trainer.tokenizer import training as tokenizer

    training, held_out = _texts(options)
    made = tokenizer.load(options.out)
    most = fertility.GAP if options.gap is None else options.gap
    share = int(made.get_vocab_size() * fertility.BASELINE_SHARE)
    lines = fertility.report(made, held_out, training, options.baseline_vocab or max(share, 512))
    text = fertility.table(lines, most)
    (options.out / "fertility.md").write_text(text)
    (options.out / "fertility.json").write_text(json.dumps(fertility.to_json(lines), indent=1))
    print(text)
    failed = [line.lang for line in lines if not line.passes(most)]
    if failed:
        print(f"gate: {', '.join(failed)} exceed their own tokenizers by more than {most:.0%}")
    return int(bool(failed))
