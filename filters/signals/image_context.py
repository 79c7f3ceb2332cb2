"""Signals of an image beside the texts around it, which the stage `pictures` measures if asked."""

from __future__ import annotations

from benben.filters.declaration import OWN, ImageFact, Signal


def _signal(name: str, unit: str, meaning: str) -> Signal:
    return Signal(name, ("image_node",), unit, meaning, OWN, ImageFact(name), after_fetch=True)


SIGNALS = (
    _signal("worth", "nats", "how much likelier the image is here than another of the run"),
    _signal("page_worth", "nats", "worth above that of the page's other images in its place"),
    _signal("alt_overlap", "ratio", "words of the alternative text that stand in texts around"),
    _signal("caption_overlap", "ratio", "words of the caption that stand in other texts around"),
    _signal("name_overlap", "ratio", "words of the file name that stand in the texts around"),
    _signal("position", "ratio", "texts of the page that stand before the image, 0 top .. 1 end"),
)
