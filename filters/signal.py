"""The catalogue of signals: what rules may name, its unit, its source, and how it is computed.

Most are ratios of counts, so a document's value is the ratio of sums over the nodes that were
kept. Plain data, complete on import: nothing registers itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["text_node", "image_node", "document"]
SCOPES: tuple[Scope, ...] = ("text_node", "image_node", "document")


@dataclass(frozen=True, slots=True)
class Signal:
    """One number (or name) about a paragraph, an image or a document.

    `count` over `per`, both columns of the table SIGNALS or derived counts (`filters.counts`);
    without `per` the count itself. Over nothing it is 0. `after_fetch`: known once images are
    fetched. `names`: a category, judged by `one_of`. `trend`: how a document's value moves as
    images are dropped; a bound it may still come to meet is not judged before the fetch.
    """

    name: str
    unit: str
    meaning: str
    source: str
    count: str
    per: str | None = None
    after_fetch: bool = False
    names: bool = False
    trend: Literal["falls", "rises", "either"] | None = None


def _ratio(name: str, count: str, per: str, meaning: str, source: str) -> Signal:
    return Signal(name, "ratio", meaning, source, count, per)


def _number(name: str, meaning: str, source: str, unit: str = "count") -> Signal:
    return Signal(name, unit, meaning, source, name)


OBELICS = "OBELICS (Laurençon et al. 2023)"
GOPHER = "Gopher (Rae et al. 2021)"
C4 = "C4 (Raffel et al. 2020)"
FINEWEB = "FineWeb (Penedo et al. 2024)"
CCNET = "CCNet (Wenzek et al. 2020)"
OWN = "Benben"

TEXT = (
    _number("words", "words", OBELICS),
    _number("chars", "characters", GOPHER),
    _ratio("char_repetition", "repeated_chars", "char_grams", "character 10-grams that are among "
           "the floor(sqrt(distinct)) most frequent and occur again", OBELICS),
    _ratio("word_repetition", "repeated_words", "word_grams",
           "word 5-grams that occur again", OBELICS),
    _ratio("special_ratio", "special", "chars",
           "characters that are white space, digits, punctuation or symbols", OBELICS),
    _ratio("stopword_ratio", "stop", "words", "words on the language's stop list", OBELICS),
    _ratio("flagged_word_ratio", "flagged", "words", "words on the language's flagged list",
           OBELICS),
    _ratio("common_word_ratio", "common", "words", "words on the language's list of common words",
           OBELICS),
    _ratio("spam_word_ratio", "spam", "words", "words of page furniture", OBELICS),
    _ratio("punctuation_ratio", "punctuation", "tokens",
           "punctuation marks among runs of word characters and punctuation marks", OBELICS),
    _number("tokens", "runs of word characters, and punctuation marks", OBELICS),
    Signal("perplexity", "1", "perplexity of the KenLM model, a piece", CCNET,
           "log_probability", "pieces"),
    _ratio("mean_word_length", "word_chars", "words", "characters a word", GOPHER),
    _ratio("alpha_word_ratio", "alpha_words", "words", "words with a letter", GOPHER),
    _ratio("symbol_ratio", "symbols", "words", "hash signs and ellipses a word", GOPHER),
    _ratio("upper_ratio", "upper", "chars", "upper-case letters",
           "OmniCorpus (Li et al. 2024)"),
    _ratio("digit_ratio", "digits", "chars", "decimal digits", "OmniCorpus (Li et al. 2024)"),
    _number("lines", "lines that are not blank", C4),
    _ratio("terminal_line_ratio", "terminal_lines", "lines", "lines ending a sentence", C4),
    _ratio("short_line_ratio", "short_lines", "lines", "lines of few characters", FINEWEB),
    _ratio("bullet_line_ratio", "bullet_lines", "lines", "lines beginning with a bullet", GOPHER),
    _ratio("ellipsis_line_ratio", "ellipsis_lines", "lines", "lines ending with an ellipsis",
           GOPHER),
    _ratio("duplicate_line_ratio", "duplicate_lines", "lines",
           "lines that occur earlier on the page", GOPHER),
    _ratio("duplicate_line_char_ratio", "duplicate_line_chars", "chars",
           "characters in lines that occur earlier on the page", GOPHER),
    _number("emails", "e-mail addresses", OWN),
    _number("ips", "IP addresses outside reserved networks", OWN),
    _number("phones", "telephone numbers", OWN),
    _number("credentials", "keys, tokens and passwords", OWN),
)  # fmt: skip

TEXT_NODE = (
    *TEXT,
    _number("duplicate", "1: an earlier paragraph of the page has the same text", GOPHER),
    _number("link_share", "share of the node's characters inside links", OWN, "ratio"),
    _number("content_score", "0 boilerplate .. 1 main content", OWN, "ratio"),
)

IMAGE_NODE = (
    _number("url_words", "banned words in the URL", OBELICS),
    Signal("url_format", "name", "format by the ending of the URL's path", OBELICS,
           "url_format", names=True),
    _number("rendered_width", "width declared by the page", OBELICS, "px"),
    _number("rendered_height", "height declared by the page", OBELICS, "px"),
    _number("alt_words", "words of the alternative text", OWN),
    _number("caption_words", "words of the figure's caption", OWN),
    _number("duplicate", "1: an earlier image of the page has the same URL", OBELICS),
    Signal("width", "px", "width of the fetched image", OBELICS, "width", after_fetch=True),
    Signal("height", "px", "height of the fetched image", OBELICS, "height", after_fetch=True),
    Signal("aspect_ratio", "ratio", "width over height of the fetched image", OBELICS,
           "width", "height", after_fetch=True),
    Signal("format", "name", "format of the fetched bytes", OBELICS, "format",
           after_fetch=True, names=True),
    Signal("num_bytes", "bytes", "size of the fetched image", OWN, "num_bytes", after_fetch=True),
    Signal("blur", "variance", "of the Laplacian of grey levels; low: blurred", OWN, "blur",
           after_fetch=True),
    Signal("entropy", "bits", "of the histogram of grey levels, 0 to 8", OWN, "entropy",
           after_fetch=True),
    Signal("flatness", "ratio", "share of the commonest grey level", OWN, "flatness",
           after_fetch=True),
    Signal("nsfw", "probability", "score of the NSFW classifier", OBELICS, "nsfw",
           after_fetch=True),
)  # fmt: skip

DOCUMENT = (
    *TEXT,
    Signal("images", "count", "images kept", OBELICS, "images", trend="falls"),
    _number("opt_outs", "reservations of the page that bind us: robots directives, TDM", OWN),
    _number("image_nodes", "images of the page before any is dropped", OWN),
    _number("text_nodes", "text nodes kept", OWN),
    Signal("words_per_image", "ratio", "words for each image", "OmniCorpus (Li et al. 2024)",
           "words", "images", trend="rises"),
    Signal("image_text_ratio", "ratio", "images for each paragraph", OWN,
           "images", "paragraphs", trend="falls"),
    _ratio("duplicate_paragraph_ratio", "duplicate", "paragraphs",
           "paragraphs that occur earlier on the page", GOPHER),
    _ratio("duplicate_paragraph_char_ratio", "duplicate_chars", "chars",
           "characters in paragraphs that occur earlier on the page", GOPHER),
    _ratio("boilerplate_ratio", "boilerplate_chars", "chars",
           "characters in nodes of content score below 0.5", OWN),
    _ratio("link_ratio", "link_chars", "chars", "characters inside links", OWN),
    Signal("alt_ratio", "ratio", "images with alternative text", OWN,
           "with_alt", "images", trend="either"),
    Signal("caption_ratio", "ratio", "images with a caption", OWN,
           "with_caption", "images", trend="either"),
    _ratio("line_word_ratio", "lines", "words", "lines for each word", FINEWEB),
    Signal("language", "name", "language of the page's text", OBELICS, "language", names=True),
    _number("language_score", "probability of that language", OBELICS, "probability"),
    *(_number(f"top_{size}gram_ratio", f"characters in the most frequent repeated {size}-gram",
              GOPHER, "ratio") for size in (2, 3, 4)),
    *(_number(f"duplicate_{size}gram_ratio", f"characters in repeated {size}-grams", GOPHER,
              "ratio") for size in (5, 6, 7, 8, 9, 10)),
    _number("gopher_stop_words", "how many of Gopher's eight English words occur", GOPHER),
    _number("curly_brackets", "curly brackets on the page", C4),
    _number("lorem_ipsum", "1: the page has placeholder text", C4),
    Signal("nsfw_images", "count", "images that the NSFW rule dropped", OBELICS,
           "nsfw_images", after_fetch=True),
    _number("quality", "score of the quality classifier", "DCLM (Li et al. 2024)", "probability"),
)  # fmt: skip

CATALOGUE: dict[Scope, dict[str, Signal]] = {
    "text_node": {signal.name: signal for signal in TEXT_NODE},
    "image_node": {signal.name: signal for signal in IMAGE_NODE},
    "document": {signal.name: signal for signal in DOCUMENT},
}
