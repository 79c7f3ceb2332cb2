"""Fetched images, looked up by the documents that show them: equal bytes and similar images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benben.pipeline.deduplication import fingerprint, similar_images
from benben.pipeline.deduplication.decontamination import BenchmarkImages
from benben.pipeline.settings.deduplicate import PictureSettings

# One row for each fetched image; `key` is the key of its URL, as in fingerprints.
PICTURES = pa.schema(
    [
        ("key", pa.int64()),
        ("content", pa.int64()),  # key of the sha256 of its bytes
        ("look", pa.int64()),  # perceptual hash; later that of the image it is counted as
        ("set", pa.string()),  # benchmark set and item that it looks like
        ("item", pa.string()),
    ]
)
COLUMNS = ["url", "reason", "sha256", "phash"]


def fetched_images(
    images: pa.RecordBatch, settings: PictureSettings, benchmarks: BenchmarkImages
) -> pa.RecordBatch:
    """Make PICTURES of the rows of a batch of IMAGES whose image was fetched and decoded."""
    images = images.filter(pc.and_(images["reason"].is_null(), images["sha256"].is_valid()))
    hashes, valid = similar_images.parse(images["phash"], settings.look.min_bits)
    place = similar_images.nearest(hashes, benchmarks.hashes, settings.decontaminate.radius)
    found = [
        benchmarks.names[number] if number >= 0 and has_hash else {}
        for number, has_hash in zip(place, valid, strict=True)
    ]
    columns = {
        "key": [fingerprint.key("image", url) for url in images["url"].to_pylist()],
        "content": [fingerprint.key("content", name) for name in images["sha256"].to_pylist()],
        "look": pa.array(hashes.view(np.int64), mask=~valid),
        "set": [item.get("set") for item in found],
        "item": [item.get("item") for item in found],
    }
    return pa.RecordBatch.from_pydict(columns, PICTURES)


class FetchedImages:
    """The fetched images of one part, looked up by the keys of image nodes."""

    def __init__(self, rows: pa.Table) -> None:
        rows = rows.sort_by("key").combine_chunks()
        self._keys = rows["key"].to_numpy()
        self._columns = {name: rows[name].combine_chunks() for name in PICTURES.names}

    def add_columns(self, batch: pa.RecordBatch, dropped: pa.ListArray) -> pa.RecordBatch:
        """Remove dropped nodes from `image_nodes`, and add `content_nodes` and `look_nodes`."""
        nodes = batch["image_nodes"]
        owners = pc.list_parent_indices(nodes).to_numpy().astype(np.int64)
        fields = nodes.flatten()
        gone = pc.list_parent_indices(dropped).to_numpy().astype(np.int64) << 32
        gone = gone | dropped.flatten().field("index").to_numpy()
        kept = ~np.isin(owners << 32 | fields.field("index").to_numpy(), gone)
        index, owners = fields.field("index").filter(pa.array(kept)), owners[kept]
        keys = fields.field("key").filter(pa.array(kept))
        found = self._places(keys)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns["image_nodes"] = _nodes(index, keys, owners, len(batch))
        columns["content_nodes"] = _nodes(
            index, self._columns["content"].take(found), owners, len(batch)
        )
        columns["look_nodes"] = _nodes(index, self._columns["look"].take(found), owners, len(batch))
        return pa.RecordBatch.from_pydict(columns)

    def contaminated(self, batch: pa.RecordBatch) -> dict[str, dict[str, str]]:
        """Map the documents that show a benchmark image to its set and item."""
        nodes = batch["image_nodes"]
        owners = pc.list_parent_indices(nodes).to_numpy()
        place = self._places(nodes.flatten().field("key"))
        sets, items = (self._columns[name].take(place) for name in ("set", "item"))
        found: dict[str, dict[str, str]] = {}
        for row in np.flatnonzero(sets.is_valid().to_numpy(zero_copy_only=False)):
            name = batch["doc_id"][int(owners[row])].as_py()
            found.setdefault(name, {"set": sets[row].as_py(), "item": items[row].as_py()})
        return found

    def _places(self, keys: pa.Array) -> pa.Array:
        """Row of each key; null for images that were not fetched."""
        wanted = keys.to_numpy()
        if not len(self._keys):
            return pa.nulls(len(wanted), pa.int64())
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return pa.array(place, mask=self._keys[place] != wanted)


def _nodes(
    index: pa.Array, keys: pa.Array, owners: npt.NDArray[np.int64], rows: int
) -> pa.ListArray:
    """One list of (index, key) per row, of the nodes whose key is not null."""
    valid = keys.is_valid()
    valid_owners = owners[valid.to_numpy(zero_copy_only=False)]
    struct = pa.StructArray.from_arrays(
        [index.filter(valid), keys.drop_null()], fields=list(fingerprint.NODE_KEY)
    )
    counts = np.bincount(valid_owners, minlength=rows)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), struct)
