"""Statistics of ordered values, from counts on fine cells with a certified interval, or exact from sorted values.

Counts are (..., m + 5) on m increasing edges (..., m): −inf; below the first edge; the bins [edge, next edge);
at or above the last edge; +inf; NaN; null. NaN and null together are *missing* and take no part. A bin
[v, nextafter(v)) is an *atom*: all its rows have the same value, so it adds nothing to any interval. Columns with
fewer edges are padded at the end with +inf (and their counts with zeros before the last four).

``Bounds.lower`` ≤ exact ≤ ``Bounds.upper`` always holds, where exact is what scipy or NumPy finds on the raw values
(up to the rounding of float64).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats

__all__ = [
    "Bounds",
    "Certified",
    "boundaries",
    "kolmogorov_smirnov",
    "ks_sorted",
    "quantile",
    "spans",
    "wasserstein",
    "wasserstein_sorted",
]

LARGEST = float(np.finfo(np.float64).max)


class Bounds(NamedTuple):
    """A value with an interval that contains the exact one; three float64 arrays of the same shape."""

    value: Floats
    lower: Floats
    upper: Floats


class Certified(NamedTuple):
    """A value with both: bounds that contain that of these rows, and the interval for the population's."""

    value: Floats
    lower: Floats
    upper: Floats
    ci_lower: Floats
    ci_upper: Floats


def boundaries(edges: Floats, extremes: Floats) -> Floats:
    """Where the cells of finite values begin and end, (..., m + 2): smallest value, the edges, largest value.

    Edges outside the extremes are drawn in to them and padding (+inf) to the last real edge, so cells without room
    have no width. An infinite extreme stands for an unknown finite one and opens its end cell to the largest
    float64; a NaN extreme closes it at the edge.

    >>> boundaries(np.array([0.0, 1.0, 2.0, np.inf]), np.array([-3.0, 1.5]))
    array([-3. , 0. , 1. , 1.5, 1.5, 1.5])
    """
    last = np.max(edges, axis=-1, keepdims=True, where=np.isfinite(edges), initial=-np.inf)
    smallest, largest = (
        np.clip(extremes[..., :1], -LARGEST, LARGEST),
        np.clip(extremes[..., 1:], -LARGEST, LARGEST),
    )
    smallest = np.where(np.isnan(smallest), edges[..., :1], smallest)
    largest = np.where(np.isnan(largest), last, largest)
    inner = np.clip(np.minimum(edges, last), smallest, largest)
    return np.concatenate(_like_leading(smallest, inner, largest), axis=-1)


def spans(edges: Floats, extremes: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest value that each cell of finite values can hold, (..., m + 1); equal for an atom.

    >>> spans(np.array([1.0, 2.0, np.nextafter(2.0, 3.0)]), np.array([1.0, 9.0]))
    (array([1., 1., 2., 2.]), array([1., 2., 2., 9.]))
    """
    boundary = boundaries(edges, extremes)
    left, largest = boundary[..., :-1], boundary[..., -1:]
    before = np.clip(np.nextafter(edges, -np.inf), boundary[..., :1], largest)
    return left, np.concatenate(_like_leading(before, largest), axis=-1)


def kolmogorov_smirnov(reference: Counts, current: Counts, edges: Floats) -> Bounds:
    """Kolmogorov-Smirnov distance sup |F − G| as an interval [0 to 1]; ±inf are values, missing rows are not.

    ``lower`` is the largest difference at the boundaries of the cells, where both functions are known; ``upper``
    supposes that inside a cell all rows of one side come first. Atoms, ±inf and cells that only one side fills
    cannot exceed their boundaries. ``value`` is ``lower``: with fine cells it is the better guess of the two.
    NaN where a side has no rows. Exact is ``scipy.stats.ks_2samp(...).statistic``.

    >>> edges = np.array([0.0, 1.0, 2.0])
    >>> bounds = kolmogorov_smirnov(np.array([0, 0, 4, 4, 0, 0, 0, 0]), np.array([0, 0, 2, 6, 0, 0, 0, 0]), edges)
    >>> [float(bound) for bound in bounds]
    [0.25, 0.25, 0.75]
    """
    f, g = _distribution(reference[..., :-2]), _distribution(current[..., :-2])
    lower = np.max(np.abs(f - g), axis=-1)
    f_left, g_left = _shifted(f), _shifted(g)
    ends = np.ones((*edges.shape[:-1], 1), np.bool_)
    bins = edges[..., 1:] > np.nextafter(edges[..., :-1], np.inf)
    several = np.concatenate([~ends, ends, bins, ends, ~ends], axis=-1)
    inside = np.where(several & (f > f_left) & (g > g_left), np.maximum(f - g_left, g - f_left), 0.0)
    return Bounds(lower, lower, np.maximum(lower, np.max(inside, axis=-1)))


def wasserstein(
    reference: Counts,
    current: Counts,
    edges: Floats,
    reference_extremes: Floats,
    current_extremes: Floats,
) -> Bounds:
    """Earth mover's distance ∫ |F − G| dx as an interval [unit of the column, 0 or more].

    In a cell of width w that begins with F − G = d and holds shares p and q, the difference inside goes from d by
    steps up that total p and steps down that total q, so |F − G| lies within [d − q, d + p] and w times the
    farthest and the nearest of that range to 0 are the largest and smallest area, both of which some placing of the
    rows attains. ``value`` spreads the rows of each cell evenly. The end cells run to the extremes (..., 2) of both
    sides. NaN where a side has no rows or a ±inf (the distance is then infinite or undefined).
    Exact is ``scipy.stats.wasserstein_distance``.

    >>> edges, extremes = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.5])
    >>> reference, current = np.array([0, 0, 4, 4, 0, 0, 0, 0]), np.array([0, 0, 2, 6, 0, 0, 0, 0])
    >>> [float(bound) for bound in wasserstein(reference, current, edges, extremes, extremes)]
    [0.1875, 0.0, 0.875]
    """
    ends = np.stack(
        [
            np.minimum(reference_extremes[..., 0], current_extremes[..., 0]),
            np.maximum(reference_extremes[..., 1], current_extremes[..., 1]),
        ],
        axis=-1,
    )
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.diff(boundaries(edges, ends), axis=-1)
    f, g = _distribution(reference[..., 1:-3]), _distribution(current[..., 1:-3])
    f_left, g_left = _shifted(f), _shifted(g)
    before, after = f_left - g_left, f - g
    highest, lowest = f - g_left, f_left - g
    even = _mean_absolute(before, after)
    nearest = np.maximum(0.0, np.maximum(lowest, -highest))
    farthest = np.maximum(np.abs(highest), np.abs(lowest))
    infinite = [counts[..., 0] + counts[..., -3] > 0 for counts in (reference, current)]
    unknown = np.where(infinite[0] | infinite[1], np.nan, 0.0)
    value, lower, upper = (np.vecdot(width, share) + unknown for share in (even, nearest, farthest))
    return Bounds(np.clip(value, lower, upper), lower, upper)


def quantile(counts: Counts, edges: Floats, extremes: Floats, level: float | Floats) -> Bounds:
    """Quantile of the values that are not missing, as an interval [unit of the column].

    The definition is NumPy's default, ``numpy.quantile(x, level)``: linear between the two order statistics around
    (rows − 1)·level. ``level`` (0 to 1) broadcasts against the leading axes: with counts (columns, 1, m + 5), edges
    and extremes alike, three levels give (columns, 3). ``value`` spreads the rows of a cell evenly; where the rows
    fall on atoms all three are the exact value. Between −inf (or +inf) and a finite value the quantile is −inf
    (+inf). NaN where there are no rows.

    >>> edges = np.array([0.0, 1.0, 2.0])
    >>> bounds = quantile(np.array([0, 0, 5, 4, 0, 0, 0, 7]), edges, np.array([0.25, 1.75]), 0.5)
    >>> [round(float(bound), 3) for bound in bounds]
    [0.925, 0.25, 1.0]
    """
    present = counts[..., :-2]
    cumulative = np.cumsum(present, axis=-1)
    rows = cumulative[..., -1]
    position = np.maximum(rows - 1, 0) * np.asarray(level, np.float64)
    below, weight = np.floor(position), position - np.floor(position)

    known = np.where(np.isfinite(extremes), extremes, np.nan)
    evenly = [_with_infinities(end) for end in spans(edges, known)]
    widest = [_with_infinities(end) for end in spans(edges, extremes)]

    def order_statistic(rank: Floats) -> list[Floats]:
        cell = np.minimum(
            np.sum(cumulative <= rank[..., None], axis=-1, keepdims=True), present.shape[-1] - 1
        )

        def pick(cells: Floats) -> Floats:
            chosen, index = _like_leading(cells, cell)
            return np.asarray(np.take_along_axis(chosen, index, axis=-1)[..., 0], np.float64)

        within = np.maximum(pick(present), 1)
        part = np.clip((rank - (pick(cumulative) - within) + 0.5) / within, 0.0, 1.0)
        left, right = (pick(end) for end in evenly)
        return [_between(left, right, part), *(pick(end) for end in widest)]

    pairs = zip(order_statistic(below), order_statistic(np.minimum(below + 1, rows - 1)), strict=True)
    found = [np.where(rows > 0, _between(left, right, weight), np.nan) for left, right in pairs]
    return Bounds(np.clip(found[0], found[1], found[2]), found[1], found[2])


def ks_sorted(reference: Floats, current: Floats) -> float:
    """Exact Kolmogorov-Smirnov distance of two sorted arrays without NaN; NaN where one is empty.

    >>> ks_sorted(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    0.333...
    """
    if min(len(reference), len(current)) == 0:
        return float("nan")
    values = np.concatenate([reference, current])
    f = np.searchsorted(reference, values, side="right") / len(reference)
    g = np.searchsorted(current, values, side="right") / len(current)
    return float(np.max(np.abs(f - g)))


def wasserstein_sorted(reference: Floats, current: Floats) -> float:
    """Exact earth mover's distance of two sorted arrays without NaN; NaN where one is empty or holds ±inf.

    >>> wasserstein_sorted(np.array([0.0, 1.0]), np.array([5.0, 6.0]))
    5.0
    """
    if min(len(reference), len(current)) == 0:
        return float("nan")
    if not np.all(np.isfinite([reference[0], reference[-1], current[0], current[-1]])):
        return float("nan")
    values = np.sort(np.concatenate([reference, current]), kind="stable")
    f = np.searchsorted(reference, values[:-1], side="right") / len(reference)
    g = np.searchsorted(current, values[:-1], side="right") / len(current)
    return float(np.vecdot(np.abs(f - g), np.diff(values)))


def _distribution(counts: Counts) -> Floats:
    """The distribution function at the end of every cell; NaN where there are no rows."""
    cumulative = np.cumsum(counts, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(cumulative / cumulative[..., -1:])


def _shifted(ends: Floats) -> Floats:
    """The distribution function at the beginning of every cell: 0, then the ends of those before."""
    return np.concatenate([ends[..., :1] * 0.0, ends[..., :-1]], axis=-1)


def _mean_absolute(left: Floats, right: Floats) -> Floats:
    """The mean of |h| along a straight line from ``left`` to ``right``: Σ squares / 2Σ|.| where it crosses 0."""
    size = np.abs(left) + np.abs(right)
    crossing = (left * left + right * right) / np.where(size > 0, size, 1.0)
    return np.asarray(np.where(left * right >= 0, size, crossing) * 0.5)


def _with_infinities(finite: Floats) -> Floats:
    """The cells from −inf to +inf, given those between."""
    infinity = np.full((*finite.shape[:-1], 1), np.inf)
    return np.concatenate([-infinity, finite, infinity], axis=-1)


def _between(left: Floats, right: Floats, weight: Floats) -> Floats:
    """``left`` + ``weight``·(``right`` − ``left``), in NumPy's order of operations; infinite ends stay infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        step = right - left
        inner = np.where(weight < 0.5, left + step * weight, right - step * (1.0 - weight))
        inner = np.where(np.isfinite(step), inner, left * (1.0 - weight) + right * weight)
        outer = np.where(weight > 0, left + right, left)
        return np.where(np.isfinite(left) & np.isfinite(right), inner, outer)


def _like_leading(*arrays: Counts) -> list[Counts]:
    """The arrays with their leading axes broadcast to one shape and their last as it is."""
    leading = np.broadcast_shapes(*(array.shape[:-1] for array in arrays))
    return [np.broadcast_to(array, (*leading, array.shape[-1])) for array in arrays]


def wasserstein_normed(
    reference: Counts,
    current: Counts,
    edges: Floats,
    reference_extremes: Floats,
    current_extremes: Floats,
    scale: Floats,
) -> Bounds:
    """Earth mover's distance over the reference's standard deviation ``scale`` (...) [std, 0 or more].

    Comparable between columns: moving all rows by a tenth of a standard deviation gives 0.1. 0 where nothing moved;
    otherwise infinite for a reference that is constant. See ``wasserstein`` for the other arguments.
    """
    bounds = wasserstein(reference, current, edges, reference_extremes, current_extremes)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return Bounds(*(np.where(bound == 0, 0.0, bound / scale) for bound in bounds))


def wasserstein_normed_sorted(reference: Floats, current: Floats) -> float:
    """``wasserstein_sorted`` over the standard deviation (ddof 1) of the reference's values [std].

    >>> wasserstein_normed_sorted(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    0.7071067811865475
    """
    distance = wasserstein_sorted(reference, current)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (
            0.0
            if distance == 0
            else float(distance / np.std(reference, ddof=1))
            if len(reference) > 1
            else float("nan")
        )


def quantile_sorted(values: Floats, level: float) -> float:
    """``numpy.quantile`` of sorted values; between ±inf and a finite value ±inf; NaN without values.

    >>> quantile_sorted(np.array([1.0, 2.0]), 0.5)
    1.5
    """
    if len(values) == 0:
        return float("nan")
    position = (len(values) - 1) * level
    below = int(position)
    left, right = values[below], values[min(below + 1, len(values) - 1)]
    return float(_between(left, right, np.asarray(position - below)))
