"""Arrow schema of the table `signals`: counts of paragraphs, images and documents."""

from __future__ import annotations

import pyarrow as pa

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
        ("emails", pa.int32()),
        ("ips", pa.int32()),
        ("phones", pa.int32()),
        ("credentials", pa.int32()),
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
        ("url_words", pa.int32()),  # banned words in the URL
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
        ("opt_outs", pa.int32()),  # of the page, that bind us
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
