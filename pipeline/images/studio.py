"""From an image's bytes to all that is known of it: one decode, opt-out by content, models."""

from __future__ import annotations

from PIL import Image

from pipeline.images.image_model import ImageModel, open_model
from pipeline.images.opt_out_lists import OptOutLists
from pipeline.images.outcome import Outcome
from pipeline.images.picture import Decoder, Picture, reencode
from pipeline.settings.fetch import FetchSettings


class Studio:
    """Safe to share between threads."""

    def __init__(self, settings: FetchSettings, lists: OptOutLists) -> None:
        self._settings, self.lists = settings, lists
        self.decoder = Decoder(settings)
        self._nsfw: ImageModel | None = open_model(settings.nsfw)
        self._embedding: ImageModel | None = open_model(settings.embedding)

    def develop(self, data: bytes, outcome: Outcome) -> None:
        """Fill in what the image's content says, and the bytes to store when it is kept."""

        def use(picture: Picture, pixels: Image.Image) -> None:
            outcome.reason = self.lists.content_reason(picture.sha256, picture.phash)
            if outcome.reason is None:
                self._keep(data, outcome, picture, pixels)

        outcome.picture = picture = self.decoder.decode(data, use)
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
