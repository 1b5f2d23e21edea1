"""How well a score ranks positives above negatives, from counts of both by score cell.

``negatives`` and ``positives`` are (..., cells) in ascending order of the score; weights (float) are allowed. What
happens inside a cell is not known, so the statistics come as certified ``Bounds``: ``lower`` ≤ exact ≤ ``upper``,
where exact is what scikit-learn finds on the raw scores, up to the rounding of float64. Cells that are known to hold
one value only are told by ``single`` (True, or a mask that broadcasts against the counts) and add nothing to the
interval. For raw scores ``cells_of_sorted`` gives the cells of their distinct values; with ``single=True`` everything
here is then exact.

NaN where either class has no rows. The functions that end in ``_interval`` give confidence intervals, whose value is
that of the ``Bounds``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.ecdf import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = [
    "Curve",
    "auc",
    "auc_interval",
    "auc_sorted",
    "auc_variance",
    "average_precision",
    "average_precision_gradient",
    "average_precision_interval",
    "average_precision_sorted",
    "average_precision_variance",
    "cells_of_sorted",
    "gini",
    "kolmogorov_smirnov",
    "one_versus_one",
    "one_versus_one_interval",
    "one_versus_one_variance",
    "one_versus_rest",
    "precision_recall_curve",
    "prevalence",
    "roc_curve",
]

LARGE = 1e3
"""From here on the digamma function is taken from its series, in which differences lose nothing."""


class Curve(NamedTuple):
    """Points of a curve, from the highest threshold to the lowest; two float64 arrays (..., cells + 1)."""

    x: Floats
    y: Floats


def auc(negatives: Counts, positives: Counts, single: bool | NDArray[np.bool_] = False) -> Bounds:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties ½ [0 to 1].

    Inside a cell the positives may all be above the negatives (``upper``) or below (``lower``); ``value`` counts a
    half, as for ties. The width is Σ p_b·n_b / (P·N). Equals ``sklearn.metrics.roc_auc_score`` where every cell is
    single.

    >>> [float(bound) for bound in auc(np.array([3, 1, 0]), np.array([0, 1, 3]))]
    [0.96875, 0.9375, 1.0]
    """
    n, p = _shares(negatives), _shares(positives)
    below = _exclusive(n)
    sure, tied = np.vecdot(p, below), p * n
    known = np.sum(np.where(single, tied, 0.0), axis=-1) / 2
    open_ = np.sum(np.where(single, 0.0, tied), axis=-1)
    lower = np.clip(sure + known, 0.0, 1.0)
    upper = np.clip(sure + known + open_, lower, 1.0)
    return Bounds(np.clip(sure + known + open_ / 2, lower, upper), lower, upper)


def gini(negatives: Counts, positives: Counts, single: bool | NDArray[np.bool_] = False) -> Bounds:
    """Gini coefficient, 2·AUC − 1 [−1 to 1]; Somers' D of the score.

    >>> [float(bound) for bound in gini(np.array([3, 1, 0]), np.array([0, 1, 3]))]
    [0.9375, 0.875, 1.0]
    """
    return Bounds(*(2 * bound - 1 for bound in auc(negatives, positives, single)))


def auc_variance(negatives: Counts, positives: Counts) -> Floats:
    """DeLong's sampling variance of the AUC, ties in a cell counted ½ [0 or more].

    The variance of the positives' placements (the share of negatives below each) over P plus that of the negatives'
    over N, both with n − 1. NaN where a class has fewer than two rows. Equals DeLong's estimate on the raw scores
    where every cell is single. Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44.

    >>> auc_variance(np.array([3, 1, 0]), np.array([0, 1, 3]))
    array(0.00195312)
    """
    n, p = _shares(negatives), _shares(positives)
    below, above = _exclusive(n) + n / 2, _exclusive(p[..., ::-1])[..., ::-1] + p / 2
    area = np.vecdot(p, below)[..., None]
    return np.asarray(
        np.vecdot(p, (below - area) ** 2) / _one_less(positives)
        + np.vecdot(n, (above - area) ** 2) / _one_less(negatives)
    )


def auc_interval(negatives: Counts, positives: Counts, level: float = 0.95) -> Interval:
    """AUC with an interval from DeLong's variance, as of a share (``intervals.share``), so within 0 to 1.

    Where the classes are parted without fail, so that the variance is 0, the rows are those of the rarer class.
    """
    rows = np.minimum(np.sum(negatives, axis=-1), np.sum(positives, axis=-1))
    return intervals.share(auc(negatives, positives).value, auc_variance(negatives, positives), rows, level)


def average_precision(
    negatives: Counts, positives: Counts, single: bool | NDArray[np.bool_] = False
) -> Bounds:
    """Average precision Σ (R_k − R_{k−1})·P_k over the distinct scores, the area under the PR curve in steps [0 to 1].

    Equals ``sklearn.metrics.average_precision_score`` where every cell is single. In a cell with p positives and n
    negatives, above which are A and B: at best the positives tie and come first, each with precision
    (A + p) / (A + p + B); at worst they come last, one by one, the i-th with (A + i) / (A + i + B + n). Both can
    happen. ``value`` mixes them evenly. With weights (float counts) the worst case is that of infinitely many light
    positives.

    >>> [round(float(bound), 4) for bound in average_precision(np.array([3, 1, 0]), np.array([0, 1, 3]))]
    [0.9708, 0.95, 1.0]
    """
    p, n = np.broadcast_arrays(np.asarray(positives, np.float64), np.asarray(negatives, np.float64))
    total = np.sum(p, axis=-1)
    known = (total > 0) & (np.sum(n, axis=-1) > 0)
    some = p > 0  # often a small part of the cells, and the only ones that count
    above, wrong, alone = _after(p), _after(n), np.broadcast_to(single, p.shape)
    above, wrong, alone, of = above[some], wrong[some], alone[some], np.nonzero(some)[:-1]
    p, n = p[some], n[some]
    flagged, through = above + p + wrong, wrong + n
    best = p * (above + p) / flagged
    tied = p * (above + p) / (flagged + n)
    with np.errstate(divide="ignore", invalid="ignore"):
        if np.issubdtype(np.asarray(positives).dtype, np.integer):
            worst = p - through * _harmonic(above + through + 1, p)
        else:
            worst = p - through * np.log1p(p / (above + through))
        # along a straight line from (above, wrong) the precision is (above + t) / (start + slope·t), t from 0 to p
        start, slope = above + wrong, (p + n) / p
        mixed = p / slope + (above - start / slope) / slope * np.log1p(slope * p / start)
    mixed = np.where(start == 0, p / slope, mixed)
    worst = np.where(through == 0, p, worst)
    places = np.ravel_multi_index(of, total.shape) if total.ndim else np.zeros(p.size, np.int64)
    bounds = []
    for part in (mixed, np.minimum(worst, tied), best):
        sums = np.bincount(places, np.where(alone, tied, part), total.size).reshape(total.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            bounds.append(np.where(known, np.clip(sums / total, 0.0, 1.0), np.nan))
    value, lower, upper = bounds
    return Bounds(np.clip(value, lower, upper), lower, upper)


def average_precision_gradient(negatives: Counts, positives: Counts) -> tuple[Floats, Floats]:
    """Derivatives of the average precision (ties within cells) by the counts of both classes, (..., cells) each."""
    p, n = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    true, false = _inclusive(p), _inclusive(n)
    total = np.sum(p, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        flagged = true + false
        each = 1 / np.where(flagged > 0, flagged, np.inf)
        precision, step = true * each, p / total
        area = np.sum(step * precision, axis=-1, keepdims=True)
        weight = step * each * each
        by_positive = np.cumsum(weight * false, axis=-1) + (precision - area) / total
    return -np.cumsum(weight * true, axis=-1), by_positive


def average_precision_variance(negatives: Counts, positives: Counts) -> Floats:
    """Sampling variance of the average precision, rows drawn from the cells as they are [0 or more].

    The infinitesimal jackknife Σ counts·gradient²: what a bootstrap of the rows converges to (within a few per cent
    from 200 rows), at the price of two cumulative sums. Scaling all counts leaves the measure as it is, hence no
    mean is taken off. Source: Efron (1981), Biometrika 68.
    """
    by_negative, by_positive = average_precision_gradient(negatives, positives)
    return np.asarray(
        np.sum(negatives * by_negative**2, axis=-1) + np.sum(positives * by_positive**2, axis=-1)
    )


def average_precision_interval(negatives: Counts, positives: Counts, level: float = 0.95) -> Interval:
    """Average precision with an interval, as of a share (``intervals.share``) with the variance above.

    Where it is 1 without any variance the rows are the positives.
    """
    return intervals.share(
        average_precision(negatives, positives).value,
        average_precision_variance(negatives, positives),
        np.sum(positives, axis=-1),
        level,
    )


def prevalence(negatives: Counts, positives: Counts) -> Floats:
    """Share of positives: the average precision of a score that knows nothing [0 to 1].

    >>> prevalence(np.array([3, 1, 0]), np.array([0, 1, 3]))
    array(0.5)
    """
    p, n = np.sum(positives, axis=-1, dtype=np.float64), np.sum(negatives, axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(p / (p + n))


def kolmogorov_smirnov(
    negatives: Counts, positives: Counts, single: bool | NDArray[np.bool_] = False
) -> Bounds:
    """Largest distance between the distributions of the two classes' scores [0 to 1].

    The largest of TPR − FPR over all thresholds, either way round. Known at the ends of cells; inside a cell that
    both classes fill it can be farther. Equals ``scipy.stats.ks_2samp`` of the scores where every cell is single.

    >>> [float(bound) for bound in kolmogorov_smirnov(np.array([3, 1, 0]), np.array([0, 1, 3]))]
    [0.75, 0.75, 1.0]
    """
    n, p = _shares(negatives), _shares(positives)
    f_left, g_left = _exclusive(n), _exclusive(p)
    f, g = f_left + n, g_left + p
    lower = np.clip(np.max(np.abs(f - g), axis=-1), 0.0, 1.0)
    both = ~np.asarray(single) & (n > 0) & (p > 0)
    inside = np.where(both, np.maximum(f - g_left, g - f_left), 0.0)
    return Bounds(lower, lower, np.clip(np.max(inside, axis=-1), lower, 1.0))


def roc_curve(negatives: Counts, positives: Counts) -> Curve:
    """False and true positive rate at every cell's lower end, from (0, 0) to (1, 1): x and y (..., cells + 1).

    >>> roc_curve(np.array([3, 1, 0]), np.array([0, 1, 3]))
    Curve(x=array([0. , 0. , 0.25, 1. ]), y=array([0. , 0.75, 1. , 1. ]))
    """
    return Curve(*(_begun(_inclusive(_shares(counts))[..., ::-1], 0.0) for counts in (negatives, positives)))


def precision_recall_curve(negatives: Counts, positives: Counts) -> Curve:
    """Recall and precision at every cell's lower end: x and y (..., cells + 1), from recall 0, precision 1.

    A threshold above which there are no rows has precision 1, by convention.

    >>> precision_recall_curve(np.array([3, 1, 0]), np.array([0, 1, 3]))
    Curve(x=array([0. , 0.75, 1. , 1. ]), y=array([1. , 1. , 0.8, 0.5]))
    """
    true, false = (_inclusive(np.asarray(counts, np.float64))[..., ::-1] for counts in (positives, negatives))
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 1.0)
        recall = true / true[..., -1:]
    return Curve(_begun(recall, 0.0), _begun(precision, 1.0))


def one_versus_rest(counts: Counts) -> tuple[Counts, Counts]:
    """Negatives and positives of every class's own score, (..., K, cells) each.

    ``counts`` (..., K, K, cells): rows by score column, true class and cell of that score. The macro average of any
    measure is its mean over the last axis but one: ``auc(*one_versus_rest(counts)).value.mean(axis=-1)`` equals
    ``sklearn.metrics.roc_auc_score(multi_class="ovr")``.
    """
    positives = np.moveaxis(np.diagonal(counts, axis1=-3, axis2=-2), -1, -2)
    return np.sum(counts, axis=-2) - positives, positives


def one_versus_one(counts: Counts, single: bool | NDArray[np.bool_] = False) -> Bounds:
    """Area under the ROC curve of every class against every other, mean over the pairs [0 to 1]: Hand and Till's M.

    ``counts`` as for ``one_versus_rest``; for classes j ≠ k the score of j ranks the rows of j above those of k. It
    does not depend on how frequent the classes are. Equals ``sklearn.metrics.roc_auc_score(multi_class="ovo")``.
    The mean is over the pairs that both have rows; NaN where there is none.
    Source: Hand & Till (2001), Mach. Learn. 45.

    >>> sure, tied = [[0, 0, 4], [6, 2, 0]], [[0, 4, 0], [0, 8, 0]]
    >>> [float(bound) for bound in one_versus_one(np.array([sure, tied[::-1]]), single=True)]
    [0.75, 0.75, 0.75]
    """
    classes = counts.shape[-2]
    totals: list[Any] = [0.0, 0.0, 0.0]
    pairs: Any = 0.0
    for j in range(classes):
        others = np.delete(counts[..., j, :, :], j, axis=-2)
        bounds = auc(others, counts[..., j, j, None, :], single)
        known = ~np.isnan(bounds.value)
        pairs = pairs + np.sum(known, axis=-1)
        totals = [
            total + np.sum(bound, axis=-1, where=known) for total, bound in zip(totals, bounds, strict=True)
        ]
    pairs = np.where(pairs > 0, pairs, np.nan)
    return Bounds(*(np.asarray(total / pairs) for total in totals))


def one_versus_one_variance(counts: Counts) -> Floats:
    """A sampling variance that Hand and Till's M does not exceed, ties in a cell counted ½ [0 or more].

    As DeLong's: a row of class c enters the pairs (c, k), where its own score is placed among the rows of k, and the
    pairs (j, c), where its score of j is. How the scores of a row go together is not known, so their standard deviations add
    up, which is the most that they can do. NaN where a pair that counts has a class of fewer than two rows.
    """
    counts = np.asarray(counts, np.float64)
    classes = counts.shape[-2]
    rows = np.sum(counts, axis=-1)  # (..., column, class)
    shares = _shares(counts)
    below = (
        _exclusive(shares) + shares / 2
    )  # of every cell of a column, the share of a class that is below it
    above = 1.0 - below
    spread: Any = 0.0
    pairs: Any = 0.0
    for c in range(classes):
        own = shares[..., c, c, :]
        others = [k for k in range(classes) if k != c]
        there = (rows[..., c, c, None] > 0) & (rows[..., c, others] > 0)
        placed = np.sum(below[..., c, others, :], axis=-2, where=there[..., None])
        deviation = np.sqrt(_spread(own, placed))
        for n, j in enumerate(others):
            share, among = shares[..., j, c, :], above[..., j, j, :]
            both = (rows[..., j, c] > 0) & (rows[..., j, j] > 0)
            deviation = deviation + np.where(both, np.sqrt(_spread(share, among)), 0.0)
            pairs = pairs + there[..., n]
        few = np.where(there.any(axis=-1), np.asarray(_one_less(counts[..., c, c, :])), 1.0)
        spread = spread + np.where(there.any(axis=-1), deviation**2 / few, 0.0)
    return np.asarray(spread / np.where(pairs > 0, pairs, np.nan) ** 2)


def one_versus_one_interval(counts: Counts, level: float = 0.95) -> Interval:
    """Hand and Till's M with an interval that covers it at least as often as ``level`` says (``intervals.share``).

    Where the classes are parted without fail the rows are those of the rarest class that has some.
    """
    own = np.sum(np.moveaxis(np.diagonal(counts, axis1=-3, axis2=-2), -1, -2), axis=-1)
    rarest = np.min(np.where(own > 0, own, np.inf), axis=-1)
    return intervals.share(one_versus_one(counts).value, one_versus_one_variance(counts), rarest, level)


def _spread(share: Floats, value: Floats) -> Floats:
    """The variance of a value by the shares of its cells; 0 where they are unknown."""
    share = np.nan_to_num(share)
    value = np.nan_to_num(value)
    mean = np.vecdot(share, value)[..., None]
    return np.asarray(np.vecdot(share, (value - mean) ** 2))


def cells_of_sorted(negatives: Floats, positives: Floats) -> tuple[Counts, Counts]:
    """Counts of both classes at each distinct score, from sorted scores without NaN; every cell is single.

    >>> cells_of_sorted(np.array([0.1, 0.4, 0.4]), np.array([0.4, 0.8]))
    (array([1, 2, 0]), array([0, 1, 1]))
    """
    values = np.unique(np.concatenate([negatives, positives]))
    found = [
        np.diff(np.searchsorted(scores, values, side="right"), prepend=0) for scores in (negatives, positives)
    ]
    return found[0], found[1]


def auc_sorted(negatives: Floats, positives: Floats) -> float:
    """Exact AUC of sorted scores without NaN; NaN where a class has no rows.

    >>> auc_sorted(np.array([0.1, 0.4, 0.4]), np.array([0.4, 0.8]))
    0.8333333333333334
    """
    if min(len(negatives), len(positives)) == 0:
        return float("nan")
    below = np.searchsorted(negatives, positives, side="left")
    through = np.searchsorted(negatives, positives, side="right")
    return (int(below.sum()) + int(through.sum())) / 2 / len(negatives) / len(positives)


def average_precision_sorted(negatives: Floats, positives: Floats) -> float:
    """Exact average precision of sorted scores without NaN; NaN where a class has no rows.

    >>> average_precision_sorted(np.array([0.1, 0.4, 0.4]), np.array([0.4, 0.8]))
    0.75
    """
    if min(len(negatives), len(positives)) == 0:
        return float("nan")
    true = len(positives) - np.searchsorted(positives, positives, side="left")
    false = len(negatives) - np.searchsorted(negatives, positives, side="left")
    return float(np.mean(true / (true + false)))


def _shares(counts: Counts) -> Floats:
    """Shares of the last axis; NaN where there are no rows."""
    counts = np.asarray(counts, np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / np.sum(counts, axis=-1, keepdims=True))


def _exclusive(values: Floats) -> Floats:
    """Sums of what is before each."""
    sums = np.cumsum(values, axis=-1)
    return np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-1]], axis=-1)


def _inclusive(values: Floats) -> Floats:
    """Sums of each and all after it: what is at or above a cell."""
    return np.asarray(np.cumsum(values[..., ::-1], axis=-1)[..., ::-1])


def _after(values: Floats) -> Floats:
    """Sums of what is after each."""
    sums = np.zeros_like(values)
    np.cumsum(values[..., :0:-1], axis=-1, out=sums[..., -2::-1])
    return sums


def _begun(values: Floats, first: float) -> Floats:
    """``values`` with ``first`` before them."""
    return np.concatenate([np.full_like(values[..., :1], first), values], axis=-1)


def _one_less(counts: Counts) -> Floats:
    """Rows less one; NaN for fewer than two."""
    rows = np.asarray(np.sum(counts, axis=-1), np.float64)
    return np.where(rows > 1, rows - 1, np.nan)


def _harmonic(x: Floats, steps: Floats) -> Floats:
    """1/x + 1/(x + 1) + … over ``steps`` terms: ψ(x + steps) − ψ(x), without loss where both are large."""
    end = x + steps
    series = (
        np.log1p(steps / x)
        + steps / (2 * x * end)
        + (1 / x**2 - 1 / end**2) / 12
        - (1 / x**4 - 1 / end**4) / 120
    )
    few = x < LARGE
    if np.any(few):
        series[few] = special.digamma(end[few]) - special.digamma(x[few])
    return np.asarray(series)
