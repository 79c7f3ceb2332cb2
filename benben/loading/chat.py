"""Documents for processors of vision-language models (`transformers`).

An interleaved document is one text in which a mark holds the place of each picture, and the
pictures in order. Pictures without pixels leave no mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from PIL import Image

from benben.loading.documents import Document, Picture, Text

IMAGE, QWEN_IMAGE = "<image>", "<|vision_start|><|image_pad|><|vision_end|>"
TOKENS = (IMAGE, "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<fake_token_around_image>")


def interleaved(document: Document, mark: str) -> tuple[str, list[Image.Image]]:
    """Return the text of a document with a mark at each picture, and the pictures."""
    parts: list[str] = []
    images: list[Image.Image] = []
    for item in document.items:
        if isinstance(item, Picture) and item.image is not None:
            parts.append(mark)
            images.append(item.image)
        elif isinstance(item, Text) and not item.is_break:
            parts.append(harmless(item.text))
    return "\n\n".join(parts), images


def harmless(text: str) -> str:
    """Return a text of a page in which no mark of a picture stands: a blank breaks it."""
    for token in TOKENS:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def messages(document: Document, role: str = "user") -> list[dict[str, Any]]:
    """Return a document as one message for `processor.apply_chat_template`."""
    content: list[dict[str, Any]] = []
    for item in document.items:
        if isinstance(item, Picture) and item.image is not None:
            content.append({"type": "image", "image": item.image})
        elif isinstance(item, Text) and not item.is_break:
            content.append({"type": "text", "text": harmless(item.text)})
    return [{"role": role, "content": content}]


def idefics(documents: Iterable[Document], processor: Any, **options: Any) -> Mapping[str, Any]:
    """Inputs of Idefics2, Idefics3 and SmolVLM, whose images are a list for each document."""
    pairs = [interleaved(document, IMAGE) for document in documents]
    return _processed(processor, [text for text, _ in pairs], [some for _, some in pairs], options)


def qwen_vl(documents: Iterable[Document], processor: Any, **options: Any) -> Mapping[str, Any]:
    """Inputs of Qwen2-VL, Qwen2.5-VL and Qwen3-VL, whose images are one list for all documents."""
    pairs = [interleaved(document, QWEN_IMAGE) for document in documents]
    flat = [image for _, some in pairs for image in some]
    return _processed(processor, [text for text, _ in pairs], flat, options)


def llava(documents: Iterable[Document], processor: Any, **options: Any) -> Mapping[str, Any]:
    """Inputs of LLaVA, whose images are one list for all documents."""
    pairs = [interleaved(document, IMAGE) for document in documents]
    flat = [image for _, some in pairs for image in some]
    return _processed(processor, [text for text, _ in pairs], flat, options)


def _processed(
    processor: Any, texts: list[str], images: Sequence[Any], options: Mapping[str, Any]
) -> Mapping[str, Any]:
    settings = {"return_tensors": "pt", "padding": True, **options}
    made: Mapping[str, Any] = processor(text=texts, images=images or None, **settings)
    return made
