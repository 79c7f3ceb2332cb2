"""What pages and responses say against their use: one parser for markup and for header lines.

It reads robots directives (meta elements, X-Robots-Tag), TDM reservations, the usage preferences
Content-Usage and Content-Signal, and links to RSL licences. Each statement against use becomes a
fact, such as "robots-meta:noai" or "x-robots-tag:ccbot:noindex". For a page, extraction keeps the
facts; for an image, they are judged at once. Which facts bind us is decided by the config.

What cannot be told apart is read as the wish not to be used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from benben.common.text import one_line
from benben.pipeline.settings.consent import OptOutRules

# Directives about reuse: indexing and archiving (Google, Bing), and the AI ones: noai and noimageai
# (DeviantArt), noml, DisallowAITraining (draft-canel-robots-ai-control). "none" stands for noindex
# and nofollow.
REUSE = frozenset(
    ("noai", "noimageai", "noml", "noindex", "noimageindex", "noarchive", "nocache", "none",
     "disallowaitraining")
)  # fmt: skip
# Directives that say nothing about reuse, and those with a value after a colon.
OTHER = frozenset(
    ("all", "index", "follow", "nofollow", "archive", "snippet", "nosnippet", "notranslate",
     "imageindex", "noodp", "noydir", "indexifembedded", "nositelinkssearchbox", "allowaitraining")
)  # fmt: skip
WITH_VALUE = frozenset(
    ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
)
KNOWN = REUSE | OTHER | WITH_VALUE
EVERYONE = frozenset(("*", "robots", "all"))  # names that stand for every crawler
# Names of crawlers have one of these; another word before a colon is a directive we do not know.
CRAWLER = re.compile(
    r"\*|bot|spider|crawl|slurp|agent|fetch|archiv|scrap|extended|dataset|benben|gpt|claude|"
    r"anthropic|cohere|google|bing|yandex|baidu|apple|facebook|^meta-|amazon|-ai$"
)
# Words and colons; other punctuation, also of full width, and invisible characters part words.
TOKEN = re.compile(r":|[^\s,;:=|\"'()\uff0c\u3001\uff1b\uff1a\u200b\ufeff\ufffd]+")

ROBOTS_TAG, ROBOTS_META = "x-robots-tag", "robots-meta"
RESERVATION, POLICY = "tdm-reservation", "tdm-policy"  # W3C TDMRep, section 6
USAGE, SIGNAL, LICENSE = "content-usage", "content-signal", "rsl"
HEADERS = (ROBOTS_TAG, RESERVATION, POLICY, USAGE, SIGNAL, "link")
MAX_LINE = 16_384  # characters of a header line that are read
_TOKEN = re.compile(r"[a-z0-9_-]+")
_LINK = re.compile(r"<([^<>]*)>([^<]*)")


# Crawlers by name


def product_token(name: str) -> str:
    """The product token of a crawler's name in lower case: what precedes version and comment."""
    found = _TOKEN.match(name.strip().lower())
    return found[0] if found else ""


def tokens_of(name: str) -> tuple[str, ...]:
    """The product tokens that a name may stand for: its own, and that without digits at its end."""
    token = product_token(name)
    return token, token.rstrip("0123456789")


def is_named(line: str, agent: str) -> bool:
    """Tell whether a User-agent line or the name before a colon is that of an agent.

    Case and all that follows the product token are ignored (RFC 9309, section 2.2.1): "CCBot/2.0"
    names CCBot, "CCBot-Extended" does not.
    """
    return product_token(agent) in tokens_of(line) and agent.strip() != ""


@lru_cache(64)
def product_tokens(agents: tuple[str, ...]) -> frozenset[str]:
    """The product tokens of agents, blank ones left out."""
    return frozenset(product_token(agent) for agent in agents if agent.strip())


def page_agents(product: str, rules: OptOutRules) -> tuple[str, ...]:
    """Agents whose directives bind us: ours, and other crawlers that the config names."""
    return tuple(dict.fromkeys((product, *rules.agents, *rules.training_agents)))


# Robots directives


@dataclass(frozen=True, slots=True)
class Directive:
    """One robots directive in lower case; `agent` is the crawler it names, None for all."""

    text: str
    agent: str | None = None


def parse(value: str) -> Iterator[Directive]:
    """Directives of one value that are known by name; commas, semicolons and blanks part them.

    In "otherbot: noindex, noai" the agent applies to all directives that follow it. Dates and other
    values are passed over, and so are directives we do not know, with or without a value.
    """
    tokens = TOKEN.findall(value.lower().replace("\uff1a", ":"))
    agent = None
    before = ""  # the last word
    for place, token in enumerate(tokens):
        if token == ":":
            continue
        if tokens[place + 1 : place + 2] == [":"] and token not in KNOWN:
            after = tokens[place + 2 : place + 3]
            if after and after[0] in KNOWN and CRAWLER.search(token):
                agent = None if token in EVERYONE else token
        elif token in KNOWN and not (token == "none" and before == "max-image-preview"):
            yield Directive(token, agent)
        before = token


def _robots_facts(place: str, value: str) -> list[str]:
    return [
        ":".join(filter(None, (place, directive.agent, directive.text)))
        for directive in parse(value)
        if directive.text in REUSE
    ]


# TDM reservations


def is_reserved(value: object) -> bool:
    """Tell whether the value of a TDM reservation reserves the rights: 1, true, 1.0, as text too.

    Repeated values in one line reserve if one of them does. By TDMRep, section 5.1, other values
    are protocol errors and count as none.
    """
    if isinstance(value, bool | int | float):
        return value == 1
    if not isinstance(value, str):
        return False
    return any(part in ("1", "true", "1.0") for part in TOKEN.findall(value.lower()))


def _tdm_facts(name: str, value: str) -> list[str]:
    if name == RESERVATION:
        return [f"{RESERVATION}:1"] if is_reserved(value) else []
    return [f"{POLICY}:{value.strip()}"] if value.strip() else []


# Usage preferences

TRAINING = "train-ai"  # the category of draft-ietf-aipref-vocab-08; those of earlier drafts:
BROADER = ("train-genai", "genai-train", "genai", "ai-train", "ai", "tdm", "bots", "all")
FULL_USE = ("full", "yes")  # levels of Content-Signal's `use` that include training


def preferences(value: str) -> dict[str, str]:
    """Keys and values of a usage preference in lower case: "train-ai=n, search=y".

    A structured dictionary (RFC 9651, section 3.2): parameters after semicolons are left out, and
    of a repeated key the last value counts. Of text that is no dictionary, such as members parted
    by blanks, it gives what can be read.
    """
    plain = " ".join(value.lower().split()).replace(" =", "=").replace("= ", "=")
    found: dict[str, str] = {}
    for member in plain.replace(" ", ",").split(","):
        key, _, rest = member.split(";")[0].partition("=")
        if key:
            found[key.strip("\"'")] = rest.strip("\"'")
    return found


def usage_refusal(value: str) -> str | None:
    """What a Content-Usage statement says against training, such as "train-ai=n".

    The category for training decides if it is stated; else each broader one of earlier drafts.
    """
    found = preferences(value)
    if found.get(TRAINING) in ("y", "yes"):
        return None
    for label in (TRAINING, *BROADER):
        if found.get(label) in ("n", "no", "?0"):
            return f"{label}={found[label]}"
    return None


def signal_refusal(value: str) -> str | None:
    """What a Content-Signal statement says against training: "ai-train=no", or a level of use.

    `use` is the highest level of use: immediate, reference or full. Training needs full.
    """
    found = preferences(value.replace(";", ","))
    if found.get("ai-train") in ("no", "n", "?0"):
        return f"ai-train={found['ai-train']}"
    use = found.get("use")
    return f"use={use}" if use and use not in FULL_USE else None


def _usage_facts(name: str, value: str) -> list[str]:
    refusal = usage_refusal(value) if name == USAGE else signal_refusal(value)
    return [f"{name}:{refusal}"] if refusal else []


# Links to RSL licences


def license_links(value: str) -> list[str]:
    """Addresses of the RSL licences in a Link header line (RSL 1.0, section 4.5)."""
    return [
        address.strip()
        for address, parameters in _LINK.findall(value)
        if "rsl+xml" in parameters.lower() and "license" in TOKEN.findall(parameters.lower())
    ]


# Facts: "place:statement" or "place:agent:directive"


def lines_of(headers: Mapping[str, str], name: str) -> list[str]:
    """The lines of one header, given by its name in lower case; each counts by itself."""
    if hasattr(headers, "getall"):
        return list(headers.getall(name, []))
    return [value for key, value in headers.items() if key.lower() == name]


def statements(headers: Mapping[str, str]) -> str:
    """The header lines that may say something about use, one a line, fit for a table."""
    names = [name for name in HEADERS if name in headers]  # most responses have none
    found = ((name, line) for name in names for line in lines_of(headers, name))
    told = (f"{name}: {line}" for name, line in found if name != "link" or "rsl" in line.lower())
    return "\n".join(one_line(line, MAX_LINE) for line in told)


class Statements(dict[str, str]):
    """Header lines as `statements` writes them, read again as headers."""

    def __init__(self, text: str) -> None:
        lines = [line.partition(": ") for line in text.split("\n")]
        super().__init__((name, line) for name, _, line in lines)
        self._lines = lines

    def getall(self, name: str, default: list[str]) -> list[str]:
        """The lines of one header, given by its name in lower case."""
        return [line for key, _, line in self._lines if key == name] or default


def from_headers(headers: Mapping[str, str]) -> list[str]:
    """Facts of a response."""
    return [
        fact for name in HEADERS for line in lines_of(headers, name) for fact in _from(name, line)
    ]


def _from(name: str, value: str) -> list[str]:
    """Facts of one header line, or of a meta element with such a name."""
    if name == ROBOTS_TAG:
        return _robots_facts(name, value)
    if name in (RESERVATION, POLICY):
        return _tdm_facts(name, value)
    if name in (USAGE, SIGNAL):
        return _usage_facts(name, value)
    return [f"{LICENSE}:{address}" for address in license_links(value)]


def from_meta(name: str, content: str) -> list[str]:
    """Facts of one meta element, by its name or its http-equiv in lower case.

    The name of a crawler, such as "gptbot", becomes part of the fact.
    """
    name = name.replace("tdm:", "tdm-")
    if name in HEADERS:
        return _from(name, content)
    if name in EVERYONE:
        return _robots_facts(ROBOTS_META, content)
    if CRAWLER.search(name) and not name.startswith(("og:", "twitter:")):
        return _robots_facts(f"{ROBOTS_META}:{name.replace(':', ' ')}", content)
    return []


# Which facts bind us


def binding_facts(
    facts: Iterable[str], rules: OptOutRules, agents: Collection[str]
) -> Iterator[str]:
    """The facts that bind us.

    A robots directive binds if it is one of `rules.directives` and names no crawler, or one of
    `agents`; other facts bind if their kind is switched on.
    """
    wanted = {word.lower() for word in rules.directives}
    names = product_tokens(tuple(agents))
    switches = {
        RESERVATION: rules.tdm,
        POLICY: False,
        USAGE: rules.content_usage,
        SIGNAL: rules.content_signal,
        LICENSE: rules.rsl,
    }
    for fact in facts:
        place, *agent, text = fact.lower().split(":")
        place = fact.split(":", 1)[0].lower()
        if place in switches:
            binds = switches[place]
        else:
            binds = ("noindex" if text == "none" else text) in wanted and (
                not agent or not names.isdisjoint(tokens_of(agent[0]))
            )
        if binds:
            yield fact
