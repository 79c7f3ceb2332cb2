"""What one origin says of its addresses: robots.txt, ai.txt, tdmrep.json and RSL licences.

`SiteFile` is the answer to a request for one of them, `OriginConsent` what all of them come to. A
file that is there but cannot be read is no permission.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

from benben.pipeline.consent.directives import LICENSE, RESERVATION, is_reserved, page_agents
from benben.pipeline.consent.robots import MAX_WILDCARDS, PathPattern, RobotsText, path_of
from benben.pipeline.schema import CONSENT
from benben.pipeline.settings.consent import ConsentSettings

ROBOTS, AI_TXT, TDMREP = "/robots.txt", "/ai.txt", "/.well-known/tdmrep.json"
# RFC 9309, section 2.3.1.4: unreachable (5xx, network errors) means complete disallow; section
# 2.3.1.3: unavailable (4xx) means no restriction. 429 says "later", so it counts as unreachable.
UNREACHABLE_STATUS = 429
MAX_RULES = 2_000  # of a tdmrep.json; more are unreadable, as each address is matched against them
MAX_LICENSES = 5  # of an origin that are read
UNREADABLE = "consent.unreadable"
NO_TEXT = "not a text"


@dataclass(frozen=True, slots=True)
class SiteFile:
    """The answer to the request for one of a site's files.

    `status` is the HTTP status after redirects, or None when there was no answer; `problem` says
    why a body could not be read.
    """

    origin: str
    path: str
    status: int | None
    text: str
    fetched_at: float  # seconds since the epoch
    problem: str | None = None

    @property
    def found(self) -> bool:
        """Whether there is such a file."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def unreachable(self) -> bool:
        """Whether the server did not say if there is such a file."""
        return self.status is None or self.status >= 500 or self.status == UNREACHABLE_STATUS

    def receipt(self) -> dict[str, Any]:
        """The row of CONSENT that holds this answer."""
        asked_at = datetime.fromtimestamp(self.fetched_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return with_digest(
            {
                "kind": "source",
                "url": self.origin,
                "path": self.path,
                "asked_at": asked_at,
                "status": self.status,
                "said": self.text,
                "detail": self.problem,
            }
        )


def with_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row of CONSENT of these values, with its digest."""
    row: dict[str, Any] = {**dict.fromkeys(CONSENT.names), "sources": [], **values}
    return row | {"digest": digest_of(row)}


def digest_of(row: Mapping[str, Any]) -> str:
    """SHA-256 of the other columns of a row of CONSENT."""
    values = [row[name] for name in CONSENT.names if name != "digest"]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def origin_of(url: object) -> str:
    """Scheme, host and port: what one robots.txt applies to. The scheme's own port is left out."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(DEFAULT_PORTS.get(parts.scheme, ':'))}"


# Bodies to text


class UnreadableError(Exception):
    """A body that is not the text it should be."""


GZIP = b"\x1f\x8b"
BINARY = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF",
    b"PK\x03\x04",
    b"RIFF",
    b"\x28\xb5\x2f\xfd",
)
MAX_CODINGS = 4
_CONTROL = bytes(range(9)) + bytes(range(14, 32))
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip


def read_text(body: bytes, content_encoding: str, limit: int) -> tuple[str, str | None]:
    """Text of a body and why it cannot be read, if so; at most `limit` bytes are decoded.

    gzip is told by its first bytes, UTF-16 by its byte order mark or its zeros, whatever the
    headers say. A body of `limit` bytes is the start of a longer one, so its end is not missed.
    """
    try:
        return _decoded(_unpacked(body, content_encoding, limit)), None
    except UnreadableError as error:
        return "", str(error)


def _unpacked(body: bytes, content_encoding: str, limit: int) -> bytes:
    codings = [name for name in content_encoding.lower().replace(" ", "").split(",") if name]
    if len(codings) > MAX_CODINGS:
        raise UnreadableError("too many content encodings")
    whole = len(body) < limit
    for coding in reversed(codings):
        if coding in ("identity", "gzip", "x-gzip"):
            continue  # told below
        try:
            body = _expand(body, coding, limit, whole)
        except UnreadableError:
            if _has_controls(body, 0):
                raise
            # text under a wrong label
    for _ in range(MAX_CODINGS):
        if not body.startswith(GZIP):
            return body[:limit]
        body = _gunzip(body, limit, whole)
    raise UnreadableError("compressed too many times")


def _expand(body: bytes, coding: str, limit: int, whole: bool) -> bytes:
    if coding == "deflate":
        head = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflate(body, 15 if head else -15, limit, whole)[0]
    if coding == "br":
        return _unbrotli(body, limit, whole)
    raise UnreadableError(f"content encoding {coding[:40]}")


def _gunzip(body: bytes, limit: int, whole: bool) -> bytes:
    """All members of a gzip file, to `limit` bytes."""
    parts: list[bytes] = []
    held = 0
    while body.startswith(GZIP) and held < limit:
        part, body = _inflate(body, 31, limit - held, whole)
        parts.append(part)
        held += len(part)
    return b"".join(parts)


def _inflate(body: bytes, form: int, limit: int, whole: bool) -> tuple[bytes, bytes]:
    """One compressed stream and what follows it."""
    stream = zlib.decompressobj(wbits=form)
    try:
        plain = stream.decompress(body, limit)
    except zlib.error as error:
        raise UnreadableError(f"compressed badly: {error}") from None
    if not stream.eof and whole and len(plain) < limit:
        raise UnreadableError("compressed and cut off")
    return plain, stream.unused_data


def _unbrotli(body: bytes, limit: int, whole: bool) -> bytes:
    import brotli

    stream = brotli.Decompressor()
    try:
        plain = stream.process(body, output_buffer_limit=limit)
    except brotli.error:
        raise UnreadableError("compressed badly: brotli") from None
    if not stream.is_finished() and whole and len(plain) < limit:
        raise UnreadableError("compressed and cut off")
    return bytes(plain[:limit])


def _has_controls(body: bytes, share: float) -> bool:
    """Tell whether more than a share of the first bytes are no characters of a text."""
    start = body[:4096]
    return len(start) - len(start.translate(None, _CONTROL)) > share * len(start)


def _decoded(body: bytes) -> str:
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    few, many = sorted((body[:4096:2].count(0), body[1:4096:2].count(0)))
    if many > len(body[:4096]) // 4 and few * 8 < many:  # UTF-16: every other byte is zero
        little = body[1:4096:2].count(0) == many
        return body.decode("utf-16-le" if little else "utf-16-be", "replace")
    body = body.rstrip(b"\0")
    if body.startswith((GZIP, *BINARY)) or _has_controls(body, 0.1):
        raise UnreadableError(NO_TEXT)
    return body.decode("utf-8", "replace")


# tdmrep.json


class Reservations:
    """The rules of a tdmrep.json (TDM Reservation Protocol, section 6.1): the first match counts.

    `problem` says why a file cannot be read. What is no JSON and does not speak of reservations,
    such as a page that says "not found", is no such file.
    """

    def __init__(self, text: str) -> None:
        self.problem: str | None = None
        self._rules: list[tuple[PathPattern, bool]] = []
        plain = text.lstrip("\ufeff \t\r\n")
        try:
            data = json.loads(plain)
        except (ValueError, RecursionError):
            if plain[:1] in ("[", "{") or RESERVATION in plain.lower():
                self.problem = "tdmrep.json is no JSON"
            return
        rules = data if isinstance(data, list) else [data]
        for rule in rules[: MAX_RULES + 1]:
            if isinstance(rule, dict):
                self._add({_key(name): value for name, value in rule.items()})
        wildcards = sum(len(pattern.parts) - 1 for pattern, _ in self._rules)
        if len(rules) > MAX_RULES or wildcards > MAX_WILDCARDS:
            self.problem = "tdmrep.json has too many rules"

    def _add(self, rule: Mapping[str, Any]) -> None:
        location = rule.get("location", "/")  # mandatory; without one the wish is for all
        reserved = is_reserved(rule.get(RESERVATION))
        if isinstance(location, str) and (reserved or "location" in rule):
            self._rules.append((PathPattern.of(location), reserved))

    def reserved(self, path: str) -> bool:
        """Tell whether the first rule that matches a path reserves the rights."""
        return next((reserved for pattern, reserved in self._rules if pattern.matches(path)), False)


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(":", "-")


# RSL licences

TRAINING_USES = frozenset(("all", "ai-all", "ai-train", "train-ai", "ai-training"))


class License:
    """An RSL document (RSL 1.0): whether it licenses training, for which paths.

    Of several contents the most specific that matches decides, and of its terms the most
    restrictive; a licence with terms that a crawl cannot meet (payment, reporting, a licence
    server, users, places) is none.
    """

    def __init__(self, text: str, accepted_payments: Iterable[str]) -> None:
        self._accepted = frozenset(accepted_payments)
        self._contents: list[tuple[PathPattern, bool]] = []
        self.readable = False
        if "<!doctype" in text.lower() or "<!entity" in text.lower():
            return
        try:
            root = ElementTree.fromstring(text.lstrip("\ufeff \t\r\n"))
        except (ElementTree.ParseError, ValueError):
            return
        contents = [element for element in root.iter() if _name(element) == "content"]
        self.readable = bool(contents) and len(contents) <= MAX_RULES
        for content in contents[:MAX_RULES]:
            pattern = PathPattern.of(content.get("url", "").strip() or "/")
            self._contents.append((pattern, self._permits(content)))

    def permits(self, path: str) -> bool:
        """Tell whether training on what a path leads to is licensed, or not spoken of."""
        matching = [(p.length, permitted) for p, permitted in self._contents if p.matches(path)]
        longest = max((length for length, _ in matching), default=0)
        specific = [permitted for length, permitted in matching if length == longest]
        return self.readable and all(specific)

    def _permits(self, content: ElementTree.Element) -> bool:
        licenses = [element for element in content if _name(element) == "license"]
        if content.get("server") or content.get("encrypted", "").lower() == "true":
            return False
        verdicts = [self._license_permits(terms) for terms in licenses]
        return False not in verdicts and True in verdicts

    def _license_permits(self, terms: ElementTree.Element) -> bool | None:
        """Whether one licence permits training; None when it does not speak of it."""
        permits, prohibits = _uses(terms, "permits"), _uses(terms, "prohibits")
        if prohibits.get("usage", set()) & TRAINING_USES:
            return False
        if "usage" in permits and not permits["usage"] & TRAINING_USES:
            return None
        payments = {p.get("type", "") for p in terms if _name(p) == "payment"} or {"free"}
        restricted = (set(permits) | set(prohibits)) - {"usage"}
        reporting = any(_name(element) == "reporting" for element in terms)
        return not restricted and not reporting and payments <= self._accepted


def inline_license(text: str, url: str) -> list[str]:
    """The fact of a page whose markup holds an RSL document, unless that licenses training."""
    return [] if License(text, ["free"]).permits(path_of(url)) else [f"{LICENSE}:inline"]


def _name(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _uses(terms: ElementTree.Element, name: str) -> dict[str, set[str]]:
    """Type -> words of the elements `permits` or `prohibits` of a licence."""
    found: dict[str, set[str]] = {}
    for element in terms:
        if _name(element) == name:
            words = (element.text or "").lower().replace(",", " ").split()
            found.setdefault(element.get("type", "usage").lower(), set()).update(words)
    return found


# All files of an origin


def _problem(answer: SiteFile) -> str | None:
    """Why a file that is there cannot be read.

    A picture in place of the rarer files is an answer of a server that has none of them.
    """
    if answer.problem is None or not answer.found:
        return None
    if answer.path not in (ROBOTS, AI_TXT, TDMREP):  # a licence that cannot be read is none
        return None
    if answer.problem == NO_TEXT and answer.path != ROBOTS:
        return None
    return f"{answer.path}: {answer.problem}"


class OriginConsent:
    """What one origin allows, by the answers to the requests for its files.

    The same answers give the same verdicts at any time, so that verdicts can be checked later.
    """

    def __init__(
        self, answers: Iterable[SiteFile], settings: ConsentSettings, product: str
    ) -> None:
        files = {answer.path: answer for answer in answers}
        self._answers = tuple(files.values())
        self._settings = settings
        self._robots_file = files.get(ROBOTS)
        self._problem = next((p for p in map(_problem, files.values()) if p is not None), None)
        others = [agent for agent in page_agents(product, settings) if agent != product]
        self._robots = self._text(files.get(ROBOTS), product, others)
        self._ai = self._text(files.get(AI_TXT), product, others)
        tdmrep = files.get(TDMREP)
        self._reservations = Reservations(tdmrep.text if tdmrep and tdmrep.found else "")
        self._licenses = {
            path: License(answer.text if answer.found else "", settings.rsl_payments)
            for path, answer in files.items()
            if path not in (ROBOTS, AI_TXT, TDMREP)
        }

    def _text(
        self, answer: SiteFile | None, product: str, agents: Iterable[str]
    ) -> RobotsText | None:
        if answer is None or not answer.found:
            return None
        text = RobotsText(answer.text, product, agents)
        if text.too_many:
            self._problem = f"{answer.path}: too many wildcards"
        return text

    @property
    def unreachable(self) -> bool:
        """Whether the host did not say what it allows; then nothing else is asked."""
        return self._robots_file is not None and self._robots_file.unreachable

    @cached_property
    def receipts(self) -> list[dict[str, Any]]:
        """Rows of CONSENT that hold the answers."""
        return [answer.receipt() for answer in self._answers]

    @cached_property
    def digests(self) -> list[str]:
        """Digests of the receipts of the answers."""
        return [receipt["digest"] for receipt in self.receipts]

    @property
    def crawl_delay(self) -> float:
        """Seconds between requests, by Crawl-delay or Request-rate; 0 without either."""
        return self._robots.delay if self._robots else 0.0

    def license_urls(self, origin: str) -> list[str]:
        """Addresses of the RSL licences that robots.txt names."""
        return [urljoin(f"{origin}/", address) for address in self._license_names]

    @cached_property
    def _license_names(self) -> list[str]:
        return self._robots.licenses if self._robots and self._settings.rsl else []

    def reason(self, url: str) -> tuple[str, str] | None:
        """Why a URL must not be requested, and what says so; None when it may be."""
        if self.unreachable:
            return "consent.robots_unreachable", ""
        if self._problem is not None:
            return UNREADABLE, self._problem
        path = path_of(url)
        if self._robots is not None:
            if not self._robots.allows(path):
                return "consent.robots", ""
            refused = self._usage(self._robots, path) or self._license(url, path)
            if refused is not None:
                return refused
        if self._settings.tdm and self._reservations.problem is not None:
            return UNREADABLE, self._reservations.problem
        if self._settings.tdm and self._reservations.reserved(path):
            return "consent.tdm", TDMREP
        if self._ai is not None and not self._ai.allows(path):
            return "consent.ai_txt", ""
        return self._usage(self._ai, path) if self._ai is not None else None

    @cached_property
    def _usage_reasons(self) -> dict[str, str]:
        """The reason of each kind of statement about use that is switched on."""
        settings = self._settings
        reasons = {
            "no-training": (
                "disallowaitraining" in map(str.lower, settings.directives),
                "ai_training",
            ),
            "usage": (settings.content_usage, "content_usage"),
            "signal": (settings.content_signal, "content_signal"),
        }
        return {kind: f"consent.{name}" for kind, (on, name) in reasons.items() if on}

    def _usage(self, text: RobotsText, path: str) -> tuple[str, str] | None:
        """The first statement about use that refuses training and is switched on."""
        for kind, statement in text.usage_refusals(path):
            if kind in self._usage_reasons:
                return self._usage_reasons[kind], statement
        return None

    def _license(self, url: str, path: str) -> tuple[str, str] | None:
        """The first licence that does not permit, or that was not read."""
        if not self._license_names:
            return None
        for address in self.license_urls(origin_of(url)):
            known = self._licenses.get(address)
            if known is None or not known.permits(path):
                return "consent.rsl", address
        return None
