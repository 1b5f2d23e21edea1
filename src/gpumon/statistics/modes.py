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
from gpumon.statistics.ecdf import Bounds, boundaries, quantile, spans
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
    """The cell that has gained the largest share of rows; arrays (...)."""

    excess: Interval
    """Its current share − its reference's share [−1 to 1], with Newcombe's interval for this cell."""
    share: Floats
    """Its current share [0 to 1]."""
    lower: Floats
    """Smallest value that its rows can have [unit of the column]."""
    upper: Floats
    """Largest value that its rows can have; equal to ``lower`` if they all have one value."""


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


def stuck(reference: Counts, current: Counts, edges: Floats, extremes: Floats, level: float = 0.95) -> Stuck:
    """The cell whose share has grown the most over the reference's: a model that answers one value fills one cell.

    ``extremes`` (..., 2) are those of the current rows; a cell that they reduce to one value is known to repeat it, as is
    an atom. A cell is any of those of ``counts`` but the two of missing values; values beyond the edges are a shift,
    so the two open cells count only where they hold one value. NaN where a side has no rows.

    >>> edges = np.array([0.0, 1.0, 2.0])
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 0, 90, 0, 0, 0, 0])
    >>> found = stuck(before, now, edges, np.array([1.25, 1.25]))
    >>> found.share, found.excess.value, found.lower, found.upper
    (array(1.), array(0.5), array(1.25), array(1.25))
    """
    before, now = np.broadcast_arrays(reference[..., :-2], current[..., :-2])
    n, m = (np.sum(side, axis=-1, keepdims=True) for side in (before, now))
    gain = now / np.maximum(m, 1) - before / np.maximum(n, 1)
    left, right = spans(edges, extremes)
    wide = np.broadcast_to(left < right, (*gain.shape[:-1], left.shape[-1]))
    gain = gain.copy()
    for finite, place in ((0, 1), (-1, -2)):
        gain[..., place] = np.where(wide[..., finite], -np.inf, gain[..., place])
    cell = np.argmax(gain, axis=-1)[..., None]
    k, j = (np.take_along_axis(side, cell, axis=-1)[..., 0] for side in (before, now))
    n, m = n[..., 0], m[..., 0]
    infinity = np.full((*gain.shape[:-1], 1), np.inf)

    def end(finite: Floats) -> Floats:
        finite = np.broadcast_to(finite, (*gain.shape[:-1], finite.shape[-1]))
        every = np.concatenate([-infinity, finite, infinity], axis=-1)
        return np.where((n > 0) & (m > 0), np.take_along_axis(every, cell, axis=-1)[..., 0], np.nan)

    excess = intervals.difference_of_proportions(k, n, j, m, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Stuck(excess, np.where(n > 0, j / m, np.nan), end(left), end(right))


def stuck_share(
    reference: Counts,
    current: Counts,
    edges: Floats,
    _before: Floats,
    now: Floats,
    _known: NDArray[np.uint8],
    registers: NDArray[np.uint8],
) -> Bounds:
    """Share of the rows that have come to repeat one value: the largest gain of a cell over the reference [0 to 1].

    Of a cell of many values no more rows can repeat one than the number of distinct values leaves: of m rows with d
    distinct values at most m − d + 1, so scores that crowd together and still differ do not count (d as
    HyperLogLog says, less three standard errors). ``lower`` is 0 where the cell may hold several values.
    A model that is constant, or falls back on one answer, shows here; the reference's own repeats do not.

    ``_before`` and ``now`` are the extremes of the sides, ``_known`` and ``registers`` their HyperLogLog registers; the
    reference's of both are not needed. NaN where a side has no rows.

    >>> edges, ends, few = np.array([0.0, 1.0, 2.0]), np.array([1.25, 1.25]), np.array([1] + [0] * 4095, np.uint8)
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 0, 90, 0, 0, 0, 0])
    >>> [float(x) for x in stuck_share(before, now, edges, ends, ends, few, few)]
    [0.5, 0.5, 0.5]
    """
    found = stuck(reference, current, edges, now)
    rows = np.sum(current[..., :-2], axis=-1)
    distinct = distinct_count(registers).lower
    with np.errstate(divide="ignore", invalid="ignore"):
        most = (rows - np.maximum(distinct, 1) + 1) / rows
    gain = np.maximum(found.excess.value, 0.0)
    value = np.where(np.isnan(gain), np.nan, np.minimum(gain, np.clip(most, 0.0, 1.0)))
    one = found.lower == found.upper
    return Bounds(value, np.where(one | np.isnan(value), value, 0.0), value)


def _gained(reference: Counts, current: Counts, edges: Floats, now: Floats) -> tuple[Floats, ...]:
    """Rows of the cell that gained the most, k of n before and j of m now."""
    found = stuck(reference, current, edges, now)
    n, m = (np.sum(side[..., :-2], axis=-1) for side in (reference, current))
    with np.errstate(invalid="ignore"):
        j = np.rint(found.share * m)
        k = np.rint((found.share - found.excess.value) * n)
    return k, n, j, m


def stuck_p(reference: Counts, current: Counts, edges: Floats, now: Floats) -> Floats:
    """Probability that chance alone fills one of the cells as much as the one that ``stuck`` finds [0 to 1].

    If nothing has changed, of k + j rows of a cell the current side has a binomial number with the probability
    m / (n + m) (exact for rare cells, on the safe side for others); times the number of cells (Bonferroni).

    >>> edges, ends = np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5])
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 1, 9, 0, 0, 0, 0])
    >>> stuck_p(before, now, edges, ends).round(2)
    np.float64(0.51)
    """
    k, n, j, m = _gained(reference, current, edges, now)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = np.where(j > 0, special.betainc(np.maximum(j, 1), k + 1, m / (n + m)), 1.0)
    p = np.minimum(tail * (current.shape[-1] - 2), 1.0)
    return np.where((n > 0) & (m > 0), p, np.nan)


def stuck_critical(level: float, reference: Counts, current: Counts, edges: Floats, now: Floats) -> Floats:
    """The gain of that cell which chance alone exceeds with the probability ``level`` in any cell [0 to 1].

    Inverts ``stuck_p``: given k rows before, the number now is negative binomial.

    >>> edges, ends = np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5])
    >>> before, now = np.array([0, 0, 50, 50, 0, 0, 0, 0]), np.array([0, 0, 10, 90, 0, 0, 0, 0])
    >>> stuck_critical(0.05, before, now, edges, ends).round(2)
    np.float64(0.29)
    """
    k, n, _, m = _gained(reference, current, edges, now)
    with np.errstate(divide="ignore", invalid="ignore"):
        most = special.nbdtrik(1 - level / (current.shape[-1] - 2), k + 1, n / (n + m))
        gain = (np.ceil(most) + 1) / m - k / n
    return np.where((n > 0) & (m > 0), np.minimum(gain, 1.0), np.nan)


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
