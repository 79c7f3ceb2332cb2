"""ONNX models over pictures: an NSFW score, an embedding. Optional: needs `onnxruntime`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benben.pipeline.errors import InputError
from benben.pipeline.settings.fetch import ImageModelSettings


class ImageModel:
    """One ONNX model with one image input; safe to share between threads."""

    def __init__(self, settings: ImageModelSettings) -> None:
        self._settings = settings
        runtime = _import("onnxruntime")
        path = _locate(settings.path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exception classes differ by version
            raise InputError(f"{settings.path}: not a usable ONNX model: {error}") from None
        self._input = self._session.get_inputs()[0].name

    def vector(self, image: Image.Image) -> list[float]:
        """The model's first output for a picture, flat."""
        (output, *_) = self._session.run(None, {self._input: self._prepare(image)})
        return [float(value) for value in np.asarray(output).ravel()]

    def score(self, image: Image.Image) -> float:
        """One number of the output: the one at `output`, or the only one."""
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


def open_model(settings: ImageModelSettings | None) -> ImageModel | None:
    """Open a configured model; None when there is none. Raises InputError."""
    return None if settings is None else ImageModel(settings)


def _locate(path: str) -> Path:
    """A model's file; `wheel:PACKAGE/FILE` is one inside an installed package."""
    if path.startswith("wheel:"):
        package, _, name = path.removeprefix("wheel:").partition("/")
        found = Path(str(_import(package).__file__)).parent / name
    else:
        found = Path(path)
    if not found.is_file():
        raise InputError(f"{path}: no such ONNX model; mend `path` in the config")
    return found


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"an image model is configured, but `{name}` is not installed: "
            f"install the extra with `pip install benben[nsfw]`"
        ) from None
