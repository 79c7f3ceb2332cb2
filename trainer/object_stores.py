"""A run's folder on a disk or in an object store, by URL: what both can do.

Stores are opened through fsspec; S3 through obstore, from AWS_* in the environment, as the pipeline
opens it. A store has no rename, so what is written there counts from its last file on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec
from obstore.fsspec import register

from benben.common.errors import UserError

SEPARATOR = "://"


def register_stores() -> None:
    """Open s3:// URLs by obstore."""
    if "s3" not in fsspec.registry:
        register(["s3", "s3a"])


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder of an object store: of pathlib's methods those that a run needs."""

    url: str

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.url.rstrip("/").rsplit("/", 1)[0])

    def opened(self) -> tuple[Any, str]:
        """Return the store and the path in it."""
        register_stores()
        fs, path = fsspec.core.url_to_fs(self.url)
        fs.invalidate_cache()
        return fs, path

    def open(self, mode: str = "rb") -> IO[bytes]:
        fs, path = self.opened()
        stream: IO[bytes] = fs.open(path, mode)
        return stream

    def is_file(self) -> bool:
        fs, path = self.opened()
        return bool(fs.isfile(path))

    def read_bytes(self) -> bytes:
        fs, path = self.opened()
        return bytes(fs.cat_file(path))

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_bytes(self, data: bytes) -> None:
        fs, path = self.opened()
        fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(path, data)

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    def remove(self, first: str) -> None:
        """Delete a folder, its file `first` before all others."""
        fs, path = self.opened()
        for name in sorted(names(self), key=lambda name: name != first):
            fs.rm_file(f"{path.rstrip('/')}/{name}")


Place = Path | RemotePath


def place(name: str) -> Place:
    """Return the place of a path or URL. Raises UserError for a scheme that nothing opens."""
    scheme, separator, rest = name.partition(SEPARATOR)
    if not separator:
        return Path(name)
    if scheme == "file":
        return Path(rest)
    try:
        fsspec.get_filesystem_class(scheme)
    except (ValueError, ImportError) as error:
        raise UserError(f"{name}: no store with the scheme {scheme} ({error})") from None
    return RemotePath(name)


def names(folder: Place) -> list[str]:
    """Return the names of the files in a folder, in a store at any depth; none if it is missing."""
    if isinstance(folder, Path):
        return sorted(path.name for path in folder.glob("*") if path.is_file())
    fs, path = folder.opened()
    root = path.rstrip("/") + "/"
    return sorted(str(file).split(root, 1)[-1] for file in fs.find(path))


def size(folder: Place) -> int:
    """Return the bytes of the files in a folder."""
    if isinstance(folder, Path):
        return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())
    fs, path = folder.opened()
    return sum(int(entry["size"]) for entry in fs.find(path, detail=True).values())


def local_folder(folder: Place) -> Path:
    """Return where what cannot be appended to in a store is written: the folder itself, on a disk.

    For the URL s3://BUCKET/RUN it is runs/s3/BUCKET/RUN.
    """
    if isinstance(folder, Path):
        return folder
    scheme, _, rest = folder.url.partition(SEPARATOR)
    return Path("runs", scheme, *(part for part in rest.split("/") if part not in ("", ".", "..")))


def upload(folder: Place, names: tuple[str, ...]) -> None:
    """Copy files of `local_folder` to the run's folder in its store; nothing to do on a disk."""
    if isinstance(folder, RemotePath):
        for name in names:
            file = local_folder(folder) / name
            if file.is_file():
                (folder / name).write_bytes(file.read_bytes())


def download(folder: Place, name: str) -> None:
    """Bring a file of a run in a store to `local_folder`, unless one is there."""
    target = local_folder(folder) / name
    if isinstance(folder, RemotePath) and not target.exists() and (folder / name).is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((folder / name).read_bytes())
