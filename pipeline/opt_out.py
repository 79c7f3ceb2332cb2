"""Which of a page's opt-outs bind us: facts as extraction leaves them, against a config's words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

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
