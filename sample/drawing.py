"""Draw one or two coloured shapes: pictures that a small vision-language model can learn to name.

Also holds what all drawing shares: colours, oversampling and image encoding.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

OVERSAMPLE = 3  # images are drawn this much larger and reduced, for smooth edges

RGB = {
    "red": (214, 40, 40),
    "orange": (245, 130, 30),
    "yellow": (250, 205, 20),
    "green": (40, 150, 70),
    "blue": (40, 90, 200),
    "purple": (125, 55, 165),
    "pink": (245, 130, 180),
    "brown": (125, 75, 40),
    "black": (15, 15, 15),
    "grey": (125, 125, 130),
    "turquoise": (60, 205, 200),
    "navy": (20, 30, 80),
    "teal": (20, 130, 130),
    "white": (252, 252, 250),
    "lightgrey": (215, 215, 218),
    "paleyellow": (252, 245, 205),
    "paleblue": (210, 230, 248),
}
COLOURS = tuple(RGB)[:11]  # of shapes
BACKGROUNDS = ("white", "black", "lightgrey", "paleyellow", "paleblue")
SHAPES = (
    *("circle", "square", "triangle", "rectangle", "star", "hexagon"),
    *("diamond", "cross", "ring", "crescent", "heart", "oval"),
)
RADIUS = {"small": 0.11, "medium": 0.17, "large": 0.24}  # of the shorter side
PLACES = {
    "centre": (0.5, 0.5),
    "left": (0.27, 0.5),
    "right": (0.73, 0.5),
    "top": (0.5, 0.27),
    "bottom": (0.5, 0.73),
    "top-left": (0.27, 0.27),
    "top-right": (0.73, 0.27),
    "bottom-left": (0.27, 0.73),
    "bottom-right": (0.73, 0.73),
}
Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A shape to draw, in the terms that captions use."""

    shape: str
    colour: str
    size: str
    place: str


def draw_shapes(shapes: list[Shape], background: str, width: int, height: int) -> Image.Image:
    """Draw shapes on a plain background; width and height in pixels."""
    image = Image.new("RGB", (width * OVERSAMPLE, height * OVERSAMPLE), RGB[background])
    pen = ImageDraw.Draw(image)
    side = min(image.size)
    for shape in shapes:
        across, down = PLACES[shape.place]
        centre = (across * image.width, down * image.height)
        draw_shape(pen, shape.shape, centre, RADIUS[shape.size] * side, RGB[shape.colour])
    return image.reduce(OVERSAMPLE)


def draw_shape(
    pen: ImageDraw.ImageDraw, shape: str, centre: Point, radius: float, colour: tuple[int, int, int]
) -> None:
    """Draw one shape around a centre; `radius` in pixels is that of the circle around it."""
    x, y = centre
    r = radius
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif shape == "oval":
        pen.ellipse((x - r, y - 0.6 * r, x + r, y + 0.6 * r), fill=colour)
    elif shape == "ring":
        pen.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=round(r * 0.35))
    elif shape == "cross":
        pen.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=colour)
        pen.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=colour)
    else:
        pen.polygon([(x + r * dx, y + r * dy) for dx, dy in outline(shape)], fill=colour)


def outline(shape: str) -> list[Point]:
    """Corners of a shape in the unit circle, with y pointing down. Raises ValueError."""
    if shape == "square":
        return [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
    if shape == "rectangle":
        return [(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)]
    if shape == "diamond":
        return [(0, -1), (0.65, 0), (0, 1), (-0.65, 0)]
    if shape == "triangle":
        return _regular_polygon(3)
    if shape == "hexagon":
        return _regular_polygon(6)
    if shape == "star":
        outer, inner = _regular_polygon(5), _regular_polygon(5, 0.4, math.pi / 5)
        return [point for pair in zip(outer, inner, strict=True) for point in pair]
    if shape == "crescent":
        return _crescent()
    if shape == "heart":
        return [_heart(turn * math.tau / 60) for turn in range(60)]
    raise ValueError(f"no shape named {shape!r}; known: {', '.join(SHAPES)}")


def _regular_polygon(corners: int, radius: float = 1.0, start: float = 0.0) -> list[Point]:
    turns = [start + index * math.tau / corners for index in range(corners)]
    return [(radius * math.sin(turn), -radius * math.cos(turn)) for turn in turns]


def _crescent() -> list[Point]:
    """The unit disc without a disc of radius 0.8 whose centre lies 0.5 to the right."""
    outer = [math.radians(degrees) for degrees in range(53, 308, 3)]
    inner = [math.radians(degrees) for degrees in range(277, 82, -3)]
    return [(math.cos(turn), math.sin(turn)) for turn in outer] + [
        (0.5 + 0.8 * math.cos(turn), 0.8 * math.sin(turn)) for turn in inner
    ]


def _heart(turn: float) -> Point:
    across = 16 * math.sin(turn) ** 3
    up = 13 * math.cos(turn) - 5 * math.cos(2 * turn) - 2 * math.cos(3 * turn) - math.cos(4 * turn)
    return across / 17, -up / 17


def encode(image: Image.Image, extension: str) -> bytes:
    """Encode an image as png, jpg, webp or gif."""
    stream = io.BytesIO()
    if extension == "jpg":
        image.save(stream, "JPEG", quality=88)
    elif extension == "webp":
        image.save(stream, "WEBP", quality=88, method=4)
    else:
        image.save(stream, extension.upper())
    return stream.getvalue()
