"""Pages and pictures that a dataset should leave out, so that the funnel has reasons to show."""

from __future__ import annotations

from typing import Any

import yaml
from PIL import Image

from benben.sample.articles import PAGES, article
from benben.sample.drawing import encode
from benben.sample.page import Page, Picture, Responses


def unwanted_pages() -> list[Page]:
    """The pages of `pages/unwanted.yaml`."""
    entries: list[dict[str, Any]] = yaml.safe_load((PAGES / "unwanted.yaml").read_text("utf-8"))
    return [article(entry["lang"], entry) for entry in entries]


def add_picture(responses: Responses, picture: Picture) -> None:
    """Put the files of a picture on the site, with the fault that its page names."""
    image = picture.draw(picture.width, picture.height)
    stem, _, extension = picture.path.rpartition(".")
    data = encode(image, extension)
    files = responses.files
    if picture.fault == "missing":
        return
    if picture.fault == "moved":
        files[f"{stem}-moved.{extension}"] = data
        responses.redirects[picture.path] = f"{stem}-moved.{extension}"
    elif picture.fault == "error":
        responses.status[picture.path] = 500
    else:
        files[picture.path] = _with_fault(picture, image, data)
    if picture.fault == "opted-out":
        responses.headers[picture.path] = {"X-Robots-Tag": "noai, noimageai"}
    if picture.embedding == "srcset":
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        files[f"{stem}-small.{extension}"] = encode(half, extension)
    if picture.embedding == "picture":
        files[f"{stem}.webp"] = encode(image, "webp")


def _with_fault(picture: Picture, image: Image.Image, data: bytes) -> bytes:
    if picture.fault == "truncated":
        return data[: len(data) * 2 // 5]
    if picture.fault == "html":
        return b"<!DOCTYPE html><title>Sorry</title><p>This picture is not here any more.</p>"
    if picture.fault == "empty":
        return b""
    if picture.fault == "tiny":
        return _sized(picture, (24, 24))
    if picture.fault == "wide":
        return _sized(picture, (1500, 150))
    return data


def _sized(picture: Picture, size: tuple[int, int]) -> bytes:
    return encode(picture.draw(*size), picture.path.rpartition(".")[2])
