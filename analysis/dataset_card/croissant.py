"""Croissant metadata: a machine-readable description of the dataset, as JSON-LD.

Source: MLCommons Croissant Format Specification 1.0.
"""

from __future__ import annotations

from typing import Any

from benben.analysis.dataset_card.facts import Facts

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
# Kind of row -> column -> (type, whether it is a list, meaning).
FIELDS: dict[str, dict[str, tuple[str, bool, str]]] = {
    "data": {
        "images": ("sc:Text", True, "URL of the image at each position, null where a text is"),
        "texts": ("sc:Text", True, "Text at each position, null where an image is"),
        "metadata": ("sc:Text", False, "JSON list with what is known about each image"),
        "general_metadata": ("sc:Text", False, "JSON object with the page's URL and capture"),
        "doc_id": ("sc:Text", False, "Id of the capture, derived from its content and place"),
        "lang": ("sc:Text", False, "Language of the text, ISO 639 code"),
        "host": ("sc:Text", False, "Host of the page"),
        "dump": ("sc:Text", False, "Release of the crawl the page was captured in"),
        "captured_at": ("sc:Text", False, "When the page was captured, ISO 8601 UTC"),
        "num_images": ("sc:Integer", False, "Number of images"),
        "num_texts": ("sc:Integer", False, "Number of positions with text from the page"),
        "num_words": (
            "sc:Integer",
            False,
            "Number of words of the plain texts, by white space",
        ),
        "num_chars": ("sc:Integer", False, "Number of characters in the plain texts"),
        "num_tokens": ("sc:Integer", False, "Number of tokens, estimated from bytes"),
        "num_redacted": ("sc:Integer", False, "Number of places with personal data replaced"),
        "language_score": ("sc:Float", False, "Confidence in the language, 0 to 1"),
        "perplexity": ("sc:Float", False, "Perplexity of the texts under a language model"),
        "quality": ("sc:Float", False, "Quality of the page by a classifier, 0 to 1"),
        "nsfw": ("sc:Float", False, "Highest adult-content score of the images, 0 to 1"),
        "image_sha256": ("sc:Text", True, "SHA-256 of each image, the key of `images`"),
        "text_metadata": ("sc:Text", False, "JSON list with what is known about each text's nodes"),
    },
    "images": {
        "sha256": ("sc:Text", False, "SHA-256 of the bytes, in hexadecimal"),
        "format": ("sc:Text", False, "Image format, detected from the bytes"),
        "bytes": ("sc:ImageObject", False, "The image file as it was fetched"),
    },
}

STRUCTS = ("metadata", "general_metadata", "text_metadata")  # there not JSON, but structs
FIELDS["self_contained"] = {
    **{name: what for name, what in FIELDS["data"].items() if name not in STRUCTS},
    "images": ("sc:ImageObject", True, "Image at each position, null where a text is"),
    "image_sha256": ("sc:Text", True, "SHA-256 of the bytes of each image"),
    "image_urls": ("sc:Text", True, "URL of the image at each position, null where a text is"),
}


def describe(facts: Facts, title: str, url: str | None = None) -> dict[str, Any]:
    """The JSON-LD object; `url` is where the dataset is published."""
    kinds = sorted({split.config for split in facts.splits})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": title,
        "description": (
            f"{int(facts.numbers['documents']):,} web documents with text and images in page "
            "order, in the schema of OBELICS, made with Benben."
        ),
        "version": facts.version.partition("+")[0],
        "license": "https://spdx.org/licenses/LicenseRef-rights-of-the-pages-owners",
        **({"url": url} if url else {}),
        "citeAs": f"{title}, made with Benben {facts.version}, configuration {facts.config_hash}",
        "inLanguage": sorted(facts.languages),
        "temporalCoverage": "/".join(facts.period),
        "distribution": [_file_set(kind) for kind in kinds],
        "recordSet": [_record_set(kind) for kind in kinds],
    }


def _file_set(kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{kind}-files",
        "name": f"{kind}-files",
        "description": f"Parquet files of the config `{kind}`.",
        "encodingFormat": "application/x-parquet",
        "includes": f"{kind}/*.parquet",
    }


def _record_set(kind: str) -> dict[str, Any]:
    key = "sha256" if kind == "images" else "doc_id"
    return {
        "@type": "cr:RecordSet",
        "@id": kind,
        "name": kind,
        "key": {"@id": f"{kind}/{key}"},
        "field": [_field(kind, name, *what) for name, what in FIELDS[kind].items()],
    }


def _field(kind: str, name: str, type_: str, repeated: bool, meaning: str) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{kind}/{name}",
        "name": name,
        "description": meaning,
        "dataType": type_,
        "source": {"fileSet": {"@id": f"{kind}-files"}, "extract": {"column": name}},
    }
    return field | {"repeated": True} if repeated else field
