"""What matrix products need: the numbers of some columns side by side, zeros where missing, and where they are there.

A thread writes one value. These kernels move memory and compute little, so a branch on the type of a column, which
is the same for a whole block, costs nothing.
"""

from __future__ import annotations

import math

from gpumon.kernels.cuda.numbers import (
    is_valid,
    of_float32,
    of_float64,
    of_int8,
    of_int16,
    of_int32,
    of_int64,
    of_uint8,
    of_uint16,
    of_uint32,
    of_uint64,
)
from gpumon.kernels.cuda.toolchain import cuda, float64, inline, int64, kernel, uint64
from gpumon.kernels.intrinsics import load_8, load_16, load_32, load_64

__all__ = ["BLOCK", "KINDS", "rank", "standardise"]

BLOCK = 1 << 25
"""Numbers of a block of rows, over all columns: 256 MiB, and as much for where they are there."""

KINDS = {
    name: i
    for i, name in enumerate(
        ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    )
}

X, SOURCES, MISSING = float64[:, ::1], int64[:, ::1], int64[::1]


@inline
def number(address, row, kind):
    """The value of a row as float64, whatever the type of its column."""
    if kind == 0:
        return float64(of_float32(uint64(load_32(address, row))))
    if kind == 1:
        return float64(of_float64(load_64(address, row)))
    if kind == 2:
        return float64(of_int8(uint64(load_8(address, row))))
    if kind == 3:
        return float64(of_int16(uint64(load_16(address, row))))
    if kind == 4:
        return float64(of_int32(uint64(load_32(address, row))))
    if kind == 5:
        return float64(of_int64(load_64(address, row)))
    if kind == 6:
        return float64(of_uint8(uint64(load_8(address, row))))
    if kind == 7:
        return float64(of_uint16(uint64(load_16(address, row))))
    if kind == 8:
        return float64(of_uint32(uint64(load_32(address, row))))
    return float64(of_uint64(load_64(address, row)))


@kernel("standardise", (SOURCES, X, int64, X, X, MISSING))
def standardise(sources, numbers, start, x, there, missing):
    """Write (v − centre) · factor of the rows from ``start`` on to ``x`` (columns, rows), 0 where not finite or null.

    ``sources`` (columns, 4): address of the values and of the validity mask, its first bit, kind of the values;
    ``numbers`` (columns, 2): centre and factor; ``there`` is 1 or 0; ``missing`` (1,) counts the zeros of it.
    """
    i = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    column = cuda.blockIdx.y
    if i < x.shape[1]:
        v = number(uint64(sources[column, 0]), start + i, sources[column, 3])
        v = (v - numbers[column, 0]) * numbers[column, 1]
        ok = is_valid(uint64(sources[column, 1]), sources[column, 2] + start + i) and abs(v) < math.inf
        x[column, i] = v if ok else float64(0.0)
        there[column, i] = float64(1.0) if ok else float64(0.0)
        if not ok:
            cuda.atomic.add(missing, 0, int64(1))


@kernel("rank", (int64[::1], X, int64, X, X, MISSING))
def rank(sources, tables, start, x, there, missing):
    """Write the entry of ``tables`` (columns, cells) at the cell of every value to ``x``, as ``standardise`` does.

    ``sources`` (columns,): addresses of the cells, two bytes each.
    """
    i = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    column = cuda.blockIdx.y
    if i < x.shape[1]:
        v = tables[column, int64(load_16(uint64(sources[column]), start + i))]
        ok = v == v
        x[column, i] = v if ok else float64(0.0)
        there[column, i] = float64(1.0) if ok else float64(0.0)
        if not ok:
            cuda.atomic.add(missing, 0, int64(1))
