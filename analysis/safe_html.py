"""Stored image bytes to a small picture a page can hold."""

from __future__ import annotations

import base64
import io

from PIL import Image

SIDE = 320  # pixels
MAX_PIXELS = 100_000_000


def data_uri(stored: bytes, side: int = SIDE) -> str | None:
    """Re-encode as a JPEG of at most `side` pixels; None for what is no decodable image.

    A fresh encoding, so nothing of the original file but its pixels reaches the page.
    """
    try:
        with Image.open(io.BytesIO(stored)) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("RGB", (side, side))
            image.thumbnail((side, side))
            small = _on_white(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
