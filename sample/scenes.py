"""Draw simple scenes and charts in two named colours, so that captions can mention them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

from benben.sample.drawing import OVERSAMPLE, RGB

Colour = tuple[int, int, int]
Scene = Callable[["Canvas", Colour, Colour], None]
SKY, SEA, GRASS, WOOD, PAPER, INK = (
    (205, 228, 246),
    (70, 130, 180),
    (130, 180, 95),
    (120, 80, 50),
    (250, 248, 240),
    (60, 60, 60),
)


class Canvas:
    """A drawing surface of 100 x 75 units, with the origin at the top left."""

    def __init__(self, width: int, height: int, seed: str) -> None:
        self.image = Image.new("RGB", (width * OVERSAMPLE, height * OVERSAMPLE), SKY)
        self.random = random.Random(seed)
        self._pen = ImageDraw.Draw(self.image)
        self._x, self._y = self.image.width / 100, self.image.height / 75

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Fill a rectangle."""
        corners = (left * self._x, top * self._y, right * self._x, bottom * self._y)
        self._pen.rectangle(corners, fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: Colour, flat: float = 1.0) -> None:
        """Fill a circle, or an ellipse `flat` times as high as wide."""
        rx, ry = radius * self._x, radius * self._x * flat
        x, y = x * self._x, y * self._y
        self._pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)

    def area(self, *points: tuple[float, float], fill: Colour) -> None:
        """Fill a polygon."""
        self._pen.polygon([(x * self._x, y * self._y) for x, y in points], fill=fill)

    def line(self, *points: tuple[float, float], fill: Colour, width: float = 1.0) -> None:
        """Draw connected lines; `width` in units."""
        scaled = [(x * self._x, y * self._y) for x, y in points]
        self._pen.line(scaled, fill=fill, width=round(width * self._x), joint="curve")

    def slice(self, start: float, end: float, fill: Colour) -> None:
        """Fill a slice of a pie at the centre of the canvas; angles in degrees."""
        radius = 30 * self._y
        x, y = 50 * self._x, 37.5 * self._y
        box = (x - radius, y - radius, x + radius, y + radius)
        self._pen.pieslice(box, start, end, fill=fill)


def draw_scene(
    name: str, main: str, second: str, seed: str, width: int, height: int
) -> Image.Image:
    """Draw a scene by name in two colours; the seed varies what captions do not mention.

    Width and height are in pixels.
    """
    canvas = Canvas(width, height, seed)
    SCENES[name](canvas, RGB[main], RGB[second])
    return canvas.image.resize((width, height), Image.Resampling.LANCZOS)


def boat(canvas: Canvas, main: Colour, second: Colour) -> None:
    x = canvas.random.uniform(40, 56)
    canvas.disc(canvas.random.uniform(12, 88), 12, 6, (255, 215, 90))
    canvas.box(0, 50, 100, 75, SEA)
    canvas.line((x, 48), (x, 10), fill=WOOD, width=1.4)
    canvas.area((x + 1, 12), (x + 24, 44), (x + 1, 44), fill=second)
    canvas.area((x - 26, 47), (x + 28, 47), (x + 18, 58), (x - 18, 58), fill=main)
    for wave in range(6):
        left = canvas.random.uniform(0, 90)
        canvas.line((left, 63 + wave * 2), (left + 9, 63 + wave * 2), fill=SKY, width=0.6)


def lighthouse(canvas: Canvas, main: Colour, second: Colour) -> None:
    x = canvas.random.uniform(35, 65)
    canvas.box(0, 58, 100, 75, SEA)
    canvas.disc(x, 66, 30, (110, 105, 100), flat=0.35)
    for band in range(5):
        top, slope = 18 + band * 8.4, band * 0.9
        corners = ((x - 6 - slope, top), (x + 6 + slope, top))
        low = ((x + 6.9 + slope, top + 8.4), (x - 6.9 - slope, top + 8.4))
        canvas.area(*corners, *low, fill=main if band % 2 == 0 else second)
    canvas.box(x - 5, 12, x + 5, 18, (255, 235, 140))
    canvas.area((x - 7, 12), (x, 6), (x + 7, 12), fill=INK)


def house(canvas: Canvas, main: Colour, second: Colour) -> None:
    x = canvas.random.uniform(38, 62)
    canvas.box(0, 58, 100, 75, GRASS)
    canvas.box(x - 22, 34, x + 22, 66, main)
    canvas.area((x - 26, 35), (x, 12), (x + 26, 35), fill=second)
    canvas.box(x - 4, 48, x + 4, 66, WOOD)
    for side in (-15, 9):
        canvas.box(x + side, 42, x + side + 7, 50, (190, 220, 240))


def hills(canvas: Canvas, main: Colour, second: Colour) -> None:
    canvas.box(0, 0, 100, 75, _half_way(second, 255))
    canvas.disc(canvas.random.uniform(15, 85), 14, 5, (255, 240, 170))
    for depth in range(3):
        shade = _darker(main, 25 * depth)
        for step in range(3):
            x = step * 45 + canvas.random.uniform(-12, 22)
            canvas.disc(x, 72 + depth * 8, 30 - depth * 3, shade, flat=0.8)


def tree(canvas: Canvas, main: Colour, second: Colour) -> None:
    x = canvas.random.uniform(38, 60)
    canvas.box(0, 60, 100, 75, GRASS if main != RGB["white"] else PAPER)
    canvas.area((x - 4, 66), (x + 4, 66), (x + 1, 30), (x - 3, 30), fill=second)
    for _ in range(14):
        dx, dy = canvas.random.uniform(-17, 15), canvas.random.uniform(-13, 11)
        canvas.disc(x + dx, 28 + dy, canvas.random.uniform(6, 10), main)


def night(canvas: Canvas, main: Colour, second: Colour) -> None:
    canvas.box(0, 0, 100, 75, main)
    for _ in range(40):
        x, y = canvas.random.uniform(0, 100), canvas.random.uniform(0, 50)
        canvas.disc(x, y, 0.5, (255, 255, 255))
    canvas.disc(canvas.random.uniform(20, 80), 18, 8, second)
    for step in range(3):
        canvas.disc(step * 45 + canvas.random.uniform(-5, 15), 84, 34, (12, 14, 30), flat=0.7)


def flower(canvas: Canvas, main: Colour, second: Colour) -> None:
    x, petals = canvas.random.uniform(42, 58), canvas.random.choice((6, 7, 8))
    canvas.box(0, 66, 100, 75, WOOD)
    canvas.line((x, 34), (x - 2, 68), fill=(60, 130, 60), width=2)
    canvas.disc(x - 9, 54, 8, (60, 130, 60), flat=0.4)
    for petal in range(petals):
        turn = petal * math.tau / petals
        canvas.disc(x + 12 * math.cos(turn), 28 + 12 * math.sin(turn), 7, main)
    canvas.disc(x, 28, 7, second)


def kite(canvas: Canvas, main: Colour, second: Colour) -> None:
    x, y = canvas.random.uniform(35, 65), 24
    canvas.box(0, 64, 100, 75, (235, 215, 160))
    tail = [(x - 3 * (step % 2) - step * 2, y + 19 + step * 4) for step in range(8)]
    canvas.line((x, y + 18), *tail, fill=second, width=1.6)
    canvas.area((x, y - 18), (x + 13, y), (x, y + 19), (x - 13, y), fill=main)
    canvas.line((x, y - 18), (x, y + 19), fill=INK, width=0.5)
    canvas.line((x - 13, y), (x + 13, y), fill=INK, width=0.5)


def train(canvas: Canvas, main: Colour, second: Colour) -> None:
    left = canvas.random.uniform(4, 14)
    canvas.box(0, 62, 100, 75, GRASS)
    canvas.box(0, 58, 100, 61, second)
    for car in range(2):
        x = left + car * 42
        canvas.box(x, 34, x + 39, 56, main)
        for window in range(4):
            canvas.box(x + 4 + window * 9, 39, x + 10 + window * 9, 46, (235, 240, 245))
        for wheel in (8, 31):
            canvas.disc(x + wheel, 57, 3.5, INK)


def fish(canvas: Canvas, main: Colour, second: Colour) -> None:
    x, y = canvas.random.uniform(42, 58), canvas.random.uniform(32, 44)
    canvas.box(0, 0, 100, 75, _half_way(second, 200))
    canvas.area((x + 16, y), (x + 32, y - 11), (x + 32, y + 11), fill=main)
    canvas.disc(x, y, 20, main, flat=0.55)
    canvas.disc(x - 11, y - 3, 2.2, (255, 255, 255))
    canvas.disc(x - 11, y - 3, 1.1, INK)
    for bubble in range(5):
        canvas.disc(x - 26 - bubble, y - 6 - bubble * 6, 1 + bubble * 0.3, (235, 245, 255))


def balloon(canvas: Canvas, main: Colour, second: Colour) -> None:
    x, y = canvas.random.uniform(38, 62), 27
    canvas.box(0, 66, 100, 75, GRASS)
    canvas.disc(x, y, 18, main, flat=1.1)
    canvas.box(x - 17.6, y - 3, x + 17.6, y + 4, second)
    for side in (-1, 1):
        canvas.line((x + side * 10, y + 18), (x + side * 4, y + 31), fill=WOOD, width=0.6)
    canvas.box(x - 5, y + 31, x + 5, y + 37, WOOD)


def bars(canvas: Canvas, main: Colour, second: Colour) -> None:
    canvas.box(0, 0, 100, 75, PAPER)
    heights = [canvas.random.uniform(12, 42) for _ in range(12)]
    best = canvas.random.randrange(5, 9)
    heights[best] = 54
    for month, height in enumerate(heights):
        x = 9 + month * 7.2
        canvas.box(x, 67 - height, x + 5, 67, second if month == best else main)
    canvas.line((6, 5), (6, 67), (97, 67), fill=INK, width=0.6)


def line(canvas: Canvas, main: Colour, second: Colour) -> None:
    canvas.box(0, 0, 100, 75, PAPER)
    for level in range(1, 6):
        canvas.line((8, 67 - level * 11), (96, 67 - level * 11), fill=second, width=0.3)
    climb = [(8 + step * 6, 67 - step * 13) for step in range(5)]
    fall = [(32 + step * 8, 15 + (step + step % 2) * 6.4) for step in range(1, 9)]
    canvas.line(*climb, *fall, fill=main, width=1.4)
    canvas.line((8, 5), (8, 67), (97, 67), fill=INK, width=0.6)


def pie(canvas: Canvas, main: Colour, second: Colour) -> None:
    canvas.box(0, 0, 100, 75, PAPER)
    canvas.slice(-90, 150, main)
    canvas.slice(150, 210, second)
    canvas.slice(210, 270, (190, 190, 195))


def _half_way(colour: Colour, grey: int) -> Colour:
    """The colour half-way between a colour and a grey value."""
    red, green, blue = ((value + grey) // 2 for value in colour)
    return red, green, blue


def _darker(colour: Colour, amount: int) -> Colour:
    red, green, blue = (max(0, value - amount) for value in colour)
    return red, green, blue


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        *(boat, lighthouse, house, hills, tree, night, flower),
        *(kite, train, fish, balloon, bars, line, pie),
    )
}
