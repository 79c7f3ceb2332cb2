"""A stream of documents as an IterableDataset of `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import datasets
from datasets import Features, Image, List, Value

from benben.loading.documents import Text
from benben.loading.pictures import decode

if TYPE_CHECKING:
    from benben.loading.dataset import Documents

SHARDS = 64  # of the stream, to be shared out to ranks and workers
FEATURES = Features(
    {
        "doc_id": Value("string"),
        "url": Value("string"),
        "lang": Value("string"),
        "texts": List(Value("string")),
        "images": List(Image(decode=False)),
        "image_urls": List(Value("string")),
    }
)


def to_datasets(documents: Documents) -> Any:
    """Return an IterableDataset with `texts`, `images` and `image_urls` as lists of equal length.

    At each position one of `texts` and `image_urls` is set. Pictures that are missing or broken are
    null. Decoded pictures are PIL images; others are structs of `bytes` and `path`.
    """
    decoded = documents.pictures == "decoded"
    number = 1 if documents.shuffle is None else SHARDS
    shards = [documents.shard(index, number) for index in range(number)]
    for shard in shards:
        shard.pictures = "bytes" if decoded else shard.pictures
    stream = datasets.IterableDataset.from_generator(
        rows, features=FEATURES, gen_kwargs={"shards": shards}
    )
    return stream.map(partial(_with_pixels, documents.max_pixels)) if decoded else stream


def _with_pixels(max_pixels: int, row: dict[str, Any]) -> dict[str, Any]:
    """Decode here: where `datasets` decodes, a broken picture ends the stream."""
    images = [image and decode(image["bytes"], max_pixels)[0] for image in row["images"]]
    return {"images": images}


def rows(shards: list[Documents]) -> Iterator[dict[str, Any]]:
    """Yield the documents of some shards as rows of FEATURES."""
    for shard in shards:
        for document in shard:
            items = document.items
            yield {
                "doc_id": document.doc_id,
                "url": document.url,
                "lang": document.metadata.get("lang"),
                "texts": [item.text if isinstance(item, Text) else None for item in items],
                "images": [
                    None if isinstance(item, Text) or item.data is None else {"bytes": item.data}
                    for item in items
                ],
                "image_urls": [None if isinstance(item, Text) else item.url for item in items],
            }
