"""Pages and pictures that a dataset should leave out: the reasons a funnel has to name."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import yaml
from PIL import Image

from benben.sample.articles import PAGES, article
from benben.sample.drawing import encode
from benben.sample.page import Page, Picture


@dataclass
class Answers:
    """What the server says: files by path, and what is not just 200 with a file."""

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)


def odd_pages() -> list[Page]:
    """The pages of `pages/odd.yaml`."""
    entries: list[dict[str, Any]] = yaml.safe_load((PAGES / "odd.yaml").read_text("utf-8"))
    return [article(entry["lang"], entry) for entry in entries]


def add_picture(answers: Answers, picture: Picture) -> None:
    """Put a picture on the site, spoilt as its page says."""
    image = picture.draw(picture.width, picture.height)
    stem, _, extension = picture.path.rpartition(".")
    data = encode(image, extension)
    files = answers.files
    if picture.spoil == "missing":
        return
    if picture.spoil == "moved":
        files[f"{stem}-moved.{extension}"] = data
        answers.redirects[picture.path] = f"{stem}-moved.{extension}"
    elif picture.spoil == "error":
        answers.status[picture.path] = 500
    else:
        files[picture.path] = _spoil(picture, image, data)
    if picture.spoil == "opted-out":
        answers.headers[picture.path] = {"X-Robots-Tag": "noai, noimageai"}
    if picture.how == "srcset":
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        files[f"{stem}-small.{extension}"] = encode(half, extension)
    if picture.how == "picture":
        files[f"{stem}.webp"] = encode(image, "webp")


def _spoil(picture: Picture, image: Image.Image, data: bytes) -> bytes:
    if picture.spoil == "truncated":
        return data[: len(data) * 2 // 5]
    if picture.spoil == "html":
        return b"<!DOCTYPE html><title>Sorry</title><p>This picture is not here any more.</p>"
    if picture.spoil == "empty":
        return b""
    if picture.spoil == "tiny":
        return _sized(picture, (24, 24))
    if picture.spoil == "wide":
        return _sized(picture, (1500, 150))
    return data


def _sized(picture: Picture, size: tuple[int, int]) -> bytes:
    return encode(picture.draw(*size), picture.path.rpartition(".")[2])


def furniture() -> dict[str, bytes]:
    """Files every page links to: the sign of the site, an icon, a counting pixel, the style."""
    pixel = io.BytesIO()
    Image.new("P", (1, 1)).save(pixel, "GIF")
    style = "body { font-family: serif; max-width: 60em; margin: auto }\nimg { max-width: 100% }\n"
    return {
        "static/logo.png": encode(Image.new("RGB", (240, 80), (40, 90, 60)), "png"),
        "static/share-icon.png": encode(Image.new("RGB", (16, 16), (40, 90, 200)), "png"),
        "static/pixel.gif": pixel.getvalue(),
        "static/style.css": style.encode(),
        "robots.txt": b"User-agent: *\nDisallow: /private/\nAllow: /\n",
    }
