"""Errors of a regression from sums that add, with intervals.

An error is e = prediction − target, so a positive bias says too much. ``moments`` (..., 3) are n, mean and
Σ (x − mean)² of some number per row: of e itself (``error``), of e², of |e|, of a percentage, of a loss; so every
mean here has Student's interval, ``intervals.mean(moments)``. The functions on rows (``pinball`` and below) say what
that number is, element by element. NaN where there are no rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import ecdf, intervals
from gpumon.statistics.ecdf import Bounds
from gpumon.statistics.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gpumon.statistics import Counts, Floats

__all__ = [
    "Coverage",
    "absolute_percentage_error",
    "absolute_quantile",
    "bias_interval",
    "coverage",
    "error_variance",
    "interval_score",
    "mean_absolute_error",
    "mean_squared_error",
    "mean_squared_error_interval",
    "median_absolute_error",
    "median_absolute_error_interval",
    "moments",
    "pinball",
    "r_squared",
    "r_squared_interval",
    "root_mean_squared_error",
    "root_mean_squared_error_interval",
    "symmetric_percentage_error",
    "weighted_moments",
]

ZERO = Bounds(*(np.zeros(()) for _ in range(3)))


class Coverage(NamedTuple):
    """Share of targets inside their prediction interval, and the p-value that it is the nominal one."""

    share: Interval
    p: Floats


def moments(n: ArrayLike, total: ArrayLike, squares: ArrayLike, centre: ArrayLike = 0.0) -> Floats:
    """Moments (..., 3) from the sums n, Σ(x − centre) and Σ(x − centre)²: n, mean, Σ (x − mean)².

    A centre near the mean keeps the digits. Of |e| the sums are n, Σ|e|, Σe²; of e² they are n, Σe², Σe⁴.

    >>> moments(4, 10.0, 30.0)
    array([4. , 2.5, 5. ])
    """
    n, total, squares, centre = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (n, total, squares, centre))
    )
    mean = _over(total, n)
    about = np.maximum(squares - total * mean, 0.0)
    return np.stack([n, mean + centre, about], axis=-1)


def weighted_moments(
    weight: ArrayLike, squared_weight: ArrayLike, total: ArrayLike, squares: ArrayLike
) -> Floats:
    """Moments (..., 3) from sums over weighted rows, Σ w, Σ w², Σ w·x, Σ w·x²: effective rows, mean, Σ (x − mean)².

    The effective number of rows is (Σ w)² / Σ w², and the squared deviations are of so many. Source: Kish (1965),
    Survey Sampling.

    >>> weighted_moments(4.0, 8.0, 10.0, 30.0)
    array([2. , 2.5, 2.5])
    """
    weight, squared_weight, total, squares = (
        np.asarray(x, np.float64) for x in (weight, squared_weight, total, squares)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(squared_weight > 0, weight * weight / squared_weight, 0.0 * weight)
        mean = total / weight
        spread = np.maximum(squares / weight - mean * mean, 0.0) * n
    return np.stack((n, mean, spread), axis=-1)


def mean_squared_error(error: Floats) -> Floats:
    """MSE from the moments of e [unit²]: bias² + variance of the error, by construction.

    Equals ``sklearn.metrics.mean_squared_error``.

    >>> mean_squared_error(np.array([4.0, 2.5, 5.0]))
    array(7.5)
    """
    return np.asarray(np.where(error[..., 0] > 0, error[..., 1], np.nan) ** 2 + error_variance(error))


def root_mean_squared_error(error: Floats) -> Floats:
    """√MSE from the moments of e [unit]. Equals ``sklearn.metrics.root_mean_squared_error``."""
    return np.asarray(np.sqrt(mean_squared_error(error)))


def mean_squared_error_interval(square: Floats, level: float = 0.95) -> Interval:
    """MSE with Student's interval from the moments of e² [unit²], not below 0; no distribution is supposed."""
    found = intervals.mean(square, level)
    return Interval(found.value, np.maximum(found.lower, 0.0), found.upper)


def root_mean_squared_error_interval(square: Floats, level: float = 0.95) -> Interval:
    """RMSE from the moments of e²: the roots of the MSE's interval [unit]."""
    return Interval(*(np.sqrt(end) for end in mean_squared_error_interval(square, level)))


def mean_absolute_error(absolute: Floats, level: float = 0.95) -> Interval:
    """MAE with Student's interval from the moments of |e| [unit], not below 0.

    Equals ``sklearn.metrics.mean_absolute_error``.

    >>> [round(float(end), 3) for end in mean_absolute_error(moments(100, 250.0, 825.0))]
    [2.5, 2.218, 2.782]
    """
    found = intervals.mean(absolute, level)
    return Interval(found.value, np.maximum(found.lower, 0.0), found.upper)


def bias_interval(error: Floats, level: float = 0.95) -> Interval:
    """Mean error with Student's interval from the moments of e [unit]: > 0 where predictions are too high."""
    return intervals.mean(error, level)


def error_variance(error: Floats) -> Floats:
    """Variance of the error about its mean, divided by n, from the moments of e [unit²].

    Divided by n so that MSE = bias² + variance holds exactly.

    >>> error_variance(np.array([4.0, 2.5, 5.0]))
    array(1.25)
    """
    return _over(error[..., 2], error[..., 0])


def r_squared(error: Floats, target: Floats) -> Floats:
    """R² = 1 − Σe² / Σ(y − ȳ)² from the moments of e and of the target y [−∞ to 1].

    NaN where the target is constant. Equals ``sklearn.metrics.r2_score(force_finite=False)`` otherwise.

    >>> r_squared(np.array([4.0, 0.0, 2.0]), np.array([4.0, 10.0, 8.0]))
    array(0.75)
    """
    return np.asarray(1 - _over(mean_squared_error(error) * error[..., 0], target[..., 2]))


def r_squared_interval(
    n: ArrayLike,
    error_squares: ArrayLike,
    target_squares: ArrayLike,
    error_fourths: ArrayLike,
    target_fourths: ArrayLike,
    products: ArrayLike,
    level: float = 0.95,
) -> Interval:
    """R² with an interval by the delta method, as the ratio of two means of the same rows [−∞ to 1].

    The sums over the rows are n, Σe², Σd², Σe⁴, Σd⁴ and Σe²d², with d = y − ȳ. (The mean ȳ is itself of these rows;
    that does not enter at first order.) For training rows it is too wide: there the errors were fitted.
    """
    n, e2, d2, e4, d4, product = (
        np.asarray(x, np.float64)
        for x in (n, error_squares, target_squares, error_fourths, target_fourths, products)
    )
    a, b = _over(e2, n), _over(d2, n)
    ratio = intervals.ratio_of_means(
        n, a, b, np.maximum(e4 - n * a * a, 0), np.maximum(d4 - n * b * b, 0), product - n * a * b, level
    )
    return Interval(1 - ratio.value, 1 - ratio.upper, np.minimum(1 - ratio.lower, 1.0))


def median_absolute_error(counts: Counts, edges: Floats, extremes: Floats) -> Bounds:
    """Median of |e| as a certified interval, from a histogram of the signed errors e [unit].

    Counts (..., m + 5) on edges (..., m) and extremes (..., 2) as in ``ecdf``. Each cell's rows have |e| between the
    least and the largest of the cell, and so has each order statistic between those of the ends. ``value`` is the
    middle of the two; zero errors are exact if 0 is an atom of the edges. Equals
    ``sklearn.metrics.median_absolute_error`` where all errors are atoms. NaN where there are no errors.

    >>> edges = np.array([-1.0, 0.0, 1.0])
    >>> found = median_absolute_error(np.array([0, 0, 5, 4, 0, 0, 0, 0]), edges, np.array([-0.5, 0.25]))
    >>> [round(float(bound), 6) for bound in found]
    [0.25, 0.0, 0.5]
    """
    return absolute_quantile(counts, edges, extremes, np.asarray(0.5))


def median_absolute_error_interval(
    counts: Counts, edges: Floats, extremes: Floats, level: float = 0.95
) -> Interval:
    """Median of |e| with an interval for that of the population, from a histogram of the signed errors [unit].

    The order statistics of ranks n/2 ± z·√n/2, taken outward over their cells; no distribution is supposed.
    Source: Conover (1999), Practical Nonparametric Statistics, section 3.2.
    """
    rows = np.sum(counts[..., :-2], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = special.ndtri((1 + level) / 2) / 2 / np.sqrt(rows)
    reach = np.where(rows > 0, reach, 0.5)
    value = median_absolute_error(counts, edges, extremes).value
    lower = absolute_quantile(counts, edges, extremes, np.clip(0.5 - reach, 0, 1)).lower
    upper = absolute_quantile(counts, edges, extremes, np.clip(0.5 + reach, 0, 1)).upper
    return Interval(value, lower, upper)


def coverage(k: ArrayLike, n: ArrayLike, nominal: ArrayLike, level: float = 0.95) -> Coverage:
    """PICP, the share of targets inside their prediction interval, k of n, against the ``nominal`` one [0 to 1].

    With Wilson's interval and the score test's p-value.

    >>> found = coverage(850, 1000, 0.9)
    >>> float(found.share.value), bool(found.p < 1e-6)
    (0.85, True)
    """
    return Coverage(intervals.wilson(k, n, level), intervals.proportion_p(k, n, nominal))


def pinball(target: ArrayLike, prediction: ArrayLike, quantile: float) -> Floats:
    """Loss of every row for a prediction of the ``quantile`` (0 to 1) [unit].

    quantile·(y − q) where y ≥ q, else (1 − quantile)·(q − y). Its mean equals
    ``sklearn.metrics.mean_pinball_loss(alpha=quantile)``.

    >>> pinball([10.0, 10.0], [8.0, 11.0], 0.9)
    array([1.8, 0.1])
    """
    over = np.asarray(target, np.float64) - np.asarray(prediction, np.float64)
    return np.maximum(quantile * over, (quantile - 1) * over)


def interval_score(target: ArrayLike, lower: ArrayLike, upper: ArrayLike, nominal: float) -> Floats:
    """Winkler's score of every row for a prediction interval of ``nominal`` coverage [unit]; less is better.

    The width, plus 2 / (1 − nominal) times the distance of a target outside. Source: Winkler (1972), J. Am. Stat.
    Assoc. 67; Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102.

    >>> interval_score([5.0, 12.0], 0.0, 10.0, 0.8)
    array([10., 30.])
    """
    target, lower, upper = (np.asarray(x, np.float64) for x in (target, lower, upper))
    outside = np.maximum(lower - target, 0.0) + np.maximum(target - upper, 0.0)
    return np.asarray(upper - lower + 2 / (1 - nominal) * outside)


def absolute_percentage_error(target: ArrayLike, prediction: ArrayLike, guard: float = 0.0) -> Floats:
    """|e / y| of every row [1, 0 or more], NaN where |y| ≤ ``guard``: such rows are left out, and counted.

    Its mean over the rest is MAPE. scikit-learn divides by 2.2e-16 instead, so one zero target rules its mean.

    >>> absolute_percentage_error([10.0, 0.0], [8.0, 1.0])
    array([0.2, nan])
    """
    target, prediction = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
    size = np.abs(target)
    return np.asarray(np.abs(prediction - target) / np.where(size > guard, size, np.nan))


def symmetric_percentage_error(target: ArrayLike, prediction: ArrayLike) -> Floats:
    """2·|e| / (|y| + |ŷ|) of every row [0 to 2], 0 where both are 0. Its mean is sMAPE.

    >>> symmetric_percentage_error([10.0, 0.0, 0.0], [6.0, 0.0, 1.0])
    array([0.5, 0. , 2. ])
    """
    target, prediction = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
    size = np.abs(target) + np.abs(prediction)
    return np.asarray(2 * np.abs(prediction - target) / np.where(size > 0, size, 1.0))


def _over(numerator: Floats, denominator: Floats) -> Floats:
    """The ratio; NaN where the denominator is 0."""
    return np.asarray(numerator / np.where(denominator == 0, np.nan, denominator))


def absolute_quantile(
    counts: Counts, edges: Floats, extremes: Floats, level: Floats, centre: Bounds = ZERO
) -> Bounds:
    """Quantile of |x − centre| at ``level`` (...), by NumPy's definition, as an interval [unit of x].

    ``centre`` (...) lies between its own ends, such as a median that is known to its cell. NaN where there are no rows.

    >>> edges = np.array([-1.0, 0.0, 1.0])
    >>> found = absolute_quantile(np.array([0, 0, 5, 4, 0, 0, 0, 0]), edges, np.array([-0.5, 0.25]), np.asarray(0.5))
    >>> [round(float(bound), 6) for bound in found]
    [0.25, 0.0, 0.5]
    """
    left, right = ecdf.spans(edges, extremes)
    low, high = (end[..., None] for end in centre[1:])
    near = np.maximum(np.maximum(left - high, low - right), 0.0)
    far = np.maximum(right - low, high - left)
    infinity = np.full((*near.shape[:-1], 1), np.inf)
    present = np.asarray(counts[..., :-2])
    rows = np.sum(present, axis=-1)
    position = np.maximum(rows - 1, 0) * level
    below = np.floor(position)
    weight = position - below

    def order_statistics(ends: Floats) -> Floats:
        ends = np.broadcast_to(np.concatenate([infinity, ends, infinity], axis=-1), present.shape)
        order = np.argsort(ends, axis=-1)
        values = np.take_along_axis(ends, order, axis=-1)
        through = np.cumsum(np.take_along_axis(present, order, axis=-1), axis=-1)

        def pick(rank: Floats) -> Floats:
            place = np.sum(through <= rank[..., None], axis=-1, keepdims=True)
            found = np.take_along_axis(values, np.minimum(place, values.shape[-1] - 1), axis=-1)
            return np.asarray(found[..., 0], np.float64)

        first, second = pick(below), pick(np.minimum(below + 1, rows - 1))
        with np.errstate(invalid="ignore"):
            between = first * (1 - weight) + second * weight
        return np.where(rows > 0, np.where(weight > 0, between, first), np.nan)

    lower, upper = order_statistics(near), order_statistics(far)
    middle = np.where(np.isfinite(upper), lower / 2 + upper / 2, np.where(np.isnan(upper), np.nan, lower))
    return Bounds(np.clip(middle, lower, upper), lower, upper)
