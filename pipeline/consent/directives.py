"""Robots directives and TDM reservations: what pages and responses say against their use.

One parser reads the content of robots meta elements and of X-Robots-Tag header lines. For a page,
extraction keeps each directive as a fact, such as "robots-meta:noai"; which facts bind us is
decided later, by the config. For an image, the header lines of its response are judged at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

# Directives about reuse: indexing and archiving (Google, Bing), and the AI ones (DeviantArt's noai
# and noimageai; noml). "none" stands for noindex and nofollow.
REUSE = frozenset(
    ("noai", "noimageai", "noml", "noindex", "noimageindex", "noarchive", "nocache", "none")
)
# Directives that have a value after a colon: what precedes the colon is not an agent.
WITH_VALUE = frozenset(
    ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
)
PAGE_WITH_VALUE = frozenset(("unavailable_after", "max-snippet"))  # those that facts know so far
RESERVATION, POLICY = "tdm-reservation", "tdm-policy"  # W3C TDMRep, section 6


@dataclass(frozen=True, slots=True)
class Directive:
    """One robots directive in lower case; `agent` is the crawler it names, None for all."""

    text: str  # with its value, such as "max-snippet: 0"
    agent: str | None = None


def parse(value: str, with_value: Collection[str] = WITH_VALUE) -> Iterator[Directive]:
    """Directives of a comma-separated value.

    In "otherbot: noindex, noai" the agent applies to all directives that follow it.
    """
    agent = None
    for part in value.lower().split(","):
        text = part.strip()
        before, colon, after = text.partition(":")
        if colon and before.strip() not in with_value:
            agent, text = before.strip(), after.strip()
        if text:
            yield Directive(text, agent)


# Which agents bind us


def page_agents(product: str, others: Iterable[str]) -> frozenset[str]:
    """Agents whose directives on a page bind us: ours, and other crawlers that the config names."""
    return frozenset(name.lower() for name in (product, *others))


def response_agents(product: str) -> frozenset[str]:
    """Agents whose directives in an image's response bind us: ours, and "*" for all."""
    return frozenset(("*", product.lower()))


def _means(text: str) -> str:
    return "noindex" if text == "none" else text


# Images: the headers of a response


def binding_words(value: str, agents: Collection[str]) -> set[str]:
    """Directives of one X-Robots-Tag header line that bind us."""
    return {
        _means(directive.text)
        for directive in parse(value)
        if directive.agent is None or directive.agent in agents
    }


# Pages: facts, "place:directive" or "place:agent:directive"


def from_headers(headers: Mapping[str, str]) -> list[str]:
    """Facts of a page's response: X-Robots-Tag and the headers of TDMRep."""
    facts: list[str] = []
    for key, value in headers.items():
        name = key.lower()
        if name == "x-robots-tag":
            facts.extend(_robots_facts(name, value))
        elif name in (RESERVATION, POLICY):
            facts.extend(_tdm_facts(name, value))
    return facts


def from_meta(name: str, content: str) -> list[str]:
    """Facts of one meta element, by its name in lower case.

    The name of a crawler, such as "gptbot", becomes part of the fact.
    """
    if name == "robots":
        return _robots_facts("robots-meta", content)
    if name in (RESERVATION, POLICY):
        return _tdm_facts(name, content)
    if name.endswith(("bot", "bot-extended")):
        return _robots_facts(f"robots-meta:{name}", content)
    return []


def _robots_facts(place: str, value: str) -> list[str]:
    return [
        ":".join(filter(None, (place, directive.agent, directive.text)))
        for directive in parse(value, PAGE_WITH_VALUE)
        if directive.text in REUSE
    ]


def _tdm_facts(name: str, value: str) -> list[str]:
    value = value.strip()
    if name == RESERVATION:
        return [f"{RESERVATION}:1"] if value == "1" else []
    return [f"{POLICY}:{value}"] if value else []


def binding_facts(
    facts: Iterable[str], directives: Collection[str], agents: Collection[str], tdm: bool = True
) -> Iterator[str]:
    """The facts of a page that bind us: those that name one of the directives.

    A fact that names an agent binds if the agent is one of `agents`. A TDM reservation binds if
    `tdm` is set.
    """
    wanted = {word.lower() for word in directives}
    names = {name.lower() for name in agents}
    for fact in facts:
        place, *agent, text = fact.lower().split(":")
        if place == RESERVATION:
            binds = tdm
        else:
            binds = _means(text) in wanted and (not agent or agent[0] in names)
        if binds:
            yield fact
