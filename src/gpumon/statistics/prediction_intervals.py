"""Intervals that a model predicts: are they as wide as they were, and do they hold what they should?

``interval_sums`` turns rows into sums that add over parts of a table, and everything else is read from these. An interval crosses
if its lower end is above its upper end: it covers nothing, and takes no part in widths and scores.
Without intervals from the model, ``conformal_half_width`` finds one from residuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.ecdf import Bounds, Certified, spans

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = [
    "IntervalSums",
    "conformal_coverage",
    "conformal_half_width",
    "conformal_half_width_interval",
    "coverage",
    "coverage_p",
    "crossing_share",
    "interval_sums",
    "mean_width",
    "winkler_score",
]

HALVINGS = 60
"""Bisections of a half-width between its certified ends."""


class IntervalSums(NamedTuple):
    """Sums over rows; arrays (...), of which the counts are int64."""

    rows: Counts
    """Rows with both ends: not NaN, and not the same infinity."""
    crossings: Counts
    """Of these, those whose lower end is above their upper end."""
    width: Floats
    """Σ (upper − lower) of those that do not cross"""
    width_squares: Floats
    labelled: Counts
    """Rows with both ends and a target."""
    covered: Counts
    """Of these, those with lower ≤ target ≤ upper."""
    below: Counts
    """Labelled rows that do not cross and whose target is below the lower end."""
    above: Counts
    """Labelled rows that do not cross and whose target is above the upper end."""
    score: Floats
    """Σ of the interval score of labelled rows that do not cross"""
    score_squares: Floats


def interval_sums(lower: Floats, upper: Floats, target: Floats, nominal: float) -> IntervalSums:
    """Sums of predicted intervals over the last axis; ``target`` is not finite where there is no label (yet).

    ``nominal`` is the coverage that was promised, such as 0.9. The interval score of a row is its width plus
    2 / (1 − nominal) times the distance by which its target lies outside. Source: Winkler (1972), J. Am. Stat. Assoc.
    67; Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102.

    >>> sums = interval_sums(np.array([0.0, 0.0]), np.array([1.0, 2.0]), np.array([0.5, 2.1]), 0.9)
    >>> sums.covered, sums.above, sums.score
    (array(1), array(1), array(5.))
    """
    with np.errstate(invalid="ignore"):
        present = ~np.isnan(upper - lower)
    labelled = present & np.isfinite(target)
    crossed = present & (lower > upper)
    usable, scored = present & ~crossed, labelled & ~crossed
    with np.errstate(invalid="ignore"):
        width = np.where(usable, upper - lower, 0.0)
        under, over = np.maximum(lower - target, 0.0), np.maximum(target - upper, 0.0)
        score = np.where(scored, width + 2 / (1 - nominal) * (under + over), 0.0)
    counts = (
        present,
        crossed,
        labelled,
        scored & (under + over == 0),
        scored & (under > 0),
        scored & (over > 0),
    )
    rows, crossings, with_target, covered, below, above = (np.asarray(np.sum(x, axis=-1)) for x in counts)
    sums = (np.asarray(np.sum(x, axis=-1)) for x in (width, width * width, score, score * score))
    width_sum, width_squares, score_sum, score_squares = sums
    return IntervalSums(
        rows,
        crossings,
        width_sum,
        width_squares,
        with_target,
        covered,
        below,
        above,
        score_sum,
        score_squares,
    )


def mean_width(sums: IntervalSums, level: float = 0.95) -> Interval:
    """Mean width of the intervals that do not cross, with Student's interval of it [unit of the target].

    >>> mean_width(interval_sums(np.array([0.0, 0.0]), np.array([1.0, 2.0]), np.full(2, np.nan), 0.9)).value
    array(1.5)
    """
    return _mean(sums.rows - sums.crossings, sums.width, sums.width_squares, level)


def coverage(sums: IntervalSums, level: float = 0.95) -> Interval:
    """Share of the labelled rows whose target lies in its interval (PICP) [0 to 1], with Wilson's interval.

    >>> [round(float(x), 3) for x in coverage(interval_sums(np.zeros(10), np.ones(10), np.linspace(0.1, 1.1, 10), 0.9))]
    [0.9, 0.596, 0.982]
    """
    return intervals.wilson(sums.covered, sums.labelled, level)


def coverage_p(sums: IntervalSums, nominal: ArrayLike) -> Floats:
    """Two-sided p-value of the score test that the coverage is ``nominal`` [0 to 1]; NaN without labels."""
    return intervals.proportion_p(sums.covered, sums.labelled, nominal)


def crossing_share(sums: IntervalSums, level: float = 0.95) -> Interval:
    """Share of the rows whose lower end is above their upper end [0 to 1], with Wilson's interval; should be 0."""
    return intervals.wilson(sums.crossings, sums.rows, level)


def winkler_score(sums: IntervalSums, level: float = 0.95) -> Interval:
    """Mean interval score of labelled rows, less is better, with Student's interval of it [unit of the target].

    It is proper: the true quantiles have the least. Equals 2 / (1 − nominal) times the sum of
    ``sklearn.metrics.mean_pinball_loss`` of both ends.
    """
    scored = sums.covered + sums.below + sums.above
    return _mean(scored, sums.score, sums.score_squares, level)


def conformal_half_width(counts: Counts, edges: Floats, extremes: Floats, nominal: float | Floats) -> Bounds:
    """Half-width h for which prediction ± h covers ``nominal`` of new rows, from residuals on cells [unit of the target].

    It is the k-th smallest absolute residual, k = ⌈(n + 1)·nominal⌉; infinite where k > n, that is where there are
    too few residuals. Split-conformal: if new rows are exchangeable with those of the residuals, ``upper`` covers at
    least ``nominal`` of them, whatever the model. ``counts`` (..., m + 5) of target − prediction and ``edges``
    (..., m) as in ``ecdf``; NaN residuals are missing, infinite ones count as such. ``nominal`` broadcasts against the
    leading axes. ``value`` spreads the rows of a cell evenly. NaN where there are no rows. Source: Lei et al. (2018), J. Am. Stat. Assoc. 113.

    >>> edges = np.array([-1.0, 0.0, 1.0, 2.0])
    >>> counts = np.array([0, 0, 5, 10, 4, 0, 0, 0, 0])
    >>> [round(float(x), 3) for x in conformal_half_width(counts, edges, np.array([-0.9, 1.8]), 0.9)]
    [1.6, 1.0, 1.8]
    """
    left, right = spans(edges, extremes)
    crosses = (left < 0) & (right > 0)
    near = np.where(crosses, 0.0, np.minimum(np.abs(left), np.abs(right)))
    far = np.maximum(np.abs(left), np.abs(right))
    finite, infinite = counts[..., 1:-3], counts[..., 0] + counts[..., -3]
    n = np.sum(finite, axis=-1) + infinite
    # (n + 1)·0.9 may come out a rounding above a whole number
    k = np.ceil(np.round((n + 1) * np.asarray(nominal, np.float64), 9))
    lower, upper = (_kth(ends, finite, k) for ends in (near, far))

    low, high = np.where(np.isfinite(lower), lower, 0.0), np.where(np.isfinite(upper), upper, 0.0)
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        enough = np.sum(finite * _covered(left, right, middle[..., None]), axis=-1) >= k
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    value = np.where(np.isfinite(upper), np.clip(high, lower, upper), np.inf)
    return Bounds(*(np.where(n > 0, bound, np.nan) for bound in (value, lower, upper)))


def conformal_half_width_interval(
    counts: Counts, edges: Floats, extremes: Floats, nominal: float | Floats, level: float = 0.95
) -> Certified:
    """``conformal_half_width`` with an interval for that of the population [unit of the target].

    The order statistics of ranks n·q ± z·√(n·q·(1 − q)), q the ``nominal`` coverage, taken outward over their cells; no
    distribution is supposed. Source: Conover (1999), Practical Nonparametric Statistics, section 3.2.

    >>> edges = np.linspace(0, 4, 401)
    >>> counts = np.concatenate(([0, 0], np.repeat(100, 400), [0, 0, 0, 0]))
    >>> [round(float(x), 2) for x in conformal_half_width_interval(counts, edges, np.array([0, 4.0]), 0.9)]
    [3.6, 3.6, 3.61, 3.58, 3.62]
    """
    rows = np.sum(counts[..., :-2], axis=-1)
    q = np.asarray(nominal, np.float64)
    with np.errstate(divide="ignore"):
        reach = special.ndtri((1 + level) / 2) * np.sqrt(q * (1 - q) / rows)
    reach = np.where(rows > 0, reach, 0.0)
    lower = conformal_half_width(counts, edges, extremes, np.maximum(q - reach, 0.0)).lower
    upper = conformal_half_width(counts, edges, extremes, np.minimum(q + reach, 1.0)).upper
    return Certified(*conformal_half_width(counts, edges, extremes, nominal), lower, upper)


def conformal_coverage(
    counts: Counts, edges: Floats, extremes: Floats, half_width: Floats, level: float = 0.95
) -> Certified:
    """Share of the rows whose target lies within prediction ± ``half_width`` [0 to 1], with Wilson's interval.

    ``counts`` of residuals as for ``conformal_half_width``; ``half_width`` (...) is that of other rows, as of the
    reference. A cell that the half-width cuts is what lies between ``lower`` and ``upper``, its rows spread evenly.
    NaN where there are no rows, or no half-width.

    >>> edges, counts = np.array([0.0, 1.0, 2.0]), np.array([0, 0, 6, 4, 0, 0, 0, 0])
    >>> [round(float(x), 2) for x in conformal_coverage(counts, edges, np.array([0.0, 1.9]), np.array(1.0))[:3]]
    [0.6, 0.6, 1.0]
    """
    left, right = spans(edges, extremes)
    half = np.asarray(half_width, np.float64)[..., None]
    crosses = (left < 0) & (right > 0)
    near = np.where(crosses, 0.0, np.minimum(np.abs(left), np.abs(right)))
    far = np.maximum(np.abs(left), np.abs(right))
    finite, rows = counts[..., 1:-3], np.sum(counts[..., :-2], axis=-1)
    parts = (_covered(left, right, half), far <= half, near <= half)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, lower, upper = (
            np.where(np.isnan(half[..., 0]), np.nan, np.sum(finite * part, axis=-1) / rows) for part in parts
        )
    value = np.clip(value, lower, upper)
    around = intervals.wilson(value * rows, rows, level)
    return Certified(value, lower, upper, around.lower, around.upper)


def _mean(n: Counts, total: Floats, squares: Floats, level: float) -> Interval:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / n
        moments = np.stack(np.broadcast_arrays(n, mean, squares - total * mean), axis=-1)
    return intervals.mean(moments, level)


def _kth(values: Floats, counts: Counts, k: Floats) -> Floats:
    """The k-th smallest of values that come in counts; infinite beyond the last."""
    values, counts, _ = np.broadcast_arrays(values, counts, k[..., None])
    order = np.argsort(values, axis=-1, kind="stable")
    reached = np.cumsum(np.take_along_axis(counts, order, axis=-1), axis=-1) >= k[..., None]
    ordered = np.take_along_axis(values, order, axis=-1)
    first = np.argmax(reached, axis=-1)[..., None]
    return np.where(reached.any(axis=-1), np.take_along_axis(ordered, first, axis=-1)[..., 0], np.inf)


def _covered(left: Floats, right: Floats, half: Floats) -> Floats:
    """The part of each cell that lies in −half to half, its rows spread evenly."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = (np.minimum(right, half) - np.maximum(left, -half)) / (right - left)
    return np.where(right > left, np.clip(part, 0.0, 1.0), np.abs(left) <= half)
