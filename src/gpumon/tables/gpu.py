"""Tables in the memory of a GPU, and Parquet files that are decoded there: the one door to cuDF.

A cuDF frame or series, a CuPy array, anything with ``__cuda_array_interface__`` or a DLPack of a CUDA device, or a dict of
such: columns of numbers are read where they are, without a copy. What is no number (strings, times, flags) comes to
the host column by column; strings as codes and a dictionary that cuDF makes, not as text.

Batches of these tables are a :class:`DeviceBatch`. In Numba's simulator NumPy stands in for CuPy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import types

from gpumon.errors import InputError
from gpumon.tables.columns import canonical, canonical_schema, is_text, refuse_doubles, skipped
from gpumon.tables.parquet import ParquetTable, RowGroups
from gpumon.tables.paths import reading
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, Table, Whole, evenly_spaced

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.tables.parquet import Piece
    from gpumon.tables.paths import File

__all__ = [
    "DeviceBatch",
    "DeviceColumn",
    "DeviceParquet",
    "DeviceTable",
    "decoded_there",
    "is_on_device",
    "open_device",
    "taken",
]

PARTITION_ROWS = 2**25
"""Rows of a table in memory that are counted at once; beside them 2 bytes a number are needed for the cells."""

SHARE = 8
"""A partition that is read from a file takes an eighth of the free memory: two are held, and counting needs some."""

CUDA_DLPACK = (2, 13)  # kDLCUDA, kDLCUDAManaged


@dataclass(frozen=True, eq=False)
class DeviceColumn:
    """Numbers in the memory of a device: ``values`` (rows,), and validity as Arrow has it, from bit ``offset`` on."""

    values: Any
    bits: Any = None
    offset: int = 0


@dataclass(frozen=True, eq=False)
class Memory:
    """Memory of a device that ``owner`` holds, as any library takes it."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: Any

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"data": (self.address, False), "shape": self.shape, "typestr": self.dtype.str, "version": 3}


class Held(Protocol):
    """Columns on a device, whoever holds them."""

    schema: pa.Schema  # in the types they have
    rows: int

    def numbers(self, name: str) -> DeviceColumn | None:
        """A column of numbers where it is; None for any other."""

    def arrow(self, name: str) -> pa.Array:
        """A column in the memory of the host."""

    def take(self, rows: NDArray[np.int64]) -> Held:
        """Some rows, gathered on the device."""

    def slice(self, start: int, stop: int) -> Held:
        """Neighbouring rows, without a copy."""


@dataclass(frozen=True, eq=False)
class DeviceBatch:
    """What a ``pa.RecordBatch`` offers to those who count, with ``numbers`` for the columns that stay on the device."""

    held: Held
    schema: pa.Schema  # canonical
    constant: Mapping[str, str | None] = field(default_factory=dict)  # columns that folders make

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self.held.rows

    @property
    def nbytes(self) -> int:
        """About how many bytes the rows take: of strings and dictionaries, their codes."""
        return self.num_rows * _row_bytes(self.schema)

    def numbers(self, name: str) -> DeviceColumn | None:
        """A column of numbers where it is; None for any other: then ``column`` has it."""
        return None if name in self.constant else self.held.numbers(name)

    def column(self, name: str) -> pa.Array:
        """A column in the memory of the host, in its canonical type."""
        if name in self.constant:
            array = pa.repeat(pa.scalar(self.constant[name], pa.string()), self.num_rows)
        else:
            array = self.held.arrow(name)
        return canonical([array], pa.schema([self.schema.field(name)])).column(0)

    def take(self, rows: pa.Array) -> DeviceBatch:
        """Some rows."""
        return replace(self, held=self.held.take(np.asarray(rows)))

    def slice(self, start: int, rows: int | None = None) -> DeviceBatch:
        """Neighbouring rows, without a copy; to the end if ``rows`` is None."""
        stop = self.num_rows if rows is None else min(start + rows, self.num_rows)
        return replace(self, held=self.held.slice(start, stop))

    def on_host(self) -> pa.RecordBatch:
        """The same rows in the memory of the host."""
        return pa.RecordBatch.from_arrays(
            [self.column(name) for name in self.schema.names], schema=self.schema
        )


class DeviceTable(Table):
    """A table in the memory of a GPU."""

    device = True
    here = True

    def __init__(self, held: Held, name: str) -> None:
        refuse_doubles(held.schema.names, name)
        self.name = name
        self.schema = canonical_schema(held.schema)
        self.skipped = skipped(held.schema)
        self._held = held

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self._held.rows

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        """About how many bytes ``columns`` take: of strings and dictionaries, their codes."""
        return self.rows * _row_bytes(self.chosen(columns))

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[DeviceRows]:  # noqa: ARG002
        """Slices of 33,554,432 rows."""
        schema = self.chosen(columns)
        stops = (min(i + PARTITION_ROWS, self.rows) for i in range(0, self.rows, PARTITION_ROWS))
        return [DeviceRows(self._held, i * PARTITION_ROWS, stop, schema) for i, stop in enumerate(stops)]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced rows, gathered on the device."""
        return self._table(columns, self._held.take(evenly_spaced(self.rows, rows)))

    def load(self, columns: Sequence[str] | None = None) -> Table:
        """The same rows in the memory of the host."""
        from gpumon.tables.memory import Frame

        return Frame(self._table(columns, self._held), self.name)

    def _table(self, columns: Sequence[str] | None, held: Held) -> pa.Table:
        return pa.Table.from_batches([DeviceBatch(held, self.chosen(columns)).on_host()])


@dataclass(frozen=True, eq=False)
class DeviceRows(Whole):
    """A partition in the memory of a GPU."""

    held: Held
    start: int
    stop: int
    schema: pa.Schema
    threads: bool = False

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start

    @property
    def nbytes(self) -> None:
        """Not asked for."""

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[Any]:  # noqa: ARG002
        """All rows at once: a launch takes any number."""
        yield DeviceBatch(self.held.slice(self.start, self.stop), self.schema)


class DeviceParquet(Table):
    """Parquet files whose row groups cuDF decodes on the GPU. Opening, sampling and folders are those of ``source``."""

    device = True

    def __init__(self, source: ParquetTable) -> None:
        self.source = source
        self.name, self.schema, self.skipped = source.name, source.schema, source.skipped
        self.unreadable = source.unreadable

    @property
    def files(self) -> Sequence[File]:
        """The files."""
        return self.source.files

    def without(self, paths: Collection[str]) -> DeviceParquet:
        """The table without some of its files."""
        return DeviceParquet(self.source.without(paths))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.source.rows

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        """About how many bytes ``columns`` take when decoded."""
        return self.source.nbytes(columns)

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced rows, decoded on the host: few row groups are looked into."""
        return self.source.sample(columns, rows)

    def load(self, columns: Sequence[str] | None = None) -> Table:
        """The same files, decoded on the host."""
        return self.source.load(columns)

    def partitions(
        self,
        columns: Sequence[str] | None = None,
        *,
        threads: bool = False,  # noqa: ARG002
    ) -> list[DeviceRowGroups]:
        """Neighbouring row groups of one file, up to an eighth of the memory that is free on the device."""
        schema = self.chosen(columns)
        row_bytes = self.source.row_bytes(schema)
        most = free_memory() // SHARE
        groups: list[list[Piece]] = []
        for piece in self.source.row_groups():
            fits = groups and groups[-1][0].file == piece.file
            if fits and (sum(p.rows for p in groups[-1]) + piece.rows) * row_bytes <= most:
                groups[-1].append(piece)
            else:
                groups.append([piece])
        return [DeviceRowGroups(tuple(group), schema, row_bytes) for group in groups]


@dataclass(frozen=True)
class DeviceRowGroups(RowGroups):
    """A partition of Parquet files that cuDF decodes; in halves if the memory does not suffice."""

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[Any]:  # noqa: ARG002
        """The rows of each file at once, or in as few parts as the memory takes.

        InputError if one row group is too large for it.
        """
        for file, pieces in groupby(self.pieces, key=lambda piece: piece.file):
            some = list(pieces)
            groups = [i for piece in some for i in piece.row_groups]
            rows_each = sum(piece.rows for piece in some) / max(len(groups), 1)
            yield from self._read(file, groups, rows_each * self.row_bytes)

    def _read(self, file: File, groups: list[int], nbytes_each: float) -> Iterator[DeviceBatch]:
        constant = {name: value for name, value in file.hive if name in self.schema.names}
        names = [name for name in self.schema.names if name not in constant]
        try:
            with reading(file.path, "Parquet"):
                frame = _cudf().read_parquet(file.path, columns=names, row_groups=[groups])
        except MemoryError as error:
            if len(groups) == 1:
                raise InputError(
                    f"{file.path}: row group {groups[0]} needs about {nbytes_each / 2**30:.2f} GiB and "
                    f"{free_memory() / 2**30:.2f} GiB of the GPU's memory are free; write the file with smaller row "
                    "groups, name fewer columns, or use backend='cpu'"
                ) from error
            frame = None
        if frame is not None:
            yield DeviceBatch(CudfFrame(frame), self.schema, constant)
            return
        half = len(groups) // 2
        for part in (groups[:half], groups[half:]):
            yield from self._read(file, part, nbytes_each)


class CudfFrame:
    """The columns of a cuDF frame."""

    def __init__(self, frame: Any) -> None:
        self.frame = _told(frame)
        self.rows = len(frame)
        self.schema = pa.schema(
            [(str(f.name), f.type) for f in self.frame.head(0).to_arrow(preserve_index=False).schema]
        )

    def numbers(self, name: str) -> DeviceColumn | None:
        """Integers and floats where they are.

        Decimals are none: Arrow and cuDF need not round them to the same float64, and then not to the same cell.
        """
        kind = self.schema.field(name).type
        series = self.frame[name]
        if not (types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind)):
            return None
        column = series.to_pylibcudf()[0]
        dtype, first = np.dtype(str(series.dtype)), int(column.offset())
        data, mask = column.data(), column.null_mask()
        if not self.rows or data is None:
            return DeviceColumn(_arrays().zeros(0, dtype))
        values = as_array(Memory(data.ptr + first * dtype.itemsize, (self.rows,), dtype, column))
        if mask is None or not column.null_count():
            return DeviceColumn(values)
        size = (first + self.rows + 7) // 8
        return DeviceColumn(values, as_array(Memory(mask.ptr, (size,), np.dtype(np.uint8), column)), first)

    def arrow(self, name: str) -> pa.Array:
        """A column on the host: of strings the codes and a dictionary, which the device makes."""
        series = self.frame[name]
        if is_text(self.schema.field(name).type):
            series = series.astype("category").cat.as_unordered()
        array = series.to_arrow()
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array

    def take(self, rows: NDArray[np.int64]) -> CudfFrame:
        """Some rows, gathered on the device."""
        return CudfFrame(self.frame.take(_arrays().asarray(rows)))

    def slice(self, start: int, stop: int) -> CudfFrame:
        """Neighbouring rows, without a copy."""
        return CudfFrame(self.frame.iloc[start:stop])


def _told(frame: Any) -> Any:
    """A cuDF frame whose categoricals say whether they are in order: those that do not, cuDF gives no one else."""
    silent = [name for name, kind in frame.dtypes.items() if getattr(kind, "ordered", False) is None]
    if silent:
        frame = frame.copy(deep=False)
        for name in silent:
            frame[name] = frame[name].cat.as_unordered()
    return frame


class Arrays:
    """Columns that are arrays: of a device, or (in a dict that has both) Arrow arrays of the host."""

    def __init__(self, columns: Mapping[str, Any], name: str) -> None:
        self.columns = dict(columns)
        self.name = name
        sizes = {column: len(array) for column, array in self.columns.items()}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{column!r} {n:,}" for column, n in sizes.items())
            raise InputError(f"{name}: the columns differ in length ({told}); give them one length")
        self.rows = next(iter(sizes.values()), 0)
        self.schema = pa.schema(
            [
                (column, x.type if isinstance(x, pa.Array) else pa.from_numpy_dtype(x.dtype))
                for column, x in self.columns.items()
            ]
        )

    def numbers(self, name: str) -> DeviceColumn | None:
        """Integers and floats where they are."""
        values = self.columns[name]
        on_device = not isinstance(values, pa.Array) and values.dtype.kind in "iuf"
        return DeviceColumn(values) if on_device and values.dtype != np.float16 else None

    def arrow(self, name: str) -> pa.Array:
        """A column on the host."""
        values = self.columns[name]
        return values if isinstance(values, pa.Array) else pa.array(_to_host(values))

    def take(self, rows: NDArray[np.int64]) -> Arrays:
        """Some rows, gathered where they are."""
        there = _arrays().asarray(rows)
        some = {
            n: x.take(pa.array(rows)) if isinstance(x, pa.Array) else x[there]
            for n, x in self.columns.items()
        }
        return Arrays(some, self.name)

    def slice(self, start: int, stop: int) -> Arrays:
        """Neighbouring rows, without a copy."""
        return Arrays({n: x[start:stop] for n, x in self.columns.items()}, self.name)


def _row_bytes(schema: pa.Schema) -> int:
    return sum(32 if is_text(f.type) else int(f.type.bit_width) for f in schema) // 8


def is_on_device(source: Any) -> bool:
    """Whether ``source`` is in the memory of a GPU, or a dict with something that is."""
    if isinstance(source, Mapping):
        return any(is_on_device(values) for values in source.values())
    if isinstance(source, pa.Array):  # some have no DLPack, and say so by an error
        return False
    if (
        hasattr(source, "__cuda_array_interface__")
        or _is_cudf(source, "DataFrame")
        or _is_cudf(source, "Series")
    ):
        return True
    where = getattr(source, "__dlpack_device__", None)
    return where is not None and int(where()[0]) in CUDA_DLPACK


def open_device(source: Any, name: str) -> DeviceTable:
    """A table of what is in the memory of a GPU; see the module. InputError for a shape that is no table."""
    if _is_cudf(source, "DataFrame"):
        return DeviceTable(CudfFrame(source), name)
    if _is_cudf(source, "Series"):
        return DeviceTable(
            CudfFrame(source.to_frame("values" if source.name is None else str(source.name))), name
        )
    if isinstance(source, Mapping):
        series = {str(column): values for column, values in source.items() if _is_cudf(values, "Series")}
        if len(series) == len(source):
            return DeviceTable(CudfFrame(_cudf().DataFrame(series)), name)
        return DeviceTable(Arrays({str(n): _column(x, str(n), name) for n, x in source.items()}, name), name)
    array = as_array(source)
    if array.ndim not in {1, 2}:
        raise InputError(
            f"{name}: an array of {array.ndim} axes is no table; give one of rows, or of rows and columns"
        )
    columns = array[:, None] if array.ndim == 1 else array
    return DeviceTable(Arrays({str(i): columns[:, i] for i in range(columns.shape[1])}, name), name)


def taken(table: Table) -> Table:
    """The table as a backend reads it that takes columns of a device: Parquet is decoded there, if cuDF is installed."""
    if not isinstance(table, ParquetTable) or not _decodes():
        return table
    set_up_memory()
    return DeviceParquet(table)


def decoded_there(partition: Any) -> Any:
    """A partition of Parquet files as one that cuDF decodes, if it is installed; any other as it is."""
    if type(partition) is not RowGroups or not _decodes():
        return partition
    set_up_memory()
    return DeviceRowGroups(partition.pieces, partition.schema, partition.row_bytes)


def _decodes() -> bool:
    return "cudf" in sys.modules or find_spec("cudf") is not None


@cache
def set_up_memory() -> str:
    """Give RMM a pool, and CuPy the same one: once, and only where the host application has set up neither.

    Returns what was done, in words.
    """
    if "rmm" not in sys.modules and find_spec("rmm") is None:
        return "RMM is not installed"
    rmm = import_module("rmm")
    if type(rmm.mr.get_current_device_resource()) is not rmm.mr.CudaMemoryResource:
        return "the application has set up RMM"
    rmm.mr.set_current_device_resource(rmm.mr.CudaAsyncMemoryResource())
    cupy = _arrays()
    if cupy.cuda.get_allocator() != cupy.get_default_memory_pool().malloc:
        return "RMM has a pool; CuPy has one of the application"
    cupy.cuda.set_allocator(import_module("rmm.allocators.cupy").rmm_cupy_allocator)
    return "RMM and CuPy share a pool"


def free_memory() -> int:
    """Bytes of the current device's memory that are free."""
    if _simulated():
        return 2**30
    return int(_arrays().cuda.runtime.memGetInfo()[0])


def as_array(source: Any) -> Any:
    """A CuPy array over the memory of ``source``, without a copy."""
    if hasattr(source, "__cuda_array_interface__"):
        return _mapped(source) if _simulated() else _arrays().asarray(source)
    return _arrays().from_dlpack(source)


def _column(values: Any, column: str, name: str) -> Any:
    if _is_cudf(values, "Series"):
        return CudfFrame(values.to_frame("x")).arrow("x")
    if is_on_device(values):
        array = as_array(values)
        if array.ndim != 1:
            raise InputError(f"{name}: column {column!r} has {array.ndim} axes; give an array of rows")
        return array
    from gpumon.tables.frames import as_arrow

    return as_arrow(values, column, name)


def _is_cudf(source: Any, kind: str) -> bool:
    loaded = sys.modules.get("cudf")
    return loaded is not None and isinstance(source, getattr(loaded, kind))


def _cudf() -> Any:
    import cudf  # takes seconds

    return cudf


def _simulated() -> bool:
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"


def _arrays() -> Any:
    if _simulated():
        return np
    import cupy

    return cupy


def _to_host(values: Any) -> NDArray[Any]:
    return np.asarray(values) if _simulated() else np.asarray(_arrays().asnumpy(values))


def _mapped(source: Any) -> NDArray[Any]:
    """In the simulator the device's memory is the host's: an object that names it by address, as an array."""
    host = type("Host", (), {"__array_interface__": {**source.__cuda_array_interface__, "version": 3}})()
    host.owner = source
    return np.asarray(host)
