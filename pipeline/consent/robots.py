"""robots.txt (RFC 9309), and ai.txt in the same form: groups, paths, usage preferences, licences.

One place says which groups bind us: those that name our product token, else those for all, and in
addition every group that names another agent of the config. Work is linear in the file and, for
each address, in its length and a bounded number of wildcards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benben.pipeline.consent.directives import (
    is_named,
    product_token,
    signal_refusal,
    tokens_of,
    usage_refusal,
)

# Wildcards of all patterns that one address is matched against. A file with more is unreadable:
# with too many, each address of a site would take milliseconds.
MAX_WILDCARDS = 10_000
# Keys, with the misspellings that Google's parser accepts (google/robotstxt, robots.cc).
KEYS = {
    "user-agent": "agent", "useragent": "agent", "user agent": "agent",
    "disallow": "disallow", "dissallow": "disallow", "dissalow": "disallow",
    "disalow": "disallow", "diasllow": "disallow", "disallaw": "disallow",
    "allow": "allow",
    "crawl-delay": "delay", "crawldelay": "delay", "request-rate": "rate",
    "content-usage": "usage",  # draft-ietf-aipref-attach-05, section 3
    "content-signal": "signal", "content-signals": "signal",  # draft-romm-aipref-contentsignals
    "disallowaitraining": "no-training", "allowaitraining": "training",  # draft-canel-robots-ai
    "license": "license",  # RSL 1.0, section 4.4
}  # fmt: skip
# Rules: after one of them a User-agent line begins another group. Other lines do not interfere
# with groups (RFC 9309, section 2.2.4).
RULES = frozenset(("disallow", "allow", "usage", "signal", "no-training", "training"))
# Statements about use: where a blank line parts them from their group, they are read as site-wide
# too, since many sites mean them so.
USAGE = frozenset(("usage", "signal", "no-training", "license"))
_LINES = re.compile(r"\r\n|\r|\n")
_URL = re.compile(r"https?://[^/?#]*([^?#]*)(?:\?([^#]*))?")  # groups: path, query
_WORDS = re.compile(r"[\s;(),]+")
_BLANK = " \t\ufeff\u200b\x00"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


# Paths


def normal_path(path: str) -> str:
    """Percent-encoding as RFC 9309, section 2.2.2, compares it: only where it is needed."""
    if not path.isascii():
        path = "".join(c if c.isascii() else _escaped(c) for c in path)
    return _ESCAPE.sub(_unescaped, path) if "%" in path else path


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else f"%{found[1].upper()}"


def path_of(url: str) -> str:
    """Path and query of an address, as patterns are compared with them."""
    found = _URL.match(url)  # several times as fast as urlsplit
    path, query = found.groups() if found else urlsplit(url)[2:4]
    path = f"{path or '/'}?{query}" if query else path or "/"
    return normal_path(path).replace("*", "%2A").replace("$", "%24")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern of robots.txt: a prefix, `*` for any characters, a last `$` for the path's end.

    Matching takes linear time: with a regular expression a site could make us hang.
    """

    parts: tuple[str, ...]  # between asterisks
    whole: bool  # ends with `$`
    length: int  # in characters, for the choice of the longest

    @classmethod
    def of(cls, text: str) -> PathPattern:
        """Parse a pattern: a path, or the path of a whole address."""
        if text.lower().startswith(("http://", "https://")):
            text = "/" + "/".join(text.split("/")[3:])
        text = normal_path(text if text[:1] in ("/", "*") else f"/{text}")
        whole = text.endswith("$")
        parts = re.sub(r"\*+", "*", text.removesuffix("$")).replace("$", "%24").split("*")
        return cls(tuple(parts), whole, len(text))

    @property
    def plain(self) -> str | None:
        """The prefix that it is, if it has no special character."""
        return self.parts[0] if len(self.parts) == 1 and not self.whole else None

    def matches(self, path: str) -> bool:
        """Tell whether the pattern matches the start of a path; with `$`, all of it."""
        first, *middle = self.parts
        if not path.startswith(first):
            return False
        position = len(first)
        last = middle.pop() if middle and self.whole else None
        for part in middle:
            found = path.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        if last is not None:
            return len(path) - len(last) >= position and path.endswith(last)
        return not self.whole or position == len(path)


class PathRules:
    """Patterns with values; the longest pattern that matches decides."""

    def __init__(self) -> None:
        self._plain: dict[str, list[str]] = {}
        self._lengths: list[int] | None = None  # of plain patterns, longest first
        self._special: list[tuple[PathPattern, str]] = []
        self.wildcards = 0

    def add(self, pattern: PathPattern, value: str) -> None:
        """Add a rule."""
        if pattern.plain is not None:
            self._plain.setdefault(pattern.plain, []).append(value)
            self._lengths = None
        else:
            self._special.append((pattern, value))
            self.wildcards += len(pattern.parts)

    def values(self, path: str) -> list[str]:
        """The values of the longest patterns that match: several if patterns are equally long."""
        if self._lengths is None:
            self._lengths = sorted({len(prefix) for prefix in self._plain}, reverse=True)
        best, found = -1, []
        for length in self._lengths:
            if length <= len(path) and path[:length] in self._plain:
                best, found = length, list(self._plain[path[:length]])
                break
        for pattern, value in self._special:
            if pattern.length >= best and pattern.matches(path):
                found = [*found, value] if pattern.length == best else [value]
                best = pattern.length
        return found


# Groups


@dataclass(slots=True)
class Group:
    """What the groups for one agent say."""

    paths: PathRules = field(default_factory=PathRules)  # allow, disallow
    training: PathRules = field(default_factory=PathRules)  # training, no-training
    usage: PathRules = field(default_factory=PathRules)  # refusals of Content-Usage; "": none
    signal: PathRules = field(default_factory=PathRules)  # refusals of Content-Signal; "": none
    licenses: list[str] = field(default_factory=list)
    delay: float = 0.0  # seconds between requests
    lines: list[tuple[str, str]] = field(default_factory=list)  # that were added

    def add(self, key: str, value: str) -> None:
        """Add one line."""
        self.lines.append((key, value))
        if key in ("disallow", "allow"):
            if value and not (key == "allow" and value[0] not in "/*h"):
                self.paths.add(PathPattern.of(value), key)
        elif key in ("no-training", "training"):
            if value:
                self.training.add(PathPattern.of(value), key)
        elif key in ("usage", "signal"):
            path, statement = _path_and_statement(value)
            if key == "usage":
                self.usage.add(path, usage_refusal(statement) or "")
            else:
                self.signal.add(path, signal_refusal(statement) or "")
        elif key == "license":
            self.licenses.append(value)
        else:
            self.delay = max(self.delay, _seconds(key, value))

    @property
    def speaks_of_use(self) -> bool:
        """Whether it has statements about use that may refuse a path."""
        return any(key in ("no-training", "usage", "signal") for key, _ in self.lines)

    @property
    def wildcards(self) -> int:
        """Wildcards that an address is matched against."""
        rules = (self.paths, self.training, self.usage, self.signal)
        return sum(each.wildcards for each in rules)


def _path_and_statement(value: str) -> tuple[PathPattern, str]:
    """The two parts of a usage rule; a path begins with a slash and may be absent."""
    if not value.startswith(("/", "*")):
        return PathPattern(("",), False, 0), value
    path, *rest = value.split(None, 1)
    return PathPattern.of(path), rest[0] if rest else ""


def _seconds(key: str, value: str) -> float:
    """Seconds between requests by Crawl-delay, or Request-rate such as 1/5, 1/5m; 0 if unclear."""
    try:
        if key == "delay":
            return max(0.0, min(float(value.split()[0]), 1e9))
        pages, _, time = value.split()[0].partition("/")
        unit = {"m": 60, "h": 3600}.get(time[-1:].lower(), 1)
        return max(0.0, min(float(time.rstrip("smhSMH")) * unit / float(pages), 1e9))
    except (ValueError, IndexError, ZeroDivisionError, OverflowError):
        return 0.0


class RobotsText:
    """The text of a robots.txt, read for one product token and other agents of the config."""

    def __init__(self, text: str, product: str, agents: Iterable[str] = ()) -> None:
        others = {product_token(agent): Group() for agent in agents}
        ours, everyone, anywhere = Group(), Group(), Group()
        everyone_else = {**others, product_token(product): Group()}
        present: set[int] = set()  # ids of groups that a User-agent line names
        current: dict[int, Group] = {}
        in_rules = separated = True
        for key, value in _lines(text):
            if key == "agent":
                if in_rules:
                    current, in_rules = {}, False
                separated = False
                chosen = [everyone] if names_everyone(value) else []
                # Names stand inside longer ones too: "Mozilla/5.0 (compatible; CCBot/2.0)".
                tokens = {token for word in _WORDS.split(value) for token in tokens_of(word)}
                if is_named(value, product):
                    chosen.append(ours)
                    tokens.discard(product_token(product))
                chosen += [everyone_else[token] for token in tokens & everyone_else.keys()]
                current |= {id(group): group for group in chosen}
                present |= {id(group) for group in chosen}
                continue
            if key == "":
                separated = True
                continue
            for group in current.values():
                group.add(key, value)
            if separated and key in USAGE:
                anywhere.add(key, value)
            in_rules |= key in RULES
        main = ours if id(ours) in present else everyone
        named = (group for group in everyone_else.values() if id(group) in present)
        self.groups = _distinct([main, *named])  # all of them bind us
        # Their statements about use bind us.
        self.everywhere = _distinct([*self.groups, anywhere])
        self._about_use = [group for group in self.everywhere if group.speaks_of_use]
        self._main_licenses = main.licenses or anywhere.licenses

    @property
    def too_many(self) -> bool:
        """Whether there are more wildcards than an address is matched against."""
        return sum(group.wildcards for group in self.everywhere) > MAX_WILDCARDS

    @property
    def delay(self) -> float:
        """Seconds between requests."""
        return max(group.delay for group in self.groups)

    @property
    def licenses(self) -> list[str]:
        """Addresses of RSL licences: those of groups that bind us, else those outside groups."""
        named = [address for group in self.groups for address in group.licenses]
        return list(dict.fromkeys([*self._main_licenses, *named]))

    def allows(self, path: str) -> bool:
        """Tell whether a path, as `path_of` gives it, may be requested.

        The longest pattern decides, and of equally long ones Allow (RFC 9309, section 2.2.2).
        """
        for group in self.groups:
            values = group.paths.values(path)
            if values and "allow" not in values:
                return False
        return True

    def usage_refusals(self, path: str) -> Iterator[tuple[str, str]]:
        """What the statements about use say against training on a path: kind and statement."""
        for group in self._about_use:
            if "no-training" in group.training.values(path):
                yield "no-training", "DisallowAITraining"
            for kind, rules in (("usage", group.usage), ("signal", group.signal)):
                for refusal in filter(None, rules.values(path)):
                    yield kind, refusal


def _distinct(groups: Iterable[Group]) -> list[Group]:
    """Groups without those that say the same, in order: sites often list one for each crawler."""
    return list({tuple(group.lines): group for group in reversed(list(groups))}.values())[::-1]


def names_everyone(value: str) -> bool:
    """Tell whether a User-agent line is the asterisk, whatever follows it after a blank."""
    return value.startswith("*") and not value[1:2].isalnum()


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Known keys and values of the lines; "" for what separates groups from site-wide lines."""
    for line in _LINES.split(text):
        plain = line.partition("#")[0].strip(_BLANK)
        name, colon, value = plain.partition(":")
        if not colon:  # Google's parser takes a blank for a forgotten colon
            name, _, value = plain.partition(" ")
            if " " in value.strip():
                continue
        key = KEYS.get(" ".join(name.lower().split()))
        if key is not None:
            yield key, value.strip(_BLANK)
        elif not line.strip(_BLANK) or name.strip().lower() == "sitemap":
            yield "", ""
