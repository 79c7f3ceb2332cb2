from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path

import pytest
from PIL import Image

import benben
from benben.loading.dataset import Documents
from benben.loading.documents import Document, Picture, Text
from benben.loading.pictures import PictureStore, decode
from benben.pipeline import storage
from benben.pipeline.errors import InputError, UserError
from tests.analysis.run_folder import make
from tests.loading import made

DOCUMENTS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.write_dataset(tmp_path_factory.mktemp("dataset"), DOCUMENTS)


def numbers(documents: Documents | list[Document]) -> list[int]:
    """The numbers in the URLs of documents."""
    return [int(str(document.url).rsplit("/", 1)[1]) for document in documents]


def opened(folder: Path, shuffle: bool = False, epoch: int = 0) -> Documents:
    found = benben.load(str(folder), pictures="references", shuffle=shuffle, buffer_documents=12)
    found.set_epoch(epoch)
    return found


def test_documents_come_in_order_with_texts_and_pictures_in_place(folder: Path) -> None:
    found = list(benben.load(str(folder)))
    assert numbers(found) == list(range(DOCUMENTS))
    document = found[5]
    kinds = [type(item) for item in document.items]
    assert kinds == [Text, Picture, Text, Picture, Text]
    assert document.texts == ["Document 5 begins.", "After picture 1."]  # without the break
    first, second = document.pictures
    assert (first.url, first.metadata["alt_text"]) == ("http://example.org/5/0.jpg", "drawn")
    assert isinstance(first.image, Image.Image)
    assert (first.image.mode, first.image.size) == ("RGB", (24, 16))
    assert first.data == made.jpeg(500)
    assert second.data == made.jpeg(501)
    assert document.metadata["lang"] == "en"
    assert document.metadata["warc_record_offset"] == 5
    assert document.text_nodes[0] == [{"index": 0, "tag": "p"}]
    assert document.text_nodes[1] is None


def test_a_picture_that_is_missing_or_broken_costs_only_itself(folder: Path) -> None:
    found = list(benben.load(str(folder)))
    reasons = [[picture.reason for picture in document.pictures] for document in found]
    assert reasons[1] == ["not_fetched"]
    assert reasons[2] == ["broken", "not_stored"]
    assert all(picture.image is None for picture in found[2].pictures)
    assert {reason for some in reasons[3:] for reason in some} == {None}


def test_a_picture_with_too_many_pixels_is_not_decoded(folder: Path) -> None:
    found = list(benben.load(str(folder), max_pixels=24 * 16 - 1))
    assert {p.reason for p in found[4].pictures} == {"too_many_pixels"}
    assert found[4].pictures[0].data == made.jpeg(400)


def test_bytes_and_references_alone(folder: Path) -> None:
    raw = list(benben.load(str(folder), pictures="bytes"))[4].pictures[0]
    assert (raw.data, raw.image, raw.reason) == (made.jpeg(400), None, None)
    bare = list(benben.load(str(folder), pictures="references"))[4].pictures[0]
    assert (bare.data, bare.image, bare.reason) == (None, None, None)
    assert bare.sha256 == raw.sha256


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "CMYK", "I;16", "1"])
def test_every_mode_is_shown_as_rgb_on_white(mode: str, tmp_path: Path) -> None:
    ending = "tiff" if mode == "CMYK" else "png"
    picture = Image.new(mode, (5, 4))
    if mode == "P":
        picture.info["transparency"] = 0
    picture.save(tmp_path / f"p.{ending}")
    image, reason = decode((tmp_path / f"p.{ending}").read_bytes())
    assert reason is None
    assert image is not None
    assert (image.mode, image.size) == ("RGB", (5, 4))
    if mode in ("RGBA", "LA", "P"):  # all clear
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 10)).save(tmp_path / "p.jpg", exif=exif)
    image, _ = decode((tmp_path / "p.jpg").read_bytes())
    assert image is not None
    assert image.size == (10, 30)


def test_an_epoch_shuffled_holds_each_document_once_and_mixes_row_groups(folder: Path) -> None:
    first, again, other = (numbers(opened(folder, True, epoch)) for epoch in (0, 0, 1))
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other) == list(range(DOCUMENTS))
    assert any(abs(a - b) > 7 for a, b in pairwise(first))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_shards_hold_each_document_once(folder: Path, shuffle: bool, count: int) -> None:
    shards = [numbers(opened(folder, shuffle).shard(index, count)) for index in range(count)]
    assert sorted(number for shard in shards for number in shard) == list(range(DOCUMENTS))
    assert max(map(len, shards)) - min(map(len, shards)) <= 7
    assert [len(opened(folder, shuffle).shard(i, count)) for i in range(count)] == [
        len(shard) for shard in shards
    ]


def test_shards_of_shards_hold_each_document_once(folder: Path) -> None:
    found = [
        number
        for rank in range(2)
        for worker in range(3)
        for number in numbers(opened(folder, True).shard(rank, 2).shard(worker, 3))
    ]
    assert sorted(found) == list(range(DOCUMENTS))
    with pytest.raises(UserError, match="index 2 is not from 0 to 1"):
        opened(folder).shard(2, 2)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("taken", [0, 1, 6, 7, 8, 20, DOCUMENTS - 1, DOCUMENTS])
def test_a_stream_goes_on_exactly_where_it_was(folder: Path, shuffle: bool, taken: int) -> None:
    whole = numbers(opened(folder, shuffle, 3))
    left = opened(folder, shuffle, 3)
    assert numbers(list(islice(iter(left), taken))) == whole[:taken]
    state = pickle.loads(pickle.dumps(left.state_dict()))
    resumed = opened(folder, shuffle)
    resumed.load_state_dict(state)
    assert numbers(resumed) == whole[taken:]
    assert numbers(resumed) == whole  # the loop after it begins anew


def test_a_state_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    state = opened(folder, True).state_dict()
    other = made.write_dataset(tmp_path, DOCUMENTS, group=8)
    for wrong in (opened(folder), opened(folder, True).shard(0, 2), opened(other, True)):
        with pytest.raises(UserError, match="state: "):
            wrong.load_state_dict(state)


def test_a_loop_left_early_begins_anew(folder: Path) -> None:
    documents = opened(folder)
    assert numbers(list(islice(documents, 3))) == [0, 1, 2]
    assert numbers(list(islice(documents, 3))) == [0, 1, 2]


def test_pictures_are_read_a_row_group_at_a_time_and_once(folder: Path) -> None:
    documents = benben.load(str(folder), pictures="bytes")
    list(documents)
    groups = sum(
        storage.footer(path).num_row_groups for path in storage.list_files(str(folder / "images"))
    )
    assert documents.store.groups_read == groups
    small = benben.load(str(folder), pictures="bytes", cache_bytes=1)
    assert [d.pictures for d in small] == [d.pictures for d in documents]
    assert small.store.groups_read > groups


def test_a_store_forgets_its_open_files_when_it_is_sent_to_a_worker(folder: Path) -> None:
    documents = benben.load(str(folder), pictures="bytes")
    wanted = [document.pictures for document in documents]
    sent = pickle.loads(pickle.dumps(documents))
    assert [document.pictures for document in sent] == wanted
    assert PictureStore([], 1).read([made.MISSING, "no digest"]) == {}


def test_memory_stays_flat_however_many_documents_there_are(tmp_path: Path) -> None:
    peaks = []
    for number in (300, 1200):
        folder = made.write_dataset(tmp_path / str(number), number, group=50)
        documents = benben.load(str(folder), cache_bytes=10_000)
        next(iter(documents))
        tracemalloc.start()
        assert sum(1 for _ in documents) == number
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_run_is_found_by_its_folder_and_its_manifest_says_what_counts(tmp_path: Path) -> None:
    output = make(tmp_path / "run")
    data = tmp_path / "run" / "dataset" / "data"
    (data / "train-00009-of-00010.parquet").write_bytes(b"left by a writer that was killed")
    for path in (output, f"{output}/dataset", f"{output}/dataset/"):
        assert len(list(benben.load(path))) == 5
    assert len(list(benben.load(output, "test"))) == 3
    with pytest.raises(InputError, match="no files of split 'dev'; it has test, train"):
        benben.load(output, "dev")


def test_a_folder_without_a_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset here"):
        benben.load(str(tmp_path))


def test_the_example_of_the_package_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"\n\n((?:    .*load\(.*\n)(?:    .*\n)+)", str(benben.__doc__))
    names: dict[str, object] = {"benben": benben}
    exec(re.sub("^    ", "", example, flags=re.M), names)
    assert isinstance(names["item"], Text)


def test_torch_and_datasets_are_not_imported_unless_asked_for(folder: Path) -> None:
    code = (
        "import benben, sys; list(benben.load(sys.argv[1])); "
        "print(sorted({'torch', 'datasets', 'transformers', 'pyspark'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
