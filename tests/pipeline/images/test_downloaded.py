"""Images that img2dataset fetched come from its shards."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benben.pipeline.errors import InputError
from benben.pipeline.images.fetch.journal import SLOTS, Range
from benben.pipeline.images.fetch.part import Share, fetch_part, find
from benben.pipeline.images.fetch.wanted import WantedImage
from benben.pipeline.images.processing.archive_image import Shelf
from tests.pipeline.images.stores import store
from tests.web import picture, serving, settings

ALL = Range(0, SLOTS)


def write_shard(path: Path, images: dict[str, bytes | None]) -> None:
    """A shard as img2dataset writes them: failed rows have no bytes."""
    path.parent.mkdir(exist_ok=True)
    columns = {
        "url": list(images),
        "status": ["success" if body else "failed_to_download" for body in images.values()],
        "jpg": pa.array(images.values(), pa.binary()),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)


def test_only_what_it_lacks_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "img2dataset"
    with serving({"/robots.txt": 404, "/missing": picture(), "/failed": picture()}) as web:
        urls = [web.url(f"/{name}") for name in ("had", "failed", "missing")]
        write_shard(folder / "0.parquet", {urls[0]: picture(seed=3), "http://x.test/": picture()})
        write_shard(folder / "1.parquet", {urls[1]: None})
        chosen = settings(f"img2dataset=['{folder}']", allow=(f"127.0.0.1:{web.port}",))
        wanted = [WantedImage.of(url) for url in urls]
        fetch_part(wanted, store(tmp_path), ALL, chosen, Shelf({}))
        assert sorted(web.paths()) == ["/failed", "/missing"]
    images = Share(store(tmp_path), ALL, [(url, 0) for url in urls]).images().to_pylist()
    found = {row["url"]: (row["reason"], row["source"]) for row in images}
    assert found == {
        urls[0]: (None, "img2dataset"),
        urls[1]: (None, "network"),
        urls[2]: (None, "network"),
    }


def test_as_backend_it_is_given_what_is_allowed_and_we_ask_for_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "img2dataset"
    robots = b"User-agent: *\nDisallow: /private\n"
    with serving({"/robots.txt": robots, "*": picture()}) as web:
        urls = [web.url(f"/{name}") for name in ("open", "gone", "private")]
        allow = (f"127.0.0.1:{web.port}",)
        wanted = [WantedImage.of(url) for url in urls]
        keys = [(url, 0) for url in urls]

        def reasons(*overrides: str) -> dict[str, str | None]:
            chosen = settings("backend=img2dataset", *overrides, allow=allow)
            fetch_part(wanted, store(tmp_path), ALL, chosen, Shelf({}))
            rows = Share(store(tmp_path), ALL, keys).images().to_pylist()
            return {row["url"].rsplit("/", 1)[1]: row["reason"] for row in rows}

        missing = "img2dataset.missing"
        private = {"private": "consent.robots"}
        assert reasons() == {"open": missing, "gone": missing, **private}
        write_shard(folder / "0.parquet", {urls[0]: picture(), urls[1]: None, urls[2]: picture()})
        found = reasons("attempt=2", f"img2dataset=['{folder}']")
        assert found == {"open": None, "gone": missing, **private}
        assert web.paths() == []
        assert web.count("/robots.txt") == 1


def test_folder_that_is_none_of_its_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        list(find([str(tmp_path / "gone")], {"u"}))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "0.parquet")
    with pytest.raises(InputError, match="not a shard of img2dataset"):
        list(find([str(tmp_path)], {"u"}))
