"""Named tuples of arrays that compiled code passes by reference, as an extension of numba.

A named tuple is passed by value: each array in it as seven numbers, at each call. Functions that
pass tables of many arrays then take minutes to compile.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing import signature
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
)
from numba.extending import intrinsic, lower_builtin, lower_getattr_generic, models, register_model


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

    Its arrays have neither lengths nor negative places, and their rows, which are pointers, no
    slices. It is valid in the function that makes it and in those that this one calls, while the
    caller holds the arrays.
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
