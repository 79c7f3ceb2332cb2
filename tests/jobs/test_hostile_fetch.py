"""A run over hostile servers: each costs its own images, and the same command runs again clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from benben.jobs import fetch as job
from benben.jobs.engine.stage import Run
from tests.jobs.test_fetch import configured, page, rows, write_inputs
from tests.pipeline.images.test_hostile_servers import ODD_LINES, raw
from tests.web import picture, serving

pytestmark = pytest.mark.spark


def test_hostile_servers_cost_only_their_own_images(spark: object, tmp_path: Path) -> None:
    rate = b"User-agent: *\nRequest-rate: 1/" + b"9" * 400
    odd = {f"/{name}": raw(line, body=picture()) for name, line in ODD_LINES.items()}
    with (
        serving({"/robots.txt": 404, "/good": picture(seed=1)}) as good,
        serving({"/robots.txt": rate, "/a": picture(seed=2)}) as slow,
        serving({"/robots.txt": 404, **odd}) as strange,
    ):
        webs = [good, slow, strange]
        urls = [web.url(path) for web in webs for path in web.routes if path != "/robots.txt"]
        write_inputs(tmp_path, [[page("p", urls)]])
        config = configured(tmp_path, webs)
        counts = Run(config).execute(job.STAGE).counts["images"]
        first = rows(tmp_path, "images")
        Run(config).execute(job.STAGE, force=True)
    assert counts.entered == len(urls) == len(first)
    by_url = {row["url"]: row for row in first}
    assert by_url[good.url("/good")]["reason"] is None
    assert by_url[slow.url("/a")]["reason"] is not None
    assert all(row["host"] for row in first)
    assert rows(tmp_path, "images") == first
