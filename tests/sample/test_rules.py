"""The sample's good pages must survive the rules, or a demonstration has nothing to show."""

from __future__ import annotations

import pytest

from benben.filters.decide import decide_batch
from benben.filters.signal_table import measure_batch
from benben.pipeline import config, document
from benben.pipeline.archive.warc import Capture, read_captures
from benben.pipeline.page.extract import extract_page
from benben.sample.build import build
from benben.sample.unwanted import unwanted_pages


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> list[Capture]:
    out = tmp_path_factory.mktemp("sample")
    build(out, pages=20)
    found = [one for path in sorted(out.rglob("*.warc.gz")) for one in read_captures(str(path))]
    return [one for one in found if isinstance(one, Capture) and one.reason is None]


def rejected(captures: list[Capture], name: str) -> dict[str, list[str]]:
    """URL path -> reasons of the documents that a shipped config's rules reject."""
    chosen = config.load(name, ["input=[sample]"])
    documents = [
        extract_page(one.payload, one.url, one.headers, chosen.extract) for one in captures
    ]
    batch = document.to_batch(captures, documents)
    verdicts = decide_batch(measure_batch(batch, chosen.signals), chosen.rules)
    paths = [url.split("/", 3)[3] for url in batch["url"].to_pylist()]
    judged = zip(paths, verdicts["reasons"].to_pylist(), strict=True)
    return {path: reasons for path, reasons in judged if reasons}


def test_english_pages_pass_obelics_rules(captures: list[Capture]) -> None:
    gone = rejected(captures, "obelics")
    unwanted = {page.path for page in unwanted_pages()}
    assert not {path for path in gone if path.startswith("en/")} - unwanted
    assert "en/best-offers.html" in gone


def test_pages_of_every_language_pass_the_default_rules(captures: list[Capture]) -> None:
    gone = rejected(captures, "default").keys() - {page.path for page in unwanted_pages()}
    assert len(gone) <= 1  # Chinese pages about shapes repeat themselves
    assert not {path for path in gone if "/shapes/" not in path}
