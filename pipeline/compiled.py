"""Functions compiled to machine code, and how they read memory by address.

Compiled functions are plain Python over arrays and numbers; the first call in a process compiles
them, later processes load the result from a cache folder only this user can write.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.core import caching
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])
PACKAGES = ("benben.pipeline.page", "benben.filters")  # with compiled functions, besides this file


def _sources() -> str:
    """Digest of the code that may be compiled; numba alone looks at a function's own file only."""
    found = hashlib.sha256(resources.files("benben.pipeline").joinpath("compiled.py").read_bytes())
    for package in PACKAGES:
        for file in _files(resources.files(package)):
            if file.name.endswith((".py", ".yaml")):
                found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _files(folder: Traversable) -> Iterator[Traversable]:
    """All files below a folder, in the order of their names."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _cache_folder() -> str:
    """A folder only this user can write; empty, for no cache, when there is none to be had.

    The machine code in it is run, so nobody else may put anything there.
    """
    root = numba.config.CACHE_DIR or f"{tempfile.gettempdir()}/benben-compiled-{os.getuid()}"
    folder = Path(root, _sources())
    try:
        for made in (folder.parent, folder):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = made.lstat()
            if found.st_uid != os.getuid() or found.st_mode & 0o022 or made.is_symlink():
                return ""
    except OSError:
        return ""
    return str(folder)


class _ByDigest(caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """Finds machine code by the sources' digest alone: an executor's zip lies at a path of its own.

    Numba's own locators take the path in, and a zip's code to the home folder.
    """

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        super().__init__(function, path)
        self._cache_path = f"{numba.config.CACHE_DIR}/{function.__module__}"

    def get_source_stamp(self) -> str:
        return "the folder's name"

    @classmethod
    def from_function(cls, function: Callable[..., Any], path: str) -> Any:
        return (
            cls(function, path) if function.__module__.startswith((__name__, *PACKAGES)) else None
        )


caching.CacheImpl._locator_classes.insert(0, _ByDigest)
numba.config.CACHE_DIR = _cache_folder()  # NUMBA_CACHE_DIR of the environment is its root


def compiled(function: Function) -> Function:
    """Compile a function at its first call."""
    return cast(
        Function, numba.njit(cache=bool(numba.config.CACHE_DIR), forceinline=True)(function)
    )


def _load(bits: int, signed: Any) -> Callable[..., Any]:
    def typed(_: Any, address: Any) -> Any:
        def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            return builder.load(pointer, align=1)

        return signed(types.int64), generate

    return cast(Callable[..., Any], intrinsic(typed))


word_at = _load(64, types.int64)  # the eight bytes at an address, as a number
byte_at = _load(8, types.uint8)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def _pointer(_: Any, address: Any, like: Any) -> Any:
    """The address as a pointer to items of an array's kind."""
    kind = types.CPointer(like.dtype)

    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64, like), generate


@compiled
def borrowed(array: Any) -> Any:
    """The same array without its reference count, which costs more than the work on small rows.

    Only for arguments, which the caller holds, and for what the function returns: a local array is
    freed where its own name is last used.
    """
    return numba.carray(_pointer(array.ctypes.data, array), array.shape)
