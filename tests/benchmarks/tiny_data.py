"""A folder laid out as the real test data is, with the sample's own pages in it."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

from benben.pipeline import extract_page
from benben.pipeline.archive.warc import Capture, read_captures
from benben.sample.build import build

SOURCES = (
    *("wcxb-dev", "wcxb-train", "scrapinghub-aeb", "magic-html-article", "magic-html-forum"),
    *("newspaper", "readability", "llm-webkit-bench", "trafilatura-eval", "trafilatura-cache"),
)
PORT = 8765  # in the URLs of the real site's pages
IMAGE = '<img src="{}">'


def write(folder: Path) -> Path:
    """Write archives, an index, labels, gold and a site under `folder`/data; returns `folder`."""
    build(folder / "sample")
    data = folder / "data"
    (data / "warc").mkdir(parents=True)
    (data / "gold").mkdir()
    write_site(folder)
    captures: list[tuple[str, Capture]] = []
    for number, path in enumerate(sorted((folder / "sample").rglob("*.warc.gz"))):
        name = f"warc/TEST-MAIN-{number:05d}.warc.gz"
        shutil.copy(path, data / name)
        found = read_captures(str(data / name))
        captures += [(name, one) for one in found if isinstance(one, Capture) and one.payload]
    records = [gold(number, *found) for number, found in enumerate(captures)]
    records = [record for record in records if record["gold_text"]]
    for number, source in enumerate(SOURCES):
        with gzip.open(data / "gold" / f"{source}.jsonl.gz", "wt") as lines:
            lines.writelines(
                json.dumps(record) + "\n" for record in records[number :: len(SOURCES)]
            )
    lines = [json.dumps({"url": one["id"], "lang": one["lang"]}) for one in records]
    (data / "warc" / "index.jsonl").write_text("\n".join(lines))
    label = {"url": records[0]["id"], "original_url": records[1]["id"]}
    (data / "warc" / "dups_labels.jsonl").write_text(json.dumps(label))
    big = data / "malformed" / "gen"
    big.mkdir(parents=True)
    shutil.copy(data / "warc" / "TEST-MAIN-00000.warc.gz", big / "payloads.warc.gz")
    return folder


def write_site(folder: Path) -> None:
    """Write a site and the archive of its pages, with the URLs under which it is served."""
    build(folder / "served", port=PORT)
    site = folder / "data" / "site"
    shutil.copytree(folder / "served" / "www", site / "www")
    archives = sorted((folder / "served").rglob("*.warc.gz"))
    pages = b"".join(path.read_bytes() for path in archives)
    (site / f"site-127.0.0.1-{PORT}.warc.gz").write_bytes(pages)


def gold(number: int, name: str, capture: Capture) -> dict[str, Any]:
    """A gold record whose truth is our own extraction: enough to run on, nothing to measure by."""
    page = extract_page(capture.payload, capture.url, capture.headers)
    text = page.main_text()
    images = [node.url for node in page.nodes if node.kind == "image" and node.url]
    return {
        "id": capture.url,
        "url": f"https://site{number}.example/",  # each of a domain of its own
        "warc": name,
        "offset": capture.offset,
        "lang": "en",
        "page_type": "article",
        "gold_text": text,
        "gold_markdown": f"# {text}",
        "with": [text[:20]],
        "without": ["not on the page"],
        "gold_html": "".join(IMAGE.format(url) for url in images),
    }
