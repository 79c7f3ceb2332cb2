"""Functions compiled to machine code, their types, and how they read memory by address.

A compiled function is plain Python over arrays and numbers. The first call in a process compiles
it; later processes load the result from a cache folder that only this user can write to.
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import caching, cgutils
from numba.core.typing import signature
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
)
from numba.extending import intrinsic, lower_builtin, lower_getattr_generic, models, register_model

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
    "pipeline/hash_tables.py",
)


def compiled(function: Function) -> Function:
    """Compile a function at its first call."""
    return cast(
        Function, numba.njit(cache=bool(numba.config.CACHE_DIR), forceinline=True)(function)
    )


def called(function: Function) -> Function:
    """Compile a function that compiled code calls, rather than one that becomes part of it.

    For rare work: a call costs more than most of what the others do, but code that is put in many
    places takes long to compile.
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
    given = numba.config.CACHE_DIR
    ready = Path(given, _sources()) if given else None
    if ready is not None and ready.is_dir() and not os.access(ready, os.W_OK):
        given = ""
    root = given or f"{tempfile.gettempdir()}/benben-compiled-{os.getuid()}"
    folder = Path(root, _sources())
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if ready is not None and not given and not folder.exists() and _is_trusted(ready):
            _copy(ready, folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        for made in (folder.parent, folder):
            if not _is_trusted(made) or made.lstat().st_uid != os.getuid():
                return ""
    except OSError:
        return ""
    return str(folder)


def _is_trusted(folder: Path) -> bool:
    """Tell whether a folder belongs to this user or to root, and nobody else can write to it."""
    found = folder.lstat()
    return (
        found.st_uid in (0, os.getuid()) and not found.st_mode & 0o022 and not folder.is_symlink()
    )


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


# Records by reference.


class _Reference(types.Type):  # type: ignore[misc]
    """A named tuple that lies in memory."""

    def __init__(self, record: Any) -> None:
        self.record = record
        super().__init__(f"Reference({record})")

    def field(self, name: str) -> Any:
        """Return the type of a field as compiled code sees it, or None."""
        if name not in self.record.fields:
            return None
        found = self.record[self.record.fields.index(name)]
        if isinstance(found, types.BaseNamedTuple):
            return _Reference(found)
        if isinstance(found, types.Array):
            return types.CPointer(found.dtype) if found.ndim == 1 else _Rows(found.dtype)
        return found


class _Rows(types.Type):  # type: ignore[misc]
    """The rows of a table in memory, one behind the other."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.row = types.CPointer(dtype)
        super().__init__(f"Rows({dtype})")


@register_model(_Reference)
class _ReferenceModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: _Reference) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


@register_model(_Rows)
class _RowsModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: _Rows) -> None:
        super().__init__(manager, kind, [("first", kind.row), ("width", types.intp)])


@infer_getattr
class _Fields(AttributeTemplate):  # type: ignore[misc]
    key = _Reference

    def generic_resolve(self, kind: _Reference, name: str) -> Any:
        return kind.field(name)


@lower_getattr_generic(_Reference)  # type: ignore[untyped-decorator]
def _read_field(context: Any, builder: Any, kind: _Reference, value: Any, name: str) -> Any:
    """Read a field: of an array its address, of a table with columns the width of a row as well."""
    whole = builder.bitcast(value, context.get_value_type(kind.record).as_pointer())
    pointer = cgutils.gep_inbounds(builder, whole, 0, kind.record.fields.index(name))
    found, stored = kind.field(name), kind.record[kind.record.fields.index(name)]
    if isinstance(found, _Reference):
        return builder.bitcast(pointer, ir.IntType(8).as_pointer())
    if not isinstance(stored, types.Array):
        return builder.load(pointer)
    array = context.make_array(stored)(context, builder, ref=pointer)
    if stored.ndim == 1:
        return array.data
    rows = cgutils.create_struct_proxy(found)(context, builder)
    rows.first, rows.width = array.data, cgutils.unpack_tuple(builder, array.shape)[1]
    return rows._getvalue()


@infer_global(operator.getitem)
class _TypeOfItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, arguments: Any, _: Any) -> Any:
        rows, place = arguments
        if isinstance(rows, _Rows) and isinstance(place, types.Integer):
            return signature(rows.row, rows, types.intp)
        if isinstance(rows, _Rows) and isinstance(place, types.BaseTuple):
            return signature(rows.dtype, rows, types.UniTuple(types.intp, 2))
        return None


@infer_global(operator.setitem)
class _TypeOfSet(AbstractTemplate):  # type: ignore[misc]
    def generic(self, arguments: Any, _: Any) -> Any:
        rows, place, _value = arguments
        if isinstance(rows, _Rows) and isinstance(place, types.BaseTuple):
            return signature(types.none, rows, types.UniTuple(types.intp, 2), rows.dtype)
        return None


def _item(context: Any, builder: Any, kind: _Rows, value: Any, place: Any) -> Any:
    rows = cgutils.create_struct_proxy(kind)(context, builder, value=value)
    number, column = (
        cgutils.unpack_tuple(builder, place)
        if isinstance(place.type, ir.ArrayType)
        else (place, None)
    )
    row = builder.gep(rows.first, [builder.mul(number, rows.width)])
    return row if column is None else builder.gep(row, [column])


@lower_builtin(operator.getitem, _Rows, types.intp)  # type: ignore[untyped-decorator]
def _row(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _item(context, builder, signature.args[0], *arguments)


@lower_builtin(operator.getitem, _Rows, types.BaseTuple)  # type: ignore[untyped-decorator]
def _read_item(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.load(_item(context, builder, signature.args[0], *arguments))


@lower_builtin(operator.setitem, _Rows, types.BaseTuple, types.Any)  # type: ignore[untyped-decorator]
def _write_item(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    rows, place, value = arguments
    builder.store(value, _item(context, builder, signature.args[0], rows, place))


@intrinsic  # type: ignore[untyped-decorator]
def by_reference(_: Any, record: Any) -> Any:
    """Put a named tuple of arrays and numbers in memory and return a reference to it.

    It stands for the tuple in calls, which else pass each array as seven numbers. Its arrays have
    neither lengths nor negative places, and their rows, which are pointers, no slices. It is valid
    in the function that makes it and in those that this one calls, while the caller holds the
    arrays.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = cgutils.alloca_once(builder, arguments[0].type)
        builder.store(arguments[0], place)
        return builder.bitcast(place, ir.IntType(8).as_pointer())

    return _Reference(record)(record), generate


@intrinsic  # type: ignore[untyped-decorator]
def address_of(_: Any, array: Any) -> Any:
    """Return the address of an array of a record that `by_reference` returned."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], context.get_value_type(types.int64))

    return types.int64(array), generate
