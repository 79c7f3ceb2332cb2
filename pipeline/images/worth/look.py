"""What a picture looks like, as a few hundred numbers: colours, edges, and where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
SIDE = 32  # pixels of the copy that is measured
LEVELS = 4  # of each colour in the histogram
HUES, VIVID = 12, 0.1  # hues in the histogram; saturation from which a pixel has one
CELLS, DIRECTIONS = 4, 8  # cells of a side and directions of the histograms of edges
LUMA = np.array((0.299, 0.587, 0.114))  # ITU-R BT.601
# Sizes of the groups of numbers, in order: histogram of colours, of hues (dark and bright),
# directions of edges by cell, grey levels, mean colours by cell.
GROUPS = (LEVELS**3, 2 * HUES, CELLS**2 * DIRECTIONS, 64, CELLS**2 * 3)


def measure(picture: Image.Image) -> list[float]:
    """Measure a picture: sum(GROUPS) numbers in 0..1, rounded to 4 digits.

    Shape and size of the picture do not count; they are in the table `images`.
    """
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float64) / 255
    grey = pixels @ LUMA
    groups = (_colours(pixels), _hues(pixels), _edges(grey), _cells(grey, 8), _cells(pixels, CELLS))
    return [round(float(value), 4) for value in np.concatenate([one.ravel() for one in groups])]


def _colours(pixels: Floats) -> Floats:
    level = np.minimum((pixels * LEVELS).astype(np.int64), LEVELS - 1)
    code = level @ np.array((LEVELS**2, LEVELS, 1))
    found: Floats = np.sqrt(np.bincount(code.ravel(), minlength=LEVELS**3) / code.size)
    return found


def _hues(pixels: Floats) -> Floats:
    """Histogram of hues, weighted by saturation, for dark pixels and for bright ones."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    high, spread = pixels.max(-1), np.ptp(pixels, axis=-1)
    safe = np.maximum(spread, 1e-9)
    sector = np.select(
        [spread < 1e-6, high == red, high == green],
        [0, ((green - blue) / safe) % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    code = (sector * HUES / 6).astype(np.int64) % HUES * 2 + (high > 0.6)
    weights = np.where(spread > VIVID, spread, 0).ravel()
    found: Floats = np.sqrt(np.bincount(code.ravel(), weights, 2 * HUES) / code.size)
    return found


def _edges(grey: Floats) -> Floats:
    """Histograms of the directions of edges (Dalal and Triggs 2005), one a cell, together 1."""
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    down[1:-1] = grey[2:] - grey[:-2]
    turn = (np.arctan2(down, across) % np.pi) / np.pi
    direction = (turn * DIRECTIONS).astype(np.int64) % DIRECTIONS
    place = np.arange(SIDE) // (SIDE // CELLS)
    code = (place[:, None] * CELLS + place) * DIRECTIONS + direction
    weights = np.hypot(across, down).ravel()
    total = max(float(weights.sum()), 1e-6)
    found: Floats = np.sqrt(np.bincount(code.ravel(), weights, CELLS**2 * DIRECTIONS) / total)
    return found


def _cells(values: Floats, cells: int) -> Floats:
    """Mean of each of cells x cells parts of the picture."""
    side = SIDE // cells
    found: Floats = values.reshape(cells, side, cells, side, -1).mean((1, 3))
    return found
