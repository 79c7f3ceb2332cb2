"""Cost of a matrix product on a GPU: tiles, waves, alignment and the roofline.

Anthony et al. 2024 ("The Case for Co-Designing Model Architectures with Hardware"): the output
is cut into tiles. Tiles run in waves, one tile per multiprocessor. What the last tile or wave
leaves empty is lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benben.trainer.planning.hardware import Gpu, facts

ELEMENT = 2  # bytes, bfloat16


@dataclass(frozen=True)
class Gemm:
    """`batch` products (m, k) x (k, n), `count` times per layer."""

    name: str
    m: int
    n: int
    k: int
    batch: int = 1
    count: int = 1

    @property
    def flop(self) -> float:
        return 2.0 * self.m * self.n * self.k * self.batch

    @property
    def bytes(self) -> float:
        return float(ELEMENT * self.batch * (self.m * self.k + self.k * self.n + self.m * self.n))

    def backward(self) -> tuple[Gemm, Gemm]:
        """Return the products for the gradients by its inputs and by its weights."""
        return (
            Gemm(f"{self.name} by inputs", self.m, self.k, self.n, self.batch, self.count),
            Gemm(f"{self.name} by weights", self.k, self.n, self.m, self.batch, self.count),
        )


@dataclass(frozen=True)
class Score:
    """How well a product fits: shares between 0 and 1, and its seconds."""

    tile: tuple[int, int]
    tile_share: float  # of the tiles' area that is output
    wave_share: float  # of the waves' places that hold a tile
    alignment: float
    seconds: float
    bound: str  # compute, memory or measured


Measured = Mapping[tuple[int, int, int, int], float]  # (batch, m, n, k) to seconds


def wave_share(tiles: int, sms: int) -> float:
    """Return the share of the waves' places that are filled."""
    waves = tiles / sms
    return waves / math.ceil(waves)


def alignment(*sizes: int) -> float:
    """Return the share of full speed that the worst-aligned inner size allows."""
    table: dict[int, float] = facts()["alignment"]
    worst = min(_power(size, max(table)) for size in sizes)
    return table[worst]


def _power(size: int, most: int) -> int:
    return min(size & -size, most)


def score(gemm: Gemm, gpu: Gpu, measured: Measured | None = None) -> Score:
    """Return a product's cost with its best tile; a measured time stands in where there is one."""
    found = [_tiled(gemm, gpu, tile) for tile in map(tuple, facts()["tiles"])]
    best = min(found, key=lambda s: s.seconds)
    seconds = (measured or {}).get((gemm.batch, gemm.m, gemm.n, gemm.k))
    if seconds is None:
        return best
    return Score(best.tile, best.tile_share, best.wave_share, best.alignment, seconds, "measured")


def _tiled(gemm: Gemm, gpu: Gpu, tile: tuple[int, ...]) -> Score:
    rows, columns = tile
    tiles = gemm.batch * math.ceil(gemm.m / rows) * math.ceil(gemm.n / columns)
    area = gemm.batch * gemm.m * gemm.n / (tiles * rows * columns)
    filled, aligned = wave_share(tiles, gpu.sms), alignment(gemm.n, gemm.k)
    peak = gpu.tflops * 1e12 * facts()["reach"]["gemm"]
    compute = gemm.flop / (peak * area * filled * aligned)
    memory = gemm.bytes / (gpu.gbs * 1e9)
    bound = "compute" if compute >= memory else "memory"
    return Score((rows, columns), area, filled, aligned, max(compute, memory), bound)
