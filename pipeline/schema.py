"""Arrow schema of every table: one name means one thing everywhere.

Tables of one run are aligned by part: part 7 of `signals` and of `verdicts` holds the rows of
part 7 of `documents`, in the same order, so stages join them by reading side by side.
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
        ("hidden", pa.bool_()),
        ("link_share", pa.float32()),
        ("content_score", pa.float32()),
    ]
)

# One row a response record. A capture that gave no nodes keeps its row, with a reason.
DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("url", pa.string()),
        ("url_key", pa.string()),  # normalised form, what duplicates by URL share
        ("host", pa.string()),
        ("domain", pa.string()),  # registered domain
        ("warc", pa.string()),
        ("warc_offset", pa.int64()),
        ("warc_length", pa.int64()),
        ("captured_at", pa.string()),  # WARC-Date, ISO 8601 UTC
        ("payload_digest", pa.string()),  # "sha1:BASE32" of the body as archived
        ("status", pa.int32()),
        ("title", pa.string()),
        ("lang", pa.string()),
        ("charset", pa.string()),
        ("opt_outs", pa.list_(pa.string())),
        ("licenses", pa.list_(pa.string())),
        ("page_images", pa.list_(pa.string())),
        ("reason", pa.string()),  # null: extracted
        ("nodes", pa.list_(NODE)),
    ]
)

# Counts of one paragraph (a stretch of a text node between blank lines); ratios are made of them.
# Null: not measured, since the document's language has no list or no model is configured.
PARAGRAPH_SIGNALS = pa.struct(
    [
        ("index", pa.int32()),  # the node's
        ("paragraph", pa.int32()),  # its place in the node
        ("chars", pa.int32()),
        ("words", pa.int32()),
        ("word_chars", pa.int32()),  # characters in words
        ("alpha_words", pa.int32()),  # words with a letter
        ("special", pa.int32()),
        ("punctuation", pa.int32()),
        ("tokens", pa.int32()),  # runs of word characters + punctuation
        ("upper", pa.int32()),
        ("digits", pa.int32()),
        ("stop", pa.int32()),  # words on the language's list of ...
        ("flagged", pa.int32()),
        ("common", pa.int32()),
        ("spam", pa.int32()),
        ("repeated_chars", pa.int32()),  # the most repeated character 10-grams
        ("repeated_words", pa.int32()),  # word 5-grams that occur again
        ("duplicate", pa.int8()),  # 1: an earlier paragraph of the page has the same text
        ("lines", pa.int32()),
        ("terminal_lines", pa.int32()),  # ending with terminal punctuation
        ("short_lines", pa.int32()),
        ("bullet_lines", pa.int32()),
        ("ellipsis_lines", pa.int32()),
        ("duplicate_lines", pa.int32()),
        ("duplicate_line_chars", pa.int32()),
        ("symbols", pa.int32()),  # hashes and ellipses
        ("emails", pa.int16()),
        ("ips", pa.int16()),
        ("phones", pa.int16()),
        ("credentials", pa.int16()),
        ("link_share", pa.float32()),
        ("content_score", pa.float32()),
        ("log_probability", pa.float32()),  # log10, of the language model
        ("pieces", pa.int32()),  # of the language model, with the end of sentence
    ]
)

# What is known of an image before it is fetched.
IMAGE_SIGNALS = pa.struct(
    [
        ("index", pa.int32()),
        ("rendered_width", pa.int32()),  # as declared by the page
        ("rendered_height", pa.int32()),
        ("url_words", pa.int16()),  # banned words in the URL
        ("url_format", pa.string()),  # by the path's ending
        ("alt_words", pa.int32()),
        ("caption_words", pa.int32()),
        ("duplicate", pa.int8()),  # 1: an earlier image of the page has the same URL
    ]
)

# Repeated n-grams that lie in the same paragraphs, as one entry: enough to count repetition
# exactly whatever paragraphs are kept, without their text.
REPEAT = pa.struct(
    [
        ("size", pa.int8()),  # 10: characters, 5: words
        ("grams", pa.int32()),  # distinct n-grams with this pattern
        ("paragraphs", pa.list_(pa.int32())),  # positions in `paragraphs`, one an occurrence
    ]
)

# One row a document, aligned with `documents`. Decisions read this table and no text.
SIGNALS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("reason", pa.string()),  # of extraction; null: extracted
        ("language", pa.string()),
        ("language_score", pa.float32()),
        ("paragraphs", pa.list_(PARAGRAPH_SIGNALS)),
        ("images", pa.list_(IMAGE_SIGNALS)),
        ("repeats", pa.list_(REPEAT)),
        ("text_nodes", pa.int32()),
        ("image_nodes", pa.int32()),
        ("break_nodes", pa.int32()),
        ("top_2gram_ratio", pa.float32()),  # of the page's characters, before nodes were dropped
        ("top_3gram_ratio", pa.float32()),
        ("top_4gram_ratio", pa.float32()),
        ("duplicate_5gram_ratio", pa.float32()),
        ("duplicate_6gram_ratio", pa.float32()),
        ("duplicate_7gram_ratio", pa.float32()),
        ("duplicate_8gram_ratio", pa.float32()),
        ("duplicate_9gram_ratio", pa.float32()),
        ("duplicate_10gram_ratio", pa.float32()),
        ("gopher_stop_words", pa.int8()),  # how many of Gopher's eight words occur
        ("curly_brackets", pa.int32()),
        ("lorem_ipsum", pa.int8()),
        ("quality", pa.float32()),  # of the quality classifier
    ]
)

# Why a node or a paragraph of it went: the ledger's entry. Kept ones have none.
NODE_VERDICT = pa.struct(
    [
        ("index", pa.int32()),
        ("reason", pa.string()),  # scope.signal.min|max, or a stage's own reason
        ("value", pa.float64()),
        ("bound", pa.float64()),
        ("paragraph", pa.int32()),  # null: the whole node
    ]
)

# One row a document, aligned with `documents`.
VERDICTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("lang", pa.string()),
        ("kept", pa.bool_()),
        ("reasons", pa.list_(pa.string())),  # every failing document rule, the first decides
        ("values", pa.list_(pa.float64())),
        ("bounds", pa.list_(pa.float64())),
        ("dropped", pa.list_(NODE_VERDICT)),
        ("unjudged", pa.list_(pa.string())),  # rules that could not judge it: scope.signal.why
    ]
)

NODE_KEY = pa.struct([("index", pa.int32()), ("key", pa.int64())])

# One row a document that verdicts keep, aligned by part: what deduplication compares.
FINGERPRINTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("node", pa.binary()),  # 20 bytes: capture second and doc_id, so that older sorts first
        ("words", pa.int32()),  # tokens of the kept text nodes
        ("images", pa.int32()),  # kept image nodes
        ("host_key", pa.int64()),
        ("url_key", pa.int64()),
        ("payload_key", pa.int64()),
        ("text_key", pa.int64()),  # of the normalised text; null for texts that are too short
        ("bands", pa.list_(pa.int64())),  # MinHash band keys
        ("signature", pa.binary()),  # 8 bits a slot
        ("text_nodes", pa.list_(NODE_KEY)),
        ("image_nodes", pa.list_(NODE_KEY)),
    ]
)

# Documents that repeat a better one; aligned by part, only they have a row.
CLUSTERS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("reason", pa.string()),  # duplicate.url | duplicate.payload | duplicate.text | ...minhash
        ("kept_id", pa.string()),  # the document kept in its place
        ("similarity", pa.float32()),  # estimated Jaccard of the texts; null: one has no text
    ]
)

# All that deduplication drops, documents and nodes; aligned by part, only those have a row.
DUPLICATES = pa.schema(
    [
        ("doc_id", pa.string()),
        ("reason", pa.string()),  # as in clusters | duplicate.image_set | null: only nodes dropped
        ("kept_id", pa.string()),
        ("similarity", pa.float32()),
        ("dropped", pa.list_(NODE_VERDICT)),
    ]
)

# One row a distinct image URL of kept documents.
IMAGES = pa.schema(
    [
        ("url", pa.string()),
        ("final_url", pa.string()),  # after redirects
        ("host", pa.string()),
        ("reason", pa.string()),  # null: kept; consent.* http.* host.* address.* url.* picture.*
        ("detail", pa.string()),
        ("status", pa.int32()),  # HTTP
        ("content_type", pa.string()),  # as declared
        ("source", pa.string()),  # network | archive
        ("requests", pa.int32()),  # made for this image
        ("fetched_at", pa.string()),  # ISO 8601 UTC
        ("sha256", pa.string()),  # of the bytes as they came; key of `image_bytes`
        ("num_bytes", pa.int64()),
        ("format", pa.string()),  # by content, lower case
        ("mode", pa.string()),  # Pillow's
        ("width", pa.int32()),  # pixels, EXIF orientation applied
        ("height", pa.int32()),
        ("aspect", pa.float64()),  # width / height
        ("orientation", pa.int32()),  # EXIF, 1..8
        ("animated", pa.bool_()),
        ("phash", pa.string()),  # 64 bits, 16 hex digits
        ("blur", pa.float64()),  # variance of the Laplacian of grey levels; low: blurred
        ("entropy", pa.float64()),  # bits of the grey histogram, 0..8
        ("flatness", pa.float64()),  # share of the commonest grey level, 0..1
        ("nsfw", pa.float64()),  # 0..1, null without a model
        ("embedding", pa.list_(pa.float32())),
    ]
)

# What redeciding and shipping need of an image, brought to the part that shows it.
IMAGE_USES = pa.schema(
    [
        ("key", pa.binary()),  # of the URL
        ("reason", pa.string()),
        ("sha256", pa.string()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("num_bytes", pa.int64()),
    ]
)

# The bytes, once per sha256; `images` refers to them.
IMAGE_BYTES = pa.schema([("sha256", pa.string()), ("format", pa.string()), ("bytes", pa.binary())])

# OBELICS's four columns, and plain ones beside them.
DATASET = pa.schema(
    [
        ("images", pa.list_(pa.string())),
        ("texts", pa.list_(pa.string())),
        ("metadata", pa.string()),
        ("general_metadata", pa.string()),
        ("doc_id", pa.string()),
        ("lang", pa.string()),
        ("host", pa.string()),
        ("num_images", pa.int32()),
        ("num_words", pa.int32()),
        ("image_sha256", pa.list_(pa.string())),  # same length as images, null in text slots
    ]
)
