"""Confidence intervals: where the value of the population may lie, given that the rows are a sample of it.

Not to be taken for ``ecdf.Bounds``, which certify where the value *of these rows* lies. An ``Interval`` holds the
value of the rows and covers that of the population in ``level`` of all samples, nearly. Everything broadcasts; only
``multinomial`` has an axis (the classes) that means something. NaN where there are no rows. Counts may be weighted
(float); an interval then takes the sum of weights for the number of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gpumon.statistics import Counts, Floats

__all__ = [
    "Interval",
    "difference",
    "difference_of_means",
    "difference_of_proportions",
    "mean",
    "multinomial",
    "normal",
    "proportion_p",
    "ratio_of_means",
    "ratio_of_proportions",
    "share",
    "wilson",
]

HALVINGS = 80
"""Bisections of log(ratio), from a range of 2·90: the ends are then as sharp as float64."""

WIDEST = 90.0
"""Beyond e^±90 a ratio of proportions is 0 or infinite: counts would have to exceed 1e39."""


class Interval(NamedTuple):
    """A value with a confidence interval; three float64 arrays of the same shape."""

    value: Floats
    lower: Floats
    upper: Floats


def wilson(k: ArrayLike, n: ArrayLike, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share, k of n [0 to 1]; never empty, never outside 0 to 1, also for k = 0 or n.

    Equals ``statsmodels.stats.proportion.proportion_confint(method="wilson")``. Source: Wilson (1927), J. Am. Stat.
    Assoc. 22.

    >>> [round(float(end), 4) for end in wilson(8, 10)]
    [0.8, 0.4902, 0.9433]
    """
    k, n = np.asarray(k, np.float64), np.asarray(n, np.float64)
    z = _z(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(n > 0, n, np.nan)
        p = k / size
        centre = (k + z * z / 2) / (size + z * z)
        half = z * np.sqrt(k * (1 - p) + z * z / 4) / (size + z * z)
    lower = np.where(k <= 0, 0.0, np.minimum(centre - half, p))
    upper = np.where(k >= n, 1.0, np.maximum(centre + half, p))
    unknown = np.isnan(p)
    return Interval(p, np.where(unknown, np.nan, lower), np.where(unknown, np.nan, upper))


def share(value: ArrayLike, variance: ArrayLike, rows: ArrayLike, level: float = 0.95) -> Interval:
    """Wilson's interval of any measure on 0 to 1 whose sampling variance is known (AUC, average precision, F1).

    The measure is treated as a share among as many rows as would give it this variance, value·(1 − value) /
    variance; where the variance is 0 (every row right) among ``rows``. Unlike value ± z·error it stays within 0 to 1
    and does not collapse at the ends. Source: Korn & Graubard (1998), Survey Methodology 24, for the effective size.

    >>> [round(float(end), 4) for end in share(0.9, 0.0009, 100)]
    [0.9, 0.8256, 0.9448]
    >>> [round(float(end), 4) for end in share(1.0, 0.0, 50)]
    [1.0, 0.9287, 1.0]
    """
    value, variance = np.asarray(value, np.float64), np.asarray(variance, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = value * (1 - value) / variance
    size = np.where((variance > 0) & (effective > 0), effective, np.asarray(rows, np.float64))
    size = np.where(np.isnan(variance), np.nan, size)
    found = wilson(value * size, size, level)
    return Interval(np.broadcast_to(value, found.value.shape).copy(), found.lower, found.upper)


def normal(
    value: ArrayLike,
    variance: ArrayLike,
    level: float = 0.95,
    smallest: float = -np.inf,
    largest: float = np.inf,
) -> Interval:
    """Value ± z·√variance, cut off at ``smallest`` and ``largest`` [unit of the value].

    >>> [round(float(end), 4) for end in normal(0.5, 0.01)]
    [0.5, 0.304, 0.696]
    """
    value = np.asarray(value, np.float64)
    reach = _z(level) * np.sqrt(np.asarray(variance, np.float64))
    lower, upper = np.clip(value - reach, smallest, largest), np.clip(value + reach, smallest, largest)
    return Interval(np.broadcast_to(value, lower.shape).copy(), lower, upper)


def mean(moments: Floats, level: float = 0.95) -> Interval:
    """Student's interval of a mean, from moments (..., 3): n, mean, Σ (x − mean)² [unit of the values].

    Equals ``scipy.stats.ttest_1samp(x, 0).confidence_interval``. Its ends are NaN for fewer than two rows.

    >>> [round(float(end), 4) for end in mean(np.array([10.0, 5.0, 90.0]))]
    [5.0, 2.7378, 7.2622]
    """
    n, value, squares = moments[..., 0], moments[..., 1], moments[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.maximum(squares, 0) / (n * np.where(n > 1, n - 1, np.nan)))
    reach = _t(level, n - 1) * error
    value = np.where(n > 0, value, np.nan)
    return Interval(value, value - reach, value + reach)


def difference_of_means(first: Floats, second: Floats, level: float = 0.95) -> Interval:
    """Welch's interval of mean(second) − mean(first), from moments (..., 3) [unit of the values].

    Equals ``scipy.stats.ttest_ind(second, first, equal_var=False).confidence_interval``.

    >>> [round(float(end), 3) for end in difference_of_means(np.array([10.0, 5.0, 9.0]), np.array([20.0, 6.0, 38.0]))]
    [1.0, 0.078, 1.922]
    """
    n, m = first[..., 0], second[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.maximum(first[..., 2], 0) / (n * np.where(n > 1, n - 1, np.nan))
        b = np.maximum(second[..., 2], 0) / (m * np.where(m > 1, m - 1, np.nan))
        total = a + b
        part = np.where(total > 0, a / total, 0.5)
        dof = 1 / (part**2 / (n - 1) + (1 - part) ** 2 / (m - 1))
    reach = _t(level, dof) * np.sqrt(total)
    value = np.where((n > 0) & (m > 0), second[..., 1] - first[..., 1], np.nan)
    return Interval(value, value - reach, value + reach)


def difference(first: Interval, second: Interval) -> Interval:
    """Second − first of two independent values with their intervals, of one level [their unit].

    Each end adds the two distances that it is made of as squares (MOVER): asymmetric intervals stay so, and two
    Wilson intervals give Newcombe's. Source: Zou & Donner (2008), Stat. Med. 27.

    >>> [round(float(end), 4) for end in difference(wilson(30, 100), wilson(45, 100))]
    [0.15, 0.0159, 0.2768]
    """
    value = second.value - first.value
    with np.errstate(invalid="ignore"):
        down = np.hypot(second.value - second.lower, first.upper - first.value)
        up = np.hypot(second.upper - second.value, first.value - first.lower)
    return Interval(np.asarray(value), np.asarray(value - down), np.asarray(value + up))


def difference_of_proportions(
    k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, level: float = 0.95
) -> Interval:
    """Newcombe's interval of k2/n2 − k1/n1, from two Wilson intervals [−1 to 1].

    Equals ``statsmodels.stats.proportion.confint_proportions_2indep(k2, n2, k1, n1, method="newcomb")``. Source:
    Newcombe (1998), Stat. Med. 17, method 10.
    """
    return difference(wilson(k1, n1, level), wilson(k2, n2, level))


def ratio_of_proportions(
    k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, level: float = 0.95
) -> Interval:
    """Koopman's score interval of (k2/n2) / (k1/n1) [0 or more].

    It contains the ratios that a chi-square test of the two counts does not reject; infinite above where k1 = 0, 0
    below where k2 = 0, and from 0 to infinity with a value of NaN where both are. Equals
    ``statsmodels.stats.proportion.confint_proportions_2indep(k2, n2, k1, n1, compare="ratio", method="score",
    correction=False)``. Source: Koopman (1984), Biometrics 40.

    >>> [round(float(end), 4) for end in ratio_of_proportions(30, 100, 45, 100)]
    [1.5, 1.0429, 2.1812]
    """
    k1, n1, k2, n2 = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (k1, n1, k2, n2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (k2 / n2) / (k1 / n1)
        start = np.log(np.where((k1 > 0) & (k2 > 0), value, 1.0))
    critical = _z(level) ** 2

    def end(direction: float) -> Floats:
        """The farthest log ratio that is not rejected: the statistic grows away from the value on either side."""
        near, far = start, np.full_like(start, direction * WIDEST)
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            inside = _ratio_score(k1, n1, k2, n2, np.exp(middle)) <= critical
            near, far = np.where(inside, middle, near), np.where(inside, far, middle)
        return np.exp(near)

    lower, upper = end(-1.0), end(1.0)
    lower, upper = np.where(k2 > 0, lower, 0.0), np.where(k1 > 0, upper, np.inf)
    if np.any(
        none := (k1 > 0) != (k2 > 0)
    ):  # no ratio to start from: the statistic falls all the way to one side
        edge = _one_sided(k1, n1, k2, n2, critical)
        lower = np.where(none & (k2 > 0), edge, lower)
        upper = np.where(none & (k1 > 0), edge, upper)
    lower, upper = (np.where((k1 > 0) | (k2 > 0), x, y) for x, y in ((lower, 0.0), (upper, np.inf)))
    unknown = ~((n1 > 0) & (n2 > 0))
    return Interval(np.where(unknown, np.nan, value), *(np.where(unknown, np.nan, x) for x in (lower, upper)))


def ratio_of_means(
    n: ArrayLike,
    numerator: ArrayLike,
    denominator: ArrayLike,
    numerator_squares: ArrayLike,
    denominator_squares: ArrayLike,
    products: ArrayLike,
    level: float = 0.95,
) -> Interval:
    """The ratio of the means of two variables of the same n rows, by the delta method [unit of their ratio].

    ``numerator`` and ``denominator`` are the means; then Σ (a − ā)², Σ (b − b̄)² and Σ (a − ā)(b − b̄). The variance
    of r = ā / b̄ is Σ ((a − ā) − r (b − b̄))² / (n (n − 1) b̄²). NaN where the denominator is 0.

    >>> [round(float(end), 4) for end in ratio_of_means(100, 2.0, 4.0, 100.0, 100.0, 50.0)]
    [0.5, 0.4574, 0.5426]
    """
    n, a, b, aa, bb, ab = (
        np.asarray(x, np.float64)
        for x in (n, numerator, denominator, numerator_squares, denominator_squares, products)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        value = a / np.where(b == 0, np.nan, b)
        squares = np.maximum(aa - 2 * value * ab + value * value * bb, 0.0)
        variance = squares / (n * np.where(n > 1, n - 1, np.nan) * b * b)
    return normal(value, variance, level)


def multinomial(counts: Counts, level: float = 0.95) -> Interval:
    """Goodman's simultaneous intervals of the shares of all classes, (..., classes) [0 to 1].

    All of them hold at once in ``level`` of samples. Equals
    ``statsmodels.stats.proportion.multinomial_proportions_confint(method="goodman")``. Source: Goodman (1965),
    Technometrics 7.

    >>> multinomial(np.array([50, 30, 20])).lower.round(3)
    array([0.384, 0.204, 0.122])
    """
    classes = counts.shape[-1]
    n = np.sum(counts, axis=-1, keepdims=True)
    return wilson(counts, np.broadcast_to(n, counts.shape), 1 - (1 - level) / max(classes, 1))


def proportion_p(k: ArrayLike, n: ArrayLike, expected: ArrayLike) -> Floats:
    """Two-sided p-value of the score test that the share behind k of n is ``expected`` [0 to 1].

    Equals ``statsmodels.stats.proportion.proportions_ztest(k, n, value=expected, prop_var=expected)``; it rejects
    at 1 − level exactly where ``wilson`` leaves ``expected`` out.

    >>> proportion_p(85, 100, 0.9)
    array(0.0955...)
    """
    k, n, expected = (np.asarray(x, np.float64) for x in (k, n, expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (k / n - expected) / np.sqrt(expected * (1 - expected) / n)
        z = np.where(k == n * expected, 0.0, z)
    return np.where(n > 0, special.erfc(np.abs(z) * np.sqrt(0.5)), np.nan)


def _z(level: float) -> float:
    """How many standard errors a two-sided interval reaches."""
    return float(special.ndtri((1 + level) / 2))


def _t(level: float, dof: Floats) -> Floats:
    """The same by Student's distribution; NaN without degrees of freedom."""
    return np.asarray(special.stdtrit(np.where(dof > 0, dof, np.nan), (1 + level) / 2))


def _ratio_score(k1: Floats, n1: Floats, k2: Floats, n2: Floats, ratio: Floats) -> Floats:
    """The score statistic of a ratio p2 / p1: chi-square with p1 the most likely one under that ratio."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (n1 + n2) * ratio
        b = -(n1 + k2 + ratio * (n2 + k1))
        # the smaller root of a·p² + b·p + (k1 + k2) is p1; written so that nothing cancels
        p1 = 2 * (k1 + k2) / (-b + np.sqrt(np.maximum(b * b - 4 * a * (k1 + k2), 0.0)))
        p1 = np.minimum(p1, np.minimum(1.0, 1 / ratio))
        p2 = p1 * ratio
        distance = k2 / n2 - ratio * k1 / n1
        variance = p2 * (1 - p2) / n2 + ratio * ratio * p1 * (1 - p1) / n1
        return np.where(distance == 0, 0.0, distance * distance / variance)


def _one_sided(k1: Floats, n1: Floats, k2: Floats, n2: Floats, critical: float) -> Floats:
    """The end of the interval where one of the counts is 0 and the score falls the whole way."""
    low, high = np.full_like(k1, -WIDEST), np.full_like(k1, WIDEST)
    rising = k1 > 0  # k2 = 0: the score grows with the ratio
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        inside = _ratio_score(k1, n1, k2, n2, np.exp(middle)) <= critical
        below = inside == rising
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.exp((low + high) / 2)
