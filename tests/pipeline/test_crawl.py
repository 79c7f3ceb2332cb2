from __future__ import annotations

from benben.jobs import assemble

PLACE = "crawl-data/CC-MAIN-2024-22/segments/17/warc/CC-MAIN-20240517-00000.warc.gz"


def test_an_archive_of_a_crawl_is_named_as_the_crawl_names_it() -> None:
    urls = [f"s3://commoncrawl/{PLACE}", "/data/mine.warc.gz", f"/x/{PLACE[:-13]}1.warc.gz"]
    found = assemble.places(urls)
    assert found["CC-MAIN-20240517-00000.warc.gz"] == PLACE
    assert "mine.warc.gz" not in found
    assert assemble.dump(PLACE) == "CC-MAIN-2024-22"
    assert assemble.dump("mine.warc.gz") is None
