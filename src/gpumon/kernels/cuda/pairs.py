"""Sums over pairs of columns: matrix products of columns that lie apart in memory, of any type, with gaps.

A block reads some rows of the columns of a tile, standardises them or looks up their ranks, and multiplies them where
they are, in shared memory: nothing is copied or written but the sums. A column of ones stands after the last, so the
same products give the sums of the columns. Sums are float64 and in a fixed order: by thread, by chunk, and chunks have
a fixed size, so the same rows give the same sums on every GPU.
"""

from __future__ import annotations

import math
from typing import Any

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
from gpumon.kernels.cuda.toolchain import THREADS, cuda, float64, inline, int32, int64, kernel, uint64
from gpumon.kernels.intrinsics import load_8, load_16, load_32, load_64

__all__ = [
    "ACROSS",
    "CHUNK",
    "KINDS",
    "PRODUCTS",
    "SQUARE",
    "THERE",
    "TILE",
    "VALUE",
    "add_products",
    "products_of_numbers",
    "products_of_ranks",
]

TILE = 32
"""Columns of one side of a tile: a block makes the products of 32 columns with 32 others, or with themselves."""

SIDE = 8
"""Threads along a side of a tile; each keeps sixteen sums, of four columns with four."""

ROWS = 64
"""Rows that a block holds at a time, in 34 kB of shared memory."""

CHUNK = 32_768
"""Rows whose products a block sums."""

# shapes of shared arrays must be names
WIDE = TILE + 1  # so that a column's rows are in different banks
BESIDE = ROWS * WIDE  # where the other side begins
WHOLE = 2 * BESIDE
PRODUCTS = TILE * TILE

VALUE, THERE, SQUARE = range(3)
"""What a side of a tile holds of a number: itself, 1 where it is there, its square; 0 where it is missing."""

ACROSS = 32
"""Products of a tile that a block adds up over the chunks."""

KINDS = {
    name: i
    for i, name in enumerate(
        ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    )
}

SUMS, PLACES = float64[:, :, ::1], int64[:, ::1]


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


@inline
def standardised(sources, numbers, column, row):
    """(v − centre) · factor, NaN where it is not finite or null.

    ``sources`` (columns, 4): address of the values and of the validity mask, its first bit, kind of the values;
    ``numbers`` (columns, 2): centre and factor.
    """
    v = number(uint64(sources[column, 0]), row, sources[column, 3])
    v = (v - numbers[column, 0]) * numbers[column, 1]
    there = is_valid(uint64(sources[column, 1]), sources[column, 2] + row) and abs(v) < math.inf
    return v if there else math.nan


@inline
def ranked(sources, tables, column, row):
    """The entry of ``tables`` (columns, cells) at a value's cell; ``sources`` (columns, 1): addresses of the cells."""
    return tables[column, int64(load_16(uint64(sources[column, 0]), row))]


def _products(name: str, read: Any) -> Any:
    @inline
    def stage(held, at, tile, side, start, rows, sources, numbers):
        """Hold one side of a tile: some rows of its columns. The one after the last column is 1 in every row.

        Returns how many of this thread's numbers are missing.
        """
        t = int32(cuda.threadIdx.x)
        each = int32(THREADS // TILE)  # threads of a column
        place = int32(t // each)
        column = int64(tile) * int64(TILE) + int64(place)
        gone = int32(0)
        r = int32(t % each)
        while r < int32(ROWS):
            x = float64(0.0)
            if r < rows:
                if column < sources.shape[0]:
                    x = read(sources, numbers, column, start + int64(r))
                    there = x == x
                    gone = gone if there else int32(gone + int32(1))
                    kept = x if side == VALUE else (float64(1.0) if side == THERE else x * x)
                    x = kept if there else float64(0.0)
                elif column == sources.shape[0]:
                    x = float64(1.0)
            held[at + r * int32(WIDE) + place] = x
            r = int32(r + each)
        return gone

    @kernel(
        f"products of {name}",
        (int64[:, ::1], float64[:, ::1], PLACES, PLACES, SUMS, int32[::1]),
        blocks=3,
    )
    def products(sources, numbers, work, tiles, parts, missing):
        """Sum the products of the columns of a tile's two sides over the rows of a chunk.

        Blocks (items of work, tiles). ``work`` (items, 3): first row, the row after the last, slice; ``tiles``
        (tiles, 4): the columns of either side as multiples of TILE, and what each side holds of them; ``parts``
        (items, tiles, PRODUCTS); ``missing`` (1,) becomes 1 if a number is missing.
        """
        held = cuda.shared.array(WHOLE, float64)
        whole = cuda.shared.array(PRODUCTS, float64)
        t = int32(cuda.threadIdx.x)
        item = cuda.blockIdx.x
        tile = cuda.blockIdx.y
        one = tiles[tile, 0] == tiles[tile, 1] and tiles[tile, 2] == tiles[tile, 3]  # both sides are the same
        beside = int32(0) if one else int32(BESIDE)
        group = int32(t // int32(SIDE * SIDE))  # takes every so manieth row
        up = int32(t % int32(SIDE * SIDE)) // int32(SIDE)
        across = int32(t % int32(SIDE))
        gone = int32(0)
        s00 = s01 = s02 = s03 = float64(0.0)
        s10 = s11 = s12 = s13 = float64(0.0)
        s20 = s21 = s22 = s23 = float64(0.0)
        s30 = s31 = s32 = s33 = float64(0.0)
        start = work[item, 0]
        while start < work[item, 1]:
            rows = int32(min(int64(ROWS), work[item, 1] - start))
            cuda.syncthreads()
            gone = int32(
                gone + stage(held, int32(0), tiles[tile, 0], tiles[tile, 2], start, rows, sources, numbers)
            )
            if not one:
                stage(held, beside, tiles[tile, 1], tiles[tile, 3], start, rows, sources, numbers)
            cuda.syncthreads()
            r = group
            while r < int32(ROWS):
                left = int32(r * int32(WIDE) + up)
                right = int32(beside + r * int32(WIDE) + across)
                a0, a1 = held[left], held[left + int32(SIDE)]
                a2, a3 = held[left + int32(2 * SIDE)], held[left + int32(3 * SIDE)]
                b0, b1 = held[right], held[right + int32(SIDE)]
                b2, b3 = held[right + int32(2 * SIDE)], held[right + int32(3 * SIDE)]
                s00 += a0 * b0
                s01 += a0 * b1
                s02 += a0 * b2
                s03 += a0 * b3
                s10 += a1 * b0
                s11 += a1 * b1
                s12 += a1 * b2
                s13 += a1 * b3
                s20 += a2 * b0
                s21 += a2 * b1
                s22 += a2 * b2
                s23 += a2 * b3
                s30 += a3 * b0
                s31 += a3 * b1
                s32 += a3 * b2
                s33 += a3 * b3
                r = int32(r + int32(THREADS // (SIDE * SIDE)))
            start += ROWS
        i = t
        while i < int32(PRODUCTS):
            whole[i] = float64(0.0)
            i = int32(i + THREADS)
        turn = int32(0)
        while turn < int32(THREADS // (SIDE * SIDE)):
            cuda.syncthreads()
            if turn == group:
                at = int32(up * int32(TILE) + across)
                add_row(whole, at, s00, s01, s02, s03)
                add_row(whole, at + int32(SIDE * TILE), s10, s11, s12, s13)
                add_row(whole, at + int32(2 * SIDE * TILE), s20, s21, s22, s23)
                add_row(whole, at + int32(3 * SIDE * TILE), s30, s31, s32, s33)
            turn = int32(turn + int32(1))
        cuda.syncthreads()
        i = t
        while i < int32(PRODUCTS):
            parts[item, tile, i] = whole[i]
            i = int32(i + THREADS)
        if gone > 0:
            missing[0] = int32(1)  # whichever thread is last: all write the same

    return products


@inline
def add_row(whole, at, x0, x1, x2, x3):
    whole[at] += x0
    whole[at + int32(SIDE)] += x1
    whole[at + int32(2 * SIDE)] += x2
    whole[at + int32(3 * SIDE)] += x3


products_of_numbers = _products("numbers", standardised)
products_of_ranks = _products("ranks", ranked)


@kernel("add products", (SUMS, int64[::1], SUMS))
def add_products(parts, items, sums):
    """Add the ``parts`` (items, tiles, PRODUCTS) of each slice in a fixed order to ``sums`` (slices, tiles, PRODUCTS).

    ``items`` (slices + 1,): slice s has the parts items[s] … items[s + 1] − 1. Blocks (slices · tiles, PRODUCTS /
    ACROSS): a thread adds neighbouring parts, then one those of the threads.
    """
    held = cuda.shared.array(THREADS, float64)
    t = int32(cuda.threadIdx.x)
    tiles = int64(parts.shape[1])
    s = int64(cuda.blockIdx.x) // tiles
    tile = int64(cuda.blockIdx.x) % tiles
    place = int64(cuda.blockIdx.y) * int64(ACROSS) + int64(t % int32(ACROSS))
    turns = int32(THREADS // ACROSS)
    turn = int64(t // int32(ACROSS))
    n = items[s + 1] - items[s]
    each = (n + turns - 1) // turns
    i = items[s] + min(turn * each, n)
    stop = items[s] + min((turn + 1) * each, n)
    found = float64(0.0)
    while i < stop:
        found += parts[i, tile, place]
        i += 1
    held[t] = found
    cuda.syncthreads()
    if t < int32(ACROSS):
        k = int32(1)
        while k < turns:
            found += held[t + k * int32(ACROSS)]
            k = int32(k + int32(1))
        sums[s, tile, place] = found
