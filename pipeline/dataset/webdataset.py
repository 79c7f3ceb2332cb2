"""Rows of the dataset as samples of WebDataset, in tar files that are read from start to end.

A sample's members are named after the document's id: ID.json holds the row, ID.0003.jpg the image
at position 3. Their times and owners are fixed, so equal rows give equal bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benben.pipeline import storage

Stored = tuple[str, bytes]  # format, bytes
ENDINGS = {"jpeg": "jpg", "tiff": "tif"}  # format -> file ending, if not the same
PREFIX = 16  # hexadecimal digits of a SHA-256 that the index keeps


class ImageIndex:
    """Where the bytes of each image are stored; takes 16 bytes of memory for each image.

    `paths`: parquet files with columns `sha256`, `format` and `bytes`.
    """

    def __init__(self, paths: list[str]) -> None:
        self._places: list[tuple[str, int]] = []  # file and row group
        keys, groups = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for path in paths:
            with storage.open_input(path) as stream:
                file = pq.ParquetFile(stream)
                for group in range(file.num_row_groups):
                    names = file.read_row_group(group, ["sha256"])["sha256"].to_pylist()
                    keys.append(np.array([int(name[:PREFIX], 16) for name in names], np.uint64))
                    groups.append(np.full(len(names), len(self._places)))
                    self._places.append((path, group))
        order = np.argsort(np.concatenate(keys), kind="stable")
        self._keys, self._groups = np.concatenate(keys)[order], np.concatenate(groups)[order]

    def read(self, wanted: set[str]) -> dict[str, Stored]:
        """Return those of the wanted images that are stored; reads each row group once."""
        found: dict[str, Stored] = {}
        names = sorted(wanted)
        keys = np.array([int(name[:PREFIX], 16) for name in names], np.uint64)
        place = np.searchsorted(self._keys, keys)
        inside = place < len(self._keys)
        hits = place[inside][self._keys[place[inside]] == keys[inside]]
        for number in np.unique(self._groups[hits]):
            path, group = self._places[number]
            with storage.open_input(path) as stream:
                rows = pq.ParquetFile(stream).read_row_group(group)
            for sha256, kind, data in zip(*(column for column in rows.columns), strict=True):
                if sha256.as_py() in wanted:
                    found[sha256.as_py()] = (kind.as_py(), data.as_py())
        return found


def samples(
    rows: pa.RecordBatch, images: Mapping[str, Stored]
) -> Iterator[list[tuple[str, bytes]]]:
    """Yield the members (name, bytes) of each row's sample, the row itself first.

    In the row, `image_files` has the member's name for each position, or null.
    """
    for row in rows.to_pylist():
        key, members = row["doc_id"], []
        names: list[str | None] = []
        for position, sha256 in enumerate(row["image_sha256"]):
            name = None
            if sha256 in images:
                kind, data = images[sha256]
                name = f"{position:04d}.{ENDINGS.get(kind, kind)}"
                members.append((f"{key}.{name}", data))
            names.append(name)
        document = {**decoded(row), "image_files": names}
        text = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        yield [(f"{key}.json", text), *members]


def decoded(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its JSON columns as objects."""
    return {**row, **{name: json.loads(row[name]) for name in ("metadata", "general_metadata")}}


def write(stream: BinaryIO, members: Iterator[list[tuple[str, bytes]]]) -> int:
    """Write samples to a tar file and return their number."""
    number = 0
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in members:
            for name, data in sample:
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o644
                tar.addfile(member, io.BytesIO(data))
            number += 1
    return number
