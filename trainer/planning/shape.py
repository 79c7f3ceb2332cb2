"""A decoder's shape as matrix products, and the time of a step predicted from them."""

from __future__ import annotations

from dataclasses import dataclass

from benben.trainer.planning.gemm import ELEMENT, Gemm, Measured, alignment, score
from benben.trainer.planning.hardware import Gpu, facts
from benben.trainer.settings import LMConfig


@dataclass(frozen=True)
class Work:
    """Work of one GPU at a time: sequences and their length, tensor-parallel degree, attention."""

    sequences: int = 4
    length: int = 2048
    tp: int = 1
    fused: bool = True  # attention that never writes its scores
    recompute: bool = True
    causal: bool = True  # fused attention leaves out the upper half

    @property
    def tokens(self) -> int:
        return self.sequences * self.length


def layer_gemms(lm: LMConfig, work: Work) -> list[Gemm]:
    """Return the products of one layer on one GPU, attention's scores aside when it is fused."""
    t, h, tokens = work.tp, lm.hidden, work.tokens
    wide, narrow, ffn = lm.heads * lm.dim // t, lm.kv * lm.dim // t, lm.ffn // t
    gemms = [
        Gemm("q", tokens, wide, h),
        Gemm("k, v", tokens, narrow, h, count=2),
        Gemm("o", tokens, h, wide),
        Gemm("up", tokens, ffn, h, count=2 if lm.activation != "gelu" else 1),
        Gemm("down", tokens, h, ffn),
    ]
    if not work.fused:
        batch = work.sequences * lm.heads // t
        gemms += [
            Gemm("scores", work.length, work.length, lm.dim, batch),
            Gemm("values", work.length, lm.dim, work.length, batch),
        ]
    return gemms


def head_gemm(lm: LMConfig, work: Work) -> Gemm:
    return Gemm("head", work.tokens, lm.rows // work.tp, lm.hidden)


def gemm_seconds(gemm: Gemm, gpu: Gpu, passes: int, measured: Measured | None = None) -> float:
    """Return the seconds of a product: `passes` forward and one backward."""
    forward = score(gemm, gpu, measured).seconds
    backward = sum(score(g, gpu, measured).seconds for g in gemm.backward())
    return gemm.count * (passes * forward + backward)


def layer_seconds(lm: LMConfig, work: Work, gpu: Gpu, measured: Measured | None = None) -> float:
    """Return the seconds of one layer's forward, backward and recomputation.

    `odd_heads` slows unfused attention of head counts that are no power of two. It has no source:
    it was fitted to BLOOM's published table, which ranks one of its slow rows too fast without it.
    """
    passes = 1 + work.recompute
    odd = not work.fused and not _power_of_two(lm.heads // work.tp)
    seconds = 0.0
    for gemm in layer_gemms(lm, work):
        time = gemm_seconds(gemm, gpu, passes, measured)
        seconds += time / facts()["odd_heads"] if odd and gemm.batch > 1 else time
    attention = _fused(lm, work, gpu) if work.fused else _scores(lm, work, gpu)
    return seconds + attention * (passes + 2) / 3 + _small(lm, work, gpu) * (passes + 2)


def _power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _fused(lm: LMConfig, work: Work, gpu: Gpu) -> float:
    """Return the seconds of fused attention, forward and backward."""
    flop = 3 * 4.0 * work.tokens * work.length * lm.heads * lm.dim / work.tp
    flop /= 2 if work.causal else 1
    return flop / (gpu.tflops * 1e12 * facts()["reach"]["attention"] * alignment(lm.dim))


def _scores(lm: LMConfig, work: Work, gpu: Gpu) -> float:
    """Return the seconds that score matrices spend in memory traffic outside the products."""
    size = ELEMENT * work.sequences * lm.heads / work.tp * work.length**2
    return float(size * facts()["score_passes"] / (gpu.gbs * 1e9))


def _small(lm: LMConfig, work: Work, gpu: Gpu) -> float:
    """Return the seconds of norms, residuals and activation in one pass: bound by memory."""
    values = work.tokens * (6 * lm.hidden + 3 * lm.ffn / work.tp)
    return values * ELEMENT / (gpu.gbs * 1e9)


def step_seconds(lm: LMConfig, work: Work, gpu: Gpu, measured: Measured | None = None) -> float:
    """Return the seconds of forward and backward through layers and head on one GPU."""
    layers = lm.layers * layer_seconds(lm, work, gpu, measured)
    return layers + gemm_seconds(head_gemm(lm, work), gpu, 1, measured)


def parameters(lm: LMConfig) -> int:
    """Return the decoder's number of parameters, padding of the vocabulary included."""
    h, wide, narrow = lm.hidden, lm.heads * lm.dim, lm.kv * lm.dim
    ups = 2 if lm.activation != "gelu" else 1
    layer = h * (2 * wide + 2 * narrow) + (ups + 1) * h * lm.ffn
    if lm.bias:
        layer += wide + 2 * narrow + h + ups * lm.ffn + h
    norm = h * (2 if lm.norm == "layernorm" else 1)
    total = lm.layers * (layer + 2 * norm) + norm * (2 if lm.embed_norm else 1)
    total += lm.rows * h * (1 if lm.tie else 2)
    return total + (lm.max_positions * h if lm.positions == "learned" else 0)
