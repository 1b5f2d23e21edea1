"""How differently a regression treats groups: gaps between the groups' mean errors, from the moments of every group.

Moments are (..., groups, 3): rows, mean, Σ (x − mean)². The words and the conventions are those of
:mod:`gpumon.statistics.fairness`: a gap lies between the groups with the highest and the lowest mean, groups of fewer than
``smallest`` rows are left out, and intervals are those of that pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.fairness import SMALLEST, Gap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Floats

__all__ = ["mean_parity", "welch_anova_p"]


def mean_parity(moments: Floats, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """Gap of the means of groups: of |prediction − target| for MAE, of prediction − target for bias [unit of the values].

    ``difference`` is highest − lowest mean with Welch's interval of that pair, ``ratio`` lowest / highest with an interval by
    the delta method (NaN unless both are above 0), ``p`` Welch's test that all compared groups have one mean. Equals
    ``fairlearn.metrics.MetricFrame(...).difference()`` and ``.ratio()`` of the mean absolute error (``smallest`` 1).

    >>> gap = mean_parity(np.array([[100, 2.0, 99.0], [50, 3.0, 98.0], [10, 9.0, 1.0]]))
    >>> [round(float(end), 3) for end in gap.difference]
    [1.0, 0.554, 1.446]
    >>> gap.lowest, gap.highest
    (array(0), array(1))
    """
    n, mean = moments[..., 0], moments[..., 1]
    enough = n >= max(smallest, 2)
    compared = np.sum(enough, axis=-1)
    known = compared > 1
    lowest = np.argmin(np.where(enough, mean, np.inf), axis=-1)
    highest = np.argmax(np.where(enough, mean, -np.inf), axis=-1)

    def of(group: NDArray[np.int64]) -> Floats:
        """The moments of one group: no rows, and so NaN, where there are no two to compare."""
        picked = np.take_along_axis(moments, group[..., None, None], axis=-2)[..., 0, :]
        return np.where(known[..., None], picked, 0.0)

    low, high = of(lowest), of(highest)
    variances = [_variance(each) for each in (low, high)]
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = known & (low[..., 1] > 0)
        ratio = np.where(positive, low[..., 1] / high[..., 1], np.nan)
        relative = variances[0] / low[..., 1] ** 2 + variances[1] / high[..., 1] ** 2
        reach = np.exp(special.ndtri((1 + level) / 2) * np.sqrt(relative))
    return Gap(
        intervals.difference_of_means(low, high, level),
        intervals.Interval(ratio, ratio / reach, ratio * reach),
        np.where(known, lowest, -1),
        np.where(known, highest, -1),
        compared,
        np.where(known, variances[0] + variances[1], np.nan),
        np.where(known, welch_anova_p(moments * enough[..., None]), np.nan),
    )


def welch_anova_p(moments: Floats) -> Floats:
    """P-value of Welch's test that all groups with two rows or more have one mean, (...) [0 to 1].

    Equals ``statsmodels.stats.oneway.anova_oneway(use_var="unequal")``. NaN for fewer than two such groups, 1 where no group
    varies and all means are equal. Source: Welch (1951), Biometrika 38.

    >>> round(float(welch_anova_p(np.array([[10, 1.0, 9.0], [12, 2.0, 11.0], [9, 1.5, 8.0]]))), 4)
    0.099
    """
    n, mean = moments[..., 0], moments[..., 1]
    there = n > 1
    k = np.sum(there, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = np.where(there, _variance(moments), np.inf)
        least = np.finfo(np.float64).tiny  # of a group that does not vary: then any difference is real
        weight = 1.0 / np.maximum(variance, least)
        share = weight / np.sum(weight, axis=-1, keepdims=True)
        middle = np.sum(share * mean, axis=-1, keepdims=True)
        between = np.sum(weight * np.where(there, mean - middle, 0.0) ** 2, axis=-1) / (k - 1)
        loss = np.sum(np.where(there, (1 - share) ** 2 / (n - 1), 0.0), axis=-1)
        f = between / (1 + 2 * (k - 2) / (k**2 - 1) * loss)
        dof = (k**2 - 1) / (3 * np.maximum(loss, least))
        p = special.fdtrc(np.maximum(k - 1, 1), dof, f)
    return np.where(k > 1, p, np.nan)


def _variance(moments: Floats) -> Floats:
    """Sampling variance of each mean; NaN below two rows."""
    n = moments[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.maximum(moments[..., 2], 0) / (n * np.where(n > 1, n - 1, np.nan)))
