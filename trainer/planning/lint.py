"""Checks a model's sizes against what hardware does well; says why and names the nearest good size.

Rules of the co-design paper (Anthony et al. 2024): inner sizes of products should be multiples of
64 elements per GPU, the vocabulary padded, heads wide. The trainer's own rules: which sizes the
parallel degrees must divide.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from benben.trainer.planning import hardware, published
from benben.trainer.planning.shape import Work, gemm_seconds, layer_gemms
from benben.trainer.settings import Config, FusionName, LMConfig


@dataclass(frozen=True)
class Finding:
    """One finding. `error`: cannot run; `warning`: slow; `note`: could be better."""

    rule: str
    severity: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.severity} {self.rule}: {self.why}; {self.fix}"


Check = Callable[[Config, dict[str, Any]], Iterator[Finding]]


def lint(config: Config) -> list[Finding]:
    """Return every finding on a config whose decoder's sizes are known, errors first."""
    if not published.is_known(config.model.lm):
        return []
    config = published.with_sizes(config)
    limits = hardware.facts()["lint"]
    found = [finding for check in CHECKS for finding in check(config, limits)]
    if config.model.lm.hidden < limits["from_hidden"]:
        found = [f for f in found if f.severity == "error"]
    return sorted(found, key=lambda f: ("error", "warning", "note").index(f.severity))


def report(config: Config) -> list[Finding]:
    """Print warnings to stderr (once under torchrun); return the errors."""
    found = lint(config)
    if os.environ.get("RANK", "0") == "0":
        for finding in found:
            if finding.severity == "warning":
                print(f"benben-train: {finding}", file=sys.stderr)
    return [f for f in found if f.severity == "error"]


def nearest(size: int, multiple: int) -> int:
    """Return the multiple nearest to a size; the larger one on a tie."""
    return max(multiple, (size + multiple // 2) // multiple * multiple)


def vocabulary_multiple(tp: int) -> int:
    """Return the number whose multiple the embedding's rows should be."""
    limits = hardware.facts()["lint"]
    return math.lcm(limits["vocabulary"], limits["elements"] * tp)


def _head_dim(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    lm, tp = config.model.lm, config.parallel.tp
    if lm.dim % limits["elements"] == 0:
        return
    fits = [d for d in limits["head_dims"] if lm.hidden % d == 0 and (lm.hidden // d) % tp == 0]
    wider = [d for d in fits if d > lm.dim] or fits[-1:]
    fix = f"use {wider[0]} ({lm.hidden // wider[0]} heads)" if wider else "change hidden first"
    why = f"head dimension {lm.dim} is no multiple of {limits['elements']}"
    yield Finding("head-dim", "warning", f"{why}: tensor cores' loads of 128 bytes go unused", fix)


def _vocabulary(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    lm, multiple = config.model.lm, vocabulary_multiple(config.parallel.tp)
    if lm.rows % multiple:
        rows = -(-lm.rows // multiple) * multiple
        why = f"{lm.rows:,} rows of the vocabulary are no multiple of {multiple}"
        fix = f"set vocab_multiple {multiple} ({rows:,} rows)"
        yield Finding("vocabulary", "warning", f"{why}: the head is the largest product", fix)


def _hidden(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    hidden = config.model.lm.hidden
    if hidden % limits["elements"]:
        fix = f"use {nearest(hidden, limits['elements']):,}"
        why = f"hidden {hidden:,} is no multiple of {limits['elements']}: every product is slower"
        yield Finding("hidden", "warning", why, fix)


def _mlp(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    lm, tp = config.model.lm, config.parallel.tp
    if lm.ffn % (limits["elements"] * tp):
        best = ", ".join(f"{width:,}" for width in widths(lm, tp)[:3])
        why = f"intermediate {lm.ffn:,} is no multiple of {limits['elements'] * tp}"
        yield Finding("mlp-width", "warning", f"{why}: two thirds of the work suffer", best)


def widths(lm: LMConfig, tp: int = 1, gpu: str = "a100") -> list[int]:
    """Return widths near the MLP's: least time per unit of width first, then nearest."""
    limits, card = hardware.facts()["lint"], hardware.gpu(gpu)
    step, work = limits["elements"] * tp, Work(tp=tp)
    low, high = (lm.ffn * (1 + s * limits["width_window"]) for s in (-1, 1))
    found = []
    for width in range(math.ceil(low / step) * step, int(high) + 1, step):
        shape = lm.model_copy(update={"intermediate": width})
        mlp = [g for g in layer_gemms(shape, work) if g.name in ("up", "down")]
        time = sum(gemm_seconds(g, card, 2) for g in mlp) / width
        found.append((float(f"{time:.2g}"), abs(width - lm.ffn), width))
    return [width for _, _, width in sorted(found)]


def _degrees(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    lm, tp, sp = config.model.lm, config.parallel.tp, config.parallel.sp
    for name, size in (("heads", lm.heads), ("kv_heads", lm.kv), ("intermediate", lm.ffn)):
        if size % tp:
            why = f"{name} {size:,} does not divide among {tp} tensor ranks"
            yield Finding("tensor-ranks", "error", why, f"use {nearest(size, tp):,}")
    heads, kv = lm.heads // tp, max(lm.kv // tp, 1)
    if sp > 1 and heads % sp:
        why = f"{heads} heads of a tensor rank do not divide among {sp} sequence ranks"
        yield Finding("sequence-ranks", "error", why, f"use sp {math.gcd(heads, sp)}")
    elif sp > 1 and kv % sp and sp % kv:
        why = f"{kv} key-value heads neither divide nor replicate to {sp} sequence ranks"
        yield Finding("sequence-ranks", "error", why, f"use sp {math.gcd(kv, sp)}")
    if config.data.seq_len % sp:
        fix = f"use {nearest(config.data.seq_len, limits['sequence'] * sp):,}"
        why = f"seq_len {config.data.seq_len:,} does not divide among {sp} sequence ranks"
        yield Finding("sequence", "error", why, fix)


def _lengths(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    multiple, length = limits["sequence"] * config.parallel.sp, config.data.seq_len
    if length % multiple:
        why = f"seq_len {length:,} is no multiple of {multiple}"
        yield Finding("sequence", "note", why, f"use {nearest(length, multiple):,}")
    for name in ("tile_loss", "tile_mlp"):
        tile = getattr(config.memory, name)
        if tile % limits["tile"]:
            fix = f"use {nearest(tile, limits['tile']):,}"
            why = f"memory.{name} {tile:,} is no multiple of {limits['tile']}"
            yield Finding("tile", "warning", f"{why}: each tile ends in a part of one", fix)
    if config.model.lm.layers % config.memory.group:
        why = f"{config.model.lm.layers} layers do not divide by memory.group"
        yield Finding("group", "note", why, "choose a divisor of the layers")


def _vision(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    vision = config.model.vision
    if vision is None or vision.huggingface:
        return
    side, left = divmod(vision.image_size, vision.patch_size)
    if left:
        why = f"patches of {vision.patch_size} leave {left} pixels of {vision.image_size} unseen"
        fix = f"use image_size {side * vision.patch_size}"
        yield Finding("patches", "note", why, fix)
    if vision.connector == "pixel_shuffle" and side % vision.shuffle:
        why = f"{side} patches a side do not divide by shuffle {vision.shuffle}"
        fits = [d for d in range(1, side + 1) if side % d == 0]
        best = min(fits, key=lambda d: abs(d - vision.shuffle))
        yield Finding("shuffle", "error", why, f"use shuffle {best}")


def _fusion(config: Config, limits: dict[str, Any]) -> Iterator[Finding]:
    known, fusion = get_args(FusionName), config.model.fusion
    if fusion not in known:  # a config that was changed after it was checked
        why, fix = f"fusion {fusion!r} is unknown", f"use {' or '.join(known)}"
        yield Finding("fusion", "error", why, fix)


CHECKS: tuple[Check, ...] = (
    _fusion,
    _degrees,
    _head_dim,
    _vocabulary,
    _hidden,
    _mlp,
    _lengths,
    _vision,
)
