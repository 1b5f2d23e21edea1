"""Predictions and labels on the device: classes of numbers, cells of scores and of residuals, and sums by cell.

Counts need no order: a kernel writes the code of every row, and ``count_codes`` counts these. Sums of floats do: rows
are sorted by code, stably, so those of one code stand together and in the order of the rows. A block adds up a chunk
of them, a thread the chunks of a code, both in a fixed order: the same rows give the same sums on every GPU, however many codes there are.
"""

from __future__ import annotations

import math

from gpumon.kernels import LEAST_PROBABILITY
from gpumon.kernels.cuda.numbers import is_valid, of_float64
from gpumon.kernels.cuda.pairs import number
from gpumon.kernels.cuda.toolchain import THREADS, cuda, float64, inline, int32, int64, kernel, uint32, uint64
from gpumon.kernels.intrinsics import load_64

__all__ = [
    "CHUNK",
    "GONE",
    "LABELS",
    "OF_EXTREMES",
    "OF_RESIDUALS",
    "OF_SCORES",
    "OF_WEIGHTS",
    "add_sums",
    "classes",
    "residual_cells",
    "score_cells",
    "sum_residuals",
    "sum_scores",
    "sum_weights",
]

CHUNK = 16_384
"""Rows of one code that a block adds up. They are scattered, so a block waits for each: many blocks hide that."""

LABELS = 3  # negative, positive, none
GONE = 3  # residuals that are none: without a label, a prediction, both
OF_EXTREMES = 4
OF_WEIGHTS, OF_SCORES, OF_RESIDUALS = 2, 9, 16
"""Sums of a code: w, w²; those of ``ScoreCounts`` (mass, probability, errors); ``ResidualCounts.sums``."""

TREE_OF_WEIGHTS = OF_WEIGHTS * THREADS  # shapes of shared arrays must be names
TREE_OF_EXTREMES = OF_EXTREMES * THREADS
TREE_OF_SCORES = OF_SCORES * THREADS
TREE_OF_RESIDUALS = OF_RESIDUALS * THREADS

SOURCE, WORK, FLOATS, CODES = int64[::1], int64[:, ::1], float64[::1], int32[::1]


@inline
def first_not_below(numbers, x):
    """How many of increasing numbers, NaN last, are less than ``x``."""
    low = int64(0)
    high = int64(numbers.size)
    while low < high:
        middle = (low + high) >> 1
        below = numbers[middle] < x
        low = middle + 1 if below else low
        high = high if below else middle
    return low


@inline
def cell_of(x, limits):
    """How many limits are not above ``x``: the cell of a number that is not NaN."""
    low = int64(0)
    high = int64(limits.size)
    while low < high:
        middle = (low + high) >> 1
        above = limits[middle] <= x
        low = middle + 1 if above else low
        high = high if above else middle
    return low


@inline
def weight(weights, row):
    """The weight of a row from the address of them all: 1 if that is 0."""
    return of_float64(load_64(weights, row)) if weights != uint64(0) else float64(1.0)


@inline
def clear(tree, t, count):
    """Begin ``count`` sums of every thread: sum k of thread t stands at k · THREADS + t."""
    for k in range(count):
        tree[k * THREADS + t] = float64(0.0)


@inline
def finish(tree, t, count, parts, item):
    """Add up the sums of the threads, always in the same order, and write them to ``parts`` (items, count).

    What waits for a block must stand in the module of its kernels: in the simulator no other knows how.
    """
    cuda.syncthreads()
    other = THREADS // 2
    while other > 0:
        if t < other:
            for k in range(count):
                tree[k * THREADS + t] += tree[k * THREADS + t + other]
        cuda.syncthreads()
        other >>= 1
    if t < count:
        parts[item, t] = tree[t * THREADS]


@inline
def finish_largest(tree, t, count, found, item):
    """As ``finish``, with the largest numbers of the threads."""
    cuda.syncthreads()
    other = THREADS // 2
    while other > 0:
        if t < other:
            for k in range(count):
                tree[k * THREADS + t] = max(tree[k * THREADS + t], tree[k * THREADS + t + other])
        cuda.syncthreads()
        other >>= 1
    if t < count:
        found[item, t] = tree[t * THREADS]


@kernel("classes", (SOURCE, FLOATS, CODES))
def classes(source, known, found):
    """The place of every value in ``known`` (k,), k where it is none of them, k + 1 where missing; a thread for each.

    ``source`` (4,): address of the values and of the validity mask, its first bit, kind of the values.
    """
    i = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    if i < found.size:
        k = int64(known.size)
        x = number(uint64(source[0]), i, source[3])
        place = first_not_below(known, x)
        if place < k and known[place] != x:
            place = k
        there = is_valid(uint64(source[1]), source[2] + i) and x == x
        found[i] = int32(place if there else k + 1)


@kernel("score cells", (SOURCE, CODES, FLOATS, WORK, CODES, int64[:, ::1]))
def score_cells(source, labels, limits, work, codes, outside):
    """Write label · cells + cell of the scores of a chunk, and count in ``outside`` (slices, LABELS) those beyond [0, 1].

    Blocks: items of ``work``. ``source`` as for ``classes``; ``limits`` (m + 2,), so there are m + 5 cells.
    """
    own = cuda.shared.array(LABELS, int32)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    if t < LABELS:
        own[t] = 0
    cuda.syncthreads()
    m = int64(limits.size)
    row = work[item, 0] + t
    while row < work[item, 1]:
        p = number(uint64(source[0]), row, source[3])
        label = labels[row]
        cell = m + 2
        if is_valid(uint64(source[1]), source[2] + row):
            cell = m + 1
            if abs(p) < math.inf:
                cell = cell_of(p, limits)
                if p < 0 or p > 1:
                    cuda.atomic.add(own, uint32(label), 1)
        codes[row] = int32(label * (m + 3) + cell)
        row += THREADS
    cuda.syncthreads()
    if t < LABELS and own[t] != 0:
        cuda.atomic.add(outside, (work[item, 2], t), int64(own[t]))


@kernel("residual cells", (FLOATS, FLOATS, FLOATS, FLOATS, FLOATS, WORK, int32[:, ::1], float64[:, ::1]))
def residual_cells(target, prediction, edges, sizes, steps, work, codes, extremes):
    """Write the cells of a chunk's residuals, their sizes and predictions to ``codes`` (3, rows).

    Where a label, a prediction or both are missing, the first two are −1 and the third is beyond the cells: the first,
    second or third there. ``extremes`` (items, 4): the largest of −e, e, −|e|, |e|, −inf where there is none. Blocks:
    items of ``work``; ``edges``, ``sizes``, ``steps`` are limits.
    """
    tree = cuda.shared.array(TREE_OF_EXTREMES, float64)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    least = float64(math.inf)
    most = float64(-math.inf)
    smallest = float64(math.inf)
    greatest = float64(-math.inf)
    row = work[item, 0] + t
    while row < work[item, 1]:
        y = target[row]
        p = prediction[row]
        known = abs(y) < math.inf
        told = abs(p) < math.inf
        if known and told:
            e = p - y + float64(0.0)  # −0.0 is 0.0
            size = abs(e)
            codes[0, row] = int32(cell_of(e, edges))
            codes[1, row] = int32(cell_of(size, sizes))
            codes[2, row] = int32(cell_of(p, steps))
            least = min(least, e)
            most = max(most, e)
            smallest = min(smallest, size)
            greatest = max(greatest, size)
        else:
            codes[0, row] = -1
            codes[1, row] = -1
            codes[2, row] = int32(steps.size + 3 + (0 if told else 1 if known else 2))
        row += THREADS
    tree[t] = -least
    tree[THREADS + t] = most
    tree[2 * THREADS + t] = -smallest
    tree[3 * THREADS + t] = greatest
    finish_largest(tree, t, OF_EXTREMES, extremes, item)


@kernel("sum weights", (int64[::1], WORK, float64[:, ::1], int64))
def sum_weights(order, work, parts, weights):
    """Write w and w² of a chunk of ``order`` (rows, sorted by code) to ``parts`` (items, 2). Blocks: items of ``work``.

    ``weights`` is an address.
    """
    tree = cuda.shared.array(TREE_OF_WEIGHTS, float64)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    clear(tree, t, OF_WEIGHTS)
    i = work[item, 0] + t
    while i < work[item, 1]:
        w = weight(uint64(weights), order[i])
        tree[t] += w
        tree[THREADS + t] += w * w
        i += THREADS
    finish(tree, t, OF_WEIGHTS, parts, item)


@kernel("sum scores", (int64[::1], WORK, float64[:, ::1], int64, SOURCE, CODES))
def sum_scores(order, work, parts, weights, source, labels):
    """As ``sum_weights``, with the sums of ``ScoreCounts``: w, w p, and of errors and losses, (items, 9).

    A score that is missing or infinite has a weight and nothing else. ``source`` as for ``classes``.
    """
    tree = cuda.shared.array(TREE_OF_SCORES, float64)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    clear(tree, t, OF_SCORES)
    i = work[item, 0] + t
    while i < work[item, 1]:
        row = order[i]
        w = weight(uint64(weights), row)
        p = number(uint64(source[0]), row, source[3])
        tree[t] += w
        if is_valid(uint64(source[1]), source[2] + row) and abs(p) < math.inf:
            label = labels[row]
            right = p if label == 1 else float64(1.0) - p
            right = min(max(right, float64(LEAST_PROBABILITY)), float64(1.0))
            loss = float64(0.0) if label == 2 else -math.log(right)
            e = float64(1.0) - p if label == 1 else p
            square = e * e
            tree[THREADS + t] += w * p
            tree[2 * THREADS + t] += w * e
            tree[3 * THREADS + t] += w * square
            tree[4 * THREADS + t] += w * (square * e)
            tree[5 * THREADS + t] += w * (square * square)
            tree[6 * THREADS + t] += w * loss
            tree[7 * THREADS + t] += w * (loss * loss)
            tree[8 * THREADS + t] += w * w
        i += THREADS
    finish(tree, t, OF_SCORES, parts, item)


@kernel("sum residuals", (int64[::1], WORK, float64[:, ::1], int64, FLOATS, FLOATS, float64), blocks=2)
def sum_residuals(order, work, parts, weights, target, prediction, centre):
    """As ``sum_weights``, with the sums of ``ResidualCounts``: (items, 16). A missing residual adds nothing."""
    tree = cuda.shared.array(TREE_OF_RESIDUALS, float64)
    t = int32(cuda.threadIdx.x)
    item = cuda.blockIdx.x
    clear(tree, t, OF_RESIDUALS)
    i = work[item, 0] + t
    while i < work[item, 1]:
        row = order[i]
        y = target[row]
        p = prediction[row]
        if abs(y) < math.inf and abs(p) < math.inf:
            w = weight(uint64(weights), row)
            e = p - y
            size = abs(e)
            square = e * e
            a = y - centre
            b = p - centre
            whole = abs(y) + abs(p)
            relative = size / abs(y) if y != 0 else float64(0.0)
            symmetric = float64(2.0) * (size / whole) if whole > 0 else float64(0.0)
            tree[t] += w
            tree[THREADS + t] += w * w
            tree[2 * THREADS + t] += w * e
            tree[3 * THREADS + t] += w * square
            tree[4 * THREADS + t] += w * square * square
            tree[5 * THREADS + t] += w * size
            tree[6 * THREADS + t] += w * a
            tree[7 * THREADS + t] += w * (a * a)
            tree[8 * THREADS + t] += w * b
            tree[9 * THREADS + t] += w * (b * b)
            tree[10 * THREADS + t] += w * (a * b)
            tree[11 * THREADS + t] += w if y != 0 else float64(0.0)
            tree[12 * THREADS + t] += w * relative
            tree[13 * THREADS + t] += w * (relative * relative)
            tree[14 * THREADS + t] += w * symmetric
            tree[15 * THREADS + t] += w * (symmetric * symmetric)
        i += THREADS
    finish(tree, t, OF_RESIDUALS, parts, item)


@kernel("add sums", (float64[:, ::1], int64[::1], float64[:, ::1]))
def add_sums(parts, ends, sums):
    """Add up ``parts`` (items, k) in their order: row r of ``sums`` (rows, k) is that of parts ends[r] … ends[r + 1] − 1.

    A thread for each sum.
    """
    place = int64(cuda.blockIdx.x) * int64(cuda.blockDim.x) + int64(cuda.threadIdx.x)
    k = parts.shape[1]
    if place < k * (ends.size - 1):
        row = place // k
        column = place % k
        total = float64(0.0)
        i = ends[row]
        while i < ends[row + 1]:
            total += parts[i, column]
            i += 1
        sums[row, column] = total
