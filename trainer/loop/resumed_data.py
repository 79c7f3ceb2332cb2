"""What a run's data were when it began, and by which rule it goes on with what they are now.

Rules (`checkpoint.new_data`) for data that have changed: `refuse`; `remaining`, where nothing but
documents and images have left, as after a takedown; `restart` with the first document of the new.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benben.trainer.checkpoint.store import CheckpointError
from benben.trainer.data.loader import DataSource
from benben.trainer.data.order import DataState
from benben.trainer.data.roster import GONE, OtherDocuments, Roster
from benben.trainer.object_stores import Place, RemotePath


@dataclass(frozen=True)
class Departures:
    """What has left the corpora since a run began; `left` has an entry for each time."""

    left: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self, source: DataSource) -> dict[str, Any]:
        return {"began_with": source.began_with, "left": self.left}


def roster_file(folder: Place, name: str) -> Place:
    """Return where a run keeps the documents that it began with."""
    return folder / f"documents-{name}.npz"


def keep_roster(folder: Place, source: DataSource) -> None:
    """Write the documents that a run begins with into its folder, once; on one rank."""
    file = roster_file(folder, source.began_with)
    if file.is_file() or source.places is not None:
        return
    roster = source.roster()
    if roster is not None:
        if isinstance(file, RemotePath):
            file.write_bytes(roster.to_bytes())
            return
        temporary = file.with_suffix(".tmp")
        temporary.write_bytes(roster.to_bytes())
        temporary.replace(file)


def resumed(
    folder: Place, path: Place, content: dict[str, Any], source: DataSource, rule: str
) -> tuple[DataSource, DataState, Departures]:
    """Return the documents, the place in them and what has left, from a checkpoint's manifest.

    Raises CheckpointError where the data have changed in a way that the rule does not allow.
    """
    meta = content["meta"]
    known = meta.get("documents", {})
    state, departures = DataState.from_json(meta["data"]), Departures(known.get("left", []))
    changed = _changes(meta.get("fingerprint", {}), source.fingerprint())
    if not changed and not departures.left:
        return source, state, departures
    if not changed:
        return _as_begun(folder, path, known, source), state, departures
    told = f"{path}: trained on other data: {'; '.join(changed)}"
    if rule == "restart":
        return source, DataState(), Departures()
    if rule == "refuse":
        raise CheckpointError(
            f"{told}. Use the old data, or set checkpoint.new_data: `remaining` goes on where only "
            "documents or images have left (a takedown); `restart` begins with the first document "
            "of the new data"
        )
    if not _only_files(meta.get("fingerprint", {}), source.fingerprint()):
        raise CheckpointError(
            f"{told}. checkpoint.new_data=remaining allows other files alone: change the rest back"
        )
    now = _as_begun(folder, path, known, source)
    departures = _noted(folder, departures, now, content["step"])
    return now, state.after_removal(source.config.lanes), departures


def _as_begun(folder: Place, path: Place, known: dict[str, Any], source: DataSource) -> DataSource:
    name = known.get("began_with", "")
    file = roster_file(folder, name)
    if not name or not file.is_file():
        raise CheckpointError(
            f"{path}: which documents it began with is not known ({file.name} is missing, or its "
            "corpora have no doc_id that tells all documents apart): set "
            "checkpoint.new_data=restart"
        )
    try:
        return source.as_begun(Roster.from_bytes(file.read_bytes()), name)
    except OtherDocuments as error:
        raise CheckpointError(f"{path}: {error}: set checkpoint.new_data=restart") from None


def _noted(folder: Place, before: Departures, source: DataSource, step: int) -> Departures:
    """Add which documents left since the last note, by 64 bits of the SHA-256 of their ids."""
    roster = Roster.from_bytes(roster_file(folder, source.began_with).read_bytes())
    noted = {name for entry in before.left for name in entry["documents"]}
    gone = [
        f"{int(name):016x}"
        for ids, places in zip(roster.ids, source.places or [], strict=True)
        for name in ids[places == GONE]
    ]
    new = [name for name in gone if name not in noted]
    return Departures([*before.left, {"after_step": step, "documents": new}])


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what differs between two fingerprints of data, in words."""
    return [f"{key} was {old.get(key)}, is {new[key]}" for key in new if new[key] != old.get(key)]


def _only_files(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tell whether two fingerprints differ in the files of corpora alone."""

    def rest(fingerprint: dict[str, Any]) -> dict[str, Any]:
        corpora = [{**c, "files": None} for c in fingerprint.get("corpora", [])]
        return {**fingerprint, "corpora": corpora}

    return rest(old) == rest(new)
