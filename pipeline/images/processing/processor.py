"""From an image's bytes to its outcome: one decode, opt-out lists of content, ONNX models.

The models are optional: a score for unsafe images (NSFW) and an embedding, with `onnxruntime`.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.consent.picture_metadata import metadata_refusal
from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.picture import Decoder, Picture, reencode
from benben.pipeline.images.worth import look
from benben.pipeline.settings.fetch import FetchSettings, ImageModelSettings


@dataclass(frozen=True, slots=True)
class _Result:
    """What some bytes came to: the same for every URL that has them."""

    picture: Picture
    reason: str | None
    detail: str | None
    nsfw: float | None
    embedding: list[float] | None
    look: list[float] | None
    stored_format: str | None

    def fill(self, outcome: Outcome) -> None:
        for name in _Result.__slots__:
            setattr(outcome, name, getattr(self, name))


Decode = Callable[[bytes, Outcome], Outcome]  # `process` elsewhere, such as in another process


class ImageProcessor:
    """Processes the images of one part. Safe to share between threads."""

    def __init__(
        self, settings: FetchSettings, lists: OptOutLists, decode: Decode | None = None
    ) -> None:
        self._settings, self.lists, self._isolated = settings, lists, decode
        self.decoder = Decoder(settings)
        self._nsfw = _open_model(settings.nsfw)
        self._embedding = _open_model(settings.embedding)
        self._results: dict[str, _Result] = {}  # by SHA-256, oldest first

    def process(self, data: bytes, outcome: Outcome) -> None:
        """Fill in what the bytes of an image tell, and the bytes to store when it is kept.

        Bytes that are remembered are not decoded again, and the outcome gets no bytes to store.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        known = self._results.get(sha256)
        if known is not None:
            known.fill(outcome)
            return
        if self._isolated is not None:
            done = self._isolated(data, outcome)
            for name in (*_Result.__slots__, "data"):
                setattr(outcome, name, getattr(done, name))
            return
        if self._settings.consent.metadata:
            outcome.detail = metadata_refusal(data)
            if outcome.detail is not None:
                outcome.reason = "consent.metadata"
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
        if self._settings.look:
            outcome.look = look.measure(pixels)
        outcome.data, outcome.stored_format = data, picture.format
        if self._settings.reencode is not None:
            outcome.data = reencode(pixels, self._settings.reencode)
            outcome.stored_format = self._settings.reencode.format

    def remember(self, outcome: Outcome) -> None:
        """Remember an outcome whose bytes are stored: equal bytes need no decode and no store."""
        picture = outcome.picture
        if picture is not None and picture.sha256 not in self._results:
            values = {name: getattr(outcome, name) for name in _Result.__slots__}
            self._results[picture.sha256] = _Result(**values)
            if len(self._results) > self._settings.remember:
                del self._results[next(iter(self._results))]


class ImageModel:
    """One ONNX model with one image as its input. Safe to share between threads."""

    def __init__(self, settings: ImageModelSettings) -> None:
        self._settings = settings
        runtime = _import(settings.path, "onnxruntime")
        path = _model_file(settings.path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exception classes differ by version
            raise InputError(f"{settings.path}: not a usable ONNX model: {error}") from None
        self._input = self._session.get_inputs()[0].name

    def vector(self, image: Image.Image) -> list[float]:
        """The model's first output for an image, flattened."""
        (output, *_) = self._session.run(None, {self._input: self._prepare(image)})
        return [float(value) for value in np.asarray(output).ravel()]

    def score(self, image: Image.Image) -> float:
        """One number of the output: that at the index `output`, else the first."""
        return self.vector(image)[self._settings.output or 0]

    def _prepare(self, image: Image.Image) -> Any:
        s = self._settings
        side = s.resize or s.size
        margin = (side - s.size) // 2
        resized = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        resized = resized.crop((margin, margin, margin + s.size, margin + s.size))
        values = np.asarray(resized, np.float32)
        if s.channels == "bgr":
            values = values[:, :, ::-1]
        values = (values * s.scale - np.array(s.mean)) / np.array(s.deviation)
        if s.layout == "nchw":
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[np.newaxis], np.float32)


def _open_model(settings: ImageModelSettings | None) -> ImageModel | None:
    """Open a configured model; None when none is configured. Raises InputError."""
    return None if settings is None else ImageModel(settings)


def _model_file(path: str) -> Path:
    """The file of a model; `wheel:PACKAGE/FILE` is a file of an installed package."""
    if path.startswith("wheel:"):
        package, _, name = path.removeprefix("wheel:").partition("/")
        found = Path(str(_import(path, package).__file__)).parent / name
    else:
        found = Path(path)
    if not found.is_file():
        raise InputError(f"{path}: no such ONNX model; correct `path` in the config")
    return found


def _import(path: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"{path}: the image model needs `{name}`, which is not installed: "
            f"install the extra with `pip install benben[nsfw]`"
        ) from None
