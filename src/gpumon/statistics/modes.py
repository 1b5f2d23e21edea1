"""Modes of a distribution, how they move, and values that repeat: what clusters of predictions and a stuck model show.

``counts`` (..., m + 5), ``edges`` (..., m) and ``extremes`` (..., 2) as in ``ecdf``. A mode is a peak of the
Gaussian kernel density of ``density`` that stands out by its *prominence*: its height above the higher of the two
valleys that part it from higher ground (as in ``scipy.signal.find_peaks``; the curve is 0 far out on both sides).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.density import bandwidth, density
from gpumon.statistics.ecdf import Bounds, Certified, boundaries, quantile, spans
from gpumon.statistics.summaries import distinct_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = [
    "ModeShift",
    "Modes",
    "Stuck",
    "distinct_ratio",
    "mode_shift",
    "mode_shift_normed",
    "modes",
    "number_of_modes",
    "peaks",
    "repeated_share",
    "stuck",
    "stuck_critical",
    "stuck_p",
    "stuck_share",
]

MOST = 8
"""Modes that are kept: those of the largest prominence."""

POINTS = 256
"""Points of the curve, from the quantile 0.001 to the quantile 0.999 and a tenth of that range to each side."""

BLOCK = 400_000
"""Points × cells that are smoothed at a time, so that they stay in a core's cache."""

FINE = 4
"""Cells narrower than about this part of the bandwidth are joined: a quarter of it changes no mode."""

NARROWING = 0.7
"""Part of Scott's bandwidth, which is made for one normal peak and too wide for several."""

PROMINENCE = 0.05
"""A mode has at least this part of the height of the highest peak as its prominence,"""

ERRORS = 4.0
"""and at least this many standard errors of the curve at its top: flat densities ripple."""

ROUNDING = 1e-9

ODDS = 4.0
"""A value is stuck beyond this many times the odds of the reference's most frequent value: from 50 % on that is 80 %."""

NARROW = 0.5
"""A cell that is wider than this part of the reference's standard deviation tells nothing of single values."""


class Modes(NamedTuple):
    """Modes in order of location, padded with NaN to ``MOST``."""

    number: NDArray[np.int64]
    """Number of modes (...); 0 where there are no values, 1 where there is one distinct value."""
    location: Floats
    """(..., MOST) [unit of the column], within a 500th of the range of the curve"""
    mass: Floats
    """Share of the finite values between the valleys on both sides of the mode, (..., MOST) [0 to 1]; add up to 1."""
    prominence: Floats
    """As a part of the height of the highest peak, (..., MOST) [0 to 1]."""


class ModeShift(NamedTuple):
    """How modes have changed; arrays (...)."""

    number: NDArray[np.int64]
    """Current number − reference's number."""
    main: Floats
    """Location of the mode of the largest mass, current − reference [unit of the column]."""
    distance: Floats
    """Earth mover's distance of the masses at their locations [unit of the column]: 0 if neither has moved; a new
    mode adds its mass times its distance from where that mass was."""


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


def peaks(curve: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Positions and prominences of the peaks of one curve (points,); a flat top counts once, at its middle.

    The ends are no peaks. Equals ``scipy.signal.find_peaks(curve, prominence=0)``.

    >>> peaks(np.array([0.0, 3.0, 1.0, 2.0, 2.0, 0.0]))
    (array([1, 3]), array([3., 1.]))
    """
    starts = np.flatnonzero(np.concatenate([[True], curve[1:] != curve[:-1]]))
    heights = curve[starts]
    ends = np.append(starts[1:], len(curve)) - 1
    inner = np.arange(1, len(heights) - 1)
    tops = inner[(heights[inner] > heights[inner - 1]) & (heights[inner] > heights[inner + 1])]
    prominence = np.empty(len(tops))
    for index, top in enumerate(tops):
        higher = np.flatnonzero(heights > heights[top])
        place = np.searchsorted(higher, top)
        first = higher[place - 1] if place > 0 else 0
        last = higher[place] if place < len(higher) else len(heights) - 1
        valleys = heights[first : top + 1].min(), heights[top : last + 1].min()
        prominence[index] = heights[top] - max(valleys)
    return (starts[tops] + ends[tops]) // 2, prominence


def modes(counts: Counts, edges: Floats, extremes: Floats) -> Modes:
    """Modes of the finite values: number, locations, masses and prominences.

    Peaks below ``PROMINENCE`` of the highest and those within ``ERRORS`` standard errors of the curve,
    √(f / (2√π·n·h)), are ripples and no modes. With these numbers, normal peaks five or six of their standard deviations
    apart are told apart from 500 rows on, two equal ones from 100 rows, and about one draw in fifty of a uniform
    distribution shows a second mode. A mode with less than a thousandth of the rows may lie outside of the curve.

    >>> edges = np.arange(9.0)
    >>> found = modes(np.array([0, 0, 10, 200, 10, 0, 0, 30, 300, 30, 0, 0, 0, 0]), edges, np.array([0.1, 7.9]))
    >>> found.number, found.location[:2].round(1), found.mass[:2].round(2)
    (array(2), array([1.5, 6.5]), array([0.38, 0.62]))
    """
    leading = np.broadcast_shapes(counts.shape[:-1], edges.shape[:-1], extremes.shape[:-1])
    counts, edges, extremes = (np.broadcast_to(x, (*leading, x.shape[-1])) for x in (counts, edges, extremes))
    counts, edges, extremes = (x.reshape(-1, x.shape[-1]) for x in (counts, edges, extremes))
    number = np.zeros(len(counts), np.int64)
    location, mass, prominence = (np.full((len(counts), MOST), np.nan) for _ in range(3))
    inner = np.concatenate(
        [np.zeros_like(counts[..., :1]), counts[..., 1:-3], np.zeros_like(counts[..., :3])], -1
    )
    known = np.where(np.isfinite(extremes), extremes, np.nan)
    middle, low, high = (quantile(inner, edges, known, level).value for level in (0.5, 0.001, 0.999))
    width = NARROWING * bandwidth(counts, edges, extremes)
    curved = (width > 0) & (high > low)
    single = ~curved & np.any(inner > 0, axis=-1)
    number[single], location[single, 0] = 1, middle[single]
    mass[single, 0] = prominence[single, 0] = 1.0
    # the like of one column are smoothed together, and one reference that stands beside many slices once
    with np.errstate(divide="ignore", invalid="ignore"):
        fine = np.exp2(np.floor(np.log2(width / FINE)))
    same: dict[tuple[float, bytes], dict[bytes, list[int]]] = {}
    for i in np.flatnonzero(curved).tolist():
        of_column = same.setdefault((float(fine[i]), edges[i].tobytes()), {})
        of_column.setdefault(counts[i].tobytes() + known[i].tobytes(), []).append(i)
    for (narrow, _), places in same.items():
        first = [at[0] for at in places.values()]
        curves = _curves(narrow, *(x[first] for x in (counts, edges, known, width, low, high)))
        for at, one in zip(places.values(), curves, strict=True):
            number[at] = len(one[0])
            for all_of, found in zip((location, mass, prominence), one, strict=True):
                all_of[at, : len(found)] = found
    return Modes(number.reshape(leading), *(x.reshape(*leading, MOST) for x in (location, mass, prominence)))


def mode_shift(reference: Modes, current: Modes) -> ModeShift:
    """How the modes of current differ from those of reference: in number, of the main one, and of all of them.

    NaN where a side has no modes. ``distance`` equals ``scipy.stats.wasserstein_distance`` of locations with masses
    for weights.

    >>> def at(*found): return Modes(np.array(2), *(np.append(x, [np.nan] * 6) for x in found))
    >>> before, now = at([0.0, 4.0], [0.5, 0.5], [1, 1]), at([0.0, 5.0], [0.5, 0.5], [1, 1])
    >>> mode_shift(before, now).distance
    array(0.5)
    """
    sides = reference, current
    unknown = (reference.number == 0) | (current.number == 0)
    main = [
        np.take_along_axis(
            side.location, np.argmax(np.nan_to_num(side.mass, nan=-1.0), axis=-1)[..., None], axis=-1
        )[..., 0]
        for side in sides
    ]
    places = np.concatenate(np.broadcast_arrays(*(side.location for side in sides)), axis=-1)
    weights = np.broadcast_arrays(*(np.nan_to_num(side.mass) for side in sides))
    signed = np.concatenate([weights[0], -weights[1]], axis=-1)
    order = np.argsort(places, axis=-1)
    places, signed = (np.take_along_axis(x, order, axis=-1) for x in (places, signed))
    steps = np.nan_to_num(np.diff(places, axis=-1))
    distance = np.vecdot(np.abs(np.cumsum(signed, axis=-1))[..., :-1], steps)
    return ModeShift(
        np.asarray(current.number - reference.number),
        np.where(unknown, np.nan, main[1] - main[0]),
        np.where(unknown, np.nan, distance),
    )


def number_of_modes(counts: Counts, edges: Floats, extremes: Floats) -> Floats:
    """Number of modes of the finite values, as ``modes`` finds them; NaN where there are none.

    >>> number_of_modes(np.array([0, 0, 90, 1, 90, 0, 0, 0, 0]), np.arange(4.0), np.array([0.1, 2.9]))
    array(2.)
    """
    found = modes(counts, edges, extremes).number
    return np.where(found > 0, found, np.nan)


def mode_shift_normed(
    reference: Counts,
    current: Counts,
    edges: Floats,
    before: Floats,
    now: Floats,
    scale: Floats,
) -> Floats:
    """How far the modes have moved, in the reference's standard deviations [0 or more]: ``mode_shift``'s distance.

    ``before`` and ``now`` (..., 2) are the extremes of the sides, ``scale`` (...) the reference's standard deviation.
    Both sides are smoothed, and their ripples told from modes, as if they had the rows of the smaller one: what a
    large table shows and a small one cannot is no change. NaN where a side has no values, or the reference one alone.

    >>> edges, ends = np.arange(5.0), np.array([0.1, 3.9])
    >>> low, high = np.array([0, 0, 90, 9, 1, 0, 0, 0, 0, 0]), np.array([0, 0, 0, 1, 9, 90, 0, 0, 0, 0])
    >>> mode_shift_normed(low, high, edges, ends, ends, np.array(0.5)).round(1)
    np.float64(5.8)
    """
    n, m = (np.sum(side[..., 1:-3], axis=-1, keepdims=True) for side in (reference, current))
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = [
            modes(counts * np.where(rows > 0, np.minimum(n, m) / rows, 0.0), edges, extremes)
            for counts, rows, extremes in ((reference, n, before), (current, m, now))
        ]
        return mode_shift(*sides).distance / np.where(scale > 0, scale, np.nan)


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


def _curves(
    fine: float, counts: Counts, edges: Floats, known: Floats, h: Floats, low: Floats, high: Floats
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Locations, masses and prominences of slices (slices, …) of one column, by the bandwidths ``h``.

    The bulk of each lies from ``low`` to ``high``. Cells narrower than ``fine`` are joined.
    """
    reach = (high - low) / 10
    points = np.linspace(low - reach, high + reach, POINTS, axis=-1)
    cells, inner = _coarser(counts, edges[0], fine)
    size = max(1, BLOCK // (POINTS * cells.shape[-1]))
    finite = counts[:, 1:-3]
    n = np.sum(finite, axis=-1)
    for start in range(0, len(counts), size):
        block = slice(start, start + size)
        heights = density(cells[block], inner, known[block], points[block], NARROWING)
        # with a point of 0 on both sides, so that a curve cut off at its top still has its peak
        for curve, i in zip(np.pad(heights, ((0, 0), (1, 1))), range(start, len(counts)), strict=False):
            top, prominence = _standing_out(curve, float(n[i] * h[i]))
            valleys = [
                points[i, first - 1 + np.argmin(curve[first : last + 1])] for first, last in pairwise(top)
            ]
            below: Floats = np.zeros(0)
            if valleys:  # the distribution function at the valleys, the rows of a cell spread evenly
                through = np.concatenate([[0], np.cumsum(finite[i])]) / n[i]
                below = np.interp(valleys, boundaries(edges[i], known[i]), through)
            yield points[i, top - 1], np.diff(below, prepend=0, append=1), prominence


def _standing_out(curve: Floats, kernels: float) -> tuple[NDArray[np.int64], Floats]:
    """Positions of the peaks that are modes and their prominences as parts of the highest; ``kernels`` are rows × h."""
    top, prominence = peaks(curve)
    if not top.size:  # of values so huge, or so close, that floats cannot tell their density
        return top, prominence
    height = curve[top]
    needed = np.maximum(PROMINENCE * height.max(), ERRORS * np.sqrt(height / (2 * np.sqrt(np.pi) * kernels)))
    # the highest one is always a mode: the curve has an area of 1
    kept = np.flatnonzero((prominence >= needed) | (height == height.max()))
    kept = np.sort(kept[np.argsort(-prominence[kept], kind="stable")[:MOST]])
    return top[kept], prominence[kept] / height.max()


def _coarser(counts: Counts, edges: Floats, width: float) -> tuple[Counts, Floats]:
    """Cells (slices, …) narrower than ``width`` joined to about that: a curve of many bandwidths does not show it."""
    place = np.floor((edges - edges[0]) / width)
    kept = np.flatnonzero(np.append(True, place[1:] != place[:-1]))
    cells = np.add.reduceat(counts[..., 1:-3], np.append(0, kept + 1), axis=-1)
    return np.concatenate([counts[..., :1], cells, counts[..., -3:]], axis=-1), edges[kept]
