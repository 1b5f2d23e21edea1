"""The kernels for a CPU: Numba loops, one thread each and without the interpreter's lock, compiled once and cached.

Callers run them from several threads. A numeric column goes through in blocks that stay in the first-level cache,
each block through short loops of one purpose each; those without a table look-up are vectorised by the compiler.

All compiled functions stand in this one file: Numba's cache of a function does not see a change of one that it calls in
another.
"""

from __future__ import annotations

import math
from itertools import pairwise
from threading import local
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from gpumon.kernels import LEAST_PROBABILITY, REGISTERS, TOTAL_OFF, Comoments
from gpumon.kernels.confidence import measured
from gpumon.kernels.expected_losses import coded
from gpumon.kernels.forest import walked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.kernels import (
        ClusterCounts,
        ConfidenceCounts,
        ConfusionCounts,
        LossCounts,
        NumericColumn,
        ResidualCounts,
        ScoreCounts,
    )
    from gpumon.kernels.expected_losses import Forest
    from gpumon.kernels.lookup import Dictionary, Guide

NAME = "cpu"
DEVICE = False

BLOCK = 2048  # values: 16 kB of float64
ROWS = 512  # of a block of columns for co-moments: of 50 columns 200 kB
STAGED = 16_384  # rows of all columns that are brought together for them at a time

KEPT = 64 * 2**20  # bytes of an array whose memory a thread keeps
_HELD = local()

compiled = njit(nogil=True, cache=True, error_model="numpy")
reordered = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def numeric(
    columns: Sequence[NumericColumn],
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    cells: bool = False,
) -> list[NDArray[np.uint16]]:
    """Count numeric columns; see :class:`gpumon.kernels.Kernels`."""
    found = _scratch("cells", (len(columns), int(offsets[-1]) if cells else 0), np.uint16)
    for (values, valid, guide, into), cell in zip(columns, found, strict=True):
        _numeric(_floats(values), _mask(valid), offsets, places, *_numbers(guide), *into, cell)
    return list(found) if cells else []


def _scratch(name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array whose memory this thread uses again the next time.

    Where memory is given back at once, as on the workers of a cluster, new pages cost as much as half of counting.
    """
    size = math.prod(shape)
    if size * np.dtype(dtype).itemsize > KEPT:
        return np.empty(shape, dtype)
    held = getattr(_HELD, name, None)
    if held is None or held.dtype != dtype or held.size < size:
        held = np.empty(size, dtype)
        setattr(_HELD, name, held)
    return held[:size].reshape(shape)


def _floats(values: NDArray[Any]) -> NDArray[Any]:
    """float32 as it is, all else as float64: two versions of a kernel are enough."""
    return values if values.dtype == np.float32 else values.astype(np.float64, copy=False)


def _mask(valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """A validity mask for compiled code, empty if nothing is null."""
    return np.empty(0, np.bool_) if valid is None else valid


def codes(codes: NDArray[np.int32], offsets: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Count codes; see :class:`gpumon.kernels.Kernels`."""
    counts = np.zeros((offsets.size - 1, size), np.int64)
    _codes(codes, offsets, counts)
    return counts


def hash_strings(data: NDArray[np.uint8], ends: NDArray[Any]) -> NDArray[np.uint64]:
    """Hash strings; see :class:`gpumon.kernels.Kernels`."""
    hashes = np.empty(ends.size - 1, np.uint64)
    _hash_strings(_words(data), ends, hashes)
    return hashes


def find_strings(
    data: NDArray[np.uint8], ends: NDArray[Any], hashes: NDArray[np.uint64], vocabulary: Dictionary
) -> NDArray[np.int32]:
    """Find strings in a vocabulary; see :class:`gpumon.kernels.Kernels`."""
    found = np.empty(hashes.size, np.int32)
    _find_strings(
        _words(data), ends, hashes, _words(vocabulary.data), vocabulary.ends, vocabulary.table, found
    )
    return found


def distinct(hashes: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """HyperLogLog registers; see :class:`gpumon.kernels.Kernels`."""
    registers = np.zeros((offsets.size - 1, REGISTERS), np.uint8)
    _distinct(hashes, offsets, registers)
    return registers


def ordered(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, offsets: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Sort values, in NumPy; see :class:`gpumon.kernels.Kernels`."""
    x = values.astype(np.float64)
    if valid is not None:
        x[~valid] = np.nan
    parts = (x[start:stop] for start, stop in pairwise(offsets.tolist()))
    return [np.sort(part[~np.isnan(part)]) for part in parts]


def comoments(
    columns: Sequence[tuple[NDArray[Any], NDArray[np.bool_] | None]],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> Comoments:
    """Co-moments of standardised columns; see :class:`gpumon.kernels.Kernels`."""
    k, rows = len(columns), int(offsets[-1])
    float32 = all(values.dtype == np.float32 for values, _ in columns)
    staged = _scratch("staged", (k, min(STAGED, rows)), np.float32 if float32 else np.float64)
    blocks = _scratch("blocks", (2, k, ROWS), np.float64)
    sums = _no_sums(k, offsets.size - 1)
    for start in range(0, rows, STAGED):
        stop = min(start + STAGED, rows)
        part = staged[:, : stop - start]
        for row, (values, valid) in zip(part, columns, strict=True):
            row[:] = values[start:stop]
            if valid is not None:
                row[~valid[start:stop]] = np.nan
        _comoments_of_values(part, start, centre, 1.0 / scale, offsets, blocks, *sums)
    return _whole(sums)


def rank_comoments(
    cells: Sequence[NDArray[np.uint16]], tables: NDArray[np.float64], offsets: NDArray[np.int64]
) -> Comoments:
    """Co-moments of ranks; see :class:`gpumon.kernels.Kernels`."""
    k, rows = len(cells), int(offsets[-1])
    staged = _scratch("staged_cells", (k, min(STAGED, rows)), np.uint16)
    blocks = _scratch("blocks", (2, k, ROWS), np.float64)
    sums = _no_sums(k, offsets.size - 1)
    for start in range(0, rows, STAGED):
        stop = min(start + STAGED, rows)
        part = staged[:, : stop - start]
        for row, cell in zip(part, cells, strict=True):
            row[:] = cell[start:stop]
        _comoments_of_cells(part, start, tables, offsets, blocks, *sums)
    return _whole(sums)


def classes(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, known: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Places of numbers in a list; see :class:`gpumon.kernels.Kernels`."""
    found = np.empty(values.size, np.int32)
    _classes(values, _mask(valid), known, found)
    return found


def confusion(
    actual: NDArray[np.int32],
    predicted: NDArray[np.int32],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: ConfusionCounts,
) -> None:
    """Count pairs of classes; see :class:`gpumon.kernels.Kernels`."""
    _confusion(actual, predicted, _weights(weights), offsets, places, *into)


def scored(
    scores: tuple[NDArray[Any], NDArray[np.bool_] | None],
    labels: NDArray[np.int32],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    guide: Guide,
    into: ScoreCounts,
) -> None:
    """Count scores by label; see :class:`gpumon.kernels.Kernels`."""
    values, mask = _floats(scores[0]), _mask(scores[1])
    given = labels, _weights(weights), offsets, places, *_numbers(guide)
    _scored(values, mask, *given, LEAST_PROBABILITY, *into)


def residuals(
    target: NDArray[np.float64],
    prediction: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    centre: float,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    guides: tuple[Guide, Guide, Guide],
    into: ResidualCounts,
) -> None:
    """Count residuals; see :class:`gpumon.kernels.Kernels`."""
    limits = tuple(guide.limits[: -guide.stride - 1] for guide in guides)
    _residuals(target, prediction, _weights(weights), centre, offsets, places, *limits, *into)


def expected(
    cells: Sequence[NDArray[np.integer]], groups: Sequence[NDArray[np.int64]], forests: Sequence[Forest]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What forests expect of rows; see :class:`gpumon.kernels.Kernels`."""
    codes, unsupported = coded(cells, groups)
    return np.stack([walked(codes, forest) for forest in forests]), unsupported


def binned(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, limits: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Bins of numbers; see :class:`gpumon.kernels.HostKernels`."""
    found = np.empty(values.size, np.uint8)
    _binned(_floats(values), _mask(valid), limits, found)
    return found


def losses(
    codes: NDArray[np.uint8],
    starts: NDArray[np.int64],
    loss: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: LossCounts,
) -> None:
    """Sums of losses by bins; see :class:`gpumon.kernels.HostKernels`."""
    _losses(codes, starts, loss, _weights(weights), offsets, places, *into)


def ranked(
    scores: NDArray[np.float64],
    actual: NDArray[np.int32],
    column: int,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    guide: Guide,
    counts: NDArray[np.int64],
) -> None:
    """Scores of one class by true class; see :class:`gpumon.kernels.HostKernels`."""
    _ranked(scores, actual, offsets, places, *_numbers(guide), counts[:, column])


def clustered(
    values: NDArray[np.float64],
    centroids: NDArray[np.float64],
    edges: NDArray[np.float64],
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: ClusterCounts,
) -> None:
    """Rows by their nearest centre; see :class:`gpumon.kernels.HostKernels`."""
    _clustered(values, centroids, edges, offsets, places, *into)


def confidences(
    scores: NDArray[np.float64],
    actual: NDArray[np.int32],
    predicted: NDArray[np.int32],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    guide: Guide,
    into: ConfidenceCounts,
) -> None:
    """How sure a model is of its rows; see :class:`gpumon.kernels.HostKernels`."""
    values, kind = measured(scores, actual, TOTAL_OFF)
    given = actual, predicted, len(scores), _weights(weights), offsets, places
    _confidences(values, kind, *given, *_numbers(guide), LEAST_PROBABILITY, *into)


def _weights(weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Weights for compiled code, empty if every row counts 1."""
    return np.empty(0) if weights is None else weights


def _no_sums(k: int, slices: int) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.zeros((slices, k, k)) for _ in range(4))


def _whole(sums: tuple[NDArray[np.float64], ...]) -> Comoments:
    """Of the products only the upper triangle was added up."""
    n, s, q, g = sums
    return Comoments(n.astype(np.int64), s, q, np.triu(g) + np.triu(g, 1).swapaxes(-1, -2))


def _words(data: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Bytes as little-endian words, with zeros after them."""
    words = np.empty(data.size // 8 + 2, np.uint64)
    words[-2:] = 0
    words.view(np.uint8)[: data.size] = data
    return words


def _numbers(guide: Guide) -> tuple[Any, ...]:
    """What compiled code needs. Sizes travel with the tables: a constant of another module would stay in the cache."""
    numbers = guide.linear, guide.origin, guide.scale, guide.shift, guide.base, guide.stride, guide.deep
    return guide.limits, guide.first, *numbers


@compiled
def _numeric(
    values,
    valid,
    offsets,
    places,
    limits,
    first,
    linear,
    origin,
    scale,
    shift,
    base,
    stride,
    deep,
    counts,
    moments,
    extremes,
    registers,
    cells,
):
    numbers = np.empty(BLOCK)
    pieces = np.empty(BLOCK, np.uint16)
    buffer = np.empty(BLOCK, np.uint16)
    hashes = np.empty(BLOCK, np.uint64)
    held = np.empty(BLOCK, values.dtype)
    for s in range(offsets.size - 1):
        place = places[s]
        for start in range(offsets[s], offsets[s + 1], BLOCK):
            stop = min(start + BLOCK, offsets[s + 1])
            block = values[start:stop]
            if valid.size:
                nulls = _fill(block, valid[start:stop], held)
                block = held[: block.size]
                counts[place, -1] += nulls
                counts[place, -2] -= nulls
            _pieces(block, first.size - 1, linear, origin, scale, shift, base, numbers, pieces)
            found = cells[start:stop] if cells.size else buffer
            _cells(block, pieces, limits, first, stride, deep, found)
            _count(found[: block.size], counts[place])
            _moments(block, moments[place])
            _extremes(block, extremes[place])
            _register_values(block, numbers, hashes, registers[place])


@compiled
def _fill(block, valid, held):
    """Write the block to ``held`` with NaN for nulls; their number."""
    nulls = 0
    for i in range(block.size):
        held[i] = block[i] if valid[i] else np.nan
        nulls += 0 if valid[i] else 1
    return nulls


@compiled
def _pieces(block, size, linear, origin, scale, shift, base, shifted, pieces):
    """The piece of the grid of every value; must stay monotone, so no reordering of the arithmetic."""
    n = block.size
    top, half = np.float64(size - 1), np.int32(size // 2)
    for i in range(n):
        shifted[i] = np.float64(block[i]) - origin + 0.0
    if linear:
        for i in range(n):
            piece = shifted[i] * scale
            piece = piece if piece > 0.0 else 0.0  # NaN too
            piece = piece if piece < top else top
            pieces[i] = np.uint16(piece)
    else:
        bits = shifted.view(np.int64)
        for i in range(n):
            high = np.int32((bits[i] >> 32) & 0x7FFFFFFF)
            step = np.int32(np.int32(high >> np.int32(shift)) - np.int32(base))
            step = min(max(step, np.int32(0)), np.int32(half - 1))
            pieces[i] = np.uint16(half + step) if bits[i] >= 0 else np.uint16(half - 1 - step)


@compiled
def _cells(block, pieces, limits, first, stride, deep, cells):
    """The number of limits that are not above each value; for NaN, the cell after +inf's.

    Two steps without a branch serve every piece that holds no more than two edges (a processor cannot guess such
    branches: on data that is 70 % zeros a loop takes three times as long). Unsigned indices need no check for
    negative ones.
    """
    zero, one, jump = np.uint64(0), np.uint64(1), np.uint64(stride)
    last = np.uint64(limits.size - stride)
    for i in range(block.size):
        value = np.float64(block[i])
        cell = np.uint64(first[np.uint64(pieces[i])])
        cell += one if limits[cell] <= value else zero
        cell += one if limits[cell] <= value else zero
        cells[i] = np.uint16(cell if value == value else last)
    if deep:
        for i in range(block.size):
            value = np.float64(block[i])
            cell = np.uint64(cells[i])
            if limits[cell] <= value:
                while limits[cell + jump - one] <= value:
                    cell += jump
                while limits[cell] <= value:
                    cell += one
                cells[i] = np.uint16(cell)


@compiled
def _count(cells, counts):
    for i in range(cells.size):
        counts[np.uint64(cells[i])] += 1


@reordered
def _sum(block):
    total = 0.0
    for i in range(block.size):
        total += np.float64(block[i])
    return total


@reordered
def _finite_sum(block):
    total = 0.0
    n = 0
    for i in range(block.size):
        value = np.float64(block[i])
        finite = abs(value) < np.inf
        total += value if finite else 0.0
        n += 1 if finite else 0
    return total, n


@reordered
def _squares(block, centre):
    total = 0.0
    for i in range(block.size):
        deviation = np.float64(block[i]) - centre
        total += deviation * deviation
    return total


@reordered
def _finite_squares(block, centre):
    total = 0.0
    for i in range(block.size):
        value = np.float64(block[i])
        deviation = value - centre if abs(value) < np.inf else 0.0
        total += deviation * deviation
    return total


@compiled
def _moments(block, moments):
    """Two passes over a block in the cache, then Chan's merge: as exact as two passes over the column."""
    n = block.size
    total = _sum(block)
    all_finite = abs(total) < np.inf
    if not all_finite:
        total, n = _finite_sum(block)
        if n == 0:
            return
    mean = total / n
    m2 = _squares(block, mean) if all_finite else _finite_squares(block, mean)
    before = moments[0]
    delta = mean - moments[1]
    after = before + n
    moments[0] = after
    moments[1] = mean if before == 0 else moments[1] + delta * (n / after)
    moments[2] += m2 + (0.0 if before == 0 else delta * delta * (before * n / after))


@compiled
def _extremes(block, extremes):
    """Least and largest; four independent chains, since the compiler may not reorder comparisons with NaN."""
    a, b, c, d = np.inf, np.inf, np.inf, np.inf
    e, f, g, h = -np.inf, -np.inf, -np.inf, -np.inf
    whole = block.size - block.size % 4
    for i in range(0, whole, 4):
        w, x, y, z = block[i], block[i + 1], block[i + 2], block[i + 3]
        a, b, c, d = (min(a, w)), (min(b, x)), (min(c, y)), (min(d, z))
        e, f, g, h = (max(e, w)), (max(f, x)), (max(g, y)), (max(h, z))
    for i in range(whole, block.size):
        a = min(a, block[i])
        e = max(e, block[i])
    extremes[0] = min(extremes[0], min(a, b, c, d) + 0.0)
    extremes[1] = max(extremes[1], max(e, f, g, h) + 0.0)


@compiled
def _mixed(bits):
    """A bijection of 64-bit numbers that spreads every bit: SplitMix64's step and finaliser (Steele, Lea, Flood 2014)."""
    bits += np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@compiled
def _register(bits, registers):
    """Raise the register of a hash to 1 + the leading zeros of its lower 52 bits."""
    place = bits >> np.uint64(52)
    rest = bits & np.uint64(0xFFFFFFFFFFFFF)
    rank = registers[place]
    if rest >> np.uint64(52 - rank) == 0:
        while rank < 53 and rest >> np.uint64(52 - rank) == 0:
            rank += np.uint8(1)
        registers[place] = rank


@compiled
def _register_values(block, numbers, hashes, registers):
    """Numbers are hashed as float64, so that 5, 5.0 and np.float32(5) are one value, and −0.0 is 0.0.

    Once every register is raised, few hashes can raise one: those below the limit that the lowest sets.
    """
    n = block.size
    for i in range(n):
        numbers[i] = np.float64(block[i]) + 0.0
    bits = numbers.view(np.uint64)
    for i in range(n):
        hashes[i] = _mixed(bits[i])
    low = registers[0]
    for i in range(registers.size):
        low = min(low, registers[i])
    limit = np.uint64(1) << np.uint64(52 - low)
    for i in range(n):
        if hashes[i] & np.uint64(0xFFFFFFFFFFFFF) < limit and numbers[i] == numbers[i]:
            _register(hashes[i], registers)


@reordered
def _dot(left, right):
    total = 0.0
    for i in range(left.size):
        total += left[i] * right[i]
    return total


@reordered
def _dots(a, b, c, d):
    """a·c, a·d, b·c, b·d in one pass: two loads for each product would starve the processor, one does not."""
    ac, ad, bc, bd = 0.0, 0.0, 0.0, 0.0
    for i in range(a.size):
        ac += a[i] * c[i]
        ad += a[i] * d[i]
        bc += b[i] * c[i]
        bd += b[i] * d[i]
    return ac, ad, bc, bd


@compiled
def _products(x, rows, g):
    """Add the products of all pairs of columns to the upper triangle of ``g``, two by two columns at a time."""
    k = x.shape[0]
    for i in range(0, k - 1, 2):
        for j in range(i, k - 1, 2):
            ac, ad, bc, bd = _dots(x[i, :rows], x[i + 1, :rows], x[j, :rows], x[j + 1, :rows])
            g[i, j] += ac
            g[i, j + 1] += ad
            g[i + 1, j + 1] += bd
            if j > i:
                g[i + 1, j] += bc
    if k % 2:
        for i in range(k):
            g[i, k - 1] += _dot(x[i, :rows], x[k - 1, :rows])


@reordered
def _dot_squares(left, right):
    total = 0.0
    for i in range(left.size):
        total += left[i] * left[i] * right[i]
    return total


@compiled
def _comoments_of_values(values, row, centre, factor, offsets, blocks, n, s, q, g):
    """Add ``values`` (k, rows), the rows from number ``row`` on, to the sums of their slices."""
    k = values.shape[0]
    x, there = blocks[0], blocks[1]
    for part, start, stop in _blocks(row, row + values.shape[1], offsets):
        for i in range(k):
            for r in range(stop - start):
                v = (np.float64(values[i, start - row + r]) - centre[i]) * factor[i]
                x[i, r] = v if abs(v) < np.inf else np.nan
        _comoments(x, there, stop - start, n[part], s[part], q[part], g[part])


@compiled
def _comoments_of_cells(cells, row, tables, offsets, blocks, n, s, q, g):
    """As above, each value being the entry of its column's table at its cell."""
    k = cells.shape[0]
    x, there = blocks[0], blocks[1]
    for part, start, stop in _blocks(row, row + cells.shape[1], offsets):
        for i in range(k):
            table = tables[i]
            for r in range(stop - start):
                x[i, r] = table[np.uint64(cells[i, start - row + r])]
        _comoments(x, there, stop - start, n[part], s[part], q[part], g[part])


@compiled
def _blocks(first, last, offsets):
    """(slice, start, stop) of the rows first … last − 1, at most ROWS of one slice at a time: (blocks, 3)."""
    blocks = np.empty((offsets.size + (last - first) // ROWS, 3), np.int64)
    n = 0
    for part in range(offsets.size - 1):
        stop = min(last, offsets[part + 1])
        for start in range(max(first, offsets[part]), stop, ROWS):
            blocks[n] = part, start, min(start + ROWS, stop)
            n += 1
    return blocks[:n]


@compiled
def _comoments(x, there, rows, n, s, q, g):
    """Add a block of k columns to the sums. Masks enter only where a column misses something in the block."""
    k = x.shape[0]
    whole = np.empty(k, np.bool_)
    for i in range(k):
        total = _sum(x[i, :rows])
        whole[i] = total == total  # NaN would show in it
        if not whole[i]:
            for r in range(rows):
                ok = x[i, r] == x[i, r]
                there[i, r] = 1.0 if ok else 0.0
                x[i, r] = x[i, r] if ok else 0.0
    _products(x, rows, g)
    for i in range(k):
        total = _sum(x[i, :rows])
        square = _dot(x[i, :rows], x[i, :rows])
        present = np.float64(rows) if whole[i] else _sum(there[i, :rows])
        for j in range(k):
            if whole[j] or j == i:
                n[i, j] += present
                s[i, j] += total
                q[i, j] += square
            else:
                n[i, j] += _dot(there[i, :rows], there[j, :rows]) if not whole[i] else _sum(there[j, :rows])
                s[i, j] += _dot(x[i, :rows], there[j, :rows])
                q[i, j] += _dot_squares(x[i, :rows], there[j, :rows])


@compiled
def _codes(codes, offsets, counts):
    size = counts.shape[1]
    for s in range(offsets.size - 1):
        row = counts[s]
        for i in range(offsets[s], offsets[s + 1]):
            if 0 <= codes[i] < size:
                row[codes[i]] += 1


@compiled
def _word(words, start, length):
    """The first 8 bytes, or ``length`` if less, from byte ``start`` on, the rest zero; without a branch."""
    first = np.uint64(start)  # an unsigned index needs no check for negative ones
    at, shift = first >> np.uint64(3), (first & np.uint64(7)) << np.uint64(3)
    word = (words[at] >> shift) | ((words[at + np.uint64(1)] << np.uint64(1)) << (np.uint64(63) - shift))
    spare = np.uint64(max(8 - length, 0) << 3)
    return word & (np.uint64(0xFFFFFFFFFFFFFFFF) >> spare)


@compiled
def _hash_strings(words, ends, hashes):
    for i in range(hashes.size):
        start, length = np.int64(ends[i]), np.int64(ends[i + 1] - ends[i])
        h = np.uint64(length)
        for offset in range(0, length, 8):
            h = (h ^ _word(words, start + offset, length - offset)) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(32)
        hashes[i] = _mixed(h)


@compiled
def _find_strings(words, ends, hashes, known, known_ends, table, found):
    last = np.uint64(table.size - 1)
    for i in range(hashes.size):
        start, length = np.int64(ends[i]), np.int64(ends[i + 1] - ends[i])
        place = hashes[i] & last
        code = np.int32(table[place] - 1)
        while code >= 0 and not _same(words, start, length, known, known_ends[code], known_ends[code + 1]):
            place = (place + np.uint64(1)) & last
            code = np.int32(table[place] - 1)
        found[i] = code


@compiled
def _same(words, start, length, known, known_start, known_end):
    if length != known_end - known_start:
        return False
    for offset in range(0, length, 8):
        left = _word(words, start + offset, length - offset)
        if left != _word(known, known_start + offset, length - offset):
            return False
    return True


@compiled
def _distinct(hashes, offsets, registers):
    for s in range(offsets.size - 1):
        for i in range(offsets[s], offsets[s + 1]):
            _register(hashes[i], registers[s])


@compiled
def _classes(values, valid, known, found):
    k = known.size
    for i in range(values.size):
        value = np.float64(values[i])
        place = 0
        while place < k and known[place] < value:
            place += 1
        if place < k and known[place] != value:
            place = k
        missing = value != value or (valid.size > 0 and not valid[i])
        found[i] = k + 1 if missing else place


@compiled
def _confusion(actual, predicted, weights, offsets, places, counts, mass):
    for s in range(offsets.size - 1):
        rows = counts[places[s]]
        for i in range(offsets[s], offsets[s + 1]):
            rows[np.uint64(actual[i]), np.uint64(predicted[i])] += 1
        if weights.size:
            held = mass[places[s]]
            for i in range(offsets[s], offsets[s + 1]):
                at, w = (np.uint64(actual[i]), np.uint64(predicted[i])), weights[i]
                held[0, at[0], at[1]] += w
                held[1, at[0], at[1]] += w * w


@compiled
def _scored(
    values,
    valid,
    labels,
    weights,
    offsets,
    places,
    limits,
    first,
    linear,
    origin,
    scale,
    shift,
    base,
    stride,
    deep,
    least,
    counts,
    mass,
    probability,
    errors,
    outside,
):
    numbers = np.empty(BLOCK)
    pieces = np.empty(BLOCK, np.uint16)
    cells = np.empty(BLOCK, np.uint16)
    held = np.empty(BLOCK, values.dtype)
    logs = np.empty(BLOCK)
    null = counts.shape[2] - 1
    for s in range(offsets.size - 1):
        place = places[s]
        for start in range(offsets[s], offsets[s + 1], BLOCK):
            stop = min(start + BLOCK, offsets[s + 1])
            block = values[start:stop]
            if valid.size:
                _fill(block, valid[start:stop], held)
                block = held[: block.size]
            _pieces(block, first.size - 1, linear, origin, scale, shift, base, numbers, pieces)
            _cells(block, pieces, limits, first, stride, deep, cells)
            label = labels[start:stop]
            for i in range(block.size):
                p = np.float64(block[i])
                right = p if label[i] == 1 else 1.0 - p
                right = right if right > least else least
                logs[i] = right if right < 1.0 else 1.0
            for i in range(block.size):
                logs[i] = -np.log(logs[i])
            for i in range(block.size):
                p = np.float64(block[i])
                y = np.uint64(label[i])
                w = weights[start + i] if weights.size else 1.0
                if abs(p) < np.inf:
                    cell = np.uint64(cells[i])
                    probability[place, y, cell] += w * p
                    e = 1.0 - p if y == 1 else p
                    square = e * e
                    loss = 0.0 if y == 2 else logs[i]
                    sums = errors[place, y]
                    sums[0] += w * e
                    sums[1] += w * square
                    sums[2] += w * (square * e)
                    sums[3] += w * (square * square)
                    sums[4] += w * loss
                    sums[5] += w * (loss * loss)
                    sums[6] += w * w
                    if p < 0.0 or p > 1.0:
                        outside[place, y] += 1
                else:
                    missing = valid.size > 0 and not valid[start + i]
                    cell = np.uint64(null if missing else null - 1)
                counts[place, y, cell] += 1
                if weights.size:
                    mass[place, y, cell] += w


@compiled
def _ranked(
    values,
    actual,
    offsets,
    places,
    limits,
    first,
    linear,
    origin,
    scale,
    shift,
    base,
    stride,
    deep,
    counts,
):
    numbers = np.empty(BLOCK)
    pieces = np.empty(BLOCK, np.uint16)
    cells = np.empty(BLOCK, np.uint16)
    classes = counts.shape[1]
    for s in range(offsets.size - 1):
        place = places[s]
        for start in range(offsets[s], offsets[s + 1], BLOCK):
            block = values[start : min(start + BLOCK, offsets[s + 1])]
            _pieces(block, first.size - 1, linear, origin, scale, shift, base, numbers, pieces)
            _cells(block, pieces, limits, first, stride, deep, cells)
            for i in range(block.size):
                known = actual[start + i]
                if known < classes and abs(block[i]) < np.inf:
                    counts[place, known, cells[i] - 1] += 1


@compiled
def _clustered(values, centroids, edges, offsets, places, counts, missing):
    nearest, at = np.empty(BLOCK), np.empty(BLOCK, np.int64)
    total = np.empty(BLOCK)
    for s in range(offsets.size - 1):
        place = places[s]
        for start in range(offsets[s], offsets[s + 1], BLOCK):
            size = min(BLOCK, offsets[s + 1] - start)
            nearest[:] = np.inf
            at[:] = -1
            for c in range(centroids.shape[0]):
                total[:] = 0.0
                for j in range(values.shape[0]):
                    for i in range(size):
                        away = values[j, start + i] - centroids[c, j]
                        total[i] += away * away
                for i in range(size):
                    if total[i] < nearest[i]:
                        nearest[i] = total[i]
                        at[i] = c
            for i in range(size):
                if at[i] >= 0:
                    counts[place, at[i], _cell_of(nearest[i], edges)] += 1
                else:
                    missing[place, 0] += 1


@compiled
def _cell_of(value, limits):
    """The number of limits that are not above a value, by halving."""
    low, high = 0, limits.size
    while low < high:
        middle = (low + high) >> 1
        if limits[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _residuals(
    target,
    prediction,
    weights,
    centre,
    offsets,
    places,
    edges,
    sizes,
    steps,
    counts,
    absolute,
    extremes,
    sums,
    at_step,
    errors,
    missing,
):
    for s in range(offsets.size - 1):
        place = places[s]
        total, span = sums[place], extremes[place]
        for i in range(offsets[s], offsets[s + 1]):
            y, p = target[i], prediction[i]
            w = weights[i] if weights.size else 1.0
            known, told = abs(y) < np.inf, abs(p) < np.inf
            if not (known and told):
                missing[place, 0 if told else 1 if known else 2] += 1
                continue
            e = p - y + 0.0
            size = abs(e)
            counts[place, _cell_of(e, edges)] += 1
            absolute[place, _cell_of(size, sizes)] += 1
            step = _cell_of(p, steps)
            at_step[place, step] += 1
            errors[place, step, 0] += w
            errors[place, step, 1] += w * e
            errors[place, step, 2] += w * (e * e)
            errors[place, step, 3] += w * size
            span[0, 0], span[0, 1] = min(span[0, 0], e), max(span[0, 1], e)
            span[1, 0], span[1, 1] = min(span[1, 0], size), max(span[1, 1], size)
            a, b, whole = y - centre, p - centre, abs(y) + abs(p)
            relative = size / abs(y) if y != 0.0 else 0.0
            symmetric = 2.0 * (size / whole) if whole > 0.0 else 0.0
            total[0] += w
            total[1] += w * w
            total[2] += w * e
            total[3] += w * (e * e)
            total[4] += w * (e * e) * (e * e)
            total[5] += w * size
            total[6] += w * a
            total[7] += w * (a * a)
            total[8] += w * b
            total[9] += w * (b * b)
            total[10] += w * (a * b)
            total[11] += w if y != 0.0 else 0.0
            total[12] += w * relative
            total[13] += w * (relative * relative)
            total[14] += w * symmetric
            total[15] += w * (symmetric * symmetric)


@compiled
def _binned(values, valid, limits, found):
    """Compared with every limit in turn: with so few of them quicker than halving, as it has no branches."""
    missing = np.uint8(limits.size + 1)
    for start in range(0, values.size, BLOCK):
        stop = min(start + BLOCK, values.size)
        block, bins = values[start:stop], found[start:stop]
        for i in range(block.size):
            bins[i] = 0
        for limit in limits:
            for i in range(block.size):
                bins[i] += np.uint8(1 if np.float64(block[i]) >= limit else 0)
        for i in range(block.size):
            bins[i] = bins[i] if block[i] == block[i] else missing
    for i in range(valid.size):
        found[i] = found[i] if valid[i] else missing


@compiled
def _losses(codes, starts, loss, weights, offsets, places, n, sums, mass):
    """A block of rows goes through one table after the other, each small enough for the first-level cache."""
    columns = codes.shape[0]
    for s in range(offsets.size - 1):
        counts, totals, held = n[places[s]], sums[places[s]], mass[places[s]]
        for start in range(offsets[s], offsets[s + 1], BLOCK):
            stop = min(start + BLOCK, offsets[s + 1])
            part = loss[start:stop]
            w = weights[start:stop] if weights.size else weights
            table = columns
            for i in range(columns):
                left = codes[i, start:stop]
                _add_losses(left, left, 0, part, w, starts[i], counts, totals, held)
                for j in range(i + 1, columns):
                    size = starts[j + 1] - starts[j]
                    _add_losses(
                        left, codes[j, start:stop], size, part, w, starts[table], counts, totals, held
                    )
                    table += 1


@compiled
def _add_losses(left, right, size, loss, weights, first, n, sums, mass):
    """Add to the cells left · size + right, counted from ``first``."""
    size, first = np.uint64(size), np.uint64(first)
    if weights.size:
        for i in range(loss.size):
            cell = first + np.uint64(left[i]) * size + np.uint64(right[i])
            n[cell] += 1
            sums[cell, 0] += weights[i] * loss[i]
            sums[cell, 1] += weights[i] * (loss[i] * loss[i])
            mass[cell, 0] += weights[i]
            mass[cell, 1] += weights[i] * weights[i]
    else:
        for i in range(loss.size):
            cell = first + np.uint64(left[i]) * size + np.uint64(right[i])
            n[cell] += 1
            sums[cell, 0] += loss[i]
            sums[cell, 1] += loss[i] * loss[i]


@compiled
def _confidences(
    values,
    kind,
    actual,
    predicted,
    classes,
    weights,
    offsets,
    places,
    limits,
    first,
    linear,
    origin,
    scale,
    shift,
    base,
    stride,
    deep,
    least,
    counts,
    mass,
    sums,
    outside,
    missing,
    outcomes,
    weighed,
    losses,
):
    numbers = np.empty(BLOCK)
    pieces = np.empty(BLOCK, np.uint16)
    cells = np.empty(BLOCK, np.uint16)
    for s in range(offsets.size - 1):
        place = places[s]
        for start in range(offsets[s], offsets[s + 1], BLOCK):
            stop = min(start + BLOCK, offsets[s + 1])
            what = kind[start:stop]
            for i in range(what.size):
                if what[i] == 1:
                    missing[place, 0] += 1
                elif what[i] > 1:
                    outside[place, what[i] - 2] += 1
                else:
                    w = weights[start + i] if weights.size else 1.0
                    sums[place, 0] += w
                    sums[place, 1] += w * w
            for q in range(3):
                block = values[q, start:stop]
                _pieces(block, first.size - 1, linear, origin, scale, shift, base, numbers, pieces)
                _cells(block, pieces, limits, first, stride, deep, cells)
                total, squares = 0.0, 0.0
                for i in range(block.size):
                    if what[i] == 0:
                        w = weights[start + i] if weights.size else 1.0
                        counts[place, q, cells[i]] += 1
                        total += w * block[i]
                        squares += w * (block[i] * block[i])
                        if weights.size:
                            mass[place, q, cells[i]] += w
                sums[place, 2 + 2 * q] += total
                sums[place, 3 + 2 * q] += squares
                for i in range(block.size if q == 0 else 0):
                    row = start + i
                    a, b = actual[row], predicted[row]
                    if what[i] == 0 and a <= classes:
                        w = weights[row] if weights.size else 1.0
                        p = values[4, row]
                        loss = -math.log(p if p > least else least)
                        brier = values[3, row] - 2.0 * p + 1.0
                        losses[place, 0] += w
                        losses[place, 1] += w * w
                        losses[place, 2] += w * loss
                        losses[place, 3] += w * (loss * loss)
                        losses[place, 4] += w * brier
                        losses[place, 5] += w * (brier * brier)
                        if b <= classes:
                            right = 1 if a == b and a < classes else 0
                            outcomes[place, right, cells[i]] += 1
                            weighed[place, right, cells[i]] += w
                            weighed[place, 2, cells[i]] += w * block[i]


def ready() -> None:
    """What the first call has to do: Numba gathers what it knows, which takes longer than small tables do."""
    _codes(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros((0, 0), np.int64))


def cache_folder() -> str:
    """Where the compiled functions are kept between starts."""
    return str(_numeric.stats.cache_path)
