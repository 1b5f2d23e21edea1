"""Values that repeat, and one that rows are stuck on: what a stuck or constant model shows.

``counts`` (..., m + 5), ``edges`` (..., m) and ``extremes`` (..., 2) as in ``ecdf``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.ecdf import Bounds, Certified, spans
from gpumon.statistics.summaries import distinct_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = [
    "Stuck",
    "distinct_ratio",
    "repeated_share",
    "stuck",
    "stuck_critical",
    "stuck_p",
    "stuck_share",
]

ROUNDING = 1e-9

ODDS = 4.0
"""A value is stuck beyond this many times the odds of the reference's most frequent value: from 50 % on that is 80 %."""

NARROW = 0.5
"""A cell that is wider than this part of the reference's standard deviation tells nothing of single values."""


class Stuck(NamedTuple):
    """The value that the rows may be stuck on, or the cell that it is in; arrays (...)."""

    excess: Interval
    """(share − usual) / (1 − usual) [up to 1], with Wilson's interval of the share: what part of the rows would have to
    give this one value if all others gave it as often as is usual at most."""
    share: Floats
    """Its current share [0 to 1]: that of the cell, but no more than the distinct values leave."""
    most: Floats
    """The largest that this share can be, as HyperLogLog is 1.6 % off."""
    usual: Floats
    """The share that a change of the shares of values, or a shift, gives some value at most [0 to 1]."""
    before: Floats
    """The largest share that any value had in the reference, at most [0 to 1]."""
    lower: Floats
    """Smallest value that the rows of the cell can have [unit of the column]."""
    upper: Floats
    """Largest value that they can have; equal to ``lower`` if they all have one value."""


def repeated_share(counts: Counts, edges: Floats, extremes: Floats) -> Bounds:
    """Share of the most repeated value among those that are not missing, as an interval [0 to 1].

    Atoms and ±inf are known exactly, and so is a column whose smallest value is its largest. Of the rows of any
    other cell it is known only that they may all be equal (``upper``), and that one is as frequent as itself
    (``lower``, 1 / rows). ``value`` is ``lower``. NaN where there are no rows.

    >>> edges = np.array([0.0, np.nextafter(0.0, 1.0), 1.0])
    >>> [float(x) for x in repeated_share(np.array([0, 0, 7, 3, 0, 0, 0, 0]), edges, np.array([0.0, 0.9]))]
    [0.7, 0.7, 0.7]
    """
    present = counts[..., :-2]
    rows = np.sum(present, axis=-1)
    left, right = spans(edges, extremes)
    ends = np.ones((*left.shape[:-1], 1), np.bool_)
    atom = np.concatenate([ends, left == right, ends], axis=-1)
    known = np.maximum(np.max(np.where(atom, present, 0), axis=-1), np.minimum(rows, 1))
    with np.errstate(invalid="ignore"):
        lower, upper = known / rows, np.max(present, axis=-1) / rows
    return Bounds(lower, lower, np.maximum(lower, upper))


def distinct_ratio(distinct: ArrayLike, rows: ArrayLike) -> Floats:
    """Distinct values over rows [0 to 1]; 1 if no value repeats, NaN where there are no rows.

    ``distinct`` may be an estimate (HyperLogLog), so what would exceed 1 is 1.

    >>> distinct_ratio(5, 20)
    array(0.25)
    """
    distinct, rows = np.asarray(distinct, np.float64), np.asarray(rows, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rows > 0, np.minimum(distinct / rows, 1.0), np.nan)


def stuck(
    reference: Counts,
    current: Counts,
    edges: Floats,
    extremes: Floats,
    registers: NDArray[np.uint8],
    moments: Floats,
    scale: Floats,
    level: float = 0.95,
) -> Stuck:
    """The value that has become far more frequent than any value was in the reference, whichever that was.

    Values may change places: a shift of rounded predictions, or of the shares of classes, gives other values the
    large shares. So what is usual is set by r, the largest share of any value in the reference: odds of up to ``ODDS``
    times r / (1 − r). A value that was half of the rows may be four fifths, three equally frequent ones two thirds, and a
    value of a continuous score next to nothing.

    Values are known by their cell. A cell of several values counts if it is narrower than ``NARROW`` reference
    standard deviations ``scale`` (...), for the larger of r and the shares of the two stretches beside it that are as wide:
    a density that has moved there is no spike. Of the rows beyond the edges, which a shift brings there too, those count
    that must be so near to the smallest (largest) value for the mean to be what it is. Of m rows no more than m − d + 1
    can repeat one value, d being the distinct values (``registers``), so scores that crowd together and still differ
    do not count. ``extremes`` (..., 2) and ``moments`` (..., 3) are those of the
    current rows; a cell that the extremes reduce to one value holds that one, as do atoms and ±inf. NaN where a side
    has no rows.

    >>> edges, few = np.array([0.0, 1.0, 2.0]), np.array([1] + [0] * 4095, np.uint8)
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 0, 90, 0, 0, 0, 0])
    >>> found = stuck(before, now, edges, np.array([1.25, 1.25]), few, np.array([90.0, 1.25, 0.0]), np.array(0.5))
    >>> found.share, found.usual, found.excess.value, found.lower, found.upper
    (np.float64(1.0), np.float64(0.8), np.float64(1.0), np.float64(1.25), np.float64(1.25))
    """
    before, now = np.broadcast_arrays(reference[..., :-2], current[..., :-2])
    n, m = (np.sum(side, axis=-1, keepdims=True) for side in (before, now))
    left, right = (_with_ends(each, now.shape) for each in spans(edges, extremes))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = now / m
        inner = before / n
        inner[..., [1, -2]] = 0.0  # beyond the edges are many values
        largest = np.max(inner, axis=-1, keepdims=True)
        several, reach = left < right, NARROW * np.asarray(scale, np.float64)[..., None]
        others, ends = np.zeros(now.shape), np.concatenate((left[..., 1:-1], right[..., -2:-1]), axis=-1)
        for end, near in zip((1, -2), _near_ends(now, left, right, moments, reach), strict=True):
            wide = right[..., end] - left[..., end] > reach[..., 0]
            share[..., end] = np.where(wide, near / m[..., 0], share[..., end])
            others[..., end] = np.where(wide, now[..., end] - near, 0.0)
            if end == 1:
                right[..., 1] = np.where(wide, left[..., 1] + reach[..., 0], right[..., 1])
            else:
                left[..., -2] = np.where(wide, right[..., -2] - reach[..., 0], left[..., -2])
        narrow = (right - left) <= reach * (1 + ROUNDING)
        share = np.where(several & ~narrow, 0.0, share)
        distinct = distinct_count(registers)
        whole, share = (
            np.where(
                several,
                np.minimum(share, np.clip((m - np.maximum(d[..., None], 1) + 1) / m, 0.0, 1.0)),
                share,
            )
            for d in (distinct.lower, distinct.value)
        )
        usual = _usual(largest) + 0.0 * share
        for index in zip(*np.nonzero(several & (share > usual)), strict=True):
            at = index[:-1]
            counts, own = now[at].astype(np.float64), index[-1]
            counts[own] = others[index]
            points = ends[at].copy()
            if own == 1 and counts[own]:  # the rows that may be far from the end are between it and the edge
                points[0] = right[index]
            elif own == now.shape[-1] - 2 and counts[own]:
                points[-1] = left[index]
            beside = _beside(counts[1:-1], points, float(left[index]), float(right[index])) / m[at]
            usual[index] = _usual(np.maximum(largest[at], beside))[0]
        excess = np.where(usual < 1, (share - usual) / (1 - usual), 0.0)
    cell = np.argmax(np.where(np.isnan(excess), -np.inf, excess), axis=-1)[..., None]
    share, whole, usual, low, high = (
        np.take_along_axis(each, cell, axis=-1)[..., 0] for each in (share, whole, usual, left, right)
    )
    unknown = np.where((n > 0) & (m > 0), 0.0, np.nan)[..., 0]
    rows = m[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        around = intervals.wilson(np.rint(share * rows), rows, level)
        found = [
            np.where(usual < 1, (each - usual) / (1 - usual), 0.0) + unknown
            for each in (share, around.lower, around.upper)
        ]
    parts = (each + unknown for each in (share, whole, usual, largest[..., 0], low, high))
    return Stuck(intervals.Interval(*found), *parts)


def stuck_share(
    reference: Counts,
    current: Counts,
    edges: Floats,
    _before: Floats,
    now: Floats,
    _known: NDArray[np.uint8],
    registers: NDArray[np.uint8],
    _were: Floats,
    moments: Floats,
    scale: Floats,
) -> Certified:
    """Share of the rows that are stuck on one value, beyond the share that any value may come to otherwise [0 to 1].

    Of the most frequent value's share x it is (x − u) / (1 − u), at least 0: 1 for a constant model, and the share of rows
    that fall back on one answer where the others are spread out. u is what a shift or other shares of the same values
    explain: of odds four times those of the reference's most frequent value, whichever that was. So classes of 50 % may become
    80 %, and rounded predictions move, without being stuck. The interval is Wilson's of x, with u taken as known.
    ``lower`` is 0 where the value is in a cell that may hold several; see ``stuck``.

    ``_before`` and ``now`` are the extremes of the sides, ``_known`` and ``registers`` their HyperLogLog registers, ``_were``
    and ``moments`` their moments (the reference's are not needed), ``scale`` the reference's standard deviation. NaN where a
    side has no rows.

    >>> edges, ends, few = np.array([0.0, 1.0, 2.0]), np.array([1.25, 1.25]), np.array([1] + [0] * 4095, np.uint8)
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 0, 90, 0, 0, 0, 0])
    >>> all_one = np.array([90.0, 1.25, 0.0])
    >>> found = stuck_share(before, now, edges, ends, ends, few, few, all_one, all_one, np.array(0.5))
    >>> [round(float(x), 2) for x in found]
    [1.0, 1.0, 1.0, 0.8, 1.0]
    """
    found = stuck(reference, current, edges, now, registers, moments, scale)
    value, start, end = (np.where(np.isnan(x), np.nan, np.maximum(x, 0.0)) for x in found.excess)
    one = found.lower == found.upper
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(found.usual < 1, (found.most - found.usual) / (1 - found.usual), 0.0)
    return Certified(value, np.where(one | np.isnan(value), value, 0.0), np.maximum(value, most), start, end)


def stuck_p(
    reference: Counts,
    current: Counts,
    edges: Floats,
    now: Floats,
    registers: NDArray[np.uint8],
    moments: Floats,
    scale: Floats,
) -> Floats:
    """Probability that some value has the share that ``stuck`` finds, or more, if the usual share is its own [0 to 1].

    A binomial of the current rows with the probability ``usual``, times the number of cells (Bonferroni).

    >>> edges, ends, few = np.array([0.0, 1.0, 2.0]), np.array([1.5, 1.5]), np.array([1] + [0] * 4095, np.uint8)
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 0, 20, 0, 0, 0, 0])
    >>> stuck_p(before, now, edges, ends, few, np.array([20, 1.5, 0.0]), np.array(0.5)).round(3)
    np.float64(0.069)
    """
    found = stuck(reference, current, edges, now, registers, moments, scale)
    m = np.sum(current[..., :-2], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.rint(found.share * m)
        tail = np.where(k > 0, special.betainc(np.maximum(k, 1), m - k + 1, found.usual), 1.0)
    return np.where(np.isnan(found.share), np.nan, np.minimum(tail * (current.shape[-1] - 2), 1.0))


def stuck_critical(
    level: float,
    reference: Counts,
    current: Counts,
    edges: Floats,
    now: Floats,
    registers: NDArray[np.uint8],
    moments: Floats,
    scale: Floats,
) -> Floats:
    """The excess that chance alone exceeds with the probability ``level`` in any cell: inverts ``stuck_p``.

    Above 1 where there are too few rows to say so of any share.

    >>> edges, ends, few = np.array([0.0, 1.0, 2.0]), np.array([1.5, 1.5]), np.array([1] + [0] * 4095, np.uint8)
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 10, 90, 0, 0, 0, 0])
    >>> stuck_critical(0.05, before, now, edges, ends, few, np.array([100, 1.4, 9.0]), np.array(0.5)).round(2)
    np.float64(0.48)
    """
    found = stuck(reference, current, edges, now, registers, moments, scale)
    m = np.sum(current[..., :-2], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # rows from which on the tail is less, and half a row fewer, so that so many exceed it
        needed = np.ceil(special.bdtrik(1 - level / (current.shape[-1] - 2), m, found.usual)) + 0.5
        excess = (needed / m - found.usual) / (1 - found.usual)
    return np.where(np.isnan(found.share) | (found.usual >= 1), np.nan, excess)


def _usual(largest: Floats) -> Floats:
    """The share whose odds are ``ODDS`` times those of ``largest``."""
    return np.asarray(ODDS * largest / (1 + (ODDS - 1) * largest))


def _with_ends(finite: Floats, shape: tuple[int, ...]) -> Floats:
    """The ends of all cells from −inf to +inf, given those of the finite ones."""
    finite = np.broadcast_to(finite, (*shape[:-1], finite.shape[-1]))
    infinity = np.full((*shape[:-1], 1), np.inf)
    return np.concatenate([-infinity, finite, infinity], axis=-1)


def _near_ends(
    counts: Counts, left: Floats, right: Floats, moments: Floats, reach: Floats
) -> tuple[Floats, Floats]:
    """Rows of the two open cells that must lie within ``reach`` of the smallest, and of the largest value: at least.

    The mean of all rows bounds the mean of those beyond an edge; by Markov's inequality few can then be far from the end.
    """
    total = moments[..., 0] * moments[..., 1]
    found = []
    for end, others, far in ((1, slice(2, -1), left), (-2, slice(1, -2), right)):
        rest = np.vecdot(np.where(counts[..., others] > 0, far[..., others], 0.0), counts[..., others])
        rows = counts[..., end]
        at = left[..., end] if end == 1 else right[..., end]
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.abs((total - rest) / np.maximum(rows, 1) - at) / reach[..., 0]
        found.append(np.where(rows > 0, rows * np.clip(1 - np.nan_to_num(away, nan=1.0), 0.0, 1.0), 0.0))
    return found[0], found[1]


def _beside(counts: Counts, ends: Floats, left: float, right: float) -> float:
    """Rows of the larger of the two stretches beside a cell that are as wide, the rows of other cells spread evenly."""
    below, wide = np.concatenate(([0], np.cumsum(counts))), right - left
    at = np.interp((left - wide, left, right, right + wide), ends, below)
    return float(max(at[1] - at[0], at[3] - at[2]))
