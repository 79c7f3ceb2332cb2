"""What a page says against its use, from the archived response's headers and its meta elements.

Each fact is "place:directive", such as "robots-meta:noai"; which of them count is for consent
rules to decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

# Robots directives that bear on reuse: indexing and archiving (Google, Bing) and the AI ones
# (DeviantArt's noai and noimageai; noml). "none" stands for noindex, nofollow.
_DIRECTIVES = frozenset(
    ("noai", "noimageai", "noml", "noindex", "noimageindex", "noarchive", "nocache", "none")
)


def from_headers(headers: Mapping[str, str]) -> list[str]:
    """Read X-Robots-Tag and the TDM Reservation Protocol's headers (W3C TDMRep, section 6)."""
    facts: list[str] = []
    for key, value in headers.items():
        name = key.lower()
        if name == "x-robots-tag":
            facts.extend(_robots("x-robots-tag", value))
        elif name in ("tdm-reservation", "tdm-policy"):
            facts.extend(_tdm(name, value))
    return facts


def from_meta(name: str, content: str) -> list[str]:
    """Read one meta element by its lower-case name; a crawler's own name is kept in the fact."""
    if name == "robots":
        return _robots("robots-meta", content)
    if name in ("tdm-reservation", "tdm-policy"):
        return _tdm(name, content)
    if name.endswith(("bot", "bot-extended")):
        return _robots(f"robots-meta:{name}", content)
    return []


def _robots(place: str, value: str) -> list[str]:
    """Directives of a comma-separated value; "agent: directive" names one crawler."""
    facts = []
    agent = ""
    for part in value.lower().split(","):
        before, colon, after = part.strip().partition(":")
        if colon and before.strip() not in ("unavailable_after", "max-snippet"):
            agent, part = before.strip(), after
        directive = part.strip()
        if directive in _DIRECTIVES:
            facts.append(":".join(filter(None, (place, agent, directive))))
    return facts


def _tdm(name: str, value: str) -> list[str]:
    value = value.strip()
    if name == "tdm-reservation":
        return ["tdm-reservation:1"] if value == "1" else []
    return [f"tdm-policy:{value}"] if value else []


# FOLD-IN Which of a page's opt-outs bind us: facts as extraction leaves them, against a config's
# words.


TDM = "tdm-reservation"


def binding(
    facts: Iterable[str], directives: Collection[str], agents: Collection[str], tdm: bool = True
) -> Iterator[str]:
    """Facts ("place:directive", "place:agent:directive") that name one of the directives.

    Those bound to an agent count when it is among `agents`. "none" stands for noindex and
    nofollow. `tdm`: a TDM reservation binds too.
    """
    wanted = {word.lower() for word in directives}
    names = {name.lower() for name in agents}
    for fact in facts:
        place, *agent, word = fact.lower().split(":")
        if place == TDM:
            binds = tdm
        else:
            named = ("noindex" if word == "none" else word) in wanted
            binds = named and (not agent or agent[0] in names)
        if binds:
            yield fact
