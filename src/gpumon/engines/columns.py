"""From Arrow columns to the arrays that kernels take, without a copy where there need be none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gpumon.kernels import Bitmask
from gpumon.tables.columns import validity, values_of
from gpumon.tables.gpu import DeviceBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "PATTERNS",
    "as_floats",
    "in_bytes",
    "microseconds",
    "numbers",
    "numbers_in",
    "packed",
    "pattern_codes",
    "string_parts",
    "strings",
]

DAY = 86_400_000_000  # microseconds
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}

PATTERNS = {
    "empty": r"^\s*$",
    "digits": r"^\d+$",
    "number": r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$",
    "date or time": r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
    "UUID": r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$",
    "e-mail": r"^[^\s@]+@[^\s@]+\.[^\s@]+$",
    "URL": r"^[a-zA-Z][a-zA-Z0-9+.-]*://\S+$",
    "word": r"^\pL+$",
    "code": r"^[\pL\d_.:/-]+$",
    "words": r"^[\pL\pM\d\s.,;:!?()'\"-]+$",
    "other": r"",
}
"""Classes of text: the first pattern that matches is the value's class."""


def numbers(array: pa.Array) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """The values (rows,) of a numeric column in their own dtype, and its validity."""
    kind = array.type
    if pa.types.is_null(kind):
        return np.zeros(len(array)), validity(array)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        array = array.cast(pa.float64())
    elif pa.types.is_float16(kind):
        array = array.cast(pa.float32())
    return values_of(array), validity(array)


def as_floats(array: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """A numeric column as float64, NaN where null."""
    x, valid = numbers(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
    x = x.astype(np.float64, copy=False)
    return x if valid is None else np.where(valid, x, np.nan)


def numbers_in(batch: pa.RecordBatch | DeviceBatch, name: str, *, device: bool) -> tuple[Any, Any]:
    """The values and the validity of a numeric column of a batch: where they are, if the backend reads a device's."""
    there = batch.numbers(name) if device and isinstance(batch, DeviceBatch) else None
    if there is None:
        return numbers(batch.column(name))
    return there.values, None if there.bits is None else Bitmask(there.bits, there.offset)


def strings(array: pa.Array) -> pa.Array:
    """A column as strings (string or large_string), whatever it was."""
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array
    return pc.cast(array, pa.string())


def in_bytes(array: pa.Array) -> list[bytes | None]:
    """The values of a string column as they are in memory: Parquet files may hold some that are no UTF-8."""
    values: list[bytes | None] = array.cast(pa.large_binary()).to_pylist()
    return values


def string_parts(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The bytes and the ends (rows + 1,) of a string column: string i is ``data[ends[i]:ends[i + 1]]``."""
    _, ends, data = array.buffers()
    dtype = np.int64 if pa.types.is_large_string(array.type) else np.int32
    if len(array) == 0 or ends is None:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, dtype)
    whole = np.frombuffer(ends, dtype)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data or b"", np.uint8)[whole[0] : whole[-1]], whole - whole[0]


def packed(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Bytes and ends of some texts, as ``string_parts`` gives those of a column."""
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


def pattern_codes(array: pa.Array) -> NDArray[np.int32]:
    """The number of the class in PATTERNS of every string; −1 where null."""
    codes = np.full(len(array), len(PATTERNS) - 1, np.int32)
    for code, pattern in reversed(list(enumerate(PATTERNS.values()))[:-1]):
        codes[values_of(pc.match_substring_regex(array, pattern))] = code
    valid = validity(array)
    if valid is not None:
        codes[~valid] = -1
    return codes


def microseconds(array: pa.Array) -> NDArray[np.int64]:
    """A datetime column (nulls left out) as microseconds since 1970-01-01; for times of day, since midnight.

    Times too far off for that become the first or the last that can be told, 290,000 years from now.
    """
    array = pc.drop_null(array)
    kind = array.type
    if not len(array):  # nothing there, of whatever type
        return np.zeros(0, np.int64)
    if pa.types.is_time(kind):
        return values_of(array.cast(pa.time64("us"), safe=False))
    if pa.types.is_date(kind):
        ticks = values_of(array.cast(pa.date32())).astype(np.int64)
        factor = DAY
    else:
        ticks = values_of(array)
        if kind.unit == "ns":
            return ticks // 1_000
        factor = MICROSECONDS[kind.unit]
    reach = np.iinfo(np.int64).max // factor
    return np.clip(ticks, -reach, reach) * factor
