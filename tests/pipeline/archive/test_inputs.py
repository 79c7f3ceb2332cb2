from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benben.pipeline.archive import inputs
from benben.pipeline.archive.inputs import Archive
from benben.pipeline.errors import InputError
from benben.pipeline.settings.archives import ArchiveSettings


def put(path: Path, data: bytes = b"x") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def test_folders_files_and_lists_give_archives_once(tmp_path: Path) -> None:
    one = put(tmp_path / "a/1.warc.gz", b"abc")
    two = put(tmp_path / "a/2.arc")
    put(tmp_path / "a/notes.md")
    listed = put(tmp_path / "a/some.paths", b"1.warc.gz\n\n2.arc\n")
    expected = [Archive(one, 3), Archive(two, 1)]
    assert inputs.find([str(tmp_path / "a")]) == expected
    assert inputs.find([listed]) == expected
    assert inputs.find([one, listed, two]) == expected


def test_paths_of_a_crawl_stand_under_the_root_of_its_list(tmp_path: Path) -> None:
    name = "crawl-data/CC-MAIN-2024-22/segments/1/warc/x.warc.gz"
    path = put(tmp_path / name)
    data = gzip.compress(f"{name}\n".encode())
    listed = put(tmp_path / "crawl-data/CC-MAIN-2024-22/warc.paths.gz", data)
    assert [archive.url for archive in inputs.find([listed])] == [path]
    elsewhere = put(tmp_path / "lists/warc.paths.gz", data)
    access = ArchiveSettings(prefix=str(tmp_path))
    assert [archive.url for archive in inputs.find([elsewhere], access)] == [path]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.warc: no such file"):
        inputs.find([str(tmp_path / "none.warc")])
    with pytest.raises(InputError, match="no path list that can be read"):
        inputs.find([put(tmp_path / "x.paths.gz", b"not gzip")])
    with pytest.raises(InputError, match=r"gone\.warc: cannot be read"):
        inputs.find([put(tmp_path / "y.paths", b"gone.warc")])
    with pytest.raises(InputError, match="no archives in this folder"):
        inputs.find([str(tmp_path)])


def test_sizes_of_very_many_remote_archives_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_MEASURED", 3)
    lines = "".join(f"https://nowhere.invalid/{n}.warc.gz\n" for n in range(10))
    found = inputs.find([put(tmp_path / "l.paths", lines.encode())])
    assert len(found) == 10
    dealt = inputs.deal(found, 4)
    assert [len(splits) for splits in dealt] == [2, 3, 2, 3]
    assert all(split.start == 0 and split.end > 1 << 40 for part in dealt for split in part)


@pytest.mark.parametrize("parts", [1, 2, 7, 40])
def test_dealt_stretches_cover_every_byte_once(parts: int) -> None:
    found = [Archive("a", 10), Archive("b", 0), Archive("c", 25)]
    dealt = inputs.deal(found, parts)
    assert len(dealt) == min(parts, 35)
    covered = [(s.url, n) for part in dealt for s in part for n in range(s.start, s.end)]
    assert covered == [("a", n) for n in range(10)] + [("c", n) for n in range(25)]


@pytest.mark.parametrize("name", ["site.wacz", "crawl.zip", "a.warc.zst"])
def test_a_form_that_is_not_read_is_named_rather_than_passed_over(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.warc.gz").write_bytes(b"")
    (tmp_path / name).write_bytes(b"PK")
    for entry in (tmp_path / name, tmp_path):
        with pytest.raises(InputError, match=f"{name}: cannot be read as it is; unpack it"):
            inputs.find([str(entry)])


def test_text_and_metadata_of_a_crawl_are_archives(tmp_path: Path) -> None:
    names = ["a.warc.gz", "a.warc.wat.gz", "a.warc.wet.gz", "notes.gz"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    found = inputs.find([str(tmp_path)])
    assert [archive.url.rsplit("/", 1)[-1] for archive in found] == names[:3]


def test_a_pattern_names_all_archives_that_match(tmp_path: Path) -> None:
    for name in ("a/1.warc.gz", "a/2.warc.gz", "a/x.txt", "a/b/3.warc.gz", "c/4.warc.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def found(pattern: str) -> list[str]:
        urls = [archive.url for archive in inputs.find([str(tmp_path / pattern)])]
        return [url.removeprefix(f"{tmp_path}/") for url in urls]

    assert found("a/*.warc.gz") == ["a/1.warc.gz", "a/2.warc.gz"]
    assert found("a/[2-9].warc.g?") == ["a/2.warc.gz"]
    assert found("a/[!2].warc.gz") == ["a/1.warc.gz"]
    assert found("*/[14].warc.gz") == ["a/1.warc.gz", "c/4.warc.gz"]
    assert found("**/*.warc.gz") == ["a/1.warc.gz", "a/2.warc.gz", "a/b/3.warc.gz", "c/4.warc.gz"]
    with pytest.raises(InputError, match=r"\*\.arc: matches no file"):
        found("*.arc")


def test_a_file_whose_name_looks_like_a_pattern_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a[1].warc.gz").write_bytes(b"x")
    (tmp_path / "a1.warc.gz").write_bytes(b"x")
    found = inputs.find([str(tmp_path / "a[1].warc.gz")])
    assert [archive.url for archive in found] == [str(tmp_path / "a[1].warc.gz")]
