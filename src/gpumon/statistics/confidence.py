"""How sure a classifier is, from counts by cells of its confidence, its margin or its entropy. No labels are needed.

Counts are (..., cells); ``spans`` (2, cells) are the least and the largest value that a row of each cell can have. Cells
need not be in order and may overlap: those of a binary score p are cells of max(p, 1 − p) too, on both sides of ½.
``Bounds.lower`` ≤ exact ≤ ``Bounds.upper`` holds whatever the values inside their cells are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.statistics import intervals
from gpumon.statistics.ecdf import Bounds, Certified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "binary_entropy",
    "binary_spans",
    "confidence_distance",
    "confidence_quantile",
    "mean_between",
    "share_above",
    "share_below",
    "spans",
]

ROUNDING = 1e-12
"""A level that is met exactly is met after rounding too, if it is a little less."""

TOGETHER = 16
"""Slices whose distribution functions are worked out together: a few megabytes."""


def spans(edges: Floats) -> Floats:
    """The spans (2, cells) of cells from ``edges[i]`` to just below ``edges[i + 1]``, (cells + 1,).

    >>> spans(np.array([0.0, 1.0, np.nextafter(1.0, 2.0)])).round(3)
    array([[0., 1.],
           [1., 1.]])
    """
    return np.stack((edges[:-1], np.nextafter(edges[1:], -np.inf)))


def binary_spans(edges: Floats) -> Floats:
    """The spans (2, cells) of max(p, 1 − p) [½ to 1] in cells of p from ``edges[i]`` to just below ``edges[i + 1]``.

    >>> binary_spans(np.array([0.0, 0.25, 0.5, 1.0])).round(3)
    array([[0.75, 0.5 , 0.5 ],
           [1.  , 0.75, 1.  ]])
    """
    ends = np.clip(spans(edges), 0.0, 1.0)
    sure = np.maximum(ends, 1 - ends)
    least = np.where((ends[0] < 0.5) & (ends[1] > 0.5), 0.5, sure.min(axis=0))
    return np.stack((least, sure.max(axis=0)))


def binary_entropy(counts: Counts, sums: Floats, edges: Floats) -> tuple[Floats, Floats]:
    """The entropy of p and 1 − p over ln 2: its moments (..., 3), and the ends (..., 2) between which its mean lies.

    ``counts`` and ``sums``, Σ p of the rows of each cell, are of cells of p between ``edges``. The mean of the moments,
    and the upper end, take each row for its cell's mean; the lower end takes rows for the ends of the cell in the parts
    that give this mean: the entropy is concave.

    >>> edges = np.array([0.0, 0.5, 1.0])
    >>> moments, ends = binary_entropy(np.array([1, 1]), np.array([0.25, 0.75]), edges)
    >>> moments[1].round(3), ends.round(3)
    (np.float64(0.811), array([0.5  , 0.811]))
    """
    low, high = np.clip(edges[:-1], 0.0, 1.0), np.clip(edges[1:], 0.0, 1.0)
    middle = np.clip(sums / np.where(counts > 0, counts, 1), low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(high > low, (middle - low) / (high - low), 0.0)
        chord = (1 - part) * _entropy(low) + part * _entropy(high)
        rows, each = np.sum(counts, axis=-1), _entropy(middle)
        upper, lower = np.vecdot(counts, each) / rows, np.vecdot(counts, chord) / rows
        squares = np.maximum(np.vecdot(counts, each * each) - rows * upper * upper, 0.0)
    moments = np.stack((rows, upper, squares), axis=-1)
    return moments, np.stack((np.minimum(lower, upper), upper), axis=-1)


def mean_between(moments: Floats, ends: Floats, level: float = 0.95) -> Certified:
    """Mean of a quantity that is known to lie between ``ends`` (..., 2), with Student's interval from its moments.

    ``moments`` (..., 3) are rows, mean, Σ (x − mean)². NaN where there are no rows.

    >>> [round(float(x), 2) for x in mean_between(np.array([100.0, 0.5, 4.0]), np.array([0.49, 0.5]))]
    [0.5, 0.49, 0.5, 0.46, 0.54]
    """
    found = intervals.mean(moments, level)
    unknown = np.where(np.isnan(found.value), np.nan, 0.0)
    return Certified(found.value, ends[..., 0] + unknown, ends[..., 1] + unknown, found.lower, found.upper)


def confidence_quantile(counts: Counts, spans: Floats, level: float) -> Bounds:
    """Quantile of the confidence [0 to 1]: the smallest that at least ``level`` of the rows do not exceed.

    ``lower`` and ``upper`` suppose all rows at the ends of their cells, ``value`` in their middles. NaN where there
    are no rows. Equals ``np.quantile(..., method="inverted_cdf")`` within these.

    >>> spans = np.array([[0.5, 0.5, 0.75], [0.75, 0.75, 1.0]])
    >>> [float(x) for x in confidence_quantile(np.array([1, 1, 8]), spans, 0.5)]
    [0.875, 0.75, 1.0]
    """
    found = []
    at, previous = np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = np.sum(counts, axis=-1)
    for place in (spans.mean(axis=0), *spans):
        order = np.argsort(place, kind="stable")
        if not np.array_equal(order, previous):  # cells that mirror each other have one order for all three
            below = np.cumsum(np.take(counts, order, axis=-1), axis=-1)
            at = np.argmax(below >= (level * rows * (1 - ROUNDING))[..., None], axis=-1)
            previous = order
        found.append(np.where(rows > 0, place[order][at], np.nan))
    value, lower, upper = found
    return Bounds(np.clip(value, lower, upper), lower, upper)


def share_below(counts: Counts, spans: Floats, below: ArrayLike, level: float = 0.95) -> Certified:
    """Share of the rows whose value is less than ``below`` (...) [0 to 1], with Wilson's interval.

    ``value`` spreads the rows of a cell evenly; ``lower`` and ``upper`` certify it. NaN where there are no rows.

    >>> spans = np.array([[0.5, 0.5, 0.75], [0.75, 0.75, 1.0]])
    >>> [round(float(x), 3) for x in share_below(np.array([1, 1, 8]), spans, 0.6)[:3]]
    [0.08, 0.0, 0.2]
    """
    least, most = spans
    limit = np.asarray(below, np.float64)[..., None]
    return _share(counts, spans, limit - least, most < limit, least < limit, level)


def share_above(counts: Counts, spans: Floats, above: ArrayLike, level: float = 0.95) -> Certified:
    """Share of the rows whose value is more than ``above`` (...), as ``share_below``.

    >>> spans = np.array([[0.5, 0.5, 0.75], [0.75, 0.75, 1.0]])
    >>> [round(float(x), 3) for x in share_above(np.array([1, 1, 8]), spans, 0.8)[:3]]
    [0.64, 0.0, 0.8]
    """
    least, most = spans
    limit = np.asarray(above, np.float64)[..., None]
    return _share(counts, spans, most - limit, least > limit, most > limit, level)


def confidence_distance(reference: Counts, current: Counts, spans: Floats) -> Bounds:
    """Kolmogorov-Smirnov distance sup |F − G| of the confidence [0 to 1], of rows that are known to their cells.

    At a point t, F lies between the share of the rows whose cells end at or before t and that of those whose cells begin
    there or before. ``value`` takes the middle of both, ``lower`` and ``upper`` what the ends allow. NaN where a side has
    no rows. ``scipy.stats.ks_2samp(...).statistic`` lies between these.

    >>> spans = np.array([[0.0, 0.5, 1.0], [0.4, 0.9, 1.0]])
    >>> [float(x) for x in confidence_distance(np.array([4, 4, 0]), np.array([2, 2, 4]), spans)]
    [0.5, 0.5, 0.75]
    """
    reference, current = np.broadcast_arrays(reference, current)
    leading, cells = reference.shape[:-1], reference.shape[-1]
    sides = [np.reshape(side, (-1, cells)) for side in (reference, current)]
    points = np.unique(spans)
    ordered = []
    for ends in spans[::-1]:
        order = np.argsort(ends, kind="stable")
        ordered.append((order, np.searchsorted(ends[order], points, side="right")))
    found = np.empty((3, len(sides[0])))
    for start in range(0, len(sides[0]), TOGETHER):
        some = slice(start, start + TOGETHER)
        before, now = (_distribution(side[some], ordered) for side in sides)
        apart = np.maximum(before[0] - now[1], now[0] - before[1])
        reach = np.maximum(before[1] - now[0], now[1] - before[0])
        middle = np.abs(before[0] + before[1] - now[0] - now[1]) / 2
        found[:, some] = [np.max(each, axis=-1) for each in (middle, apart, reach)]
    value, lower, upper = found.reshape(3, *leading)
    lower = np.maximum(lower, 0.0)
    return Bounds(np.clip(value, lower, upper), lower, upper)


def _distribution(
    counts: Counts, ordered: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> list[Floats]:
    """The distribution function at some points, at least and at most; NaN where there are no rows.

    ``ordered`` are the cells by their last and by their first value, and how many of these are not above each point.
    """
    found = []
    for order, at in ordered:
        below = np.zeros((len(counts), counts.shape[-1] + 1))
        np.cumsum(counts[:, order], axis=-1, out=below[:, 1:])
        with np.errstate(invalid="ignore", divide="ignore"):
            below /= below[:, -1:].copy()
        found.append(below[:, at])
    return found


def _share(
    counts: Counts, spans: Floats, reach: Floats, whole: Counts, touched: Counts, level: float
) -> Certified:
    """The share of the rows in the ``whole`` cells and in a part of those that are ``touched``."""
    width = spans[1] - spans[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(whole, 1.0, np.where(touched & (width > 0), np.clip(reach / width, 0.0, 1.0), 0.0))
        rows = np.sum(counts, axis=-1)
        value, lower, upper = (np.vecdot(counts, 1.0 * each) / rows for each in (part, whole, touched))
    value = np.clip(value, lower, upper)
    around = intervals.wilson(value * rows, rows, level)
    return Certified(value, lower, upper, around.lower, around.upper)


def _entropy(p: Floats) -> Floats:
    parts = [q * np.log2(np.where(q > 0, q, 1.0)) for q in (p, 1 - p)]
    return np.asarray(-(parts[0] + parts[1]))
