"""Outliers among errors: shares of rows outside limits that other rows set, from counts on cells with certified ends.

Counts (..., m + 5) on edges (..., m) with extremes (..., 2) are as in ``ecdf``. Limits are (..., 3, 2), the lowest and the
highest value that is still usual, three times: the limits themselves, the nearest that they may be, and the farthest.
``Certified.lower`` ≤ exact ≤ ``Certified.upper`` holds, where exact is what NumPy and scipy find on the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpumon.statistics import ecdf, intervals
from gpumon.statistics.ecdf import Bounds, Certified
from gpumon.statistics.regression import absolute_quantile

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats

__all__ = [
    "more_outliers_critical",
    "more_outliers_p",
    "quantile_limits",
    "robust_limits",
    "share_outside",
]

ROUNDING = 1e-12
"""A level that is met exactly is met after rounding too, if it is a little less."""

NORMAL = float(special.ndtri(0.75))
"""The median absolute deviation of a normal variable, in standard deviations."""


def quantile_limits(counts: Counts, edges: Floats, extremes: Floats, level: float) -> Floats:
    """Limits (..., 3, 2) with nothing below, and above them the values beyond the quantile ``level`` [unit of the values].

    The limit is the end of the cell in which the smallest value stands that ``level`` of the rows do not exceed
    (``np.quantile(..., method="inverted_cdf")``): exact if that value has a cell of its own, and never so small that more than
    1 − ``level`` of the rows are beyond. At the end of a cell shares are exact. NaN where there are no rows.

    >>> edges = np.array([0.0, 1.0, 2.0])
    >>> quantile_limits(np.array([0, 0, 90, 10, 0, 0, 0, 0]), edges, np.array([0.0, 1.5]), 0.5)[0].round(6)
    array([-inf,   1.])
    """
    through = np.cumsum(counts[..., :-2], axis=-1)
    rows = through[..., -1]
    place = np.argmax(through >= (level * rows * (1 - ROUNDING))[..., None], axis=-1)[..., None]
    _, right = ecdf.spans(edges, extremes)
    infinity = np.full((*right.shape[:-1], 1), np.inf)
    ends = np.concatenate((-infinity, right, infinity), axis=-1)
    most = np.where(rows > 0, np.take_along_axis(ends, place, axis=-1)[..., 0], np.nan)
    least = np.where(rows > 0, -np.inf, np.nan)
    return np.repeat(np.stack((least, most), axis=-1)[..., None, :], 3, axis=-2)


def robust_limits(counts: Counts, edges: Floats, extremes: Floats, z: float) -> Floats:
    """Limits (..., 3, 2) beyond which |x − median|·0.6745 / MAD exceeds ``z`` [unit of the values].

    MAD is the median of |x − median|, as ``scipy.stats.median_abs_deviation``. NaN where it is 0, as half of the rows
    are one value, and where there are no rows. Source: Iglewicz & Hoaglin (1993), How to Detect and
    Handle Outliers, who take 3.5 for ``z``.

    >>> values = np.array([-1.0, 0.0, 1.0])
    >>> edges = np.sort(np.concatenate((values, np.nextafter(values, np.inf))))
    >>> counts = np.array([0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0])
    >>> robust_limits(counts, edges, np.array([-1.0, 1.0]), 3.5)[0].round(3)
    array([-5.189,  5.189])
    """
    middle = ecdf.quantile(counts, edges, extremes, 0.5)
    spread = absolute_quantile(counts, edges, extremes, np.asarray(0.5), middle)
    reach = Bounds(*(z / NORMAL * np.where(spread.value > 0, each, np.nan) for each in spread))
    with np.errstate(invalid="ignore", over="ignore"):
        ends = (
            (middle.value - reach.value, middle.value + reach.value),
            (middle.upper - reach.lower, middle.lower + reach.lower),
            (middle.lower - reach.upper, middle.upper + reach.upper),
        )
    return np.stack([np.stack(pair, axis=-1) for pair in ends], axis=-2)


def share_outside(
    counts: Counts, edges: Floats, extremes: Floats, limits: Floats, level: float = 0.95
) -> Certified:
    """Share of the rows below the lower or above the upper limit [0 to 1], with Wilson's interval.

    ``limits`` (..., 3, 2) are those of other rows, as of the reference. ``value`` spreads the rows of a cell evenly;
    ``lower`` and ``upper`` hold the share whatever the rows of the cells that the limits cut. Infinite values are
    outside. NaN where there are no rows, or no limits.

    >>> edges, counts = np.array([0.0, 1.0, 2.0]), np.array([0, 0, 6, 4, 0, 0, 0, 0])
    >>> limits = np.array([[-np.inf, 1.5]] * 3)
    >>> [round(float(x), 3) for x in share_outside(counts, edges, np.array([0.0, 1.9]), limits)[:3]]
    [0.178, 0.0, 0.4]
    """
    left, right = ecdf.spans(edges, extremes)
    (low, high), (near_low, near_high), (far_low, far_high) = (
        (limits[..., i, 0, None], limits[..., i, 1, None]) for i in range(3)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inside = (np.minimum(right, high) - np.maximum(left, low)) / (right - left)
        part = np.where(right > left, 1 - np.clip(inside, 0.0, 1.0), (left < low) | (left > high))
        parts = (part, (right < far_low) | (left > far_high), (left < near_low) | (right > near_high))
        rows = np.sum(counts[..., :-2], axis=-1)
        infinite = counts[..., 0] + counts[..., -3]
        unknown = np.where(np.isnan(high[..., 0]), np.nan, 0.0)
        value, lower, upper = (
            (np.vecdot(counts[..., 1:-3], 1.0 * each) + infinite) / rows + unknown for each in parts
        )
    value = np.clip(value, lower, upper)
    around = intervals.wilson(value * rows, rows, level)
    return Certified(value, lower, upper, around.lower, around.upper)


def more_outliers_p(k1: Floats, n1: Floats, k2: Floats, n2: Floats) -> Floats:
    """Probability of ``k2`` or more of ``n2`` rows outside limits if they are there as often as ``k1`` of ``n1`` [0 to 1].

    Of all rows outside, a binomial share n2 / (n1 + n2) is of the second side: the comparison of two rare rates. It holds
    too where the first side's own (k1 + 1)-th largest value is the limit. Where shares are not rare it errs towards no
    finding. Equals ``scipy.stats.binomtest(k2, k1 + k2, n2 / (n1 + n2), "greater")``. Source: Przyborowski & Wilenski
    (1940), Biometrika 31; Epstein (1954), Ann. Math. Stat. 25, for limits of the rows' own.

    >>> more_outliers_p(1.0, 1000.0, 8.0, 1000.0)
    array(0.01953125)
    """
    k1, n1, k2, n2 = (np.asarray(x, np.float64) for x in (k1, n1, k2, n2))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = special.betainc(np.where(k2 > 0, k2, 1.0), k1 + 1, n2 / (n1 + n2))
    return np.asarray(np.where((n1 > 0) & (n2 > 0), np.where(k2 > 0, p, 1.0), np.nan) + 0.0 * (k1 + k2))


def more_outliers_critical(level: float, k1: Floats, n1: Floats, n2: Floats) -> Floats:
    """The ``k2`` whose ``more_outliers_p`` is ``level``: what chance exceeds so rarely [rows, not whole].

    >>> round(float(more_outliers_critical(0.01953125, 1.0, 1000.0, 1000.0)), 6)
    8.0
    """
    k1, n1, n2 = (np.asarray(x, np.float64) for x in (k1, n1, n2))
    known = (n1 > 0) & (n2 > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(known, n2 / (n1 + n2), np.nan)
    return np.asarray(special.btdtria(level, k1 + 1, share))
