"""What all HTML pages about a run share: escaping templates, a strict policy, thumbnails.

Crawled pages are hostile. Their text is always escaped, their images are re-encoded, and the
Content-Security-Policy of each page forbids scripts.
"""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

TEMPLATES = resources.files("benben.analysis") / "templates"
THUMBNAIL_SIDE = 320  # pixels
MAX_PIXELS = 100_000_000  # larger images are not decoded: they may be decompression bombs


def environment() -> Environment:
    """Jinja environment of the HTML templates, with escaping on."""
    made = Environment(
        loader=PackageLoader("benben.analysis"), autoescape=True, undefined=StrictUndefined
    )
    made.filters["number"] = lambda value: "" if value is None else f"{value:,.4g}"
    return made


def style_sheet(*names: str) -> str:
    """Style sheets of the templates folder, joined."""
    return "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def script(name: str) -> str:
    """A script of the templates folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def content_security_policy(
    style: str,
    remote_images: bool = False,
    forms: bool = False,
    script: str = "",
    frames: bool = False,
    requests: bool = False,
) -> str:
    """Policy for a page with this inline style sheet, inline images and this inline script, if any.

    `remote_images` also allows images from the web; `forms` allows forms, `frames` frames and
    `requests` requests of the script that go to the server the page came from.
    """
    target = "'self'" if forms else "'none'"
    images = "data: http: https:" if remote_images else "data:"
    policy = (
        f"default-src 'none'; img-src {images}; style-src '{_digest(style)}'; "
        f"base-uri 'none'; form-action {target}"
    )
    if script:
        policy += f"; script-src '{_digest(script)}'"
    if requests:
        policy += "; connect-src 'self'"
    return f"{policy}; frame-src 'self'" if frames else policy


def _digest(text: str) -> str:
    """The name by which a policy allows an inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def thumbnail(stored: bytes, side: int = THUMBNAIL_SIDE) -> str | None:
    """Re-encode an image as a JPEG data URI of at most `side` pixels; None if it does not decode.

    Only the pixels of the original file reach the page.
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
    """RGB version, with a white background behind transparent parts."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        background = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
