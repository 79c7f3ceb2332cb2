"""Functions compiled to machine code, their types, and how they read memory by address.

A compiled function is plain Python over arrays and numbers. The first call in a process compiles
it; later processes load the result from a cache folder that only this user can write to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import caching
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])
Array = TypeVar("Array", bound=npt.NDArray[Any])
Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
# np.int64 as mypy should see it: numba has no other integers than machine words, mypy has no rule
# that makes them one type with int.
int64 = cast(Callable[[Any], int], np.int64)

# What holds compiled functions, or the constants that compiling writes into them.
PACKAGES = ("benben.pipeline.page", "benben.filters")
FILES = (  # of benben
    "common/hashing.py",
    "pipeline/characters.py",
    "pipeline/compiled.py",
    "pipeline/fasttext_model.py",
    "pipeline/hash_tables.py",
    "pipeline/references.py",
)


def compiled(function: Function) -> Function:
    """Compile a function at its first call."""
    return cast(
        Function, numba.njit(cache=bool(numba.config.CACHE_DIR), forceinline=True)(function)
    )


def called(function: Function) -> Function:
    """Compile a function that compiled code calls, rather than one that becomes part of it.

    A call costs little where its arguments are numbers and references (`references.py`), while code
    that is put in many places takes long to compile.
    """
    return cast(Function, numba.njit(cache=bool(numba.config.CACHE_DIR))(function))


# The cache of machine code: one folder for each state of the sources.


def _sources() -> str:
    """Digest of the code that may be compiled; numba itself checks only a function's own file."""
    found = hashlib.sha256()
    for name in FILES:
        found.update(resources.files("benben").joinpath(*name.split("/")).read_bytes())
    for package in PACKAGES:
        for file in _files(resources.files(package)):
            if file.name.endswith((".py", ".yaml")):
                found.update(file.read_bytes())
    return found.hexdigest()[:16]


def _files(folder: Traversable) -> Iterator[Traversable]:
    """All files below a folder, ordered by name."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _cache_folder() -> str:
    """Return a folder that only this user can write to, or "" (no cache) if there is none.

    The machine code in it is executed, so nobody else may put anything there. A folder of others
    that came with the code, in an image or an environment, is copied; see `_is_trusted`.
    """
    digest, own = _sources(), Path(tempfile.gettempdir(), f"benben-compiled-{os.getuid()}")
    given = Path(numba.config.CACHE_DIR) if numba.config.CACHE_DIR else own
    is_ours = not given.is_dir() or os.access(given, os.W_OK)
    folder = (given if is_ours else own) / digest
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours and not folder.exists() and all(map(_is_trusted, (given, given / digest))):
            _copy(given / digest, folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not all(_is_trusted(made, (os.getuid(),)) for made in (folder.parent, folder)):
            return ""
    except OSError:
        return ""
    return str(folder)


def _is_trusted(folder: Path, owners: Sequence[int] = (0, os.getuid())) -> bool:
    """Tell whether a folder can be read, belongs to an owner, and nobody else can write to it."""
    if folder.is_symlink() or not os.access(folder, os.R_OK | os.X_OK):
        return False
    found = folder.lstat()
    return found.st_uid in owners and not found.st_mode & 0o022


def _copy(source: Path, target: Path) -> None:
    """Copy a folder, so that it is there as a whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent) as beside:
        made = Path(shutil.copytree(source, Path(beside, "copy"), copy_function=shutil.copy))
        for path in (made, *made.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        with contextlib.suppress(OSError):  # another process was first
            made.rename(target)


def _for_any_machine() -> None:
    """Compile for the processors of one kind, so that code and sums are the same on all of them.

    x86-64-v3 (x86-64 psABI) is what Intel's and AMD's servers have in common since 2013 and 2015.
    """
    import llvmlite.binding

    features = llvmlite.binding.get_host_cpu_features()
    if all(features.get(name) for name in ("avx2", "bmi2", "fma")):
        os.environ.setdefault("NUMBA_CPU_NAME", "x86-64-v3")
        os.environ.setdefault("NUMBA_CPU_FEATURES", "")


class _ByDigest(caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """Finds machine code by the digest of the sources alone.

    Numba's own locators include the source file's path, which differs between executors (each
    unpacks the code elsewhere), and put the machine code of zipped sources in the home folder.
    """

    def __init__(self, function: Callable[..., Any], path: str) -> None:
        super().__init__(function, path)
        self._cache_path = f"{numba.config.CACHE_DIR}/{function.__module__}"

    def get_source_stamp(self) -> str:
        return "the folder's name"

    @classmethod
    def from_function(cls, function: Callable[..., Any], path: str) -> Any:
        module = function.__module__
        name = f"{module.removeprefix('benben.').replace('.', '/')}.py"
        ours = name in FILES or module.startswith(PACKAGES)
        return cls(function, path) if ours else None


# Higher levels compile a third longer and give code that is no faster (extract_speed, filter_cost
# and dedup_speed, both ways in turn).
os.environ.setdefault("NUMBA_OPT", "1")
_for_any_machine()
numba.config.reload_config()
caching.CacheImpl._locator_classes.insert(0, _ByDigest)
numba.config.CACHE_DIR = _cache_folder()  # NUMBA_CACHE_DIR of the environment is its parent


def cache_folder() -> Path | None:
    """Return the folder of this code's machine code; None if there is none that may be used."""
    return Path(numba.config.CACHE_DIR) if numba.config.CACHE_DIR else None


# Memory by address.


def _load(bits: int, signed: Any) -> Callable[[int], int]:
    def typed(_: Any, address: Any) -> Any:
        def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            return builder.load(pointer, align=1)

        return signed(types.int64), generate

    return cast(Callable[[int], int], intrinsic(typed))


word_at = _load(64, types.int64)  # the eight bytes at an address, as a number
byte_at = _load(8, types.uint8)


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def _count_bits(_: Any, word: Any) -> Any:
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


count_bits = cast(Callable[[np.uint64], int], _count_bits)  # how many bits of a word are set


@intrinsic  # type: ignore[untyped-decorator]  # numba has no types
def _pointer(_: Any, address: Any, like: Any) -> Any:
    """Turn an address into a pointer to items of an array's type."""
    kind = types.CPointer(like.dtype)

    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.int64, like), generate


@compiled
def borrowed(array: Array) -> Array:
    """Return the same array without its reference count.

    On small rows, counting references costs more than the work. Use it only for arguments, which
    the caller holds, and for what the function returns: a local array is freed after the last use
    of its own name.
    """
    return numba.carray(_pointer(array.ctypes.data, array), array.shape)  # type: ignore[no-any-return]
