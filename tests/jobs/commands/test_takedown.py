"""Takedown from a run on a local disk."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from yarl import URL

from benben.jobs.commands import cli
from benben.pipeline import config, manifest
from benben.pipeline.consent.image_consent import OptOutLists
from benben.pipeline.schema import NODE
from benben.pipeline.takedown import takedown_log, tombstones
from tests import readers
from tests.analysis.run_folder import HELD_OUT
from tests.jobs.commands import killed_takedown

Rows = list[dict[str, Any]]
POINTS = 10  # the least number of points at which a takedown is killed


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def rows(run: Path, kind: str = "data") -> Rows:
    return [
        row
        for path in sorted((run / "dataset" / kind).glob("*.parquet"))
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]


def contents(run: Path) -> str:
    """The contents of all files of the run, except the takedown's own records."""
    texts = []
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.relative_to(run).parts[0] != "takedown":
            if path.suffix == ".parquet":
                table = pq.read_table(path, partitioning=None).to_pylist()
                texts.append(
                    json.dumps(table, default=lambda value: hashlib.sha256(value).hexdigest())
                )
            else:
                texts.append(path.read_text("utf-8"))
    return "\n".join(texts)


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "dataset").rglob("*.parquet")}


def take_down(run: Path, *what: str) -> None:
    assert cli.main(["takedown", str(run), *what, "--apply"]) == 0


def test_without_apply_nothing_changes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(run)
    assert cli.main(["takedown", str(run), "--host", HELD_OUT]) == 0
    out = capsys.readouterr().out
    assert "3  takedown.host" in out
    assert "nothing was changed" in out
    assert contents(run) == before
    assert not (run / "takedown").exists()


def test_a_host_is_removed_from_every_file(run: Path) -> None:
    before, old = rows(run), files(run)
    take_down(run, "--host", HELD_OUT)
    assert rows(run) == [row for row in before if row["host"] != HELD_OUT]
    assert HELD_OUT not in contents(run)
    shown = {name for row in rows(run) for name in row["image_sha256"] if name}
    assert {row["sha256"] for row in rows(run, "images")} == shown
    new = files(run)
    kept = [name for name in old if name in new]
    assert [name for name in kept if name.startswith("train-")]
    assert all(new[name] == old[name] for name in kept)
    readers.check_obelics(run / "dataset")


def test_an_image_is_removed_and_its_documents_stay(run: Path) -> None:
    before = rows(run)
    digest = next(name for name in before[2]["image_sha256"] if name)
    address = before[2]["images"][before[2]["image_sha256"].index(digest)]
    take_down(run, "--sha256", digest)
    after = rows(run)
    assert [row["doc_id"] for row in after] == [row["doc_id"] for row in before]
    assert [row["num_images"] for row in after] == [2, 2, 1, *[2] * 5]
    assert [row for row in after if row["num_images"] == 2] == [
        row for row in before if row["doc_id"] != before[2]["doc_id"]
    ]
    everything = contents(run)
    assert digest not in everything
    assert address not in json.dumps(after)
    readers.check_obelics(run / "dataset")


def test_a_phrase_matches_in_any_case_and_spacing(run: Path) -> None:
    before = rows(run)
    take_down(run, "--text", "THIS  is Page 3.")
    assert len(rows(run)) == len(before) - 1
    assert "This is page 3." not in contents(run)
    take_down(run, "--regex", r"example/[45]\?")
    assert len(rows(run)) == len(before) - 3


def test_an_image_is_removed_by_its_url_or_its_perceptual_hash(run: Path) -> None:
    table = pq.read_table(sorted((run / "images").glob("*.parquet"))[0], partitioning=None)
    one, two = table.to_pylist()[:2]
    rest = table.set_column(table.schema.get_field_index("phash"), "phash",
                            [["0123456789abcdef"] + [None] * (len(table) - 1)])  # fmt: skip
    pq.write_table(rest.cast(table.schema), sorted((run / "images").glob("*.parquet"))[0])
    take_down(run, "--phash", "0123456789abcdee", "--distance", "1", "--url", two["url"])
    everything = contents(run)
    assert one["sha256"] not in everything
    assert two["url"] not in everything
    assert len(rows(run)) == 7  # a document that lost both its images went with them


def test_a_picture_is_removed_with_the_thumbnails_that_lead_to_it(run: Path) -> None:
    full = "http://pictures.example/full.png"
    path = next((run / "documents").glob("*.parquet"))
    table = pq.read_table(path, partitioning=None)
    documents = table.to_pylist()
    thumbnail = documents[0]["nodes"][2] | {"full_size": full, "link_target": "image"}
    documents[0]["nodes"][2] = thumbnail
    documents[0]["page_images"] = [full, "http://pictures.example/other.png"]
    documents[1]["nodes"][2]["url"] = thumbnail["url"]  # shown without a link
    pq.write_table(pa.Table.from_pylist(documents, table.schema), path)
    (row,) = [row for row in rows(run) if row["doc_id"] == documents[0]["doc_id"]]
    shown = row["image_sha256"][row["images"].index(thumbnail["url"])]
    take_down(run, "--url", full)
    everything = contents(run)
    assert all(gone not in everything for gone in (full, thumbnail["url"], shown))
    assert "http://pictures.example/other.png" in everything
    (row,) = [row for row in rows(run) if row["doc_id"] == documents[0]["doc_id"]]
    assert row["num_images"] == 1
    lines = (run / "takedown/tombstones.jsonl").read_text().splitlines()
    assert {json.loads(line)["value"] for line in lines} == {full, thumbnail["url"]}


def test_a_run_without_full_sizes_is_searched_all_the_same(run: Path) -> None:
    path = next((run / "documents").glob("*.parquet"))
    table = pq.read_table(path, partitioning=None)
    old = [field for field in NODE if field.name not in ("full_size", "link_target")]
    place = table.schema.get_field_index("nodes")
    schema = table.schema.set(place, pa.field("nodes", pa.list_(pa.struct(old))))
    pq.write_table(pa.Table.from_pylist(table.to_pylist(), schema), path)
    take_down(run, "--url", next(one for one in rows(run)[0]["images"] if one))
    assert rows(run)[0]["num_images"] == 1


def test_a_document_removed_by_its_id_gets_a_tombstone_for_its_url(run: Path) -> None:
    doc_id = rows(run)[0]["doc_id"]
    url = json.loads(rows(run)[0]["general_metadata"])["url"]
    take_down(run, "--document", doc_id)
    assert doc_id not in {row["doc_id"] for row in rows(run)}
    lines = (run / "takedown/tombstones.jsonl").read_text().splitlines()
    kinds = {json.loads(line)["kind"]: json.loads(line)["value"] for line in lines}
    assert kinds == {"document": doc_id, "url": url}


def test_card_manifest_and_counts_are_updated(run: Path) -> None:
    take_down(run, "--host", HELD_OUT)
    text = (run / "dataset/README.md").read_text()
    assert "| documents | 5 |" in text
    assert "takedown.host" in text
    found = manifest.read(str(run / "dataset"))
    assert found is not None
    assert sum(file.rows for file in found.files if file.name.startswith("data/")) == 5
    for path in run.glob("*/manifest.json"):
        counts = manifest.read(str(path.parent)).counts  # type: ignore[union-attr]
        for unit, count in counts.items():
            count.check(f"{path} {unit}")
    assert found.counts["documents"].rejected == {"takedown.host": 3}


@pytest.mark.parametrize(
    "wrong",
    [
        *(["--sha256", "xyz"], ["--regex", "("], ["--text", " "], ["--list", "none.jsonl"], []),
        *(["--url", url] for url in ("a.example/x", "http://", "ftp://a.example/", "http://a b/")),
        *(
            ["--host", host]
            for host in ("a..example", "a.example/x", "*.example", "a b", "http://")
        ),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    run: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["takedown", str(run), *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_changed_log_is_detected(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take_down(run, "--host", HELD_OUT, "--note", "asked by mail")
    take_down(run, "--text", "page 0.")
    take_down(run, "--text", "page 0.")
    assert cli.main(["takedown", str(run), "--check"]) == 0
    assert "3 takedowns" in capsys.readouterr().out
    path = run / "takedown/log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for changed in (
        [lines[0].replace("mail", "post"), *lines[1:]],
        [lines[1], lines[2]],
        [lines[0], lines[2]],
        [lines[1], lines[0], lines[2]],
        ["{}\n", *lines],
        lines[:2],
        [],
    ):
        path.write_text("".join(changed))
        assert cli.main(["takedown", str(run), "--check"]) == 2
    path.write_text("".join(lines))
    assert [entry["number"] for entry in takedown_log.read_log(str(path))] == [1, 2, 3]


def test_a_missing_log_is_detected_before_another_takedown(run: Path) -> None:
    take_down(run, "--text", "page 0.")
    (run / "takedown/log.jsonl").unlink()
    assert cli.main(["takedown", str(run), "--check"]) == 2
    assert cli.main(["takedown", str(run), "--host", HELD_OUT, "--apply"]) == 2


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
def test_a_line_of_the_log_ends_with_a_line_feed_only(run: Path, mark: str) -> None:
    for text in (f"this is{mark}page 3.", f"x{mark}y"):
        take_down(run, "--text", text, "--note", f"by{mark}mail")
    assert cli.main(["takedown", str(run), "--check"]) == 0
    path = run / "takedown/tombstones.jsonl"
    assert [each.value for each in tombstones.read([str(path)])][1] == f"x{mark}y"


@pytest.mark.parametrize(
    "what",
    [
        ["--host", HELD_OUT.upper()],
        ["--host", f"https://{HELD_OUT}:443/"],
        ["--host", f"{HELD_OUT}."],
        ["--host", f".{HELD_OUT}"],
    ],
)
def test_a_host_is_found_however_it_is_written(run: Path, what: list[str]) -> None:
    take_down(run, *what)
    assert HELD_OUT not in {row["host"] for row in rows(run)}


def test_a_url_is_found_however_it_is_written(run: Path) -> None:
    doc_id = rows(run)[0]["doc_id"]
    address = json.loads(rows(run)[0]["general_metadata"])["url"]
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    other = {"http": "https", "https": "http"}[scheme]
    port = {"http": 80, "https": 443}[other]
    escaped = "".join(f"%{ord(c):02x}" if c.isalpha() else c for c in path)
    take_down(run, "--url", f"{other}://{host.upper()}:{port}/{escaped}")
    assert doc_id not in {row["doc_id"] for row in rows(run)}


def test_a_request_that_matches_nothing_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows(run)
    take_down(run, "--host", "elsewhere.example", "--sha256", "ab" * 32)
    found = capsys.readouterr()
    assert "nothing in this run matches host elsewhere.example" in found.out
    assert "nothing was there to remove" in found.err
    assert "done" not in found.out + found.err
    take_down(run, "--host", "elsewhere.example", "--host", HELD_OUT)
    found = capsys.readouterr()
    assert "nothing in this run matches host elsewhere.example" in found.out
    assert "done" in found.err
    assert rows(run) == [row for row in before if row["host"] != HELD_OUT]


def test_tombstones_apply_to_the_next_download(run: Path) -> None:
    take_down(run, "--host", HELD_OUT, "--sha256", "ab" * 32)
    path = run / "takedown/tombstones.jsonl"
    settings = config.load("default", ["input=[x]", f"fetch.consent.tombstones=[{path}]"])
    lists = OptOutLists(settings.fetch.consent)
    assert lists.reason(URL(f"http://img.{HELD_OUT}/x.png")) == "takedown.host"
    assert lists.reason(URL("http://other.example/x.png")) is None
    assert lists.content_reason("ab" * 32, None) == "takedown.sha256"


def check_whole(run: Path, before: Rows, after: Rows) -> None:
    """Check that readers find the dataset from before or after the takedown."""
    assert rows(run) in (before, after)
    found = manifest.read(str(run / "dataset"))
    assert found is not None
    for file in found.files:
        assert pq.read_metadata(run / "dataset" / file.name).num_rows == file.rows
    readers.check_obelics(run / "dataset")


def test_a_takedown_killed_anywhere_leaves_a_readable_dataset_and_can_be_resumed(
    made: Path, tmp_path: Path
) -> None:
    requested = ["--host", HELD_OUT, "--text", "this is page 3."]
    done = Path(shutil.copytree(made, tmp_path / "done"))
    before = rows(done)
    take_down(done, *requested)
    after = rows(done)
    for point in itertools.count():
        run = Path(shutil.copytree(made, tmp_path / f"at-{point}"))
        code = killed_takedown.run([str(run), *requested, "--apply"], 2 * point)
        check_whole(run, before, after)
        if code != killed_takedown.KILLED:
            break
        take_down(run, *requested)
        assert rows(run) == after
        assert HELD_OUT not in contents(run)
        assert contents(run) == contents(done)
        assert takedown_log.read_log(str(run / "takedown/log.jsonl"))
        assert not list(run.rglob("*.next")) + list(run.rglob("*.tmp"))
        assert not (run / "takedown/pending.json").exists()
        shutil.rmtree(run)
    assert code == 0
    assert point >= POINTS
