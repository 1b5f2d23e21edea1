"""Which Arrow types a column may arrive in, and the few that it is counted in.

====================================  =========================================================
arrives as                            is counted as
====================================  =========================================================
bool, int8 … uint64, float32/64       itself
float16                               float32
decimal                               float64
duration                              int64, in the unit of the duration
date32, timestamp, time64             itself; date64 as date32, time32 as time64[us]
string, large_string                  itself; string_view as large_string
dictionary of strings                 dictionary<int32, string>; no entry of it is null
any other dictionary, run-end         its values
null                                  string, all null
binary, list, struct, map, union, …   not at all
====================================  =========================================================
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from gpumon.errors import SchemaError
from gpumon.schema import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "WORDS",
    "canonical",
    "canonical_schema",
    "canonical_type",
    "indices",
    "is_null",
    "is_text",
    "listed",
    "refuse_column",
    "refuse_doubles",
    "refuse_other_names",
    "skipped",
    "validity",
    "values_of",
]

WORDS = pa.dictionary(pa.int32(), pa.string())  # a string column that comes with a dictionary
NULLS = {b"gpumon": b"null"}  # marks the field of a column that came without a type, as all null

ITSELF = (
    types.is_boolean,
    types.is_integer,
    types.is_float32,
    types.is_float64,
    types.is_date32,
    types.is_timestamp,
    types.is_time64,
    types.is_string,
    types.is_large_string,
)


def canonical_type(arrow: pa.DataType) -> pa.DataType | None:
    """The type that a column of type ``arrow`` is counted in; None if it cannot be counted.

    >>> canonical_type(pa.decimal128(10, 2)), canonical_type(pa.list_(pa.int8()))
    (DataType(double), None)
    """
    if any(test(arrow) for test in ITSELF):
        return arrow
    if types.is_dictionary(arrow) or types.is_run_end_encoded(arrow):
        values = canonical_type(arrow.value_type)
        return WORDS if values is not None and is_text(values) and types.is_dictionary(arrow) else values
    if types.is_float16(arrow):
        return pa.float32()
    if types.is_decimal(arrow):
        return pa.float64()
    if types.is_duration(arrow):
        return pa.int64()
    if types.is_date64(arrow):
        return pa.date32()
    if types.is_time32(arrow):
        return pa.time64("us")
    if types.is_string_view(arrow):
        return pa.large_string()
    return pa.string() if types.is_null(arrow) else None


def canonical_schema(arrow: pa.Schema) -> pa.Schema:
    """The columns of ``arrow`` that can be counted, in the types that they are counted in."""
    kept = ((f, canonical_type(f.type)) for f in arrow)
    return pa.schema(
        [pa.field(f.name, t, metadata=NULLS if is_null(f) else None) for f, t in kept if t is not None]
    )


def canonical(columns: Sequence[pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """``columns`` as a batch in the types of ``schema``; a column that fits already is not copied."""
    return pa.RecordBatch.from_arrays(
        [_cast(a, f.type) for a, f in zip(columns, schema, strict=True)], schema=schema
    )


def skipped(arrow: pa.Schema) -> tuple[Skipped, ...]:
    """The columns of ``arrow`` that cannot be counted, and why."""
    return tuple(Skipped(f.name, f"its type is {f.type}") for f in arrow if canonical_type(f.type) is None)


def is_null(field: pa.Field) -> bool:
    """Whether the column came without a type, because all its values are null."""
    values = field.type.value_type if types.is_dictionary(field.type) else field.type
    return bool(types.is_null(values) or (field.metadata and NULLS.items() <= field.metadata.items()))


def indices(rows: NDArray[np.integer[Any]]) -> pa.Int64Array:
    """Row numbers for ``take``, without a copy (and without ``pa.array``, which imports pandas where it is installed)."""
    whole = np.ascontiguousarray(rows, np.int64)
    return pa.Int64Array.from_buffers(pa.int64(), whole.size, [None, pa.py_buffer(whole)])


def values_of(array: pa.Array) -> NDArray[Any]:
    """The values (rows,) of numbers, times or booleans, without a copy where there need be none; of nulls, anything.

    ``to_numpy`` gives the same, but imports pandas where it is installed.
    """
    kind = array.type
    if types.is_boolean(kind):
        return _bits(array, array.buffers()[1])
    if types.is_temporal(kind):
        kind = pa.int32() if kind.bit_width == 32 else pa.int64()
    data = array.buffers()[1]
    whole = np.frombuffer(b"" if data is None else data, kind.to_pandas_dtype())
    return whole[array.offset : array.offset + len(array)]


def validity(array: pa.Array) -> NDArray[np.bool_] | None:
    """False where null, None if nothing is null."""
    if array.null_count == 0:
        return None
    bits = array.buffers()[0]
    return (
        np.zeros(len(array), np.bool_) if bits is None else _bits(array, bits)
    )  # of type null there is none


def _bits(array: pa.Array, packed: pa.Buffer) -> NDArray[np.bool_]:
    """The bits of an array's rows."""
    if not len(array):
        return np.zeros(0, np.bool_)
    first, last = array.offset // 8, (array.offset + len(array) + 7) // 8
    start = array.offset % 8
    whole = np.unpackbits(np.frombuffer(packed, np.uint8, last - first, first), bitorder="little")
    return whole[start : start + len(array)].view(np.bool_)


def is_text(arrow: pa.DataType) -> bool:
    """Whether it is a type of strings (a dictionary of strings is not)."""
    return bool(types.is_string(arrow) or types.is_large_string(arrow))


def refuse_column(name: str, names: Sequence[str], where: str, without: Iterable[Skipped] = ()) -> NoReturn:
    """Raise the SchemaError for a column that ``where`` does not have, or has in a type that cannot be counted."""
    for other in without:
        if other.name == name:
            raise SchemaError(
                f"{where}: column {name!r} cannot be used, {other.why}; leave it out, or convert it"
            )
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {listed(names) or 'none'}"
    raise SchemaError(f"{where} has no column {name!r}; {hint}")


def refuse_doubles(names: Sequence[str], where: str) -> None:
    """Raise a SchemaError if a name stands twice."""
    if len(set(names)) < len(names):
        doubled = sorted({name for name in names if names.count(name) > 1})
        raise SchemaError(
            f"{where}: more than one column is called {listed(doubled)}; rename or drop the others"
        )


def refuse_other_names(names: Sequence[str], where: str, first: Sequence[str], first_where: str) -> None:
    """Raise a SchemaError if a file of a table has not the columns that the first has."""
    for name in sorted({*names} ^ {*first}):
        has, lacks = (first_where, where) if name in first else (where, first_where)
        raise SchemaError(
            f"{lacks} has no column {name!r}, but {has} has it; write both with the same columns, or scan them apart"
        )


def listed(names: Iterable[str], most: int = 8) -> str:
    """The names in quotes, the first ``most`` of them."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _cast(array: pa.Array, to: pa.DataType) -> pa.Array:
    if types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if to == WORDS:
        return _words(array)
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_duration(array.type):
        array = array.view(pa.int64())
    return array if array.type == to else array.cast(to, safe=False)


def _words(array: pa.Array) -> pa.Array:
    """A dictionary<int32, string> of ``array``; entries that are null become null rows."""
    if not types.is_dictionary(array.type):
        return array.cast(pa.string()).dictionary_encode()
    codes, words = array.indices.cast(pa.int32()), array.dictionary.cast(pa.string())
    if words.null_count:
        return words.take(codes).dictionary_encode()
    return pa.DictionaryArray.from_arrays(codes, words, safe=False)
