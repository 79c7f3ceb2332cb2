"""A run over hostile servers: each costs its own images, and the same command runs again clean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benben.jobs import fetch as job
from benben.jobs.engine.stage import Run
from tests.jobs.test_fetch import configured, page, rows, write_inputs
from tests.pipeline.images.test_hostile_servers import ODD_LINES, raw
from tests.web import Web, picture, serving

Row = dict[str, Any]

pytestmark = pytest.mark.spark


def test_hostile_servers_cost_only_their_own_images(spark: object, tmp_path: Path) -> None:
    odd = {f"/{name}": raw(line, body=picture()) for name, line in ODD_LINES.items()}
    with (
        serving({"/robots.txt": 404, "/good": picture(seed=1)}) as good,
        serving({"/robots.txt": 404, **odd}) as strange,
    ):
        found, again = fetched(tmp_path, [good, strange])
    assert found[good.url("/good")]["reason"] is None
    assert all(row["host"] for row in found.values())
    assert again == found


def test_a_pace_beyond_all_numbers_is_refused(spark: object, tmp_path: Path) -> None:
    rate = b"User-agent: *\nRequest-rate: 1/" + b"9" * 400
    with serving({"/robots.txt": rate, "/a": picture(seed=2)}) as slow:
        found, again = fetched(tmp_path, [slow])
    assert found[slow.url("/a")]["reason"] in ("host.crawl_delay", "host.given_up")
    assert again == found


def fetched(folder: Path, webs: list[Web]) -> tuple[dict[str, Row], dict[str, Row]]:
    """The rows of all images of the servers by URL, and those of a run of the same command."""
    urls = [web.url(path) for web in webs for path in web.routes if path != "/robots.txt"]
    write_inputs(folder, [[page("p", urls)]])
    config = configured(folder, webs)
    results = []
    for force in (False, True):
        counts = Run(config).execute(job.STAGE, force=force).counts["images"]
        found = rows(folder, "images")
        assert counts.entered == len(urls) == len(found)
        results.append({row["url"]: row for row in found})
    return results[0], results[1]
