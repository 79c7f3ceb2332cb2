import pytest

from benben.pipeline.dataset.obelics import (
    BREAK_TEXT,
    ImageFact,
    crawl_name,
    crawl_paths,
    formatted_filename,
    to_row,
)
from benben.pipeline.document import Node


def text(content: str) -> Node:
    return Node("text", 0, text=content)


def image(url: str) -> Node:
    return Node("image", 0, url=url, alt="a dog")


def test_neighbouring_texts_join_and_images_keep_their_place() -> None:
    fact = ImageFact("abc", 640, 480, "png")
    nodes = [text("one"), text("two"), image("http://e.x/red_dog-640x480.png"), text("three")]
    row = to_row(nodes, "http://e.x/", {"http://e.x/red_dog-640x480.png": fact})
    assert row.texts == ["one\n\ntwo", None, "three"]
    assert row.images == [None, "http://e.x/red_dog-640x480.png", None]
    assert row.sha256 == [None, "abc", None]
    entry = row.metadata[1]
    assert entry is not None
    assert entry["formatted_filename"] == "red dog"
    assert (entry["original_width"], entry["alt_text"]) == (640, "a dog")
    assert (row.num_images, row.num_words) == (1, 3)
    for slot, url, entry in zip(row.texts, row.images, row.metadata, strict=True):
        assert (slot is None) != (url is None)
        assert (url is None) == (entry is None)


def test_breaks_stand_alone_and_only_between_content() -> None:
    stop = Node("break", 0)
    row = to_row([stop, text("a b"), stop, stop, text("c"), stop], "http://e.x/", {})
    assert row.texts == ["a b", BREAK_TEXT, "c"]
    assert row.num_words == 3


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://e.x/a/red_dog-640x480.jpg", "red dog"),
        ("http://e.x/%E7%8B%97%20haus.png?w=3", "狗 haus"),
        ("http://e.x/12345.jpg", None),
        ("http://e.x/", None),
    ],
)
def test_filenames_become_words(url: str, words: str | None) -> None:
    assert formatted_filename(url) == words


PATH = "crawl-data/CC-MAIN-2024-22/segments/17/warc/CC-MAIN-20240517-00000.warc.gz"


def test_an_archive_of_a_crawl_is_named_as_the_crawl_names_it() -> None:
    urls = [f"s3://commoncrawl/{PATH}", "/data/mine.warc.gz", f"/x/{PATH[:-13]}1.warc.gz"]
    found = crawl_paths(urls)
    assert found["CC-MAIN-20240517-00000.warc.gz"] == PATH
    assert "mine.warc.gz" not in found
    assert crawl_name(PATH) == "CC-MAIN-2024-22"
    assert crawl_name("mine.warc.gz") is None
