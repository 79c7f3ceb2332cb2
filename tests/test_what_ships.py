"""Whole runs with the fetch on, off and failing: nothing refused ships, and the card is true."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.analysis.report import funnel
from benben.jobs import assemble, stages
from benben.jobs.commands import cli
from benben.jobs.engine.stage import Run
from benben.pipeline import config, manifest
from benben.pipeline.manifest import Manifest
from benben.pipeline.settings import Config
from tests.jobs.made_pages import text
from tests.pipeline.consent.captured import record
from tests.web import Web, picture, serving

pytestmark = pytest.mark.spark
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
NOAI = HEAD + b"X-Robots-Tag: noai\r\n"
PAGES: dict[str, list[str]] = {
    "open": ["a.png", "shared.png", "listed.png", "private/b.png"],
    "opted-out": ["shared.png", "c.png"],
    "many": ["d.png", "e.png", "f.png", "g.png", "h.png"],
    "small": ["i.png", "tiny.png"],
}
DOCUMENT_RULES = "{opt_outs: {max: 0}, images: {max: 4}}"
RULES = f"{{text_node: null, image_node: {{width: {{min: 50}}}}, document: {DOCUMENT_RULES}}}"
BEFORE_FETCH = ("extract", "measure", "decide", "fingerprint", "cluster", "deduplicate")


@dataclass
class Site:
    """A site, the archive of its pages, and a run up to the fetch."""

    folder: Path
    web: Web

    def config(self, name: str, *overrides: str) -> list[str]:
        """The arguments of a run."""
        host = f"['127.0.0.1:{self.web.port}']"
        return [
            *("no_rules", f"input=[{self.folder}/pages.warc.gz]", f"output={self.folder}/{name}"),
            *(f"rules={RULES}", f"fetch.consent.urls=[{self.folder}/listed.txt]"),
            *(f"fetch.allow_hosts={host}", f"fetch.politeness.unlimited_hosts={host}"),
            *("fetch.politeness.retries=0", "spark.partitions=2", "report.topics=0", *overrides),
        ]

    def load(self, name: str, *overrides: str) -> Config:
        """The config of a run."""
        base, *rest = self.config(name, *overrides)
        return config.load(base, rest)

    def run(self, name: str, *overrides: str) -> Path:
        """Finish a copy of the run that was made up to the fetch."""
        shutil.copytree(self.folder / "begun", self.folder / name)
        assert cli.main(["run", *self.config(name, *overrides)]) == 0
        return self.folder / name

    def names(self, out: Path) -> set[str]:
        """Paths of the images that ship."""
        return {
            url.removeprefix(self.web.url("/")) for row in rows(out) for url in row["images"] if url
        }


def rows(out: Path, table: str = "dataset/data") -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((out / table).rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


@pytest.fixture(scope="module")
def site(spark: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("ships")
    shown = [name for names in PAGES.values() for name in names]
    images = {f"/{name}": picture(seed=n) for n, name in enumerate(shown)}
    images |= {"/tiny.png": picture(20, 20), "/robots.txt": b"User-agent: *\nDisallow: /private/\n"}
    with serving(dict(images)) as web:
        (folder / "listed.txt").write_text(web.url("/listed.png"))
        records = []
        for number, (name, shown) in enumerate(PAGES.items()):
            tags = "".join(f'<p><img src="{web.url(f"/{image}")}"></p>' for image in shown)
            body = f"<html><body><p>{text(number)}</p>{tags}</body></html>".encode()
            head = NOAI if name == "opted-out" else HEAD
            records.append(record(web.url(f"/{name}.html"), body, head))
        (folder / "pages.warc.gz").write_bytes(b"".join(records))
        found = Site(folder, web)
        begun = Run(found.load("begun"))
        for name in BEFORE_FETCH:
            begun.execute(stages.load(name))
        yield found


@pytest.fixture(scope="module")
def fetched(site: Site) -> Path:
    return site.run("on")


@pytest.fixture(scope="module")
def unfetched(site: Site) -> Path:
    return site.run("off", "fetch.enabled=no")


@pytest.fixture(scope="module")
def failed(site: Site) -> Path:
    routes = dict(site.web.routes)
    site.web.routes.update({path: 500 for path in routes if path.endswith(".png")})
    pace = ("breaker_failures=1000", "backoff_seconds=0.01", "max_wait_seconds=0.01")
    out = site.run("failed", *(f"fetch.politeness.{setting}" for setting in pace))
    site.web.routes.update(routes)
    return out


@pytest.fixture(params=["fetched", "unfetched", "failed"])
def out(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def made(out: Path, table: str) -> Manifest:
    found = manifest.read(str(out / table))
    assert found is not None
    return found


def card(out: Path) -> str:
    return (out / "dataset" / "README.md").read_text()


def test_with_a_fetch_no_refused_image_ships(site: Site, fetched: Path) -> None:
    assert site.names(fetched) == {"a.png", "i.png"}
    assert "| `consent.page` | 1 |" in card(fetched)
    assert "| `consent.robots` | 1 |" in card(fetched)
    assert "| `document.opt_outs.max` | 1 |" in card(fetched)
    assert "could not judge" not in card(fetched)
    assert funnel.unjudged(str(fetched)) == {}


def test_without_a_fetch_no_image_of_an_opted_out_page_or_a_list_ships(
    site: Site, unfetched: Path
) -> None:
    assert site.names(unfetched) == {"a.png", "private/b.png", "i.png", "tiny.png"}
    verdicts = {tuple(row["reasons"]) for row in rows(unfetched, "final_verdicts")}
    assert verdicts == {(), ("document.opt_outs.max",), ("document.images.max",)}
    said = card(unfetched)
    assert "their sites were not asked for consent" in said
    assert "| `consent.list_url` | 1 |" in said
    assert "the dataset holds no bytes of images" in said


def test_rules_that_wait_for_a_fetch_are_counted_where_none_comes(unfetched: Path) -> None:
    assert funnel.unjudged(str(unfetched)) == {"image_node.width.pending": 2}
    assert "| `image_node.width.pending` | 2 |" in card(unfetched)
    report = (unfetched / "report" / "report.html").read_text()
    assert "<code>image_node.width.pending</code>" in report


def test_where_the_fetch_fails_texts_ship_without_images(site: Site, failed: Path) -> None:
    assert site.names(failed) == set()
    assert len(rows(failed)) == 3  # the page of many images has none left
    assert "| image slots | 0 |" in card(failed)


def test_counts_of_each_stage_add_up(out: Path) -> None:
    for row in funnel.read(str(out)):
        assert row.entered == row.kept + sum(row.rejected.values()), row


def test_the_code_on_the_card_runs(out: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", card(out), re.S)
    found: dict[str, Any] = {}
    exec(code.replace("path/to/this/folder", str(out / "dataset")), found)
    assert {row["doc_id"] for row in found["documents"]} <= {row["doc_id"] for row in rows(out)}
    texts = [document.texts for document in found["interleaved"]]
    assert texts == [[t for t in row["texts"] if t] for row in rows(out)]
    assert ("images" in found) == bool(rows(out, "dataset/images"))
    if "images" in found:
        assert len(list(found["images"])) == len(rows(out, "dataset/images"))


def test_the_config_on_the_card_is_one_that_makes_the_dataset(out: Path, tmp_path: Path) -> None:
    (given,) = re.findall(r"```yaml\n(.*?)```", card(out), re.S)
    path = tmp_path / "config.yaml"
    path.write_text(f"{given}\ninput: [x]\noutput: {out}\n")
    loaded = config.load(str(path)).model_dump(mode="json")
    for table in ("documents", "signals", "verdicts", "duplicates", "images", "dataset"):
        for section, values in made(out, table).config.items():
            assert loaded[section] == values


def test_an_image_that_is_refused_and_would_ship_stops_the_run(site: Site, unfetched: Path) -> None:
    out = Path(shutil.copytree(unfetched, site.folder / "wrong"))
    for path in made(out, "images").paths(str(out / "images")):
        images = pq.read_table(path, partitioning=None)
        place = images.schema.get_field_index("reason")
        refused = pa.array(["consent.page"] * len(images), images.schema.field(place).type)
        pq.write_table(images.set_column(place, images.schema.field(place), refused), path)
    with pytest.raises(RuntimeError, match=r"an image that was refused ships: consent\.page"):
        Run(site.load("wrong", "fetch.enabled=no")).execute(assemble.STAGE, force=True)
