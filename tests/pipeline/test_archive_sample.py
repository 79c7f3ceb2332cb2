from __future__ import annotations

from pathlib import Path

import pytest

from benben.pipeline.archive import inputs, sample
from benben.pipeline.archive.warc import Capture, read_captures
from benben.sample.build import build


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("sample")
    build(out, pages=8)
    return str(out / "crawl-data")


def captures(path: str) -> list[tuple[str, str]]:
    found = (one for one in read_captures(path) if isinstance(one, Capture))
    return [(one.url, one.payload_digest) for one in found]


def test_a_sample_of_all_is_all(crawl: str, tmp_path: Path) -> None:
    found = inputs.find([crawl])
    path = str(tmp_path / "all.warc.gz")
    taken = sample.take(sample.windows(found, 1, 3), path)
    everything = [one for archive in found for one in captures(archive.url)]
    assert taken.captures > 0.5 * len(everything)
    assert set(captures(path)) <= set(everything)
    assert taken.captures == len(captures(path))


def test_samples_are_as_large_as_asked_and_follow_from_the_seed(crawl: str, tmp_path: Path) -> None:
    found = inputs.find([crawl])
    total = sum(archive.size for archive in found)
    for seed in range(3):
        chosen = sample.windows(found, 0.25, seed)
        assert sum(one.end - one.start for one in chosen) == pytest.approx(0.25 * total, rel=0.01)
        assert chosen == sample.windows(found, 0.25, seed)
    everything = sum(len(captures(archive.url)) for archive in found)
    scaled = []
    for seed in range(30):
        chosen = sample.windows(found, 0.25, seed)
        taken = sample.take(chosen, str(tmp_path / f"{seed}.warc.gz"))
        scaled.append(taken.captures * total / taken.bytes)
    assert sum(scaled) / 30 == pytest.approx(everything, rel=0.1)
