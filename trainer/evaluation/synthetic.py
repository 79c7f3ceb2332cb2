"""Synthetic examples for evaluation: drawings whose captions name a colour and a shape."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benben.trainer.counter_rng import generator

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 90, 200),
    "yellow": (240, 200, 20),
    "black": (20, 20, 20),
    "purple": (140, 60, 170),
}
SHAPES = ("circle", "square", "triangle", "cross")


@dataclass(frozen=True)
class Example:
    """A drawing and what it shows."""

    colour: str
    shape: str
    png: bytes

    @property
    def caption(self) -> str:
        return f"A {self.colour} {self.shape}."


def draw(colour: str, shape: str, random: np.random.Generator, size: int = 48) -> bytes:
    """Return a PNG of one shape at a random place and size on a pale background."""
    ground = tuple(int(v) for v in random.integers(225, 256, 3))
    image = Image.new("RGB", (size, size), ground)
    pen, fill = ImageDraw.Draw(image), COLOURS[colour]
    r = int(random.integers(size // 5, size // 3))
    x, y = (int(random.integers(r + 1, size - r - 1)) for _ in range(2))
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    elif shape == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=fill)
    elif shape == "triangle":
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=fill)
    else:
        pen.rectangle((x - r, y - r // 3, x + r, y + r // 3), fill=fill)
        pen.rectangle((x - r // 3, y - r, x + r // 3, y + r), fill=fill)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def examples(count: int, *key: object) -> list[Example]:
    """Return random drawings; the same key gives the same ones."""
    random = generator("made", *key)
    result = []
    for _ in range(count):
        colour = str(random.choice(list(COLOURS)))
        shape = str(random.choice(SHAPES))
        result.append(Example(colour, shape, draw(colour, shape, random)))
    return result
