"""Publishes a dataset on the Hugging Face Hub: `benben push DATASET OWNER/NAME`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import click

from benben.common.command_line import Command
from benben.jobs.engine.progress import say
from benben.pipeline import manifest, storage
from benben.pipeline.errors import InputError, UserError
from benben.pipeline.manifest import Manifest
from benben.pipeline.takedown import takedown_log

CARD = ("README.md", "croissant.json")
FOLDERS = ("data/", "images/", "self_contained/")  # in which files that are not listed are deleted


@click.command(cls=Command)
@click.argument("dataset", metavar="DATASET", type=click.Path())
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", help="Branch to push to.  [default: main]")
@click.option("--message", default="Update the dataset", help="Message of the commit.")
def main(dataset: str, repository: str, private: bool, revision: str | None, message: str) -> int:
    """Publish a dataset on the Hugging Face Hub.

    DATASET is the folder of a run, of its dataset or of an export. The card and the files of the
    manifest are sent, and files of an earlier push that are no longer listed are deleted, in one
    commit. What the Hub knows already is not sent again. The token is that of HF_TOKEN or of
    `hf auth login`.
    """
    folder, found = read_dataset(dataset)
    added, deleted = push(folder, found, repository, private, revision, message)
    print(f"https://huggingface.co/datasets/{repository}: {added} files, {deleted} deleted")
    return 0


def read_dataset(path: str) -> tuple[str, Manifest]:
    """Return the folder and the manifest of a dataset, by its folder or that of its run.

    Raises InputError if it is not finished, has no card or is not on a local disk, and UserError if
    a takedown of it is not finished.
    """
    inner = storage.join(path, "dataset")
    folder = inner if storage.exists(storage.join(inner, manifest.NAME)) else path.rstrip("/")
    found = manifest.read(folder)
    if found is None or found.table != "dataset":
        raise InputError(f"{path}: no finished dataset here (no {manifest.NAME})")
    if not storage.is_local(folder):
        raise InputError(f"{path}: copy the dataset to a local disk to push it")
    if not storage.exists(storage.join(folder, CARD[0])):
        raise InputError(f"{folder}: no card ({CARD[0]}); run `benben report` first")
    run = storage.local_path(storage.join(folder, ".."))
    if run and takedown_log.read_pending(run):
        raise UserError(f"{run}: a takedown is not finished; finish it before you publish")
    return folder, found


def push(
    folder: str, found: Manifest, repository: str, private: bool, revision: str | None, message: str
) -> tuple[int, int]:
    """Send a dataset and return how many files it has, and how many were deleted.

    Raises UserError without huggingface_hub or a token, where the Hub refuses, and where the
    repository holds files that were not pushed from here.
    """
    hub = _hub()
    names = [file.name for file in found.files]
    names += [n for n in (*CARD, manifest.NAME) if storage.exists(storage.join(folder, n))]
    where = {"repo_id": repository, "repo_type": "dataset"}
    try:
        api = hub.HfApi()
        api.create_repo(**where, private=private or None, exist_ok=True)
        deleted = outdated(api.list_repo_files(**where, revision=revision), names, repository)
        files = ((name, storage.local_path(storage.join(folder, name))) for name in names)
        additions = [hub.CommitOperationAdd(name, path) for name, path in files]
        for number, one in enumerate(additions, 1):
            api.preupload_lfs_files(**where, additions=[one], revision=revision)
            say(f"push: {one.path_in_repo} ({number} of {len(additions)})")
        operations = [*additions, *(hub.CommitOperationDelete(name) for name in deleted)]
        api.create_commit(**where, operations=operations, commit_message=message, revision=revision)
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError) as error:
        raise UserError(f"push: {repository}: {error}") from None
    return len(names), len(deleted)


def outdated(remote: Iterable[str], names: Iterable[str], repository: str) -> list[str]:
    """Return the files of an earlier push that are no longer part of the dataset.

    Raises UserError if the repository has data files, but not the manifest that a push leaves.
    """
    there = set(remote)
    ours = sorted(name for name in there if name.startswith(FOLDERS))
    if ours and manifest.NAME not in there:
        raise UserError(
            f"push: {repository} holds data that was not pushed by benben, such as {ours[0]}, and "
            "would be deleted; name another repository"
        )
    return sorted(set(ours) - set(names))


def _hub() -> Any:
    """Import huggingface_hub. Raises UserError without it, or without a token."""
    try:
        hub = import_module("huggingface_hub")
    except ImportError:
        raise UserError("push: needs huggingface_hub: pip install huggingface-hub") from None
    if hub.get_token() is None:
        raise UserError("push: no token of the Hugging Face Hub; set HF_TOKEN or `hf auth login`")
    return hub
