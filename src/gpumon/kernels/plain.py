"""The kernels in plain NumPy: what each one means, in its shortest form.

Slower by 5 to 50 times than :mod:`gpumon.kernels.cpu`, and equal to it: the tests run both side by side. It serves
where Numba cannot compile, and it is the text to read first.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.kernels import LEAST_PROBABILITY, REGISTERS, TOTAL_OFF, Comoments
from gpumon.kernels.expected_losses import coded
from gpumon.kernels.logarithm import natural_log
from gpumon.kernels.lookup import cells_of

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

NAME = "plain"
DEVICE = False


def ready() -> None:
    """Nothing: NumPy is."""


def numeric(
    columns: Sequence[NumericColumn],
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    cells: bool = False,
) -> list[NDArray[np.uint16]]:
    """Count numeric columns; see :class:`gpumon.kernels.Kernels`."""
    found = []
    for values, valid, guide, into in columns:
        edges = _edges(guide)
        x = values.astype(np.float64) + 0.0  # −0.0 is 0.0
        there = np.ones(x.size, np.bool_) if valid is None else valid
        x[~there] = np.nan
        cell = cells_of(x, edges)
        if cells:
            found.append(cell.astype(np.uint16))
        cell[~there] = edges.size + 4
        for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
            into.counts[place] += np.bincount(cell[start:stop], minlength=edges.size + 5)
            part = x[start:stop]
            _add_moments(into.moments[place], part[np.isfinite(part)])
            part = part[~np.isnan(part)]
            least, largest = into.extremes[place]
            into.extremes[place] = part.min(initial=least), part.max(initial=largest)
            _raise(into.registers[place], _mixed(part.view(np.uint64)))
    return found


def _add_moments(moments: NDArray[np.float64], finite: NDArray[np.float64]) -> None:
    """Two passes over the values, then Chan's merge."""
    before, mean, m2 = moments
    n = finite.size
    if n:
        with np.errstate(over="ignore", invalid="ignore"):
            own = finite.mean()
            delta = own - mean if before else 0.0
            moments[1] = mean + delta * (n / (before + n)) if before else own
            moments[2] = m2 + np.sum((finite - own) ** 2) + delta * delta * (before * n / (before + n))
        moments[0] = before + n


def codes(codes: NDArray[np.int32], offsets: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Count codes; see :class:`gpumon.kernels.Kernels`."""
    counts = np.zeros((offsets.size - 1, size), np.int64)
    for s in range(offsets.size - 1):
        part = codes[offsets[s] : offsets[s + 1]]
        counts[s] = np.bincount(part[(part >= 0) & (part < size)], minlength=size)
    return counts


def hash_strings(data: NDArray[np.uint8], ends: NDArray[Any]) -> NDArray[np.uint64]:
    """Hash strings, eight bytes at a time; see :class:`gpumon.kernels.Kernels`."""
    padded = np.concatenate((data, np.zeros(8, np.uint8)))
    words = np.ndarray(data.size + 1, np.dtype("<u8"), padded.tobytes(), strides=(1,))  # from every byte on
    lengths = np.diff(ends).astype(np.int64)
    hashes = lengths.astype(np.uint64)
    for offset in range(0, int(lengths.max(initial=0)), 8):
        longer = np.flatnonzero(lengths > offset)
        spare = np.maximum(8 - (lengths[longer] - offset), 0).astype(np.uint64)
        word = words[ends[longer] + offset] & (np.uint64(2**64 - 1) >> (spare * np.uint64(8)))
        h = (hashes[longer] ^ word) * np.uint64(0x9E3779B97F4A7C15)
        hashes[longer] = h ^ (h >> np.uint64(32))
    return _mixed(hashes)


def find_strings(
    data: NDArray[np.uint8], ends: NDArray[Any], hashes: NDArray[np.uint64], vocabulary: Dictionary
) -> NDArray[np.int32]:
    """Find strings in a vocabulary; see :class:`gpumon.kernels.Kernels`."""
    known = _texts(vocabulary.data, vocabulary.ends)
    code = {text: i for i, text in enumerate(known)}
    return np.array([code.get(text, -1) for text in _texts(data, ends)], np.int32).reshape(hashes.shape)


def distinct(hashes: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    """HyperLogLog registers; see :class:`gpumon.kernels.Kernels`."""
    registers = np.zeros((offsets.size - 1, REGISTERS), np.uint8)
    for s in range(offsets.size - 1):
        _raise(registers[s], hashes[offsets[s] : offsets[s + 1]])
    return registers


def ordered(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, offsets: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Sort values; see :class:`gpumon.kernels.Kernels`."""
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
    x = np.empty((len(columns), int(offsets[-1])))
    for i, (values, valid) in enumerate(columns):
        with np.errstate(over="ignore", invalid="ignore"):
            x[i] = (values.astype(np.float64) - centre[i]) * (1.0 / scale[i])
        x[i, ~np.isfinite(x[i]) if valid is None else ~(np.isfinite(x[i]) & valid)] = np.nan
    return _comoments(x, offsets)


def rank_comoments(
    cells: Sequence[NDArray[np.uint16]], tables: NDArray[np.float64], offsets: NDArray[np.int64]
) -> Comoments:
    """Co-moments of ranks; see :class:`gpumon.kernels.Kernels`."""
    return _comoments(np.array([table[cell] for table, cell in zip(tables, cells, strict=True)]), offsets)


def _comoments(columns: NDArray[np.float64], offsets: NDArray[np.int64]) -> Comoments:
    slices, k = offsets.size - 1, len(columns)
    n = np.zeros((slices, k, k), np.int64)
    s, q, g = (np.zeros((slices, k, k)) for _ in range(3))
    for i in range(slices):
        x = columns[:, offsets[i] : offsets[i + 1]]
        there = (~np.isnan(x)).astype(np.float64)
        x = np.nan_to_num(x, nan=0.0)
        n[i] = there @ there.T
        with np.errstate(over="ignore", invalid="ignore"):
            s[i], q[i], g[i] = x @ there.T, (x * x) @ there.T, x @ x.T
    return Comoments(n, s, q, g)


def classes(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, known: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Places of numbers in a list; see :class:`gpumon.kernels.Kernels`."""
    x = values.astype(np.float64)
    place = np.minimum(np.searchsorted(known, x), known.size - 1)
    codes = np.where(known[place] == x, place, known.size)
    missing = np.isnan(x) if valid is None else np.isnan(x) | ~valid
    return np.where(missing, known.size + 1, codes).astype(np.int32)


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
    pair = actual.astype(np.int64) * k + predicted
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        into.counts[place] += np.bincount(pair[start:stop], minlength=k * k).reshape(k, k)
        if weights is not None:
            for i, w in enumerate((weights, weights**2)):
                into.mass[place, i] += np.bincount(pair[start:stop], w[start:stop], k * k).reshape(k, k)


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
    values, valid = scores
    edges = _edges(guide)
    p = values.astype(np.float64) + 0.0
    there = np.isfinite(p)
    cell = np.where(there, cells_of(p, edges), edges.size + 3)
    if valid is not None:
        cell[~valid], there = edges.size + 4, there & valid
    p = np.where(there, p, 0.0)
    w = np.ones(p.size) if weights is None else weights
    e = np.where(labels == 1, 1.0 - p, p)
    right = np.minimum(np.maximum(np.where(labels == 1, p, 1.0 - p), LEAST_PROBABILITY), 1.0)
    loss = np.where(labels == 2, 0.0, -np.log(right))
    terms = w[:, None] * np.stack((e, e**2, e**3, e**4, loss, loss**2, w), axis=-1)
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        for label in range(3):
            rows = start + np.flatnonzero(labels[start:stop] == label)
            at, size = cell[rows], edges.size + 5
            into.counts[place, label] += np.bincount(at, minlength=size)
            into.probability[place, label] += np.bincount(at, w[rows] * p[rows], size)
            if weights is not None:
                into.mass[place, label] += np.bincount(at, w[rows], size)
            rows = rows[there[rows]]
            into.errors[place, label] += terms[rows].sum(axis=0)
            into.outside[place, label] += np.count_nonzero((p[rows] < 0) | (p[rows] > 1))


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
    known = np.isfinite(target), np.isfinite(prediction)
    both = known[0] & known[1]
    y, p = np.where(both, target, 0.0), np.where(both, prediction, 0.0)
    w = np.ones(y.size) if weights is None else weights
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        e = p - y + 0.0
        size, whole, a, b = np.abs(e), np.abs(y) + np.abs(p), y - centre, p - centre
        relative = np.where(y != 0, size / np.abs(y), 0.0)
        symmetric = np.where(whole > 0, 2.0 * (size / whole), 0.0)
        nonzero = (y != 0).astype(np.float64)
        parts: list[Any] = [1.0, w, e, e**2, e**4, size, a, a**2, b, b**2, a * b]
        parts += [nonzero, relative, relative**2, symmetric, symmetric**2]
        terms = w[:, None] * np.stack([np.broadcast_to(part, y.shape) for part in parts], axis=-1)
        cells = [cells_of(x, _edges(guide)) for x, guide in zip((e, size, p), guides, strict=True)]
        for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
            rows = start + np.flatnonzero(both[start:stop])
            for counts, cell in zip((into.counts, into.absolute, into.at_step), cells, strict=True):
                counts[place] += np.bincount(cell[rows], minlength=counts.shape[-1])
            for i, values in enumerate((w, w * e, w * e**2, w * size)):
                into.errors[place, :, i] += np.bincount(cells[2][rows], values[rows], into.errors.shape[1])
            into.sums[place] += terms[rows].sum(axis=0)
            for i, values in enumerate((e[rows], size[rows])):
                least, largest = into.extremes[place, i]
                into.extremes[place, i] = values.min(initial=least), values.max(initial=largest)
            gone = [~known[0][start:stop], ~known[1][start:stop]]
            counted = (gone[0] & ~gone[1], gone[1] & ~gone[0], gone[0] & gone[1])
            into.missing[place] += [np.count_nonzero(each) for each in counted]


def expected(
    cells: Sequence[NDArray[np.integer]], groups: Sequence[NDArray[np.int64]], forests: Sequence[Forest]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What forests expect of rows; see :class:`gpumon.kernels.Kernels`."""
    codes, unsupported = coded(cells, groups)
    rows = np.arange(len(codes))
    found = np.empty((len(forests), rows.size))
    for total, forest in zip(found, forests, strict=True):
        total[:] = forest.base
        nodes = forest.features.shape[1]
        for features, splits, leaves in zip(forest.features, forest.codes, forest.leaves, strict=True):
            node = np.zeros(rows.size, np.int64)
            for _ in range(int(nodes).bit_length()):
                node = 2 * node + 1 + (codes[rows, features[node]] > splits[node])
            np.add(total, leaves[node - nodes], out=total)
    return found, unsupported


def binned(
    values: NDArray[Any], valid: NDArray[np.bool_] | None, limits: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Bins of numbers; see :class:`gpumon.kernels.HostKernels`."""
    x = values.astype(np.float64)
    missing = np.isnan(x) if valid is None else np.isnan(x) | ~valid
    bins = np.searchsorted(limits, x, side="right")
    return np.where(missing, limits.size + 1, bins).astype(np.uint8)


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
    sizes = np.diff(starts[: len(codes) + 1])
    cells = [each.astype(np.int64) for each in codes]
    cells += [cells[i] * sizes[j] + cells[j] for i, j in combinations(range(len(codes)), 2)]
    w = np.ones(loss.size) if weights is None else weights
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        for cell, (first, last) in zip(cells, pairwise(starts.tolist()), strict=True):
            at, size = cell[start:stop], last - first
            into.n[place, first:last] += np.bincount(at, minlength=size)
            for i, values in enumerate((w * loss, w * loss**2)):
                into.sums[place, first:last, i] += np.bincount(at, values[start:stop], size)
            for i, values in enumerate((w, w**2) if weights is not None else ()):
                into.mass[place, first:last, i] += np.bincount(at, values[start:stop], size)


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
    into = counts[:, column]
    cells = np.searchsorted(_edges(guide), scores, side="right")
    known = np.isfinite(scores) & (actual < into.shape[1])
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        rows = start + np.flatnonzero(known[start:stop])
        np.add.at(into[place], (actual[rows], cells[rows]), 1)


def clustered(
    values: NDArray[np.float64],
    centroids: NDArray[np.float64],
    edges: NDArray[np.float64],
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: ClusterCounts,
) -> None:
    """Rows by their nearest centre; see :class:`gpumon.kernels.HostKernels`."""
    squares = np.zeros((len(centroids), values.shape[1]))
    for j, column in enumerate(values):  # in this order, as sums of floats depend on it
        squares += (column - centroids[:, j, None]) ** 2
    known = ~np.isnan(squares[0])
    at = np.argmin(squares, axis=0)
    cell = np.searchsorted(edges, np.min(squares, axis=0), side="right")
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        rows = start + np.flatnonzero(known[start:stop])
        np.add.at(into.counts[place], (at[rows], cell[rows]), 1)
        into.missing[place, 0] += stop - start - rows.size


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
    edges, (classes, rows) = _edges(guide), scores.shape
    w = np.ones(rows) if weights is None else weights
    missing = np.asarray(~np.isfinite(scores).all(axis=0))
    outside = np.asarray(~missing & ~((scores >= 0) & (scores <= 1)).all(axis=0))
    first, second, total, entropy, square, truth = (np.zeros(rows) for _ in range(6))
    for i, column in enumerate(scores):
        p = np.where(missing | outside, 0.0, column)
        truth = np.where(actual == i, p, truth)
        square += p * p
        second = np.maximum(second, np.minimum(p, first))
        first = np.maximum(first, p)
        total += p
        there = p >= np.finfo(np.float64).tiny
        entropy += np.where(there, p * natural_log(np.where(there, p, 1.0)), 0.0)
    entropy = np.clip(-entropy / natural_log(classes), 0.0, 1.0)
    loss, brier = -np.log(np.maximum(truth, LEAST_PROBABILITY)), square - 2 * truth + 1
    off = np.asarray(~missing & ~outside & (np.abs(total - 1.0) > TOTAL_OFF))
    known, size = ~(missing | outside | off), edges.size + 5
    labelled = known & (actual <= classes)
    judged = labelled & (predicted <= classes)
    right = (actual == predicted) & (actual < classes)
    for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
        at = start + np.flatnonzero(known[start:stop])
        sums = [w[at].sum(), (w[at] ** 2).sum()]
        for i, values in enumerate((first, first - second, entropy)):
            x = values[at]
            cell = cells_of(x, edges)
            into.counts[place, i] += np.bincount(cell, minlength=size)
            if weights is not None:
                into.mass[place, i] += np.bincount(cell, w[at], size)
            sums += [(w[at] * x).sum(), (w[at] * x**2).sum()]
        into.sums[place] += sums
        into.outside[place] += [np.count_nonzero(each[start:stop]) for each in (outside, off)]
        into.missing[place] += np.count_nonzero(missing[start:stop])
        for i, which in enumerate((~right, right)):
            at = start + np.flatnonzero((judged & which)[start:stop])
            cell = cells_of(first[at], edges)
            into.outcomes[place, i] += np.bincount(cell, minlength=size)
            into.weighed[place, i] += np.bincount(cell, w[at], size)
            into.weighed[place, 2] += np.bincount(cell, w[at] * first[at], size)
        at = start + np.flatnonzero(labelled[start:stop])
        into.losses[place] += [
            (w[at] * x).sum() for x in (1.0, w[at], loss[at], loss[at] ** 2, brier[at], brier[at] ** 2)
        ]


def _edges(guide: Guide) -> NDArray[np.float64]:
    return np.asarray(guide.edges, np.float64)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's step and finaliser."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _raise(registers: NDArray[np.uint8], hashes: NDArray[np.uint64]) -> None:
    rest = (hashes & np.uint64(0xFFFFFFFFFFFFF)).astype(np.float64)  # 52 bits: exact
    rank = np.where(rest > 0, 53 - np.frexp(rest)[1], 53).astype(np.uint8)
    np.maximum.at(registers, (hashes >> np.uint64(52)).astype(np.int64), rank)


def _texts(data: NDArray[np.uint8], ends: NDArray[Any]) -> list[bytes]:
    whole = data.tobytes()
    return [whole[start:end] for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
