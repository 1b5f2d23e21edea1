"""``open_table``: from whatever holds rows to a Table."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from datetime import date, datetime
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpumon.errors import InputError, SchemaError
from gpumon.tables.columns import refuse_doubles
from gpumon.tables.datasets import Scanned
from gpumon.tables.delimited import CsvTable
from gpumon.tables.gpu import is_on_device, open_device
from gpumon.tables.memory import Frame, from_reader
from gpumon.tables.parquet import ParquetTable
from gpumon.tables.paths import Unreadable, find, opened, reading, refusal
from gpumon.tables.table import Each, Table, in_threads

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_arrow", "open_table"]


ARROW_UNITS = ("D", "s", "ms", "us", "ns")  # of NumPy times


def open_table(source: Any, *, name: str | None = None, skip: bool = False, each: Each = in_threads) -> Table:
    """A Table of the rows that ``source`` holds; ``name`` is what messages call it (default: the path, "the table").

    ``source`` may be

    - a path, folder, glob or fsspec URL of Parquet files (also partitioned in ``key=value`` folders), of Arrow IPC
      (Feather) files or of CSV files (also .gz, .bz2, .zst);
    - a pandas DataFrame, a Polars DataFrame or LazyFrame, a dict of arrays or lists;
    - what is in the memory of a GPU: a cuDF DataFrame or Series, a CuPy array, anything with
      ``__cuda_array_interface__`` or a DLPack of a CUDA device, a dict of such;
    - a pyarrow Table, RecordBatch, Dataset or RecordBatchReader (this one can be read once);
    - any object with ``__arrow_c_stream__``, ``__arrow_c_array__`` or ``__dataframe__``.

    Nothing is read but footers and headers, by ``each``, except that Arrow files that are compressed are decompressed.
    Files that cannot be read are all named in one InputError; with ``skip`` they are left out (``Table.unreadable``).
    Raises InputError for a source that cannot be read, SchemaError for columns that cannot be told apart or typed.

    >>> open_table({"x": [1, 2, 3]}).rows
    3
    """
    if isinstance(source, str | os.PathLike):
        return _from_path(os.fspath(source), name, skip=skip, each=each)
    name = name or "the table"
    if isinstance(source, Table):
        return source
    if is_on_device(source):
        return open_device(source, name)
    if isinstance(source, Mapping):
        return Frame(_from_dict(source, name), name)
    if _is(source, "pandas", "DataFrame"):
        return Frame(_from_pandas(source, name), name)
    if _is(source, "polars", "LazyFrame"):
        source = source.collect()
    if _is(source, "pyarrow.dataset", "Dataset"):
        return Scanned(source, name)
    if isinstance(source, pa.RecordBatchReader):
        refuse_doubles(source.schema.names, name)
        return from_reader(source, name)
    return Frame(_from_arrow(source, name), name)


def _is(source: Any, module: str, kind: str) -> bool:
    """Whether ``source`` is an instance of a class of a package, without importing the package."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(source, getattr(loaded, kind))


def _from_path(path: str, name: str | None, *, skip: bool, each: Each) -> Table:
    if not path.strip():
        raise InputError("the path of a table is empty: give a file, a folder, a glob or a URL")
    kind, files = find(path)
    name = name or path
    if kind == "Parquet":
        return ParquetTable(files, name, skip=skip, each=each)
    if kind == "CSV":
        return CsvTable(files, name, skip=skip)
    tables, bad = [], []
    for file in files:
        try:
            tables.append(_from_ipc(file.path))
        except InputError as error:
            bad.append(Unreadable(file.path, None, str(error)))
    if bad and not (skip and tables):
        raise refusal(bad)
    frame = Frame(pa.concat_tables(tables), name)
    frame.unreadable = tuple(bad)
    return frame


def _from_ipc(path: str) -> pa.Table:
    with reading(path, "Arrow"):
        file = opened(path) if "://" in path else pa.memory_map(path)
        try:
            return pa.ipc.open_file(file).read_all()
        except pa.ArrowInvalid:
            file.seek(0)
            return pa.ipc.open_stream(file).read_all()


def _from_arrow(source: Any, name: str) -> pa.Table:
    """A table from Arrow's own objects and from those that speak its PyCapsule interface."""
    try:
        if isinstance(source, pa.Table):
            return source
        if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
            return pa.table(source)
        if hasattr(source, "__dataframe__"):
            from pyarrow.interchange import from_dataframe

            return from_dataframe(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"{name}: a {type(source).__name__} that does not give a table: {error}") from error
    raise InputError(
        f"{name}: a {type(source).__module__}.{type(source).__qualname__} is not a table; accepted are a path, folder, "
        "glob or URL (Parquet, Arrow, CSV), pandas, Polars and pyarrow tables, a dict of arrays, and any object with "
        "__arrow_c_stream__ or __dataframe__"
    )


def _from_dict(source: Mapping[Any, Any], name: str) -> pa.Table:
    names = [_name(column, name) for column in source]
    refuse_doubles(names, name)
    arrays = [_array(values, column, name) for column, values in zip(names, source.values(), strict=True)]
    if len({len(array) for array in arrays}) > 1:
        told = ", ".join(f"{column!r} {len(array):,}" for column, array in zip(names, arrays, strict=True))
        raise InputError(f"{name}: the columns differ in length ({told}); give them one length")
    return pa.Table.from_arrays(arrays, names)


def _from_pandas(source: pd.DataFrame, name: str) -> pa.Table:
    """The columns; the index is not one. Numbers are not copied, so NaN stays NaN."""
    names = [_name(column, name) for column in source.columns]
    refuse_doubles(names, name)
    return pa.Table.from_arrays(
        [_array(source.iloc[:, i], column, name) for i, column in enumerate(names)], names
    )


def _name(column: Any, table: str) -> str:
    try:
        return str(column).encode().decode()
    except UnicodeEncodeError as error:
        raise SchemaError(
            f"{table}: the name {str(column)!r} is no Unicode text; rename the column"
        ) from error


def as_arrow(values: Any, column: str, name: str) -> pa.Array:
    """One column as an Arrow array; SchemaError if it cannot be one."""
    array = _array(values, column, name)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _array(values: Any, column: str, name: str) -> pa.Array | pa.ChunkedArray:
    """One column as an Arrow array, or the SchemaError that says why not."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise SchemaError(
            f"{name}: column {column!r} is a single {type(values).__name__}; give an array or a list"
        )
    dtype = getattr(values, "dtype", None)
    objects = isinstance(values, list | tuple) or dtype == object
    try:
        if objects:
            _refuse_mixed(values, column, name)
        elif hasattr(values, "sparse"):
            values = values.sparse.to_dense()
        elif hasattr(values, "to_numpy") and isinstance(dtype, np.dtype):
            values = values.to_numpy()  # without a copy, and NaN stays NaN
        if (
            isinstance(values, np.ndarray)
            and values.dtype.kind == "M"
            and np.datetime_data(values.dtype)[0] not in ARROW_UNITS
        ):
            values = values.astype("datetime64[s]")  # of days, hours, minutes
        return pa.array(values, from_pandas=objects)
    except OverflowError as error:
        raise SchemaError(
            f"{name}: column {column!r} holds integers beyond 64 bits; convert it to float"
        ) from error
    except (pa.ArrowException, TypeError, UnicodeError) as error:
        said = " ".join(str(error).split())
        raise SchemaError(
            f"{name}: column {column!r} cannot be used ({said}); convert it to numbers, strings, booleans or times"
        ) from error


def _refuse_mixed(values: Any, column: str, name: str) -> None:
    """Raise a SchemaError if Python objects of different families stand in one column; None, NaN and NA fit all."""
    found = set(map(type, values))
    if len({family for family in map(_family, found) if family}) > 1:
        found = {type(v) for v in values if not (isinstance(v, float) and math.isnan(v))}
    if len({family for family in map(_family, found) if family}) > 1:
        told = " and ".join(sorted(kind.__name__ for kind in found if _family(kind)))
        raise SchemaError(
            f"{name}: column {column!r} mixes {told}; convert it to one type, to str for instance"
        )


def _family(kind: type) -> str | None:
    """Types of one family may stand in one column; None fits all of them."""
    families: dict[str, tuple[type, ...]] = {
        "flags": (bool, np.bool_),
        "numbers": (Number, np.number),
        "strings": (str,),
        "moments": (datetime,),
        "days": (date,),
    }
    if kind.__name__ in ("NoneType", "NAType", "NaTType"):
        return None
    return next((family for family, kinds in families.items() if issubclass(kind, kinds)), kind.__name__)
