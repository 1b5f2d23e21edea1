"""Numeric columns on the device: cells, moments and extremes in one pass, distinct values in a second.

One launch takes any number of columns of one type: a block counts one chunk of one column. The columns come as device
addresses, so none is moved or joined. A block keeps the column's guide table, its edges and its counters in shared
memory, reads sixteen bytes at a time with the next sixteen under way, and has no counter beside the cells: NaN and
null are cells too. Integers are added in any order; floats in a fixed one: by thread, by a tree over the threads,
by chunk, and chunks have a fixed size, so the same rows give the same numbers on every GPU.
"""

from __future__ import annotations

import math
from typing import Any

from gpumon.kernels import REGISTERS
from gpumon.kernels.cuda.toolchain import (
    THREADS,
    cuda,
    float32,
    float64,
    inline,
    int32,
    int64,
    kernel,
    uint16,
    uint32,
    uint64,
)
from gpumon.kernels.intrinsics import (
    bits_of_float32,
    bits_of_float64,
    float32_of_bits,
    float64_of_bits,
    int64_of_bits,
    load_8,
    load_16,
    load_32,
    load_64,
    load_vector,
    store_16,
    store_32,
)

__all__ = ["CHUNK", "EDGES", "LIMITS", "PIECES", "VARIANTS", "distinct_hashes", "is_valid", "merge", "mixed"]

CHUNK = 131_072
"""Rows that a block counts."""

PIECES = 8192
"""Pieces of a guide table: with the edges and the counters it takes 34 kB of shared memory, so six blocks fit."""

GOOD = 1.01  # edges in the piece of an edge: a value whose piece has several takes its whole warp through a search

EDGES = 2048
"""Edges of a column in one pass; a column with more takes several."""

SAMPLE = 1024  # rows at the start of a chunk whose mean is the centre of its sums
RAGGED = 16  # rows at most before the first and after the last sixteen bytes that are aligned

LIMITS = EDGES + 2
HALF = PIECES // 2
TABLE = PIECES + 1  # shapes of shared arrays must be names
CELLS = EDGES + 5
BITS = 12  # of a cell in the guide table; the others say how many edges the piece has, the highest number if more


@inline
def total(tree, t, x):
    """The sum of ``x`` over the threads of a block, always in the same order."""
    tree[t] = x
    cuda.syncthreads()
    other = THREADS // 2
    while other > 0:
        if t < other:
            tree[t] += tree[t + other]
        cuda.syncthreads()
        other >>= 1
    found = tree[0]
    cuda.syncthreads()
    return found


@inline
def largest(tree, t, x):
    """The largest ``x`` of the threads of a block."""
    tree[t] = x
    cuda.syncthreads()
    other = THREADS // 2
    while other > 0:
        if t < other and tree[t + other] > tree[t]:
            tree[t] = tree[t + other]
        cuda.syncthreads()
        other >>= 1
    found = tree[0]
    cuda.syncthreads()
    return found


@inline
def mixed(bits):
    """SplitMix64's step and finaliser."""
    bits = uint64(bits + uint64(0x9E3779B97F4A7C15))
    bits = uint64((bits ^ (bits >> uint64(30))) * uint64(0xBF58476D1CE4E5B9))
    bits = uint64((bits ^ (bits >> uint64(27))) * uint64(0x94D049BB133111EB))
    return uint64(bits ^ (bits >> uint64(31)))


@inline
def raise_register(bits, registers):
    """Raise the register of a hash to 1 + the leading zeros of its lower 52 bits, which are looked at by halves."""
    place = uint32(bits >> uint64(52))
    upper = int32(uint64(bits >> uint64(26)) & uint64(0x3FFFFFF))
    lower = int32(bits & uint64(0x3FFFFFF))
    rank = int32(cuda.clz(upper) - 5) if upper != 0 else int32(cuda.clz(lower) + 21)
    cuda.atomic.max(registers, place, rank)


@inline
def is_valid(mask, bit):
    """Bit ``bit`` of an Arrow validity mask; everything is there without one."""
    if mask == uint64(0):
        return True
    return (uint32(load_8(mask, bit >> 3)) >> uint32(bit & 7)) & uint32(1) != uint32(0)


@inline
def validity(mask, bit, last, count):
    """Bits ``bit`` … ``bit + count − 1`` of an Arrow mask whose last byte is ``last``, count ≤ 16."""
    if mask == uint64(0):
        return uint32(0xFFFF)
    byte = bit >> 3
    bits = uint32(load_8(mask, byte))
    bits = uint32(bits | uint32(uint32(load_8(mask, min(byte + 1, last))) << uint32(8)))
    if count > 8:
        bits = uint32(bits | uint32(uint32(load_8(mask, min(byte + 2, last))) << uint32(16)))
    return uint32(bits >> uint32(bit & 7))


def _variant(name: str, real: Any, size: int, load: Any, decode: Any) -> tuple[Any, Any]:
    """The kernels for values of ``size`` bytes that ``decode`` turns into ``real`` numbers."""
    half = 8 // size  # values in a word
    each = 16 // size  # in sixteen bytes
    width = 8 * size
    two_under_way = size >= 4  # a vector of narrow values keeps a thread busy, and its registers too
    high_bits = _high_of_float32 if real is float32 else _high_of_float64
    first_arrays = (int64[:, ::1], int64[:, ::1])  # sources, work

    @inline
    def piece_of(x, linear, origin, scale, shift, base):
        """As ``gpumon.kernels.lookup.pieces_of``: it must stay monotone, and equal to it for the limits."""
        shifted = real(x - origin)
        if linear:
            return uint32(min(real(PIECES - 1), max(real(0.0), real(shifted * scale))))  # NaN too becomes 0
        shifted = real(shifted + real(0.0))  # −0.0 is 0.0
        high = high_bits(shifted)
        step = int32(int32(uint32(uint32(high & uint32(0x7FFFFFFF)) >> uint32(shift))) - base)
        step = min(max(step, int32(0)), int32(HALF - 1))
        step = int32(step + int32(HALF)) if high < uint32(0x80000000) else int32(int32(HALF - 1) - step)
        return uint32(step)

    @inline
    def stepped(x, entry, limits):
        """The cell of a value whose piece has one edge or none. Where it has none, all threads read the same limit.

        Numba widens int32 + int32 to int64 and lets signed indices count from the end: hence the casts.
        """
        cell = uint32(entry & uint32((1 << BITS) - 1))
        crossed = entry >= uint32(1 << BITS)
        above = limits[cell if crossed else uint32(0)] <= x and crossed
        return uint32(cell + uint32(1)) if above else cell

    @inline
    def searched(x, cell, piece, limits, spans):
        """The cell of a value whose piece has several edges, by binary search from ``cell`` on."""
        stop = uint32(uint32(spans[uint32(piece + uint32(1))]) & uint32((1 << BITS) - 1))
        while cell < stop:
            middle = uint32(uint32(cell + stop) >> uint32(1))
            above = limits[middle] <= x
            stop = stop if above else middle
            cell = uint32(middle + uint32(1)) if above else cell
        return cell

    @inline
    def moved(x, centre, state):
        """The sums and extremes with one more value; NaN leaves them as they are."""
        deviations, squares, least, most = state
        near = x if abs(x) < real(math.inf) else centre
        deviation = float64(near) - float64(centre)
        return deviations + deviation, squares + deviation * deviation, min(least, x), max(most, x)

    @inline
    def add(x, there, row, cells, limits, spans, grid, centre, state, out):
        """Count one value, or a null. What differs is selected, not branched on, but for the search."""
        linear, origin, scale, shift, base, m = grid
        piece = piece_of(x, linear, origin, scale, shift, base)
        entry = uint32(spans[piece])
        cell = stepped(x, entry, limits)
        if entry >= uint32(2 << BITS):
            cell = searched(x, cell, piece, limits, spans)
        cell = cell if x == x and there else uint32(m + uint32(1))
        if out != uint64(0):
            store_16(out, row, uint16(cell))
        cuda.atomic.add(cells, cell if there else uint32(m + uint32(2)), 1)
        return moved(x if there else real(math.nan), centre, state)

    @inline
    def add_two(x, y, row, cells, limits, spans, grid, centre, state, out):
        """Count two values of a column without nulls; ``out`` (0: nowhere) takes both cells at once."""
        linear, origin, scale, shift, base, m = grid
        first = piece_of(x, linear, origin, scale, shift, base)
        second = piece_of(y, linear, origin, scale, shift, base)
        one, two = uint32(spans[first]), uint32(spans[second])
        here, beside = stepped(x, one, limits), stepped(y, two, limits)
        if max(one, two) >= uint32(2 << BITS):
            here = searched(x, here, first, limits, spans)
            beside = searched(y, beside, second, limits, spans)
        here = here if x == x else uint32(m + uint32(1))
        beside = beside if y == y else uint32(m + uint32(1))
        if out != uint64(0):
            both = uint32(here | uint32(beside << uint32(16)))
            store_32(uint64(out + uint64(2) * uint64(row)), int64(0), both)
        cuda.atomic.add(cells, here, 1)
        cuda.atomic.add(cells, beside, 1)
        return moved(y, centre, moved(x, centre, state))

    @inline
    def add_vector(now, row, cells, limits, spans, grid, centre, state, out):
        """Count the values of sixteen bytes of a column without nulls, two by two."""
        if size == 8:
            return add_two(
                decode(now[0]), decode(now[1]), row, cells, limits, spans, grid, centre, state, out
            )
        for k in range(half // 2):
            x, y = decode(now[0] >> uint64(2 * width * k)), decode(now[0] >> uint64(width * (2 * k + 1)))
            state = add_two(x, y, row + 2 * k, cells, limits, spans, grid, centre, state, out)
        for k in range(half // 2):
            x, y = decode(now[1] >> uint64(2 * width * k)), decode(now[1] >> uint64(width * (2 * k + 1)))
            state = add_two(x, y, row + half + 2 * k, cells, limits, spans, grid, centre, state, out)
        return state

    @kernel(
        f"count {name}",
        (
            *first_arrays,
            real[:, ::1],
            uint16[:, ::1],
            real[:, ::1],
            int32[:, ::1],
            int64[:, :, ::1],
            float64[:, :, ::1],
        ),
    )
    def count(sources, work, all_limits, all_spans, scales, grids, counts, parts):
        """Add the cells of a chunk to ``counts`` and write its moments and extremes to ``parts``.

        Blocks (items of work, columns). ``sources`` (columns, 4): address of the values and of the validity mask, its
        first bit, and where the cells of the values are to be written (0: nowhere); ``work`` (items, 3): first row,
        the row after the last, slice; ``all_limits`` (columns, LIMITS), ``all_spans`` (columns, PIECES + 1): the first
        cell of every piece and how many edges it has (BITS); ``scales`` (columns, 2): origin and scale of the grid,
        ``grids`` (columns, 4): whether it is linear, shift, base, number of limits; ``counts`` (slices, columns, cells),
        ``parts`` (items, columns, 6): finite values, centre, sums of deviations and of their squares, extremes.
        """
        limits = cuda.shared.array(LIMITS, real)
        spans = cuda.shared.array(TABLE, uint16)
        cells = cuda.shared.array(CELLS, int32)
        tree = cuda.shared.array(THREADS, float64)
        t = int32(cuda.threadIdx.x)
        item = cuda.blockIdx.x
        column = cuda.blockIdx.y
        m = grids[column, 3]
        i = t
        while i < m + 3:
            if i < m:
                limits[i] = all_limits[column, i]
            cells[i] = 0
            i = int32(i + THREADS)
        i = t
        while i <= PIECES:
            spans[i] = all_spans[column, i]
            i = int32(i + THREADS)
        start = work[item, 0]
        n = int32(work[item, 1] - start)
        values = uint64(uint64(sources[column, 0]) + uint64(start) * uint64(size))
        mask = uint64(sources[column, 1])
        bit = sources[column, 2] + start
        last = (bit + n - 1) >> 3
        grid = (
            grids[column, 0] != 0,
            scales[column, 0],
            scales[column, 1],
            grids[column, 1],
            grids[column, 2],
            uint32(m),
        )
        out = uint64(sources[column, 3])
        out = out + uint64(start) * uint64(2) if out != uint64(0) else out

        near = float64(0.0)
        finite = int32(0)
        i = t
        while i < min(n, int32(SAMPLE)):
            x = decode(uint64(load(values, int64(i))))
            if is_valid(mask, bit + i) and abs(x) < real(math.inf):
                near += float64(x) * float64(1.0 / SAMPLE)  # a sum of the largest floats stays finite
                finite = int32(finite + int32(1))
            i = int32(i + THREADS)
        near = total(tree, t, near)
        known = total(tree, t, float64(finite))
        centre = real(near * (float64(SAMPLE) / known)) if known > 0 else real(0.0)
        centre = centre if abs(centre) < real(math.inf) else real(0.0)

        state = (float64(0.0), float64(0.0), real(math.inf), real(-math.inf))
        head = min(n, int32((uint64(16) - (values & uint64(15))) & uint64(15)) // int32(size))
        # both cells of two values are written at once: where they begin must be even
        plain = mask == uint64(0) and (out + uint64(2 * head)) & uint64(3) == uint64(0)
        vectors = int32((n - head) // int32(each))
        body = uint64(values + uint64(head) * uint64(size))
        i = t
        if i < vectors:
            ahead = load_vector(body, int64(i))
            while i < vectors:
                now = ahead
                if two_under_way:
                    ahead = load_vector(body, int64(min(int32(i + THREADS), int32(vectors - 1))))
                else:
                    now = load_vector(body, int64(i))
                row = int64(head) + int64(i) * each
                if plain:
                    state = add_vector(now, row, cells, limits, spans, grid, centre, state, out)
                else:
                    bits = validity(mask, bit + head + int64(i) * each, last, each)
                    for k in range(half):
                        x = decode(now[0] >> uint64(width * k))
                        there = uint32(uint32(bits >> uint32(k)) & uint32(1)) != uint32(0)
                        state = add(x, there, row + k, cells, limits, spans, grid, centre, state, out)
                    for k in range(half):
                        x = decode(now[1] >> uint64(width * k))
                        there = uint32(uint32(bits >> uint32(half + k)) & uint32(1)) != uint32(0)
                        state = add(x, there, row + half + k, cells, limits, spans, grid, centre, state, out)
                i = int32(i + THREADS)
        row = t if t < head else int32(head + vectors * int32(each) + t - int32(RAGGED))
        if t < head or (t >= int32(RAGGED) and row < n):
            x = decode(uint64(load(values, int64(row))))
            there = is_valid(mask, bit + row)
            state = add(x, there, int64(row), cells, limits, spans, grid, centre, state, out)

        deviations = total(tree, t, state[0])
        squares = total(tree, t, state[1])
        least = -largest(tree, t, -float64(state[2]))
        most = largest(tree, t, float64(state[3]))
        if t == 0:
            parts[item, column, 0] = n - cells[0] - cells[m] - cells[m + 1] - cells[m + 2]
            parts[item, column, 1] = float64(centre)
            parts[item, column, 2] = deviations
            parts[item, column, 3] = squares
            parts[item, column, 4] = least
            parts[item, column, 5] = most
        i = t
        while i < m + 3:
            if cells[i] != 0:
                cuda.atomic.add(counts, (work[item, 2], column, i), int64(cells[i]))
            i = int32(i + THREADS)

    @inline
    def note(x, there, last, registers):
        """Raise the register of a value, unless it is the one that this thread has just seen."""
        bits = bits_of_float64(float64(x) + float64(0.0))  # −0.0 is 0.0, and 5 is 5.0
        if there and x == x and bits != last:
            raise_register(mixed(bits), registers)
            last = bits
        return last

    @kernel(f"distinct {name}", (*first_arrays, int32[:, :, ::1]))
    def distinct(sources, work, registers):
        """Raise ``registers`` (slices, columns, REGISTERS) by the values of a chunk. Blocks as for ``count``."""
        own = cuda.shared.array(REGISTERS, int32)
        t = int32(cuda.threadIdx.x)
        item = cuda.blockIdx.x
        column = cuda.blockIdx.y
        i = t
        while i < REGISTERS:
            own[i] = 0
            i = int32(i + THREADS)
        cuda.syncthreads()
        start = work[item, 0]
        n = int32(work[item, 1] - start)
        values = uint64(uint64(sources[column, 0]) + uint64(start) * uint64(size))
        mask = uint64(sources[column, 1])
        bit = sources[column, 2] + start
        last = (bit + n - 1) >> 3
        head = min(n, int32((uint64(16) - (values & uint64(15))) & uint64(15)) // int32(size))
        vectors = int32((n - head) // int32(each))
        body = uint64(values + uint64(head) * uint64(size))
        seen = uint64(0xFFFFFFFFFFFFFFFF)  # a NaN
        i = t
        while i < vectors:
            now = load_vector(body, int64(i))
            bits = validity(mask, bit + head + int64(i) * each, last, each)
            for k in range(half):
                there = uint32(uint32(bits >> uint32(k)) & uint32(1)) != uint32(0)
                seen = note(decode(now[0] >> uint64(width * k)), there, seen, own)
            for k in range(half):
                there = uint32(uint32(bits >> uint32(half + k)) & uint32(1)) != uint32(0)
                seen = note(decode(now[1] >> uint64(width * k)), there, seen, own)
            i = int32(i + THREADS)
        row = t if t < head else int32(head + vectors * int32(each) + t - int32(RAGGED))
        if t < head or (t >= int32(RAGGED) and row < n):
            note(decode(uint64(load(values, int64(row)))), is_valid(mask, bit + row), seen, own)
        cuda.syncthreads()
        i = t
        while i < REGISTERS:
            if own[i] != 0:
                cuda.atomic.max(registers, (work[item, 2], column, i), own[i])
            i = int32(i + THREADS)

    return count, distinct


@inline
def _high_of_float32(x):
    return bits_of_float32(x)


@inline
def _high_of_float64(x):
    return uint32(bits_of_float64(x) >> uint64(32))


@inline
def of_float32(word):
    return float32_of_bits(uint32(word & uint64(0xFFFFFFFF)))


@inline
def of_float64(word):
    return float64_of_bits(word)


@inline
def of_uint8(word):
    return float32(int32(word & uint64(0xFF)))


@inline
def of_int8(word):
    return float32(int32((int32(word & uint64(0xFF)) ^ int32(0x80)) - int32(0x80)))


@inline
def of_uint16(word):
    return float32(int32(word & uint64(0xFFFF)))


@inline
def of_int16(word):
    return float32(int32((int32(word & uint64(0xFFFF)) ^ int32(0x8000)) - int32(0x8000)))


@inline
def of_uint32(word):
    return float64(int64(word & uint64(0xFFFFFFFF)))


@inline
def of_int32(word):
    return float64((int64(word & uint64(0xFFFFFFFF)) ^ int64(0x80000000)) - int64(0x80000000))


@inline
def of_uint64(word):
    return float64(word)


@inline
def of_int64(word):
    return float64(int64_of_bits(word))


VARIANTS: dict[str, tuple[str, Any, Any]] = {
    name: ("float32" if real is float32 else "float64", *_variant(name, real, size, load, decode))
    for name, real, size, load, decode in (
        ("float32", float32, 4, load_32, of_float32),
        ("float64", float64, 8, load_64, of_float64),
        ("int8", float32, 1, load_8, of_int8),
        ("int16", float32, 2, load_16, of_int16),
        ("int32", float64, 4, load_32, of_int32),
        ("int64", float64, 8, load_64, of_int64),
        ("uint8", float32, 1, load_8, of_uint8),
        ("uint16", float32, 2, load_16, of_uint16),
        ("uint32", float64, 4, load_32, of_uint32),
        ("uint64", float64, 8, load_64, of_uint64),
    )
}
"""For each type of values: that of the arithmetic in which they are exact, and the two kernels.

Integers of up to 16 bits are exact in float32, which is faster; those of 64 bits become the nearest float64.
"""


@inline
def merged(n, mean, m2, k, other, squares):
    """Chan's update: the moments of two sets as those of one."""
    after = n + k
    delta = other - mean
    both = mean + delta * (k / after) if k > 0 else mean
    m2 += squares
    m2 += delta * delta * (n * (k / after)) if n > 0 and k > 0 else float64(0.0)
    return after, (both if n > 0 else other), m2


@kernel("merge", (float64[:, :, ::1], int64[::1], float64[:, :, ::1], float64[:, :, ::1]))
def merge(parts, items, moments, extremes):
    """Merge the parts of every column and slice in the order of the rows; blocks (slices · columns,).

    A thread merges neighbouring parts, a tree those of the threads. ``items`` (slices + 1,): slice s has the parts
    items[s] … items[s + 1] − 1; ``moments`` (slices, columns, 3), ``extremes`` (slices, columns, 2).
    """
    ns = cuda.shared.array(THREADS, float64)
    means = cuda.shared.array(THREADS, float64)
    sums = cuda.shared.array(THREADS, float64)
    lows = cuda.shared.array(THREADS, float64)
    highs = cuda.shared.array(THREADS, float64)
    t = int32(cuda.threadIdx.x)
    columns = int64(parts.shape[1])
    s = int64(cuda.blockIdx.x) // columns
    column = int64(cuda.blockIdx.x) % columns
    n = float64(0.0)
    mean = float64(0.0)
    m2 = float64(0.0)
    least = float64(math.inf)
    most = float64(-math.inf)
    given = items[s + 1] - items[s]
    each = (given + THREADS - 1) // THREADS
    i = items[s] + min(t * each, given)
    stop = items[s] + min((t + 1) * each, given)
    while i < stop:
        k = parts[i, column, 0]
        if k > 0:
            shift = parts[i, column, 2] / k
            squares = parts[i, column, 3]
            if squares < math.inf:  # else they are beyond the largest float, whatever their mean
                squares -= parts[i, column, 2] * shift
            squares = squares if squares > 0 else float64(0.0)
            n, mean, m2 = merged(n, mean, m2, k, parts[i, column, 1] + shift, squares)
        least = min(least, parts[i, column, 4])
        most = max(most, parts[i, column, 5])
        i += 1
    ns[t], means[t], sums[t], lows[t], highs[t] = n, mean, m2, least, most
    cuda.syncthreads()
    step = int32(1)
    while step < int32(THREADS):
        if t % int32(2 * step) == 0 and ns[t + step] + ns[t] > 0:
            ns[t], means[t], sums[t] = merged(
                ns[t], means[t], sums[t], ns[t + step], means[t + step], sums[t + step]
            )
        if t % int32(2 * step) == 0:
            lows[t] = min(lows[t], lows[t + step])
            highs[t] = max(highs[t], highs[t + step])
        cuda.syncthreads()
        step = int32(step * int32(2))
    if t == 0:
        moments[s, column, 0] = ns[0]
        moments[s, column, 1] = means[0]
        moments[s, column, 2] = sums[0]
        extremes[s, column, 0] = lows[0] + float64(0.0)  # −0.0 is 0.0
        extremes[s, column, 1] = highs[0] + float64(0.0)


@kernel("distinct hashes", (uint64[::1], int64[:, ::1], int32[:, ::1]))
def distinct_hashes(hashes, work, registers):
    """Raise ``registers`` (slices, REGISTERS) by the hashes of a chunk. Blocks: items of ``work``."""
    own = cuda.shared.array(REGISTERS, int32)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    i = t
    while i < REGISTERS:
        own[i] = 0
        i = int32(i + THREADS)
    cuda.syncthreads()
    row = work[item, 0] + t
    while row < work[item, 1]:
        raise_register(hashes[row], own)
        row += THREADS
    cuda.syncthreads()
    i = t
    while i < REGISTERS:
        if own[i] != 0:
            cuda.atomic.max(registers, (work[item, 2], i), own[i])
        i = int32(i + THREADS)
