"""Documents of earlier runs as the graph sees them: their keys, records and components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as F

from benben.jobs import lookup
from benben.pipeline import manifest, storage
from benben.pipeline.deduplication.candidates import RECORDS
from benben.pipeline.errors import UserError
from benben.pipeline.settings import Config

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

OLD = -1  # `part` of a document of an earlier run
KEY = pa.field("key", pa.int64())
# One row a key that no earlier run has, with the oldest document that has it.
INDEX_KEYS = pa.schema([KEY, ("node", pa.binary())])
INDEX_RECORDS = pa.schema([KEY, *RECORDS])
# One row a document of a component of two and more, by its own key and by its label's.
INDEX_COMPONENTS = pa.schema(
    [
        KEY,
        ("node", pa.binary()),
        ("label", pa.binary()),
        ("reason", pa.string()),  # null: kept
        ("kept_id", pa.string()),
    ]
)
TABLES = ("index_keys", "index_records", "index_components")


class Earlier:
    """The index tables of earlier runs, oldest run first."""

    def __init__(self, config: Config) -> None:
        self.folders = config.deduplicate.against
        self._tables = {name: [_files(f, name, config) for f in self.folders] for name in TABLES}

    def keys(self, keyed: DataFrame) -> DataFrame:
        """Rows (key, node) of the keys of a frame that an earlier run has."""
        found = lookup.find(keyed, self._tables["index_keys"], INDEX_KEYS)
        return found.select("key", "node")

    def records(self, nodes: DataFrame) -> DataFrame:
        """Records of a frame's nodes that are of earlier runs."""
        wanted = nodes.select(node_key("node").alias("key"), "node").distinct()
        found = lookup.find(wanted, self._tables["index_records"], INDEX_RECORDS)
        rows = found.join(wanted.select("node"), "node", "left_semi")
        return rows.withColumn("part", F.lit(OLD)).select(*RECORDS.names)

    def members(self, nodes: DataFrame) -> DataFrame:
        """All documents of the components that a frame's nodes are of, as last decided."""
        table = self._tables["index_components"]
        wanted = nodes.select(node_key("node").alias("key")).distinct()
        near = lookup.find(wanted, table, INDEX_COMPONENTS)
        labels = near.select(node_key("label").alias("key")).distinct()
        rows = lookup.find(labels.union(wanted), table, INDEX_COMPONENTS)
        last = Window.partitionBy("node").orderBy(F.desc("age"))
        chosen = rows.withColumn("place", F.row_number().over(last)).where("place = 1")
        return chosen.select("node", "label", "reason", "kept_id")


def node_key(name: str) -> Column:
    """Key of a node column."""
    return F.xxhash64(name)


def sources(config: Config) -> dict[str, str]:
    """Identities of the earlier runs' indexes."""
    return {
        storage.join(folder, name): _manifest(folder, name).id
        for folder in config.deduplicate.against
        for name in TABLES
    }


def _manifest(folder: str, table: str) -> manifest.Manifest:
    found = manifest.read(storage.join(folder, table))
    if found is None or not found.config["deduplicate"]["index"]:
        raise UserError(
            f"{folder}: has no index of its documents; run `benben cluster` there with "
            f"deduplicate.index=true, or take it out of deduplicate.against"
        )
    return found


def _files(folder: str, table: str, config: Config) -> dict[int, str]:
    """Bucket -> file. Raises UserError when the index was made under other settings."""
    found = _manifest(folder, table)
    ours = config.model_dump(mode="json")
    for section, names in (("fingerprint", None), ("deduplicate", ("keep", "minhash"))):
        for name in names or ours[section]:
            theirs = found.config[section][name]
            if theirs != ours[section][name]:
                raise UserError(
                    f"{folder}: its index was made with {section}.{name}={theirs}, this run has "
                    f"{ours[section][name]}; make them equal"
                )
    return {file.part: storage.join(folder, table, file.name) for file in found.files}
