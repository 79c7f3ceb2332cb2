"""Forms in which sites say what may be used, written from the specifications, with the verdicts.

A form is one site: its files, the page that shows an image, the image's response. The verdict is
the reason for which its image /img/a.png is refused, None if it is used.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field

from benben.pipeline.consent.site_files import AI_TXT, ROBOTS, TDMREP

RFC9309 = "RFC 9309"
GOOGLE = "Google Search Central: robots.txt, robots meta tag and X-Robots-Tag specifications"
DEVIANTART = "DeviantArt: noai and noimageai directives"
NOML = "noml.info"
TDMREP_SPEC = "W3C TDM Reservation Protocol, final community group report"
ATTACH = "draft-ietf-aipref-attach-05"
VOCAB = "draft-ietf-aipref-vocab-08"
CLOUDFLARE = "contentsignals.org; Cloudflare changelog 2026-08-31 on `use`"
CANEL = "draft-canel-robots-ai-control"
RSL = "RSL 1.0, rslstandard.org/rsl"
SPAWNING = "spawning.ai/ai-txt"
OURS = "fails closed"  # no specification says so, or it leaves the reading open

ROBOTS_NO, UNREACHABLE, UNREADABLE = (
    "consent.robots",
    "consent.robots_unreachable",
    "consent.unreadable",
)
PAGE, TAG, TDM = "consent.page", "consent.x_robots_tag", "consent.tdm"
USAGE, SIGNAL, LICENSE = "consent.content_usage", "consent.content_signal", "consent.rsl"
TRAINING = "consent.ai_training"


@dataclass(frozen=True)
class Form:
    """One site."""

    source: str
    verdict: str | None
    files: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    page: str = ""
    page_headers: tuple[tuple[str, str], ...] = ()
    image_headers: tuple[tuple[str, str], ...] = ()


def _file(path: str, source: str, verdict: str | None, body: str | bytes, **headers: str) -> Form:
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Form(source, verdict, {path: (200, named, data)})


def robots(source: str, verdict: str | None, body: str | bytes, **headers: str) -> Form:
    """A robots.txt."""
    return _file(ROBOTS, source, verdict, body, **headers)


def meta(source: str, verdict: str | None, markup: str) -> Form:
    """The markup of the page."""
    return Form(source, verdict, page=markup)


def header(source: str, verdict: str | None, *lines: str) -> Form:
    """Header lines of the image's response."""
    found = tuple((line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in lines)
    return Form(source, verdict, image_headers=found)


def page_header(source: str, verdict: str | None, *lines: str) -> Form:
    """Header lines of the page's response."""
    found = tuple((line.split(":", 1)[0], line.split(":", 1)[1].strip()) for line in lines)
    return Form(source, verdict, page_headers=found)


def tdmrep(source: str, verdict: str | None, body: str | bytes, **headers: str) -> Form:
    """A tdmrep.json."""
    return _file(TDMREP, source, verdict, body, **headers)


def robots_meta(content: str) -> str:
    """A robots meta element."""
    return f'<meta name="robots" content="{content}">'


DENY = "User-agent: *\nDisallow: /\n"
ROBOTS_FORMS = [
    robots(RFC9309, ROBOTS_NO, DENY),
    robots(RFC9309, None, "User-agent: *\nAllow: /\n"),
    robots(RFC9309, None, "User-agent: *\nDisallow:\n"),
    robots(RFC9309, None, ""),
    robots(RFC9309, ROBOTS_NO, "user-agent:*\ndisallow:/"),
    robots(RFC9309, ROBOTS_NO, DENY.replace("\n", "\r")),
    robots(RFC9309, ROBOTS_NO, DENY.replace("\n", "\r\n")),
    robots(RFC9309, ROBOTS_NO, "# all\nUser-agent: * # every one\n\n \t\nDisallow: / # all\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: benben\nDisallow: /\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: BenBen\nDisallow: /\n"),
    robots(GOOGLE, ROBOTS_NO, "User-agent: benben/0.1\nDisallow: /\n"),
    robots(GOOGLE, ROBOTS_NO, "User-agent: benben*\nDisallow: /\n"),
    robots(RFC9309, None, "User-agent: benbenbot\nDisallow: /\n"),
    robots(RFC9309, None, "User-agent: otherbot\nDisallow: /\n"),
    robots(RFC9309, None, "User-agent: *\nDisallow: /\n\nUser-agent: benben\nAllow: /\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: benben\nDisallow: /img\n\nUser-agent: *\nAllow: /\n"),
    robots(RFC9309, ROBOTS_NO,
           "User-agent: benben\nDisallow: /x\n\nUser-agent: *\nAllow: /\n\n"
           "User-agent: benben\nDisallow: /img\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: a\nUser-agent: benben\nUser-agent: b\nDisallow: /\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: benben\nSitemap: /s.xml\nUser-agent: b\nDisallow: /"),
    robots(OURS, ROBOTS_NO, "User-agent: CCBot\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: CCBot/2.0 (https://commoncrawl.org/faq)\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: GPTBot\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: ClaudeBot\nUser-agent: Bytespider\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: Google-Extended\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: Applebot-Extended\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: meta-externalagent/1.1\nDisallow: /\n"),
    robots(OURS, ROBOTS_NO, "User-agent: img2dataset\nDisallow: /\n"),
    robots(RFC9309, None, "User-agent: Googlebot\nDisallow: /\n"),
    robots(RFC9309, None, "User-agent: *\nDisallow: /\nAllow: /img/\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: *\nAllow: /\nDisallow: /img/a\n"),
    robots(RFC9309, None, "User-agent: *\nDisallow: /img/\nAllow: /img/\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: *\nDisallow: /*.png$\n"),
    robots(RFC9309, None, "User-agent: *\nDisallow: /*.pn$\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: *\nDisallow: /i*/a*g\n"),
    robots(RFC9309, None, "User-agent: *\nDisallow: /IMG/\n"),
    robots(RFC9309, ROBOTS_NO, "User-agent: *\nDisallow: /%69mg/\n"),
    robots(RFC9309, ROBOTS_NO, b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n"),
    robots(RFC9309, ROBOTS_NO, "<html>\nUser-agent: *\nNonsense\nDisallow: /\n"),
    robots(RFC9309, None, "Disallow: /\n"),
    robots(GOOGLE, ROBOTS_NO, "Useragent: *\nDissalow: /\n"),
    robots(GOOGLE, ROBOTS_NO, "User-agent *\nDisallow /\n"),
    robots(OURS, ROBOTS_NO, gzip.compress(DENY.encode())),
    robots(OURS, ROBOTS_NO, gzip.compress(DENY.encode()), Content_Encoding="gzip"),
    robots(OURS, ROBOTS_NO, gzip.compress(b"User-agent: *\n") + gzip.compress(b"Disallow: /\n")),
    robots(OURS, ROBOTS_NO, DENY, Content_Encoding="gzip"),
    robots(OURS, UNREADABLE, gzip.compress(DENY.encode())[:-10], Content_Encoding="gzip"),
    robots(OURS, UNREADABLE, bytes(range(256)), Content_Encoding="unheard-of"),
    robots(OURS, ROBOTS_NO, DENY.encode("utf-16")),
    robots(OURS, ROBOTS_NO, DENY.encode("utf-16-le")),
    robots(OURS, UNREADABLE, b"\x89PNG\r\n\x1a\n" + bytes(range(200)), Content_Type="image/png"),
    Form(RFC9309, None, {ROBOTS: (404, {}, b"")}),
    Form(RFC9309, None, {ROBOTS: (403, {}, b"")}),
    Form(RFC9309, UNREACHABLE, {ROBOTS: (500, {}, b"")}),
    Form(RFC9309, UNREACHABLE, {ROBOTS: (503, {}, b"")}),
    Form(OURS, UNREACHABLE, {ROBOTS: (429, {}, b"")}),
]  # fmt: skip

DIRECTIVE_FORMS = [
    meta(DEVIANTART, PAGE, robots_meta("noai")),
    meta(DEVIANTART, PAGE, robots_meta("noimageai")),
    meta(DEVIANTART, PAGE, robots_meta("noai, noimageai")),
    meta(NOML, PAGE, robots_meta("noml")),
    meta(GOOGLE, PAGE, robots_meta("noindex")),
    meta(GOOGLE, PAGE, robots_meta("noimageindex")),
    meta(GOOGLE, PAGE, robots_meta("none")),
    meta(GOOGLE, None, robots_meta("index, follow")),
    meta(GOOGLE, None, robots_meta("all")),
    meta(GOOGLE, None, robots_meta("nofollow, nosnippet, notranslate")),
    meta(GOOGLE, None, robots_meta("max-snippet:-1, max-image-preview:large")),
    meta(GOOGLE, None, robots_meta("max-image-preview:none")),
    meta(GOOGLE, PAGE, robots_meta(
        "index, follow, max-snippet:-1, max-image-preview:large, max-video-preview:-1, noai")),
    meta(OURS, PAGE, robots_meta("index, future-limit:3, noai")),
    meta(OURS, PAGE, robots_meta("future-limit:none, noai")),
    meta(OURS, PAGE, robots_meta("noai noimageai")),
    meta(OURS, PAGE, robots_meta("index;noai")),
    meta(GOOGLE, PAGE, robots_meta("unavailable_after: 25 Jun 2050 15:00:00 PST, noai")),
    meta(GOOGLE, PAGE, robots_meta("unavailable_after: Saturday, 25-Jun-50 15:00:00 UTC, noai")),
    meta(GOOGLE, PAGE, robots_meta("unavailable_after: 2050-06-25T15:00:00+01:00, noindex")),
    meta(GOOGLE, PAGE, "<META NAME='ROBOTS'CONTENT='NOAI'>"),
    meta(OURS, PAGE, "<meta property=robots content=noai>"),
    meta(OURS, PAGE, "<meta http-equiv='X-Robots-Tag' content='noai'>"),
    meta(OURS, PAGE, "<body><p>x</p><meta name=robots content=noai>"),
    meta(OURS, PAGE, "<meta name=CCBot content=noindex>"),
    meta(OURS, PAGE, "<meta name=GPTBot content=noai>"),
    meta(OURS, PAGE, "<meta name=anthropic-ai content=noindex>"),
    meta(GOOGLE, PAGE, "<meta name=benben content=noindex>"),
    meta(GOOGLE, None, "<meta name=googlebot content=noindex>"),
    meta(CANEL, PAGE, robots_meta("DisallowAITraining")),
    page_header(GOOGLE, PAGE, "X-Robots-Tag: noindex"),
    page_header(GOOGLE, None, "X-Robots-Tag: otherbot: noindex, noai"),
    page_header(GOOGLE, PAGE, "X-Robots-Tag: otherbot: noindex", "X-Robots-Tag: noai"),
    page_header(GOOGLE, PAGE, "X-Robots-Tag: benben: noai"),
    page_header(OURS, PAGE, "X-Robots-Tag: CCBot/2.0: noindex"),
    header(GOOGLE, TAG, "X-Robots-Tag: noindex"),
    header(DEVIANTART, TAG, "X-Robots-Tag: noai"),
    header(DEVIANTART, TAG, "x-robots-tag: noimageai, nofollow"),
    header(GOOGLE, TAG, "X-Robots-Tag: none"),
    header(GOOGLE, None, "X-Robots-Tag: all"),
    header(GOOGLE, None, "X-Robots-Tag: nofollow"),
    header(GOOGLE, None, "X-Robots-Tag: googlebot: noindex"),
    header(GOOGLE, TAG, "X-Robots-Tag: googlebot: nofollow", "X-Robots-Tag: noimageindex"),
    header(GOOGLE, TAG, "X-Robots-Tag: otherbot: noindex, benben: noindex"),
    header(GOOGLE, TAG, "X-Robots-Tag: unavailable_after: 25 Jun 2050 15:00:00 PST, noai"),
    header(GOOGLE, TAG, "X-Robots-Tag: max-image-preview: large, noindex"),
    header(OURS, TAG, "X-Robots-Tag: *: noai"),
]  # fmt: skip

ALL_RESERVED = '[{"location": "/", "tdm-reservation": 1}]'
TDM_FORMS = [
    tdmrep(TDMREP_SPEC, TDM, ALL_RESERVED),
    tdmrep(TDMREP_SPEC, TDM, '[{"location": "/img/", "tdm-reservation": 1, '
                             '"tdm-policy": "https://ex.org/policy.json"}]'),
    tdmrep(TDMREP_SPEC, None, '[{"location": "/text/", "tdm-reservation": 1}]'),
    tdmrep(TDMREP_SPEC, None, '[{"location": "/", "tdm-reservation": 0}]'),
    tdmrep(TDMREP_SPEC, None, '[{"location": "/img/*.png", "tdm-reservation": 0}, '
                              '{"location": "/", "tdm-reservation": 1}]'),
    tdmrep(TDMREP_SPEC, TDM, '[{"location": "/*.png$", "tdm-reservation": 1}]'),
    tdmrep(TDMREP_SPEC, None, '[{"location": "/", "tdm-reservation": 2}]'),
    tdmrep(TDMREP_SPEC, None, "<html>not found</html>"),
    tdmrep(TDMREP_SPEC, None, "[]"),
    tdmrep(OURS, TDM, ALL_RESERVED[1:-1]),
    tdmrep(OURS, TDM, b"\xef\xbb\xbf" + ALL_RESERVED.encode()),
    tdmrep(OURS, TDM, ALL_RESERVED.encode("utf-16")),
    tdmrep(OURS, TDM, ALL_RESERVED.replace("1", "true")),
    tdmrep(OURS, TDM, ALL_RESERVED.replace("1", "1.0")),
    tdmrep(OURS, TDM, ALL_RESERVED.replace("1", '"1"')),
    tdmrep(OURS, TDM, '[{"tdm-reservation": 1}]'),
    tdmrep(OURS, UNREADABLE, ALL_RESERVED[:-1]),
    tdmrep(OURS, UNREADABLE, gzip.compress(ALL_RESERVED.encode())[:-9], Content_Encoding="gzip"),
    header(TDMREP_SPEC, TDM, "tdm-reservation: 1"),
    header(TDMREP_SPEC, TDM, "TDM-Reservation: 1", "tdm-policy: https://ex.org/policy.json"),
    header(TDMREP_SPEC, None, "tdm-reservation: 0"),
    header(OURS, TDM, "tdm-reservation: 0", "tdm-reservation: 1"),
    page_header(TDMREP_SPEC, PAGE, "tdm-reservation: 1"),
    page_header(TDMREP_SPEC, None, "tdm-policy: https://ex.org/policy.json"),
    meta(TDMREP_SPEC, PAGE, '<meta name="tdm-reservation" content="1">'),
    meta(TDMREP_SPEC, None, '<meta name="tdm-reservation" content="0">'),
    meta(OURS, PAGE, '<meta property="tdm:reservation" content="1">'),
]  # fmt: skip


def rsl(terms: str, url: str = "/", attributes: str = "") -> tuple[int, dict[str, str], bytes]:
    """An RSL document."""
    text = (
        f'<rsl xmlns="https://rslstandard.org/rsl"><content url="{url}" {attributes}>'
        f"<license>{terms}</license></content></rsl>"
    )
    return 200, {"Content-Type": "application/rsl+xml"}, text.encode()


def licensed(source: str, verdict: str | None, *document: str, line: str = "/l.xml") -> Form:
    """A robots.txt that names a licence."""
    named = f"User-agent: *\nAllow: /\nLicense: {line}\n".encode()
    return Form(source, verdict, {ROBOTS: (200, {}, named), "/l.xml": rsl(*document)})


FREE = '<permits type="usage">ai-train</permits><payment type="free"/>'
NO_TRAINING = rsl('<prohibits type="usage">ai-train</prohibits>')[2].decode()
STAR = "User-agent: *\nAllow: /\n"
USAGE_FORMS = [
    robots(ATTACH, USAGE, STAR + "Content-Usage: train-ai=n\n"),
    robots(ATTACH, None, STAR + "Content-Usage: train-ai=y\n"),
    robots(ATTACH, None, STAR + "Content-Usage: search=n\n"),
    robots(ATTACH, USAGE, STAR + "Content-Usage: /img/ train-ai=n\n"),
    robots(ATTACH, None, STAR + "Content-Usage: /text/ train-ai=n\n"),
    robots(ATTACH, None, STAR + "Content-Usage: train-ai=n\nContent-Usage: /img/ train-ai=y\n"),
    robots(ATTACH, USAGE, STAR + "Content-Usage: / train-ai=y\nContent-Usage: / train-ai=n\n"),
    robots(ATTACH, None, "User-agent: ExampleBot\nAllow: /\nContent-Usage: train-ai=n\n"),
    robots(ATTACH, None, "User-agent: benben\nAllow: /\nContent-Usage: train-ai=y\n\n"
                         "User-agent: *\nContent-Usage: train-ai=n\nAllow: /\n"),
    robots(OURS, USAGE, "Content-Usage: train-ai=n\n"),
    robots(ATTACH, USAGE, STAR + "content-usage :\ttrain-ai=n, search=y # no training\n"),
    header(ATTACH, USAGE, "Content-Usage: train-ai=n"),
    header(ATTACH, None, "Content-Usage: train-ai=y, search=n"),
    header(VOCAB, USAGE, "Content-Usage: search=y, train-ai=n;reason=x"),
    header(VOCAB, None, "Content-Usage: train-ai;allow=n, train-ai=y"),
    header(VOCAB, None, "Content-Usage: train-ai=n, train-ai=y"),
    header(VOCAB, None, "Content-Usage: train-ai, search"),
    header(VOCAB, USAGE, "Content-Usage: train-ai=y", "Content-Usage: train-ai=n"),
    header(OURS, USAGE, "Content-Usage: Train-AI=N"),
    header("draft-ietf-aipref-vocab-03", USAGE, "Content-Usage: bots=n"),
    header("draft-ietf-aipref-vocab-02", USAGE, "Content-Usage: genai=n"),
    page_header(ATTACH, PAGE, "Content-Usage: train-ai=n"),
    meta(OURS, PAGE, '<meta http-equiv="Content-Usage" content="train-ai=n">'),
    robots(CLOUDFLARE, SIGNAL, "User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n"),
    robots(CLOUDFLARE, SIGNAL,
           "User-Agent: *\nContent-signal: search=yes,ai-train=no,use=reference\nAllow: /\n"),
    robots(CLOUDFLARE, None, STAR + "Content-Signal: search=yes, ai-input=no, ai-train=yes\n"),
    robots(CLOUDFLARE, None, STAR + "Content-Signal: search=yes\n"),
    robots(CLOUDFLARE, SIGNAL, STAR + "Content-Signal: use=immediate\n"),
    robots(CLOUDFLARE, None, STAR + "Content-Signal: use=full\n"),
    robots(CLOUDFLARE, None, "User-agent: otherbot\nContent-Signal: ai-train=no\nAllow: /\n"),
    header(CLOUDFLARE, SIGNAL, "Content-Signal: ai-train=no, search=yes, ai-input=yes"),
    header(CLOUDFLARE, None, "Content-Signal: ai-train=yes"),
    page_header(CLOUDFLARE, PAGE, "Content-Signal: ai-train=no"),
    robots(CANEL, TRAINING, "User-agent: *\nDisallowAITraining: /\nAllow: /\n"),
    robots(CANEL, TRAINING, STAR + "DisallowAITraining: /img/\n"),
    robots(CANEL, None, STAR + "DisallowAITraining: /text/\n"),
    robots(CANEL, None, STAR + "DisallowAITraining: /\nAllowAITraining: /img/\n"),
    licensed(RSL, None, FREE),
    licensed(RSL, None, '<permits type="usage">all</permits>'),
    licensed(RSL, None, '<prohibits type="usage">ai-input</prohibits>'),
    licensed(RSL, LICENSE, '<prohibits type="usage">ai-train</prohibits>'),
    licensed(RSL, LICENSE, '<prohibits type="usage">ai-all</prohibits>'),
    licensed(RSL, LICENSE, '<permits type="usage">search</permits>'),
    licensed(RSL, LICENSE, '<permits type="usage">ai-all</permits><payment type="use"/>'),
    licensed(RSL, LICENSE, '<payment type="training"><amount currency="USD">1</amount></payment>'),
    licensed(RSL, LICENSE, FREE + '<permits type="geo">US</permits>'),
    licensed(RSL, LICENSE, FREE, "/", 'server="https://licences.test"'),
    licensed(RSL, LICENSE, FREE + '<reporting type="audit" profile="https://x.test/p"/>'),
    licensed(RSL, None, '<prohibits type="usage">all</prohibits>', "/text/"),
    licensed(RSL, LICENSE, FREE, line="/missing.xml"),
    licensed(RSL, LICENSE, FREE, line="https://licences.test/l.xml"),
    robots(RSL, None, "User-agent: otherbot\nLicense: /l.xml\nAllow: /\n"),
    header(RSL, LICENSE, 'Link: </l.xml>; rel="license"; type="application/rsl+xml"'),
    header(RSL, None, 'Link: </by.html>; rel="license"'),
    meta(RSL, PAGE, '<link rel="license" type="application/rsl+xml" href="/l.xml">'),
    meta(RSL, PAGE, f'<script type="application/rsl+xml">{NO_TRAINING}</script>'),
    meta(RSL, None, f'<script type="application/rsl+xml">{rsl(FREE)[2].decode()}</script>'),
    meta(RSL, None, '<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">'),
    _file(AI_TXT, SPAWNING, "consent.ai_txt", "User-Agent: *\nDisallow: *.png\n"),
    _file(AI_TXT, SPAWNING, None, "User-Agent: *\nDisallow: *.mp3\nAllow: *.png\n"),
    _file(AI_TXT, SPAWNING, "consent.ai_txt", "User-Agent: *\nDisallow: /\nDisallow: *\n"),
]  # fmt: skip

FORMS = {
    "robots": ROBOTS_FORMS,
    "directives": DIRECTIVE_FORMS,
    "tdm": TDM_FORMS,
    "usage": USAGE_FORMS,
}
