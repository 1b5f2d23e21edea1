"""How differently a binary classifier treats groups, from the confusion matrix of every group.

Counts are (..., groups, 2, 2): true class in rows, predicted in columns, class 1 the positive one. A *gap* of a rate
lies between the groups with the highest and the lowest value of it, as in fairlearn's ``between_groups``. Groups
whose rate is a share of fewer than ``smallest`` rows (30 unless told: for a true positive rate, 30 positives) are
left out of gaps, because noise alone would make one of them the extreme; ``Gap.compared`` says how many are left.

The intervals of a gap are those of its pair of groups, and of that pair only: that the pair was chosen because it
is extreme is not in them. ``Gap.p`` is the test for whether any groups differ at all. A lower end below 0 (or a ratio's
upper end above 1) says that the order of the two groups is itself uncertain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.intervals import Interval
from gpumon.statistics.significance import chi_square_p

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "FOUR_FIFTHS",
    "SMALLEST",
    "Change",
    "Gap",
    "accuracy",
    "accuracy_parity",
    "demographic_parity",
    "equal_opportunity",
    "equalized_odds",
    "false_negative_rate",
    "false_positive_rate",
    "gap_change",
    "positive_predictive_value",
    "predictive_equality",
    "predictive_parity",
    "selection_rate",
    "true_positive_rate",
]

FOUR_FIFTHS = 0.8
"""A ratio of selection rates below this is evidence of adverse impact: 29 CFR 1607.4 D (Uniform Guidelines, 1978)."""

SMALLEST = 30
"""Rows below which the rate of a group is not compared."""


class Gap(NamedTuple):
    """The distance of the extreme groups in one rate; arrays without the axis of groups."""

    difference: Interval
    """Highest − lowest [0 to 1], with Newcombe's interval of that pair; NaN for fewer than two groups."""
    ratio: Interval
    """Lowest / highest [0 to 1], with Koopman's interval of that pair; NaN if both are 0."""
    lowest: NDArray[np.int64]
    """Index of the group with the lowest rate; −1 where there is no gap."""
    highest: NDArray[np.int64]
    """Index of the group with the highest rate; −1 where there is no gap."""
    compared: NDArray[np.int64]
    """Number of groups with enough rows."""
    variance: Floats
    """Sampling variance of ``difference`` for that pair; shares as (k + 1) / (n + 2), so never 0."""
    p: Floats
    """Chi-square test that all compared groups have one rate [0 to 1]; 1 where nobody or everybody is selected."""


class Change(NamedTuple):
    """How a gap has changed; three float64 arrays of the same shape."""

    value: Floats
    """Current difference − reference's difference [−1 to 1]: positive is worse."""
    z: Floats
    """The change in standard errors."""
    p: Floats
    """Two-sided p-value times the number of pairs of groups among which the current gap is the largest."""


def selection_rate(confusion: Counts, level: float = 0.95) -> Interval:
    """Share of the rows of every group that are predicted positive, (..., groups) [0 to 1], with Wilson's interval.

    It needs no labels: any split of the rows of a predicted class over the true ones gives the same.

    >>> selection_rate(np.array([[[50, 10], [10, 30]], [[70, 5], [15, 10]]])).value
    array([0.4 , 0.15])
    """
    return intervals.wilson(*_selected(confusion), level)


def true_positive_rate(confusion: Counts, level: float = 0.95) -> Interval:
    """Share of the positives of every group that are found, (..., groups) [0 to 1], with Wilson's interval.

    >>> true_positive_rate(np.array([[[50, 10], [10, 30]], [[70, 5], [15, 10]]])).value
    array([0.75, 0.4 ])
    """
    return intervals.wilson(*_found(confusion), level)


def false_positive_rate(confusion: Counts, level: float = 0.95) -> Interval:
    """Share of the negatives of every group that are predicted positive, (..., groups) [0 to 1], with Wilson's interval."""
    return intervals.wilson(*_falsely_selected(confusion), level)


def false_negative_rate(confusion: Counts, level: float = 0.95) -> Interval:
    """Share of the positives of every group that are missed, (..., groups) [0 to 1], with Wilson's interval."""
    return intervals.wilson(confusion[..., 1, 0], confusion[..., 1, :].sum(axis=-1), level)


def positive_predictive_value(confusion: Counts, level: float = 0.95) -> Interval:
    """Share of the rows predicted positive that are, (..., groups) [0 to 1], with Wilson's interval."""
    return intervals.wilson(*_rightly_selected(confusion), level)


def accuracy(confusion: Counts, level: float = 0.95) -> Interval:
    """Share of the rows of every group that are predicted right, (..., groups) [0 to 1], with Wilson's interval."""
    return intervals.wilson(*_right(confusion), level)


def demographic_parity(confusion: Counts, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """Gap of selection rates; its ratio is what ``FOUR_FIFTHS`` limits.

    Equals ``fairlearn.metrics.demographic_parity_difference`` and ``demographic_parity_ratio`` (``smallest`` 1).

    >>> gap = demographic_parity(np.array([[[50, 10], [10, 30]], [[70, 5], [15, 10]]]))
    >>> [round(float(end), 3) for end in gap.difference]
    [0.25, 0.127, 0.363]
    >>> gap.ratio.value, gap.lowest, gap.highest
    (array(0.375), array(1), array(0))
    """
    return _gap(_selected, confusion, smallest, level)


def equal_opportunity(confusion: Counts, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """Gap of true positive rates. Source: Hardt, Price & Srebro (2016), NeurIPS 29.

    Equals ``fairlearn.metrics.equal_opportunity_difference`` and ``equal_opportunity_ratio`` (``smallest`` 1).
    """
    return _gap(_found, confusion, smallest, level)


def predictive_equality(confusion: Counts, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """Gap of false positive rates between the groups."""
    return _gap(_falsely_selected, confusion, smallest, level)


def predictive_parity(confusion: Counts, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """Gap of positive predictive values between the groups."""
    return _gap(_rightly_selected, confusion, smallest, level)


def accuracy_parity(confusion: Counts, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """Gap of accuracies between the groups."""
    return _gap(_right, confusion, smallest, level)


def equalized_odds(confusion: Counts, smallest: float = SMALLEST, level: float = 0.95) -> Gap:
    """The worse of the gaps of true positive rates and of false positive rates.

    ``difference``, its groups and its variance are those of the rate with the larger difference, ``ratio`` that of
    the rate with the smaller ratio; ``p`` is twice the smaller p. NaN if one of the two is unknown. Equals
    ``fairlearn.metrics.equalized_odds_difference`` and ``equalized_odds_ratio`` (``smallest`` 1). Source: Hardt,
    Price & Srebro (2016), NeurIPS 29.
    """
    found, falsely = (_gap(count, confusion, smallest, level) for count in (_found, _falsely_selected))
    unknown = np.isnan(found.difference.value) | np.isnan(falsely.difference.value)
    first = found.difference.value >= falsely.difference.value
    # NaN beside a number is NaN, not the number: half of the odds says nothing of their equality
    lesser = ~(falsely.ratio.value < found.ratio.value) & ~np.isnan(falsely.ratio.value)

    def either(a: Counts, b: Counts, choice: NDArray[np.bool_], missing: float = np.nan) -> Floats:
        return np.where(unknown, missing, np.where(choice, a, b))

    return Gap(
        Interval(*(either(a, b, first) for a, b in zip(found.difference, falsely.difference, strict=True))),
        Interval(*(either(a, b, lesser) for a, b in zip(found.ratio, falsely.ratio, strict=True))),
        either(found.lowest, falsely.lowest, first, -1).astype(np.int64),
        either(found.highest, falsely.highest, first, -1).astype(np.int64),
        np.minimum(found.compared, falsely.compared),
        either(found.variance, falsely.variance, first),
        np.minimum(1.0, 2 * np.minimum(found.p, falsely.p)),
    )


def gap_change(reference: Gap, current: Gap) -> Change:
    """How much the difference of a gap has grown, with its z and p.

    Each side has its own pair of extreme groups. The larger of many differences is large by chance, the more so on
    the side with fewer rows, so p is multiplied by the number of pairs (Bonferroni); z is not. Drawn
    without a change, p < 0.05 in 5 % of cases where two groups differ, and in fewer (0 to 4 %) where groups are equal.

    >>> before, after = (demographic_parity(np.array([[[50, 10], [10, 30]], [[50, 10], [15, k]]])) for k in (25, 5))
    >>> [round(float(x), 3) for x in gap_change(before, after)]
    [0.162, 1.708, 0.088]
    """
    value = current.difference.value - reference.difference.value
    z = value / np.sqrt(reference.variance + current.variance)
    compared = np.maximum(reference.compared, current.compared)
    pairs = np.maximum(compared * (compared - 1) / 2, 1)
    return Change(value, z, np.minimum(1.0, pairs * special.erfc(np.abs(z) * np.sqrt(0.5))))


def _selected(confusion: Counts) -> tuple[Counts, Counts]:
    return confusion[..., :, 1].sum(axis=-1), confusion.sum(axis=(-2, -1))


def _found(confusion: Counts) -> tuple[Counts, Counts]:
    return confusion[..., 1, 1], confusion[..., 1, :].sum(axis=-1)


def _falsely_selected(confusion: Counts) -> tuple[Counts, Counts]:
    return confusion[..., 0, 1], confusion[..., 0, :].sum(axis=-1)


def _rightly_selected(confusion: Counts) -> tuple[Counts, Counts]:
    return confusion[..., 1, 1], confusion[..., :, 1].sum(axis=-1)


def _right(confusion: Counts) -> tuple[Counts, Counts]:
    return confusion[..., 0, 0] + confusion[..., 1, 1], confusion.sum(axis=(-2, -1))


def _gap(
    counted: Callable[[Counts], tuple[Counts, Counts]], confusion: Counts, smallest: float, level: float
) -> Gap:
    """The gap of the rate k / n over the groups, the last axis of both."""
    k, n = counted(confusion)
    enough = n >= max(smallest, 1)
    rate = k / np.maximum(n, 1)
    compared = np.sum(enough, axis=-1)
    lowest = np.argmin(np.where(enough, rate, np.inf), axis=-1)
    highest = np.argmax(np.where(enough, rate, -np.inf), axis=-1)
    known = compared > 1

    def of(group: NDArray[np.int64]) -> tuple[Counts, Counts]:
        """The k and n of one group: no rows, and so NaN, where there are no two to compare."""
        picked = (np.take_along_axis(x, group[..., None], axis=-1)[..., 0] for x in (k, n))
        return tuple(np.where(known, x, 0) for x in picked)  # type: ignore[return-value]

    (k_low, n_low), (k_high, n_high) = of(lowest), of(highest)
    variance = _variance(k_low, n_low) + _variance(k_high, n_high)
    return Gap(
        intervals.difference_of_proportions(k_low, n_low, k_high, n_high, level),
        intervals.ratio_of_proportions(k_high, n_high, k_low, n_low, level),
        np.where(known, lowest, -1),
        np.where(known, highest, -1),
        compared,
        np.where(known, variance, np.nan),
        np.where(known, _homogeneity_p(k * enough, n * enough), np.nan),
    )


def _variance(k: Counts, n: Counts) -> Floats:
    """Sampling variance of k / n, by Laplace's share."""
    share = (k + 1) / (n + 2)
    return np.asarray(share * (1 - share) / np.maximum(n, 1), np.float64)


def _homogeneity_p(k: Counts, n: Counts) -> Floats:
    """P-value of Pearson's test that all groups with rows have one share, k of n."""
    rows = np.sum(n, axis=-1, keepdims=True)
    pooled = np.sum(k, axis=-1, keepdims=True) / np.maximum(rows, 1)
    variance = n * pooled * (1 - pooled)
    distance = (k - n * pooled) ** 2 / np.where(variance > 0, variance, np.inf)
    dof = np.maximum(np.sum(n > 0, axis=-1) - 1, 1)
    return chi_square_p(np.sum(distance, axis=-1), dof)
