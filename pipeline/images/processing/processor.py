"""From an image's bytes to all that is known of it: one decode, opt-out by content, models."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from PIL import Image

from benben.pipeline.consent.opt_out_lists import OptOutLists
from benben.pipeline.images.fetch.outcome import Outcome
from benben.pipeline.images.processing.model import ImageModel, open_model
from benben.pipeline.images.processing.picture import Decoder, Picture, reencode
from benben.pipeline.settings.fetch import FetchSettings


@dataclass(frozen=True, slots=True)
class _Known:
    """What a content came to, wherever it is met again."""

    picture: Picture
    reason: str | None
    detail: str | None
    nsfw: float | None
    embedding: list[float] | None
    stored_format: str | None

    def fill(self, outcome: Outcome) -> None:
        for name in _Known.__slots__:
            setattr(outcome, name, getattr(self, name))


class Studio:
    """Safe to share between threads."""

    def __init__(self, settings: FetchSettings, lists: OptOutLists) -> None:
        self._settings, self.lists = settings, lists
        self.decoder = Decoder(settings)
        self._nsfw: ImageModel | None = open_model(settings.nsfw)
        self._embedding: ImageModel | None = open_model(settings.embedding)
        self._known: dict[str, _Known] = {}

    def remember(self, outcome: Outcome) -> None:
        """Note an outcome whose bytes are stored: equal ones need neither a decode nor a place."""
        picture = outcome.picture
        if picture is not None and picture.sha256 not in self._known:
            facts = {name: getattr(outcome, name) for name in _Known.__slots__}
            self._known[picture.sha256] = _Known(**facts)
            if len(self._known) > self._settings.remember:
                del self._known[next(iter(self._known))]  # the oldest

    def develop(self, data: bytes, outcome: Outcome) -> None:
        """Fill in what the image's content says, and the bytes to store when it is kept.

        Content that is remembered is not decoded again, and brings no bytes.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._known.get(sha256)
        if known is not None:
            known.fill(outcome)
            return

        def use(picture: Picture, pixels: Image.Image) -> None:
            outcome.reason = self.lists.content_reason(picture.sha256, picture.phash)
            if outcome.reason is None:
                self._keep(data, outcome, picture, pixels)

        outcome.picture = picture = self.decoder.decode(data, use, sha256)
        if picture.reason is not None:
            outcome.reason, outcome.detail, outcome.data = picture.reason, picture.detail, None

    def _keep(self, data: bytes, outcome: Outcome, picture: Picture, pixels: Image.Image) -> None:
        if self._nsfw is not None:
            outcome.nsfw = self._nsfw.score(pixels)
        if self._embedding is not None:
            outcome.embedding = self._embedding.vector(pixels)
        outcome.data, outcome.stored_format = data, picture.format
        if self._settings.reencode is not None:
            outcome.data = reencode(pixels, self._settings.reencode)
            outcome.stored_format = self._settings.reencode.format
