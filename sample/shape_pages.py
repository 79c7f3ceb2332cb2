"""Generated pages about drawn shapes, any number of them: training data of the trainer's demo."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import cycle
from typing import Any

import yaml

from benben.sample.articles import PAGES
from benben.sample.drawing import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    RADIUS,
    SHAPES,
    Shape,
    draw_shapes,
)
from benben.sample.page import EMBEDDINGS, Block, Page, Paragraph, Picture

LANGUAGE_CYCLE = (
    "en",
    "de",
    "en",
    "fr",
    "en",
    "es",
    "en",
    "zh",
    "en",
    "en",
)  # of the pages, in turn
OPPOSITE = {
    "left": "right",
    "right": "left",
    "top": "bottom",
    "bottom": "top",
    "top-left": "bottom-right",
    "top-right": "bottom-left",
    "bottom-left": "top-right",
    "bottom-right": "top-left",
}
# Background -> colours that cannot be told from it.
INVISIBLE = {"black": {"black"}, "lightgrey": {"grey"}, "paleyellow": {"yellow"}}
EXTENSIONS = ("png", "jpg", "webp")


@lru_cache(maxsize=1)
def grammar() -> dict[str, Any]:
    """The sentence templates and words of each language, from `pages/shapes.yaml`."""
    data: dict[str, Any] = yaml.safe_load((PAGES / "shapes.yaml").read_text(encoding="utf-8"))
    return data


def shape_pages(count: int, seed: int, languages: Sequence[str] = LANGUAGE_CYCLE) -> list[Page]:
    """Make `count` pages in the languages in turn; page k does not depend on `count`."""
    in_turn = cycle(languages)
    return [_ShapePage(index, seed, next(in_turn)).page() for index in range(count)]


class _ShapePage:
    """One page; it repeats no shape, colour or sentence while others are left."""

    def __init__(self, index: int, seed: int, lang: str) -> None:
        self.index, self.lang = index, lang
        self.random = random.Random(f"{seed}/{index}")
        self.words = grammar()[self.lang]
        self.used: set[str] = set()
        self.context: dict[str, str] = {
            "name": self._one("names"),
            "place": self._one("places"),
            "occasion": self._one("occasions"),
            "number": str(index + 1),
        }
        self.context["Name"] = self.context["name"]
        self.places: dict[str, list[str]] = {}

    def page(self) -> Page:
        blocks: list[Block] = [Paragraph(self._fill("intros"))]
        for place in range(self.random.choice((3, 3, 3, 4, 4))):
            blocks += self._drawing(place)
        blocks.append(Paragraph(self._fill("closings")))
        path = f"{self.lang}/shapes/{self.index + 1:04d}.html"
        return Page(path, self.lang, self._fill("titles"), tuple(blocks))

    def _drawing(self, place: int) -> list[Block]:
        background = self.random.choice(BACKGROUNDS)
        shapes = [self._shape(background)]
        if self.random.random() < 0.25:
            shapes[0] = self._shape(background, tuple(OPPOSITE))
            shapes.append(self._shape(background, (OPPOSITE[shapes[0].place],)))
        self._describe(shapes, background)
        pair = len(shapes) > 1
        sentence = self._fill("pairs" if pair else "sentences")
        picture = self._picture(place, shapes, background, "pair_captions" if pair else "captions")
        text = Paragraph(sentence)
        return [picture, text] if self.random.random() < 0.7 else [text, picture]

    def _picture(self, place: int, shapes: list[Shape], background: str, captions: str) -> Picture:
        embedding = self.random.choice(EMBEDDINGS)
        extension = "jpg" if embedding == "picture" else self.random.choice(EXTENSIONS)
        units = self.random.randint(13, 20)
        return Picture(
            path=f"img/shapes/{self.index + 1:04d}-{place + 1}.{extension}",
            draw=partial(draw_shapes, shapes, background),
            width=16 * units,
            height=12 * units,
            alt=self.context["thing"],
            caption=self._fill(captions),
            embedding=embedding,
        )

    def _shape(self, background: str, places: tuple[str, ...] = tuple(PLACES)) -> Shape:
        colours = tuple(name for name in COLOURS if name not in INVISIBLE.get(background, ()))
        size = self.random.choice(tuple(RADIUS))
        return Shape(self._fresh(SHAPES), self._fresh(colours), size, self._fresh(places))

    def _fresh(self, choices: Sequence[str]) -> str:
        """Choose something that this page has not used yet, if anything is left."""
        unused = [choice for choice in choices if choice not in self.used]
        choice = self.random.choice(unused or choices)
        self.used.add(choice)
        return choice

    def _describe(self, shapes: list[Shape], background: str) -> None:
        """Set the words of the templates to those of the shapes of this picture."""
        new = {"ground": self.words["grounds"][background]}
        for shape, prefix in zip(shapes, ("", "other_"), strict=False):
            self.places[prefix + "where"] = self.words["where"][shape.place]
            new["other" if prefix else "thing"] = self._thing(shape)
        new["colour"], new["shape"] = self._plain(shapes[0])
        self.context |= {**new, "Thing": _capital(new["thing"])}

    def _thing(self, shape: Shape) -> str:
        (gender, noun), *_ = self._noun(shape).items()
        inflected = {
            "colour": self.words["colours"][shape.colour],
            "size": self.words["sizes"][shape.size],
            "article": self.words.get("articles", ""),
        }
        forms = {
            word: form[gender] if isinstance(form, dict) else form
            for word, form in inflected.items()
        }
        return str(self.words["thing"].format(shape=noun, **forms))

    def _noun(self, shape: Shape) -> dict[str, str]:
        noun = self.words["shapes"][shape.shape]
        return noun if isinstance(noun, dict) else {"": noun}

    def _plain(self, shape: Shape) -> tuple[str, str]:
        """Colour and noun alone, for languages in which colours are not inflected."""
        colour = self.words["colours"][shape.colour]
        return "" if isinstance(colour, dict) else colour, next(iter(self._noun(shape).values()))

    def _one(self, words: str) -> str:
        return str(self.random.choice(self.words[words]))

    def _fill(self, templates: str) -> str:
        """Fill a template, with a phrase for the place that was not used yet."""
        places = {name: self._fresh(phrases) for name, phrases in self.places.items()}
        if places:
            places["Where"] = _capital(places["where"])
        return _capital(self._fresh(self.words[templates]).format(**self.context, **places))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
