"""The kernels for NVIDIA GPUs: Numba CUDA and CuPy, the twin of :mod:`gpumon.kernels.cpu`.

Arrays may be in the memory of the host (they are copied to the device) or of the device (CuPy's, or any with
``__cuda_array_interface__``; they are read where they are). Results come back as NumPy arrays. All work goes to the
default stream of the current device, so calls from several threads queue there.

    __init__.py     the functions of a backend: what goes to the device, what comes back
    numbers.py      numeric columns            categories.py    codes and strings
    pairs.py        pairs of columns           predictions.py   predictions and labels
    toolchain.py    the compiler, and the arrays of the device
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpumon.kernels import REGISTERS, Bitmask, Comoments, NumericCounts
from gpumon.kernels.cuda import categories, numbers, pairs, predictions
from gpumon.kernels.cuda.toolchain import THREADS, address, arrays, device, stream, to_device, to_host
from gpumon.kernels.expected_losses import coded
from gpumon.kernels.forest import walked
from gpumon.kernels.lookup import guide as guide_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.kernels import ConfusionCounts, NumericColumn, ResidualCounts, ScoreCounts
    from gpumon.kernels.cuda.toolchain import Kernel
    from gpumon.kernels.expected_losses import Forest
    from gpumon.kernels.lookup import Dictionary, Guide

__all__ = [
    "DEVICE",
    "NAME",
    "classes",
    "codes",
    "comoments",
    "confusion",
    "device",
    "distinct",
    "expected",
    "find_strings",
    "hash_strings",
    "numeric",
    "ordered",
    "rank_comoments",
    "residuals",
    "scored",
]

NAME = "cuda"
DEVICE = True

MOST_COLUMNS = 65_535  # of a launch: the second axis of a grid

SUMS_AT_ONCE = 2**25
"""Sums of products that are in memory at once: 256 MiB."""


def numeric(
    columns: Sequence[NumericColumn],
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    cells: bool = False,
) -> list[NDArray[np.uint16]]:
    """Count numeric columns, all of one type in one launch; see :class:`gpumon.kernels.Kernels`."""
    by_type: dict[str, list[int]] = {}
    found: list[Any] = [None] * len(columns)
    with stream():
        held = [(_values(column.values), _mask(column.valid)) for column in columns]
        for i, (values, _) in enumerate(held):
            by_type.setdefault(_name(values.dtype), []).append(i)
        for name, of_type in by_type.items():
            for some in _groups(of_type):
                guides = tuple(columns[i].guide for i in some)
                counts, written = _of_one_type(name, [held[i] for i in some], offsets, guides, cells=cells)
                _add([columns[i].into for i in some], places, counts)
                for i, cells_of_one in zip(some, written, strict=True):
                    found[i] = cells_of_one
    return found if cells else []


def codes(codes: NDArray[np.int32], offsets: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Count codes; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        return _counted(to_device(codes), offsets, size)


def hash_strings(data: NDArray[np.uint8], ends: NDArray[Any]) -> NDArray[np.uint64]:
    """Hash strings; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        hashes = arrays().zeros(ends.size - 1, np.uint64)
        grid = (_blocks(hashes.size),)
        categories.hash_strings.launch(grid, _bytes(data), _ends(ends), hashes)
        return to_host(hashes)


def find_strings(
    data: NDArray[np.uint8], ends: NDArray[Any], hashes: NDArray[np.uint64], vocabulary: Dictionary
) -> NDArray[np.int32]:
    """Find strings in a vocabulary; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        found = arrays().zeros(hashes.size, np.int32)
        categories.find_strings.launch(
            (_blocks(hashes.size),),
            _bytes(data),
            _ends(ends),
            to_device(hashes),
            *_vocabulary(vocabulary),
            found,
        )
        return to_host(found)


def distinct(hashes: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """HyperLogLog registers; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        registers = arrays().zeros((offsets.size - 1, REGISTERS), np.int32)
        work, _ = _work(offsets)
        numbers.distinct_hashes.launch((len(work),), to_device(hashes), to_device(work), registers)
        return to_host(registers.astype(np.uint8))


def ordered(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, offsets: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Sort values, by CuPy's radix sort; see :class:`gpumon.kernels.Kernels`."""
    xp = arrays()
    with stream():
        x, mask = _values(values).astype(np.float64), _mask(valid)
        there = ~xp.isnan(x)
        if mask is not None:
            there &= xp.unpackbits(mask.bits, bitorder="little")[mask.offset :][: x.size].astype(np.bool_)
        parts = ((x[start:stop], there[start:stop]) for start, stop in pairwise(offsets.tolist()))
        return [to_host(xp.sort(part[kept])) for part, kept in parts]


def comoments(
    columns: Sequence[tuple[NDArray[Any], NDArray[np.bool_] | None]],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> Comoments:
    """Co-moments of standardised columns; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        held = [(_values(values), _mask(valid)) for values, valid in columns]
        kinds = [pairs.KINDS[_name(values.dtype)] for values, _ in held]
        sources = np.array(
            [(*_source(v, m), kind) for (v, m), kind in zip(held, kinds, strict=True)], np.int64
        )
        standards = np.stack((centre, 1.0 / scale), axis=1)
        return _comoments(pairs.products_of_numbers, sources, standards, offsets)


def rank_comoments(
    cells: Sequence[NDArray[np.uint16]], tables: NDArray[np.float64], offsets: NDArray[np.int64]
) -> Comoments:
    """Co-moments of ranks; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        held = [to_device(each) for each in cells]
        sources = np.array([[address(each)] for each in held], np.int64)
        return _comoments(pairs.products_of_ranks, sources, tables, offsets)


def classes(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, known: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Places of numbers in a list; see :class:`gpumon.kernels.Kernels`."""
    with stream():
        held, mask = _values(values), _mask(valid)
        found = arrays().empty(held.size, np.int32)
        predictions.classes.launch((_blocks(found.size),), _column(held, mask), to_device(known), found)
        return to_host(found)


def confusion(
    actual: NDArray[np.int32],
    predicted: NDArray[np.int32],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: ConfusionCounts,
) -> None:
    """Count pairs of classes; see :class:`gpumon.kernels.Kernels`."""
    k = into.counts.shape[-1]
    with stream():
        codes = to_device(actual) * np.int32(k) + to_device(predicted)
        counts = _counted(codes, offsets, k * k)
        into.counts[places] += counts.reshape(-1, k, k)
        if weights is not None:
            sums = _sums(predictions.sum_weights, predictions.OF_WEIGHTS, codes, offsets, counts, weights)
            into.mass[places] += np.moveaxis(sums.reshape(-1, k, k, predictions.OF_WEIGHTS), -1, 1)


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
    xp = arrays()
    cells = into.counts.shape[-1]
    shape = offsets.size - 1, predictions.LABELS
    with stream():
        values, mask = _values(scores[0]), _mask(scores[1])
        source, label = _column(values, mask), to_device(labels)
        codes, outside = xp.empty(values.size, np.int32), xp.zeros(shape, np.int64)
        work, _ = _work(offsets)
        predictions.score_cells.launch(
            (len(work),), source, label, _limits(guide), to_device(work), codes, outside
        )
        counts = _counted(codes, offsets, predictions.LABELS * cells)
        given = weights, source, label
        sums = _sums(predictions.sum_scores, predictions.OF_SCORES, codes, offsets, counts, *given)
        by_cell = sums.reshape(*shape, cells, predictions.OF_SCORES)
        into.counts[places] += counts.reshape(*shape, cells)
        into.probability[places] += by_cell[..., 1]
        if weights is not None:
            into.mass[places] += by_cell[..., 0]
        into.errors[places] += by_cell[..., 2:].sum(axis=2)
        into.outside[places] += to_host(outside)


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
    xp = arrays()
    steps = into.at_step.shape[-1]
    codes_of_steps = steps + predictions.GONE
    with stream():
        y, p = to_device(target), to_device(prediction)
        work, items = _work(offsets)
        codes = xp.empty((3, y.size), np.int32)
        extremes = xp.empty((len(work), predictions.OF_EXTREMES), np.float64)
        limits = [_limits(guide) for guide in guides]
        predictions.residual_cells.launch((len(work),), y, p, *limits, to_device(work), codes, extremes)
        into.counts[places] += _counted(codes[0], offsets, into.counts.shape[-1])
        into.absolute[places] += _counted(codes[1], offsets, into.absolute.shape[-1])
        counts = _counted(codes[2], offsets, codes_of_steps)
        into.at_step[places] += counts[:, :steps]
        into.missing[places] += counts[:, steps:]
        given = weights, y, p, np.float64(centre)
        sums = _sums(predictions.sum_residuals, predictions.OF_RESIDUALS, codes[2], offsets, counts, *given)
        by_step = sums.reshape(-1, codes_of_steps, predictions.OF_RESIDUALS)[:, :steps]
        with np.errstate(over="ignore", invalid="ignore"):
            into.sums[places] += by_step.sum(axis=1)
            into.errors[places] += by_step[..., [0, 2, 3, 5]]
        found = to_host(extremes).reshape(-1, 2, 2)
        for place, (first, last) in zip(places.tolist(), pairwise(items.tolist()), strict=True):
            span, highest = into.extremes[place], found[first:last].max(axis=0, initial=-np.inf)
            span[:, 0] = np.minimum(span[:, 0], -highest[:, 0] + 0.0)  # −0.0 is 0.0
            span[:, 1] = np.maximum(span[:, 1], highest[:, 1])


def expected(
    cells: Sequence[Any], groups: Sequence[NDArray[np.int64]], forests: Sequence[Forest]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What forests expect of rows, found on the host; see :class:`gpumon.kernels.Kernels`."""
    here = [cell if isinstance(cell, np.ndarray) else to_host(cell) for cell in cells]
    codes, unsupported = coded(here, groups)
    return np.stack([walked(codes, forest) for forest in forests]), unsupported


def _counted(codes: Any, offsets: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How often each code of a device array stands in each slice: (slices, size)."""
    counts = arrays().zeros((offsets.size - 1, size), np.int64)
    work, _ = _work(offsets)
    if size:
        categories.count_codes.launch((len(work),), codes, to_device(work), np.int32(size), counts)
    return to_host(counts)


def _sums(
    kernel: Kernel,
    sums: int,
    codes: Any,
    offsets: NDArray[np.int64],
    counts: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    *given: Any,
) -> NDArray[np.float64]:
    """So many sums over the rows of each slice and code, by a kernel over sorted rows: (slices, codes, sums).

    ``counts`` (slices, codes) are those of ``codes``, every one of which is counted.
    """
    xp = arrays()
    first, last = int(offsets[0]), int(offsets[-1])
    whole = np.zeros((*counts.shape, sums))
    if first == last:
        return whole
    keys = codes[first:last]
    if len(counts) > 1:  # a row's slice is the number of slices that end before it or at it
        ends = to_device(offsets[1:])
        keys = keys + xp.searchsorted(ends, xp.arange(first, last), side="right") * counts.shape[1]
    order = xp.argsort(keys, kind="stable")
    if first:
        order += first
    work, items = _work(np.concatenate(([0], np.cumsum(counts[counts > 0]))), predictions.CHUNK)
    parts = xp.empty((len(work), sums), np.float64)
    w = None if weights is None else _aligned(to_device(weights))
    where = np.int64(0 if w is None or not w.size else address(w))
    kernel.launch((len(work),), order, to_device(work), parts, where, *given)
    found = xp.zeros((items.size - 1, sums), np.float64)
    predictions.add_sums.launch((_blocks(found.size),), parts, to_device(items), found)
    whole[counts > 0] = to_host(found)
    return whole


def _comoments(
    kernel: Kernel, sources: NDArray[np.int64], numbers: NDArray[np.float64], offsets: NDArray[np.int64]
) -> Comoments:
    """Sums over pairs of the columns that ``kernel`` reads.

    Where no number is missing, those of single columns, their products with a column of ones, serve all pairs.
    """
    k, slices = len(sources), offsets.size - 1
    value, there, square = pairs.VALUE, pairs.THERE, pairs.SQUARE
    columns, read = to_device(sources), to_device(numbers)
    work, items = _work(offsets, pairs.CHUNK)
    given = kernel, columns, read, to_device(work), to_device(items)
    products, missing = _products(given, k + 1, value, value)
    if missing:
        n, s, q = (_products(given, k, side, there)[0] for side in (there, value, square))
    else:
        n = np.broadcast_to(np.diff(offsets)[:, None, None], (slices, k, k))
        s = np.broadcast_to(products[:, :k, k:], (slices, k, k))
        q = np.broadcast_to(np.diagonal(products, axis1=1, axis2=2)[:, :k, None], (slices, k, k))
    return Comoments(n.astype(np.int64), s.copy(), q.copy(), np.ascontiguousarray(products[:, :k, :k]))


def _products(
    given: tuple[Kernel, Any, Any, Any, Any], k: int, left: int, right: int
) -> tuple[NDArray[np.float64], bool]:
    """Sums of the products of k columns with themselves, (slices, k, k), and whether a number was missing.

    ``left`` and ``right`` say what the columns hold on either side; if the same, one half is made of the other.
    """
    xp = arrays()
    kernel, sources, numbers, work, items = given
    along = -(-k // pairs.TILE)
    tiles = np.array(
        [(i, j, left, right) for i in range(along) for j in range(along) if left != right or j <= i], np.int64
    )
    slices, width = len(items) - 1, along * pairs.TILE
    whole = np.zeros((slices, width, width))
    missing = xp.zeros(1, np.int32)
    most = max(SUMS_AT_ONCE // (max(len(work), slices) * pairs.PRODUCTS), 1)
    for start in range(0, len(tiles), most):
        some = tiles[start : start + most]
        parts = xp.empty((len(work), len(some), pairs.PRODUCTS))
        sums = xp.empty((slices, len(some), pairs.PRODUCTS))
        kernel.launch((len(work), len(some)), sources, numbers, work, to_device(some), parts, missing)
        pairs.add_products.launch((slices * len(some), pairs.PRODUCTS // pairs.ACROSS), parts, items, sums)
        found = to_host(sums).reshape(slices, len(some), pairs.TILE, pairs.TILE)
        for (i, j, *_), tile in zip(some.tolist(), np.moveaxis(found, 1, 0), strict=True):
            rows, columns = (slice(at * pairs.TILE, (at + 1) * pairs.TILE) for at in (i, j))
            whole[:, rows, columns] = tile
            if left == right:
                whole[:, columns, rows] = np.swapaxes(tile, 1, 2)
    return whole[:, :k, :k], bool(to_host(missing)[0])


def _of_one_type(
    name: str,
    columns: Sequence[tuple[Any, Bitmask | None]],
    offsets: NDArray[np.int64],
    guides: tuple[Guide, ...],
    *,
    cells: bool,
) -> tuple[_Counted, list[Any]]:
    """Counts and cells of columns of one type. One with more edges than a pass can hold stands in several places."""
    xp = arrays()
    real, count, distinct_values = numbers.VARIANTS[name]
    tables = _tables(guides, real)
    work, items = _work(offsets)
    slices = offsets.size - 1
    once = np.array([_source(values, mask) for values, mask in columns], np.int64)
    written = [xp.empty(columns[i][0].size if cells else 0, np.uint16) for i in tables.column]
    out = np.array([address(each) if each.size else 0 for each in written], np.int64)
    sources = np.column_stack((once[tables.column], out))
    passes, work_there = to_device(sources), to_device(work)
    counts = xp.zeros((slices, len(passes), tables.cells), np.int64)
    parts = xp.empty((max(len(work), 1), len(passes), 6), np.float64)
    registers = xp.zeros((slices, len(once), REGISTERS), np.int32)
    moments = xp.zeros((slices, len(passes), 3), np.float64)
    extremes = xp.zeros((slices, len(passes), 2), np.float64)
    count.launch((len(work), len(passes)), passes, work_there, *tables.arrays, counts, parts)
    distinct_values.launch((len(work), len(once)), to_device(once), work_there, registers)
    numbers.merge.launch((slices * len(passes),), parts, to_device(items), moments, extremes)
    first = tables.first
    found = _Counted(
        tables.joined(to_host(counts)),
        to_host(moments)[:, first],
        to_host(extremes)[:, first],
        to_host(registers.astype(np.uint8)),
    )
    return found, [tables.cells_of(i, written) for i in range(len(columns))]


class _Counted(NamedTuple):
    """What some columns left behind."""

    counts: list[NDArray[np.int64]]  # (slices, m + 5) of every column
    moments: NDArray[np.float64]  # (slices, columns, 3)
    extremes: NDArray[np.float64]  # (slices, columns, 2)
    registers: NDArray[np.uint8]  # (slices, columns, REGISTERS)


def _add(into: Sequence[NumericCounts], places: NDArray[np.int64], found: _Counted) -> None:
    """Add the counts of each slice at its place; places differ. What is small is merged for all columns at once."""
    before = np.stack([each.moments[places] for each in into], axis=1)
    moments = _merged(before, found.moments)
    spans = np.stack([each.extremes[places] for each in into], axis=1)
    least = np.minimum(spans[..., 0], found.extremes[..., 0])
    spans = np.stack((least, np.maximum(spans[..., 1], found.extremes[..., 1])), axis=2)
    new = not before[..., 0].any()  # then nothing has been counted at these places
    for i, (each, counts) in enumerate(zip(into, found.counts, strict=True)):
        each.counts[places] += counts
        each.moments[places] = moments[:, i]
        each.extremes[places] = spans[:, i]
        registers = found.registers[:, i]
        each.registers[places] = registers if new else np.maximum(each.registers[places], registers)


def _merged(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chan's merge of moments (…, 3)."""
    before, n = left[..., 0], right[..., 0]
    after = np.maximum(before + n, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        delta = right[..., 1] - left[..., 1]
        mean = left[..., 1] + delta * (n / after)
        m2 = left[..., 2] + right[..., 2] + delta * delta * (before * (n / after))
    merged = np.stack((before + n, mean, m2), axis=-1)
    return np.where((before == 0)[..., None], right, np.where((n == 0)[..., None], left, merged))


class _Tables:
    """The guide tables of some columns on the device, in passes of at most ``EDGES`` edges."""

    def __init__(self, guides: tuple[Guide, ...], real: Any) -> None:
        passes = [
            (i, edges[start : start + numbers.EDGES])
            for i, edges in enumerate(guide.edges for guide in guides)
            for start in range(0, max(edges.size, 1), numbers.EDGES)
        ]
        made = [
            guide_of(np.asarray(edges, np.float64), numbers.PIECES, real, numbers.GOOD) for _, edges in passes
        ]
        limits = np.full((len(made), numbers.LIMITS), np.nan, real)
        sizes = np.array([edges.size + 2 for _, edges in passes], np.int32)
        for row, table, size in zip(limits, made, sizes, strict=True):
            row[:size] = table.limits[:size]
        grids = [
            [table.linear, table.shift, table.base, size] for table, size in zip(made, sizes, strict=True)
        ]
        self.column = np.array([i for i, _ in passes])
        self.places: list[list[int]] = [[] for _ in guides]
        for place, (i, _) in enumerate(passes):
            self.places[i].append(place)
        self.first = np.array([places[0] for places in self.places])
        self.cells = int(sizes.max()) + 3
        self.sizes = sizes
        self.arrays = (
            to_device(limits),
            to_device(np.stack([_spans(table.first) for table in made])),
            to_device(np.array([[table.origin, table.scale] for table in made], real)),
            to_device(np.array(grids, np.int32)),
        )

    def joined(self, counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The counts of every column, (slices, m + 5) each, its passes as one."""
        parts = [counts[:, i, : size + 3] for i, size in enumerate(self.sizes.tolist())]
        if len(self.first) == len(parts):
            return parts
        return [_joined([parts[i] for i in places]) for places in self.places]

    def cells_of(self, column: int, written: Sequence[Any]) -> Any:
        """The cells of one column's values, its passes as one."""
        xp = arrays()
        places = self.places[column]
        first = written[places[0]]
        if len(places) == 1 or not first.size:
            return first
        beyond = int(self.sizes[places[0]])  # the cell of +inf in the first pass; NaN's is the next
        edges = sum(written[i].astype(np.int64) - 1 for i in places)  # that are not above a finite value
        infinite = int(self.sizes[places].sum()) - 2 * (len(places) - 1) + first.astype(np.int64) - beyond
        cells = xp.where(first == 0, 0, xp.where(first >= beyond, infinite, edges + 1))
        return cells.astype(np.uint16)


def _joined(passes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The cells on all edges, from those on the first of them, on the next ones, and so on: (slices, m + 5) each."""
    if len(passes) == 1:
        return passes[0]
    below = np.concatenate([np.cumsum(cells[:, 1:-4], axis=1) for cells in passes], axis=1)  # under each edge
    finite = passes[0][:, 1:-3].sum(axis=1, keepdims=True)
    bins = np.diff(np.concatenate((below, finite), axis=1), axis=1, prepend=0)
    return np.concatenate((passes[0][:, :1], bins, passes[0][:, -3:]), axis=1)


def _spans(first: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The first cell of every piece, and in the upper bits how many edges it has: one read for both."""
    edges = np.diff(first, append=first[-1:])
    most = np.uint16((1 << (16 - numbers.BITS)) - 1)
    return first | (np.minimum(edges, most) << np.uint16(numbers.BITS))


@lru_cache(maxsize=16)
def _tables(guides: tuple[Guide, ...], real: str) -> _Tables:
    return _Tables(guides, np.float32 if real == "float32" else np.float64)


@lru_cache(maxsize=64)
def _vocabulary(vocabulary: Dictionary) -> tuple[Any, Any, Any]:
    return _bytes(vocabulary.data), _ends(vocabulary.ends), to_device(vocabulary.table)


@lru_cache(maxsize=64)
def _limits(guide: Guide) -> Any:
    """The edges of a guide table with −max and +inf around them, for binary search: (m + 2,) on the device."""
    return to_device(guide.limits[: guide.edges.size + 2].astype(np.float64))


def _work(offsets: NDArray[np.int64], most: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chunks of slices as (first row, row after the last, slice), and where those of each slice begin: (slices + 1,)."""
    chunk = numbers.CHUNK if most is None else most
    sizes = -(-np.diff(offsets) // chunk)
    items = np.concatenate(([0], np.cumsum(sizes)))
    slices = np.repeat(np.arange(sizes.size), sizes)
    starts = offsets[:-1][slices] + (np.arange(items[-1]) - items[slices]) * chunk
    stops = np.minimum(starts + chunk, offsets[1:][slices])
    return np.stack((starts, stops, slices), axis=1).astype(np.int64), items.astype(np.int64)


@cache
def _name(dtype: np.dtype[Any]) -> str:
    """The name of a type, which takes NumPy microseconds to make."""
    return dtype.name


def _values(values: Any) -> Any:
    """Values on the device in a type that the kernels know, each at a multiple of its size."""
    if values.dtype.kind in "mM":
        values = values.view(np.int64)
    elif values.dtype.kind == "b":
        values = values.view(np.uint8)
    elif _name(values.dtype) not in numbers.VARIANTS:
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    return _aligned(to_device(values))


def _aligned(values: Any) -> Any:
    return values.copy() if address(values) % values.dtype.itemsize else values


def _mask(valid: Any) -> Bitmask | None:
    """A validity mask on the device, a bit a row as Arrow has it."""
    if valid is None:
        return None
    if isinstance(valid, Bitmask):
        return Bitmask(to_device(valid.bits), valid.offset)
    return Bitmask(to_device(np.packbits(np.asarray(valid), bitorder="little")), 0)


def _source(values: Any, mask: Bitmask | None) -> tuple[int, int, int]:
    if values.size == 0:
        return 0, 0, 0
    return (address(values), 0, 0) if mask is None else (address(values), address(mask.bits), mask.offset)


def _column(values: Any, mask: Bitmask | None) -> Any:
    """Where a column is and of which kind its values are, as kernels over one column read it: (4,) on the device."""
    return to_device(np.array([*_source(values, mask), pairs.KINDS[_name(values.dtype)]], np.int64))


def _groups(columns: list[int]) -> Iterator[list[int]]:
    """Columns that one launch takes, a tenth of what a grid may have: one with many edges stands in several places."""
    most = MOST_COLUMNS // 10
    return (columns[start : start + most] for start in range(0, len(columns), most))


def _blocks(n: int) -> int:
    return -(-n // THREADS)


def _bytes(data: NDArray[np.uint8]) -> Any:
    return to_device(data if data.size else np.zeros(1, np.uint8))


def _ends(ends: NDArray[Any]) -> Any:
    return to_device(ends.astype(np.int64, copy=False))
