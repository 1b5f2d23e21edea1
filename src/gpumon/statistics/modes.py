"""Modes of a distribution and how they move: what clusters of predictions show.

``counts`` (..., m + 5), ``edges`` (..., m) and ``extremes`` (..., 2) as in ``ecdf``. A mode is a peak of the
Gaussian kernel density of ``density`` that stands out by its *prominence*: its height above the higher of the two
valleys that part it from higher ground (as in ``scipy.signal.find_peaks``; the curve is 0 far out on both sides).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.statistics.density import bandwidth, density
from gpumon.statistics.ecdf import boundaries, quantile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "ModeShift",
    "Modes",
    "mode_shift",
    "mode_shift_normed",
    "modes",
    "number_of_modes",
    "peaks",
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
