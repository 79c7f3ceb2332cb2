"""The Arrow schema of every table. A column name means the same in all of them.

The tables of a run are aligned by part: part 7 of `signals` and of `verdicts` holds the rows of
part 7 of `documents` in the same order, so stages join tables by reading parts side by side.
"""

from __future__ import annotations

import pyarrow as pa

NODE = pa.struct(
    [
        ("kind", pa.string()),  # text | image | break
        ("index", pa.int32()),
        ("path", pa.string()),
        ("tag", pa.string()),
        ("text", pa.string()),
        ("url", pa.string()),
        ("src", pa.string()),
        ("alt", pa.string()),
        ("title", pa.string()),
        ("caption", pa.string()),
        ("figure", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("link_target", pa.string()),  # of an image in a link: image | same_host | other_host
        ("full_size", pa.string()),  # the picture that the link leads to
        ("hidden", pa.bool_()),
        ("comment", pa.bool_()),
        ("link_share", pa.float32()),
        ("content_score", pa.float32()),
    ]
)

# One row for each response record. A capture without nodes keeps its row, with a reason.
DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("url", pa.string()),
        ("url_key", pa.string()),  # normalised form that duplicates by URL share
        ("host", pa.string()),
        ("domain", pa.string()),  # registered domain
        ("warc", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
        ("captured_at", pa.string()),  # WARC-Date, ISO 8601 UTC
        ("payload_digest", pa.string()),  # "sha1:BASE32" of the body as archived
        ("truncated", pa.string()),  # why the capture was cut, as WARC-Truncated says; null: whole
        ("status", pa.int32()),
        ("title", pa.string()),
        ("lang", pa.string()),
        ("charset", pa.string()),
        ("opt_outs", pa.list_(pa.string())),
        ("licenses", pa.list_(pa.string())),
        ("page_images", pa.list_(pa.string())),
        ("page_type", pa.string()),
        ("confidence", pa.float32()),  # expected token F1 of the main text
        ("reason", pa.string()),  # null: extracted
        ("nodes", pa.list_(NODE)),
    ]
)

# Captures that killed, blocked or failed the process that read them at every attempt.
DEAD_LETTERS = pa.schema(
    [
        ("url", pa.string()),
        ("warc", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
        ("cause", pa.string()),  # "crashed", "hung" or "failed"
        ("detail", pa.string()),
        ("attempts", pa.int32()),
    ]
)

# Why a node, or one paragraph of it, was dropped: an entry of the ledger. Kept nodes have none.
NODE_VERDICT = pa.struct(
    [
        ("index", pa.int32()),
        ("reason", pa.string()),  # scope.signal.min|max, or a reason of a stage
        ("value", pa.float64()),
        ("bound", pa.float64()),
        ("paragraph", pa.int32()),  # null: the whole node
    ]
)

# A node that shares the fate of another: a heading that of what it heads, a caption that of its
# image, a paragraph that of the run or section it was measured with.
INHERITED = pa.struct(
    [
        ("index", pa.int32()),
        ("paragraph", pa.int32()),
        ("inherited_from", pa.int32()),  # index of the other node, or of the first of the run
        ("reason", pa.string()),  # the rule that drops it, or in spite of which it is kept
        ("kept", pa.bool_()),
    ]
)

# One row for each document, aligned with `documents`.
VERDICTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("lang", pa.string()),
        ("kept", pa.bool_()),
        ("reasons", pa.list_(pa.string())),  # every document rule that failed; the first decides
        ("values", pa.list_(pa.float64())),
        ("bounds", pa.list_(pa.float64())),
        ("dropped", pa.list_(NODE_VERDICT)),
        ("inherited", pa.list_(INHERITED)),
        ("unjudged", pa.list_(pa.string())),  # rules that could not be applied: scope.signal.why
    ]
)

# Documents and nodes that deduplication drops, aligned by part; others have no row.
DUPLICATES = pa.schema(
    [
        ("doc_id", pa.string()),
        (
            "reason",
            pa.string(),
        ),  # as in clusters | duplicate.image_set | null: only nodes went
        ("kept_id", pa.string()),
        ("detail", pa.string()),  # for contamination.SET: the item of the set
        ("similarity", pa.float32()),
        ("dropped", pa.list_(NODE_VERDICT)),
    ]
)

# One row for each distinct image URL of kept documents.
IMAGES = pa.schema(
    [
        ("url", pa.string()),
        ("final_url", pa.string()),  # after redirects
        ("host", pa.string()),
        ("reason", pa.string()),  # null: kept; consent.* http.* host.* address.* url.* picture.*
        ("detail", pa.string()),
        ("status", pa.int32()),  # HTTP
        ("content_type", pa.string()),  # as declared
        ("source", pa.string()),  # network | archive | img2dataset | none
        ("requests", pa.int32()),  # made for this image
        ("fetched_at", pa.string()),  # ISO 8601 UTC
        ("sha256", pa.string()),  # of the bytes as fetched; key of `image_bytes`
        ("num_bytes", pa.int64()),
        ("format", pa.string()),  # found from the content, lower case
        ("mode", pa.string()),  # Pillow's
        ("width", pa.int32()),  # pixels, EXIF orientation applied
        ("height", pa.int32()),
        ("aspect", pa.float64()),  # width / height
        ("orientation", pa.int32()),  # EXIF, 1..8
        ("animated", pa.bool_()),
        ("phash", pa.string()),  # 64 bits, 16 hex digits
        ("blur", pa.float64()),  # variance of the Laplacian of grey levels; low if blurred
        ("entropy", pa.float64()),  # of the grey histogram, bits, 0..8
        ("flatness", pa.float64()),  # share of the most common grey level, 0..1
        ("nsfw", pa.float64()),  # 0..1, null without a model
        ("embedding", pa.list_(pa.float32())),
        ("look", pa.list_(pa.float32())),  # colours, edges, layout; null unless fetch.look is set
    ]
)

# robots.txt as a crawl captured it, one row an answer: see `benben robots`.
ROBOTS = pa.schema(
    [
        ("url", pa.string()),  # that was requested
        ("captured_at", pa.string()),  # ISO 8601 UTC
        ("status", pa.int32()),  # HTTP
        ("location", pa.string()),  # where a redirect leads
        ("text", pa.string()),
        ("problem", pa.string()),  # why the body cannot be read
    ]
)

# Of these the answers that hold for the pages of a part, stored with the part.
PAGE_ROBOTS = pa.schema(
    [
        ("origin", pa.string()),  # of pages: scheme, host and port
        ("captured_at", pa.string()),  # ISO 8601 UTC
        ("status", pa.int32()),  # HTTP, after redirects; null: where they lead was not captured
        ("text", pa.string()),
        ("problem", pa.string()),  # why the body cannot be read
    ]
)

# Receipts of consent: of each image and page that was used or refused for consent, and of each
# file of a site that was asked. A changed receipt does not fit its digest.
CONSENT = pa.schema(
    [
        ("kind", pa.string()),  # source | image | redirect | page
        ("url", pa.string()),  # of the image or page; origin of a source
        ("path", pa.string()),  # source: its path; image: addresses asked, one a line; page: doc_id
        ("asked_at", pa.string()),  # ISO 8601 UTC
        ("status", pa.int32()),  # HTTP
        ("said", pa.string()),  # source: its text; image: header lines; page: its opt-outs
        ("sources", pa.list_(pa.string())),  # digests of the sources that were asked
        ("reason", pa.string()),  # verdict; null: may be used
        ("detail", pa.string()),  # source: why it cannot be read; else as in `images`
        ("digest", pa.string()),  # SHA-256 of the other columns
    ]
)

# What redeciding and shipping need of an image, stored with the part that shows the image.
IMAGE_USES = pa.schema(
    [
        ("key", pa.binary()),  # of the URL
        ("reason", pa.string()),
        ("sha256", pa.string()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("num_bytes", pa.int64()),
        ("blur", pa.float64()),
        ("entropy", pa.float64()),
        ("flatness", pa.float64()),
        ("nsfw", pa.float64()),
    ]
)

# How well images fit the texts around them: the image nodes of documents that are left. Worth is
# null where the image was not fetched, stands beside no words, or where there is no model.
IMAGE_WORTH = pa.schema(
    [
        ("doc_id", pa.string()),
        ("index", pa.int32()),  # of the node
        ("worth", pa.float32()),  # nats: against other images of the run
        ("page_worth", pa.float32()),  # nats: against the page's others; null: there are none
        ("alt_overlap", pa.float32()),  # share of its words in the texts around; null: no words
        ("caption_overlap", pa.float32()),
        ("name_overlap", pa.float32()),
        ("position", pa.float32()),  # share of the page's texts that stand before it
    ]
)

# The bytes of images, once per sha256; `images` refers to them. The table `image_bytes` has either
# these rows or, if the bytes are in tar shards beside it, those of IMAGE_PLACES.
IMAGE_BYTES = pa.schema([("sha256", pa.string()), ("format", pa.string()), ("bytes", pa.binary())])
IMAGE_PLACES = pa.schema(
    [
        ("sha256", pa.string()),
        ("format", pa.string()),
        ("shard", pa.string()),  # path of a tar file in the folder of the table
        ("offset", pa.int64()),  # of the first byte in the shard
        ("num_bytes", pa.int64()),
    ]
)

# Held-out hosts that have documents, and why some are not held out after all.
SPLITS = pa.schema(
    [
        ("host_key", pa.int64()),
        ("by_hash", pa.string()),  # validation | test
        ("split", pa.string()),  # or train: its pages are near-duplicates of pages of another split
    ]
)

# OBELICS's four columns, and plain columns beside them.
DATASET = pa.schema(
    [
        ("images", pa.list_(pa.string())),
        ("texts", pa.list_(pa.string())),
        ("metadata", pa.string()),
        ("general_metadata", pa.string()),
        ("doc_id", pa.string()),
        ("lang", pa.string()),
        ("host", pa.string()),
        (
            "dump",
            pa.string(),
        ),  # such as CC-MAIN-2024-22; null if the archive's path has none
        ("captured_at", pa.string()),  # ISO 8601 UTC
        ("num_images", pa.int32()),
        ("num_texts", pa.int32()),
        ("num_words", pa.int32()),
        ("num_chars", pa.int32()),
        ("num_tokens", pa.int32()),  # estimated from bytes of UTF-8
        ("num_redacted", pa.int32()),  # places where a marker replaces personal data
        ("language_score", pa.float32()),
        ("perplexity", pa.float32()),  # null: no model
        ("quality", pa.float32()),  # null: no model
        ("nsfw", pa.float32()),  # highest of its images; null: no model
        ("image_sha256", pa.list_(pa.string())),  # same length as images, null in text slots
        ("text_metadata", pa.string()),  # JSON list as long as texts: facts of each text's nodes
    ]
)
