"""Summaries of one column, and how two of them differ, from what a profile keeps.

``moments`` (..., 3): number of finite values, their mean, and Σ (x − mean)²; ``extremes`` (..., 2): smallest and
largest value; ``registers`` (..., 2^p): HyperLogLog. The last axis is reduced; NaN where there are no rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpumon.statistics.ecdf import Bounds, spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "average",
    "distinct_count",
    "kurtosis",
    "largest",
    "maximum",
    "mean",
    "mean_shift",
    "minimum",
    "robust_volume",
    "std",
    "total",
    "value_range",
    "variance",
    "variance_ratio",
    "volume_limits",
]

HASH_BITS = 64
TO_SIGMA = 1.482602218505602

MAD_EFFICIENCY = 0.37
"""Of a median absolute deviation beside the standard deviation of a normal: it is worth that part of the windows."""
"""The standard deviation of a normal distribution over its median absolute deviation, 1 / Φ⁻¹(¾)."""


def mean(moments: Floats) -> Floats:
    """Mean of the finite values [unit of the column].

    >>> mean(np.array([4.0, 2.5, 5.0]))
    array(2.5)
    """
    return np.where(moments[..., 0] > 0, moments[..., 1], np.nan)


def variance(moments: Floats) -> Floats:
    """Sample variance (divided by n − 1) of the finite values [unit²]; NaN for fewer than two.

    >>> variance(np.array([4.0, 2.5, 5.0]))
    array(1.66666667)
    """
    n = moments[..., 0]
    return np.where(n > 1, moments[..., 2] / np.maximum(n - 1, 1), np.nan)


def std(moments: Floats) -> Floats:
    """Sample standard deviation (n − 1) of the finite values [unit of the column]; NaN for fewer than two."""
    return np.asarray(np.sqrt(variance(moments)))


def minimum(extremes: Floats) -> Floats:
    """Smallest value that is not NaN, −inf included [unit of the column]."""
    return np.where(extremes[..., 0] <= extremes[..., 1], extremes[..., 0], np.nan)


def maximum(extremes: Floats) -> Floats:
    """Largest value that is not NaN, +inf included [unit of the column]."""
    return np.where(extremes[..., 0] <= extremes[..., 1], extremes[..., 1], np.nan)


def value_range(extremes: Floats) -> Floats:
    """Largest less smallest value [unit of the column]; +inf if only one is infinite or both differ, 0 if equal.

    >>> value_range(np.array([[-1.0, 3.0], [np.inf, -np.inf], [np.inf, np.inf]]))
    array([ 4., nan, 0.])
    """
    smallest, largest = minimum(extremes), maximum(extremes)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(smallest == largest, 0.0, largest - smallest)


def mean_shift(reference_moments: Floats, current_moments: Floats) -> Floats:
    """Standardised mean difference, (mean of current − mean of reference) / std of reference [std].

    Glass's Δ. Where the reference is constant: 0 if the means are equal, else +inf or −inf.

    >>> mean_shift(np.array([101.0, 5.0, 400.0]), np.array([50.0, 6.0, 80.0]))
    array(0.5)
    """
    return _ratio(mean(current_moments) - mean(reference_moments), std(reference_moments))


def variance_ratio(reference_moments: Floats, current_moments: Floats) -> Floats:
    """Natural logarithm of variance of current over variance of reference [nats]; 0 for no change.

    A constant column against one that varies gives −inf or +inf; two constant columns 0.

    >>> variance_ratio(np.array([101.0, 5.0, 400.0]), np.array([101.0, 5.0, 800.0]))
    array(0.69314718)
    """
    r, c = variance(reference_moments), variance(current_moments)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((r == 0) & (c == 0), 0.0, np.log(c) - np.log(r))


def kurtosis(counts: Counts, edges: Floats, extremes: Floats) -> Floats:
    """Kurtosis n·Σ (x − mean)⁴ / (Σ (x − mean)²)² of the finite values, read off their cells [1 or more].

    3 for a normal distribution. Rows are spread evenly over their cell, so it is exact where all cells are atoms and
    too large rather than too small where a long tail lies in one cell; NaN for a constant. ``counts`` (..., m + 5),
    ``edges`` and ``extremes`` as in ``ecdf``. Equals ``scipy.stats.kurtosis(fisher=False)`` on atoms.

    >>> edges = np.array([0.0, np.nextafter(0.0, 1.0), 1.0, np.nextafter(1.0, 2.0)])
    >>> kurtosis(np.array([0, 0, 9, 0, 1, 0, 0, 0, 0]), edges, np.array([0.0, 1.0])).round(3)
    np.float64(8.111)
    """
    left, right = spans(edges, np.where(np.isfinite(extremes), extremes, np.nan))
    finite = counts[..., 1:-3]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = finite / np.sum(finite, axis=-1, keepdims=True)
        middle = left / 2 + right / 2
        deviation = middle - np.sum(share * middle, axis=-1, keepdims=True)
        reach = np.max(right - left + np.abs(deviation), axis=-1, keepdims=True)
        square = np.square(deviation / reach)
        inside = np.square((right - left) / reach) / 4  # half a cell's width, squared
        second = np.sum(share * (square + inside / 3), axis=-1)
        fourth = np.sum(share * (square * square + 2 * square * inside + inside * inside / 5), axis=-1)
        return np.where(second > 0, fourth / np.square(second), np.nan)


def distinct_count(registers: NDArray[np.uint8]) -> Bounds:
    """Number of distinct values estimated from HyperLogLog registers of a 64-bit hash; 0 if all are empty.

    ``lower`` and ``upper`` are ± 3 standard errors of 1.04 / √registers (4.9 % in all with 4,096 registers): a
    range of about 99.7 % confidence, not a certain one, save that there are at least as many values as filled
    registers. Up to some hundred values the error is nearer one part in a hundred.
    Source: Ertl (2017), arXiv 1702.01284, algorithm 6 (improved raw estimator: no bias tables, no switching).

    >>> distinct_count(np.array([1] + [0] * 4095, np.uint8)).value.round(3)
    np.float64(1.0)
    """
    size = registers.shape[-1]
    largest = HASH_BITS - size.bit_length() + 2
    flat = registers.reshape(-1, size)
    offsets = np.arange(len(flat))[:, None] * (largest + 1)
    tally = np.bincount((flat + offsets).ravel(), minlength=len(flat) * (largest + 1))
    tally = tally.reshape(*registers.shape[:-1], largest + 1)

    total = size * _tau(1.0 - tally[..., largest] / size)
    for rank in range(largest - 1, 0, -1):
        total = 0.5 * (total + tally[..., rank])
    with np.errstate(divide="ignore"):
        value = np.asarray(size**2 / (2.0 * np.log(2.0) * (total + size * _sigma(tally[..., 0] / size))))

    margin = 3.0 * 1.04 / np.sqrt(size)
    filled = size - tally[..., 0]
    return Bounds(value, np.maximum(value * (1.0 - margin), filled), value * (1.0 + margin))


def robust_volume(count: Counts, history: Counts) -> tuple[Floats, Floats]:
    """Median of ``history`` (..., windows), and how far ``count`` (...) is from it in robust standard deviations.

    The deviation is (count − median) / (1.4826·MAD), with MAD the median absolute deviation of the history; where
    that is 0 the deviation is 0 if the count is the median, else +inf or −inf.

    >>> robust_volume(np.array(70), np.array([100, 90, 110, 100, 120]))
    (array(100.), array(-2.0234...))
    """
    median = np.median(history, axis=-1)
    return np.asarray(median), _ratio(count - median, _robust_sigma(history))


def volume_limits(history: Counts, level: float) -> tuple[Floats, Floats]:
    """Rows below and above which the next window falls with probability ``level`` if nothing has changed, (...) each.

    ``history`` (..., windows), two or more. Student's prediction limits for one more: of the counts downward, and upward
    of their cube roots, cubed, as of a gamma, since volumes vary the more the larger they are. Two pairs of limits, each of
    half the level: by mean and standard deviation, and, so that one strange window in the history does not hide others, by
    median and 1.4826·MAD (37 % of the degrees of freedom, no less than a Poisson's). On each side the nearer holds; but
    the second pair does not where more than one in twenty windows of the history (or one) is beyond it, as weekends are.
    Without any spread both are the count itself. Source: Krishnamoorthy, Mathew & Mukherjee (2008), Technometrics 50;
    Wilson & Hilferty (1931); Rousseeuw & Croux (1993), J. Am. Stat. Assoc. 88, for the efficiency of the MAD.

    >>> lower, upper = volume_limits(np.array([100, 90, 110, 100, 120, 95, 105, 98, 111, 93]), 0.01)
    >>> round(float(lower), 1), round(float(upper), 1)
    (66.3, 141.6)
    """
    windows = history.shape[-1]
    counts = np.asarray(history, np.float64)
    roots = np.cbrt(counts)
    middle = np.median(counts, axis=-1)
    floors = np.sqrt(middle), np.maximum(middle, 1.0) ** (-1 / 6) / 3  # of a Poisson, and of its cube root
    far = -special.stdtrit(windows - 1, level / 4) * np.sqrt(1 + 1 / windows)
    lower = counts.mean(axis=-1) - far * counts.std(axis=-1, ddof=1)
    upper = (roots.mean(axis=-1) + far * roots.std(axis=-1, ddof=1)) ** 3
    far = -special.stdtrit(MAD_EFFICIENCY * (windows - 1), level / 4) * np.sqrt(1 + np.pi / 2 / windows)
    low, high = (
        np.median(values, axis=-1) + side * far * np.maximum(_robust_sigma(values), floor)
        for values, floor, side in zip((counts, roots), floors, (-1, 1), strict=True)
    )
    high = high**3
    strange = np.sum((counts < low[..., None]) | (counts > high[..., None]), axis=-1)
    few = strange <= max(1, windows // 20)
    lower, upper = np.where(few, np.maximum(lower, low), lower), np.where(few, np.minimum(upper, high), upper)
    same = np.ptp(counts, axis=-1) == 0
    return np.where(same, middle, np.maximum(lower, 0.0)), np.where(same, middle, upper)


def _robust_sigma(values: Floats) -> Floats:
    """1.4826·MAD of the last axis."""
    middle = np.median(values, axis=-1)
    return np.asarray(TO_SIGMA * np.median(np.abs(values - middle[..., None]), axis=-1))


def _ratio(difference: Floats, scale: Floats) -> Floats:
    """``difference`` / ``scale`` with 0 / 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where((difference == 0) & (scale == 0), 0.0, difference / scale)


def _sigma(x: Floats) -> Floats:
    """Ertl's σ(x) = x + Σ x^(2^k)·2^(k − 1) over k ≥ 1: the correction for empty registers; +inf at 1."""
    power = np.where(x < 1, x, 0.0)
    total, weight = power, 1.0
    while np.any(power > 0):
        power = power * power
        total = total + power * weight
        weight *= 2.0
    return np.where(x < 1, total, np.inf)


def _tau(x: Floats) -> Floats:
    """Ertl's τ(x) = (1 − x − Σ (1 − x^(2^−k))²·2^(−k)) / 3 over k ≥ 1: for full registers; 0 at 0 and 1."""
    inside = (x > 0) & (x < 1)
    root = np.where(inside, x, 1.0)
    total, weight = 1.0 - root, 1.0
    while weight > np.finfo(np.float64).eps:
        root = np.sqrt(root)
        weight *= 0.5
        total = total - (1.0 - root) ** 2 * weight
    return total / 3.0


def count(rows: Counts) -> Floats:
    """The number of rows itself (...), as float64.

    >>> count(np.array([3, 0]))
    array([3., 0.])
    """
    return np.asarray(rows, np.float64)


def share(part_and_whole: Counts) -> Floats:
    """A part of the rows over all of them, from counts (..., 2) [0 to 1]; NaN without rows.

    >>> share(np.array([1, 4]))
    array(0.25)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part_and_whole[..., 0] / part_and_whole[..., 1])


def bounded(least_and_most: Counts) -> Bounds:
    """A count of which the least and the most are known, (..., 2); ``value`` is the least.

    >>> [float(x) for x in bounded(np.array([2, 5]))]
    [2.0, 2.0, 5.0]
    """
    least, most = (np.asarray(least_and_most[..., i], np.float64) for i in (0, 1))
    return Bounds(least, least, most)


def bounded_share(least_most_and_whole: Counts) -> Bounds:
    """A share of the rows of which the least and the most are known, from counts (..., 3) [0 to 1].

    ``value`` is the least; NaN without rows.

    >>> [float(x) for x in bounded_share(np.array([1, 2, 4]))]
    [0.25, 0.25, 0.5]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        least, most = (
            np.asarray(least_most_and_whole[..., i] / least_most_and_whole[..., 2]) for i in (0, 1)
        )
    return Bounds(least, least, most)


def fraction(flags: NDArray[np.bool_]) -> Floats:
    """The share of true among flags (..., n) [0 to 1]; NaN without any.

    >>> fraction(np.array([True, False]))
    array(0.5)
    """
    if flags.shape[-1] == 0:
        return np.full(flags.shape[:-1], np.nan)
    return np.asarray(np.mean(flags, axis=-1))


def total(flags: NDArray[np.bool_]) -> Floats:
    """How many of some flags (..., n) are true.

    >>> total(np.array([True, False, True]))
    array(2.)
    """
    return np.asarray(np.count_nonzero(flags, axis=-1), np.float64)


def largest(values: Floats) -> Floats:
    """The largest of some values (..., n), NaN left out [unit of the values]; NaN where there is none.

    >>> largest(np.array([0.1, np.nan, 0.3]))
    array(0.3)
    """
    known = ~np.isnan(values)
    most = np.max(values, axis=-1, initial=-np.inf, where=known)
    return np.asarray(np.where(known.any(axis=-1), most, np.nan))


def average(values: Floats) -> Floats:
    """The mean of some values (..., n), NaN left out [unit of the values]; NaN where there is none.

    >>> average(np.array([0.1, np.nan, 0.3]))
    array(0.2)
    """
    known = ~np.isnan(values)
    n = np.count_nonzero(known, axis=-1)
    return np.asarray(np.sum(values, axis=-1, where=known) / np.where(n > 0, n, np.nan))
