"""`benben-train shape` and `benben-train size`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

CACHE = Path("build/gemm")


def add_shape(commands: Any) -> None:
    """Add the `shape` command."""
    parser = commands.add_parser(
        "shape", help="cost of a decoder's shape, and faster shapes near it"
    )
    parser.add_argument("config", help="a YAML file, or the name of a config in configs/trainer")
    parser.add_argument("overrides", nargs="*", help="dotted.key=value")
    parser.add_argument("--gpu", default="h200", help="v100, a100, h100 or h200")
    parser.add_argument("--sequences", type=int, default=1, help="a GPU at a time")
    parser.add_argument(
        "--unfused", action="store_true", help="attention that writes its scores to memory"
    )
    parser.add_argument("--search", action="store_true", help="shapes of equal parameters")
    parser.add_argument("--measure", action="store_true", help="time products on this GPU")
    parser.add_argument("--tables", type=Path, default=CACHE, help="folder of measured tables")
    parser.set_defaults(run=_shape)


def _shape(options: argparse.Namespace) -> int:
    from benben.trainer.config import load
    from benben.trainer.planning import gemm, hardware, lint, published, search, shape

    config = load(options.config, options.overrides, check=False)
    card, lm = hardware.gpu(options.gpu), published.with_sizes(config).model.lm
    work = shape.Work(
        options.sequences, config.data.seq_len, config.parallel.tp, not options.unfused
    )
    found = lint.lint(config)
    for finding in found:
        print(finding)
    print(f"{len(found) or 'no'} remarks; {shape.parameters(lm):,} parameters of the decoder")
    gemms = [*shape.layer_gemms(lm, work), shape.head_gemm(lm, work)]
    table = _table(options, gemms)
    row = "{:8} {:>7} {:>7} {:>7} {:>6} {:>9} {:>5} {:>5} {:>5} {:>8} {}"
    names = "product m n k batch tile area waves align ms bound"
    print(row.format(*names.split()))
    for one in gemms:
        s = gemm.score(one, card, table)
        shares = (f"{v:.2f}" for v in (s.tile_share, s.wave_share, s.alignment))
        tile, ms = "x".join(map(str, s.tile)), f"{s.seconds * 1e3:.3f}"
        print(row.format(one.name, one.m, one.n, one.k, one.batch, tile, *shares, ms, s.bound))
    seconds = shape.step_seconds(lm, work, card, table)
    source = "measured where possible" if table else "predicted"
    print(f"{work.tokens / seconds:,.0f} tokens/s a GPU ({card.name}, {source})")
    if options.search:
        _front(search.neighbours(lm, work, card, table))
    return int(any(f.severity == "error" for f in found))


def _table(options: argparse.Namespace, gemms: list[Any]) -> Any:
    """Return measured seconds: measured now with --measure, else those stored for this device."""
    import torch

    from benben.trainer.planning import measure

    if not options.measure and not torch.cuda.is_available():
        return None
    path = measure.table_path(options.tables, measure.device_name())
    return measure.measure(gemms, path) if options.measure else measure.load(path)


def _front(candidates: list[Any]) -> None:
    row = "{:>7} {:>6} {:>6} {:>8} {:>8} {:>12} {:>16} {:>11} {:>8}"
    names = "hidden layers heads kv_heads head_dim intermediate parameters tokens/s speedup"
    print(row.format(*names.split()))
    for c in candidates:
        sizes = (c.lm.hidden, c.lm.layers, c.lm.heads, c.lm.kv, c.lm.dim, c.lm.ffn)
        speed = f"{c.tokens_per_second:,.0f}"
        print(row.format(*sizes, f"{c.parameters:,}", speed, f"{c.speedup:.3f}"))


def add_size(commands: Any) -> None:
    """Add the `size` command."""
    parser = commands.add_parser("size", help="parameters, tokens and days that a budget pays for")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="runs to fit a law to")
    parser.add_argument("--gpu-hours", type=float)
    parser.add_argument("--tflops", type=float, help="measured, a GPU")
    parser.add_argument("--no-recompute", action="store_true", help="--tflops counts 6 N T")
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--gpu", default="h200", help="GPU whose speed is predicted for each shape")
    parser.add_argument(
        "--parameters", type=float, help="tokens that the budget gives a model of this size"
    )
    parser.add_argument(
        "--language", nargs=3, action="append", default=[], help="LANG SHARE TOKENS"
    )
    parser.set_defaults(run=_size)


def _size(options: argparse.Namespace) -> None:
    from benben.common.config_files import ConfigError
    from benben.trainer.planning import budget as budgets
    from benben.trainer.planning import scaling

    law = _fit(options.runs) if options.runs else None
    if not options.gpu_hours or not options.tflops:
        if not law:
            raise ConfigError("give --gpu-hours and --tflops, or --runs to fit a law, or all three")
        return
    budget = budgets.Budget(options.gpu_hours, options.tflops, not options.no_recompute)
    shares = {lang: float(share) for lang, share, _ in options.language}
    needs = {lang: float(need) for lang, _, need in options.language}
    least = budgets.least_tokens(needs, shares)
    print(f"{budget.model_flop:.3g} model FLOP, {budget.days(options.gpus):,.1f} days")
    if least:
        print(f"languages need {least:.4g} tokens")
    c = scaling.CHINCHILLA
    print(f"Kaplan: N = 1.3e9 C^0.73 (PF-days); Chinchilla: {c}")
    found = budgets.choices(budget, law, least)
    if options.parameters:
        found["as asked"] = (options.parameters, budget.tokens(options.parameters))
    for rule, (parameters, tokens) in found.items():
        short = "" if tokens >= least * 0.999 else "  (too few for the languages)"
        loss = f"  loss {law.loss(parameters, tokens):.3f}" if law else ""
        print(f"{rule}: {parameters:.4g} parameters, {tokens:.4g} tokens{loss}{short}")
        _candidates(parameters, options.gpu)


def _candidates(parameters: float, gpu: str) -> None:
    from benben.trainer.planning import hardware, search, shape
    from benben.trainer.settings import LMConfig

    like = LMConfig(vocab_size=128256)
    for c in search.of_size(parameters, like, shape.Work(), hardware.gpu(gpu), 3):
        sizes = f"hidden {c.lm.hidden:,}, {c.lm.layers} layers, {c.lm.heads} heads"
        print(f"  {sizes}, intermediate {c.lm.ffn:,}: {c.tokens_per_second:,.0f} tokens/s a GPU")


def _fit(paths: list[Path]) -> Any:
    from benben.trainer.planning import scaling

    runs = scaling.read_runs(paths)
    law = scaling.fit(runs)
    laws = scaling.bootstrap(runs, law)
    for name in ("e", "a", "alpha", "b", "beta"):
        found = getattr(law, name)
        low, high = scaling.interval(found, [getattr(one, name) for one in laws])
        print(f"{name:5} {found:.4g}  95% {low:.4g} .. {high:.4g}")
    scale, gamma = scaling.fit_compute(runs)
    print(f"L(C) = ({scale:.3g} / C)^{gamma:.4f} over {len(runs)} runs")
    return law
