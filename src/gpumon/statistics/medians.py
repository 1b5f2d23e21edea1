"""Shift of a median, from counts on fine cells as those of :mod:`gpumon.statistics.ecdf`: what to say of long tails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpumon.statistics import ecdf
from gpumon.statistics.ecdf import Bounds
from gpumon.statistics.significance import two_proportion_p

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats

__all__ = ["median_shift", "median_shift_critical", "median_shift_sorted", "median_test_p"]


def median_shift(
    reference: Counts,
    current: Counts,
    edges: Floats,
    reference_extremes: Floats,
    current_extremes: Floats,
    scale: Floats,
) -> Bounds:
    """(Median of current − median of reference) / ``scale`` [std, where the scale is the reference's std].

    Each median lies in a cell, so the shift lies between bounds; ``value`` spreads the rows of a cell evenly. Where the
    scale is 0: 0 if the medians are equal, else +inf or −inf. NaN where a side has no rows.

    >>> edges, ends = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0])
    >>> found = median_shift(np.array([0, 0, 9, 0, 0, 0, 0, 0]), np.array([0, 0, 0, 9, 0, 0, 0, 0]), edges, ends, ends, 0.5)
    >>> [round(float(bound), 3) for bound in found]
    [2.0, 0.0, 4.0]
    """
    before = ecdf.quantile(reference, edges, reference_extremes, 0.5)
    now = ecdf.quantile(current, edges, current_extremes, 0.5)
    apart = now.value - before.value, now.lower - before.upper, now.upper - before.lower
    with np.errstate(divide="ignore", invalid="ignore"):
        return Bounds(*(np.where((scale == 0) & (x == 0), 0.0, x / scale) for x in apart))


def median_test_p(reference: Counts, current: Counts) -> Floats:
    """Two-sided p-value of Mood's test that both sides have one median [0 to 1].

    The rows of each side up to the end of the cell in which the median of both together lies are compared as two
    proportions. Where that cell holds one value, it equals ``scipy.stats.median_test(ties="below", correction=False)``.
    Source: Mood (1954), Ann. Math. Stat. 25.

    >>> median_test_p(np.array([0, 0, 70, 30, 0, 0, 0, 0]), np.array([0, 0, 50, 50, 0, 0, 0, 0])).round(4)
    np.float64(0.0039)
    """
    before, now = (np.cumsum(side[..., :-2], axis=-1) for side in (reference, current))
    together = before + now
    middle = np.sum(together < together[..., -1:] / 2, axis=-1, keepdims=True)
    up_to = (
        np.take_along_axis(np.broadcast_to(side, together.shape), middle, axis=-1) for side in (before, now)
    )
    k, l = (side[..., 0] for side in up_to)
    return two_proportion_p(k, before[..., -1], l, now[..., -1])


def median_shift_critical(
    level: float,
    reference: Counts,
    current: Counts,
    edges: Floats,
    reference_extremes: Floats,
    current_extremes: Floats,
    scale: Floats,
) -> Floats:
    """The |median shift| that chance exceeds with probability ``level`` when nothing has changed [std].

    The median of n rows lies between the quantiles ½ ± z / (2√n) of what they are drawn from, here of both sides
    together; the reaches of the two medians are added as independent ones.

    >>> x = np.array([0] + [10] * 101 + [0] * 4)
    >>> edges, ends = np.linspace(0, 1, 101), np.array([0.0, 1.0])
    >>> median_shift_critical(0.05, x, x, edges, ends, ends, 0.29).round(3)
    np.float64(0.152)
    """
    both = reference + current
    ends = np.stack(
        (
            np.fmin(reference_extremes[..., 0], current_extremes[..., 0]),
            np.fmax(reference_extremes[..., 1], current_extremes[..., 1]),
        ),
        axis=-1,
    )
    z, squares = -special.ndtri(level / 2), np.zeros(())
    for side in (reference, current):
        rows = np.maximum(np.sum(side[..., :-2], axis=-1), 1)
        reach = np.minimum(z / (2 * np.sqrt(rows)), 0.5)
        low, high = (ecdf.quantile(both, edges, ends, 0.5 + sign * reach).value for sign in (-1, 1))
        squares = squares + ((high - low) / 2) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(squares) / scale)


def median_shift_sorted(reference: Floats, current: Floats) -> float:
    """Exact median shift of sorted values without NaN, over the std of the reference's finite ones; NaN where one is empty.

    >>> round(median_shift_sorted(np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0])), 3)
    1.5
    """
    if min(len(reference), len(current)) == 0:
        return float("nan")
    apart = ecdf.quantile_sorted(current, 0.5) - ecdf.quantile_sorted(reference, 0.5)
    finite = reference[np.isfinite(reference)]
    scale = np.std(finite, ddof=1) if finite.size > 1 else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return 0.0 if apart == 0 and scale == 0 else float(np.divide(apart, scale))
