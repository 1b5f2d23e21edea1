"""Measures of a classifier from its confusion matrix: counts (..., K, K), true classes in rows, predicted in columns.

Counts may be weights (float). A measure without a denominator (precision of a class that was never predicted) is NaN
and never silently 0; averages over classes leave such classes out, as scikit-learn does with ``zero_division=nan``.
Measures by class are (..., K); of two classes, class 1 is the positive one: ``precision(confusion)[..., 1]``.

Functions that end in ``_interval`` give ``Interval``: shares by Wilson; what is not a share by the delta method. All
measures here keep their value when every count is doubled, so the variance of one with gradient g is Σ counts·g².
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.statistics import intervals

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = [
    "OneVersusRest",
    "accuracy",
    "accuracy_interval",
    "balanced_accuracy",
    "balanced_accuracy_interval",
    "class_shares",
    "cohens_kappa",
    "cohens_kappa_interval",
    "entropy",
    "evenness",
    "f_beta",
    "f_beta_interval",
    "false_negative_rate",
    "false_negative_rate_interval",
    "false_positive_rate",
    "false_positive_rate_interval",
    "imbalance_ratio",
    "macro",
    "macro_f1_interval",
    "macro_false_negative_rate_interval",
    "macro_false_positive_rate_interval",
    "macro_precision_interval",
    "matthews_correlation",
    "matthews_correlation_interval",
    "mean_cost",
    "micro",
    "one_versus_rest",
    "precision",
    "precision_interval",
    "predicted_counts",
    "prior_gap",
    "recall",
    "recall_interval",
    "specificity",
    "specificity_interval",
    "true_counts",
    "weighted",
]


class OneVersusRest(NamedTuple):
    """Counts of every class against all others; four arrays (..., K)."""

    true_positives: Counts
    false_positives: Counts
    false_negatives: Counts
    true_negatives: Counts


def one_versus_rest(confusion: Counts) -> OneVersusRest:
    """True and false positives and negatives of every class, (..., K) each.

    Summed over the classes (the last axis) they are those of ``micro`` averages. Equals
    ``sklearn.metrics.multilabel_confusion_matrix``.

    >>> one_versus_rest(np.array([[50, 10], [5, 35]])).false_positives
    array([ 5, 10])
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, predicted = true_counts(confusion), predicted_counts(confusion)
    total = np.sum(confusion, axis=(-2, -1))[..., None]
    return OneVersusRest(hits, predicted - hits, true - hits, total - true - predicted + hits)


def true_counts(confusion: Counts) -> Counts:
    """Rows of each true class, (..., K): the support."""
    return np.asarray(np.sum(confusion, axis=-1))


def predicted_counts(confusion: Counts) -> Counts:
    """Rows of each predicted class, (..., K)."""
    return np.asarray(np.sum(confusion, axis=-2))


def accuracy(confusion: Counts) -> Floats:
    """Share of rows whose class was predicted [0 to 1].

    It is also precision, recall and F1 averaged ``micro`` over all classes. Equals ``sklearn.metrics.accuracy_score``.

    >>> accuracy(np.array([[50, 10], [5, 35]]))
    array(0.85)
    """
    return _over(np.trace(confusion, axis1=-2, axis2=-1), np.sum(confusion, axis=(-2, -1)))


def accuracy_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``accuracy`` with Wilson's interval."""
    hits, rows = np.trace(confusion, axis1=-2, axis2=-1), np.sum(confusion, axis=(-2, -1))
    return intervals.wilson(hits, rows, level)


def precision(confusion: Counts) -> Floats:
    """Share of the rows predicted to be of a class that are, (..., K) [0 to 1]. Positive predictive value.

    >>> precision(np.array([[50, 10], [5, 35]])).round(3)
    array([0.909, 0.778])
    """
    return _over(np.diagonal(confusion, axis1=-2, axis2=-1), predicted_counts(confusion))


def precision_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``precision`` with Wilson's interval, (..., K)."""
    return intervals.wilson(np.diagonal(confusion, axis1=-2, axis2=-1), predicted_counts(confusion), level)


def recall(confusion: Counts) -> Floats:
    """Share of the rows of a class that were predicted so, (..., K) [0 to 1]. Sensitivity, true positive rate.

    >>> recall(np.array([[50, 10], [5, 35]])).round(3)
    array([0.833, 0.875])
    """
    return _over(np.diagonal(confusion, axis1=-2, axis2=-1), true_counts(confusion))


def recall_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``recall`` with Wilson's interval, (..., K)."""
    return intervals.wilson(np.diagonal(confusion, axis1=-2, axis2=-1), true_counts(confusion), level)


def specificity(confusion: Counts) -> Floats:
    """Share of the rows not of a class that were not predicted so, (..., K) [0 to 1]. True negative rate.

    >>> specificity(np.array([[50, 10], [5, 35]])).round(3)
    array([0.875, 0.833])
    """
    counts = one_versus_rest(confusion)
    return _over(counts.true_negatives, counts.true_negatives + counts.false_positives)


def specificity_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``specificity`` with Wilson's interval, (..., K)."""
    counts = one_versus_rest(confusion)
    return intervals.wilson(counts.true_negatives, counts.true_negatives + counts.false_positives, level)


def false_positive_rate(confusion: Counts) -> Floats:
    """FP / (FP + TN) of every class, (..., K) [0 to 1]; 1 − specificity.

    >>> false_positive_rate(np.array([[50, 10], [5, 35]])).round(3)
    array([0.125, 0.167])
    """
    counts = one_versus_rest(confusion)
    return _over(counts.false_positives, counts.true_negatives + counts.false_positives)


def false_positive_rate_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``false_positive_rate`` with Wilson's interval, (..., K)."""
    counts = one_versus_rest(confusion)
    return intervals.wilson(counts.false_positives, counts.true_negatives + counts.false_positives, level)


def false_negative_rate(confusion: Counts) -> Floats:
    """FN / (FN + TP) of every class, (..., K) [0 to 1]; 1 − recall.

    >>> false_negative_rate(np.array([[50, 10], [5, 35]])).round(3)
    array([0.167, 0.125])
    """
    counts = one_versus_rest(confusion)
    return _over(counts.false_negatives, counts.false_negatives + counts.true_positives)


def false_negative_rate_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``false_negative_rate`` with Wilson's interval, (..., K)."""
    counts = one_versus_rest(confusion)
    return intervals.wilson(counts.false_negatives, counts.false_negatives + counts.true_positives, level)


def f_beta(confusion: Counts, beta: float = 1.0) -> Floats:
    """(1 + β²)·TP / ((1 + β²)·TP + β²·FN + FP) of every class, (..., K) [0 to 1]; F1 for β = 1.

    NaN only where a class neither occurs nor is predicted. Equals ``sklearn.metrics.fbeta_score(zero_division=nan)``.

    >>> f_beta(np.array([[50, 10], [5, 35]])).round(3)
    array([0.87 , 0.824])
    """
    counts, square = one_versus_rest(confusion), beta * beta
    hits = (1 + square) * counts.true_positives
    return _over(hits, hits + square * counts.false_negatives + counts.false_positives)


def f_beta_interval(confusion: Counts, beta: float = 1.0, level: float = 0.95) -> Interval:
    """``f_beta`` with an interval, (..., K): a share with the delta method's variance (``intervals.share``).

    Where all or none are right, so that the variance is 0, the rows are those that F is about: TP + FP + FN.
    """
    counts, square = one_versus_rest(confusion), beta * beta
    value = f_beta(confusion, beta)
    hits, extra, missed = (
        np.asarray(part, np.float64)
        for part in (counts.true_positives, counts.false_positives, counts.false_negatives)
    )
    whole = (1 + square) * hits + square * missed + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = hits * ((1 + square) * (1 - value)) ** 2 + missed * (square * value) ** 2 + extra * value**2
        variance = squares / whole**2
    return intervals.share(value, variance, hits + extra + missed, level)


def mean_cost(confusion: Counts, costs: Floats, level: float = 0.95) -> Interval:
    """Mean cost of a row of two classes with Student's interval, from confusions (..., 2, 2) [unit of the costs, 0 or more].

    ``costs`` (2,) are those of a false positive and of a false negative; a right prediction costs nothing.

    >>> [round(float(x), 3) for x in mean_cost(np.array([[50, 10], [5, 35]]), np.array([1.0, 4.0]))]
    [0.3, 0.121, 0.479]
    """
    confusion, each = np.asarray(confusion, np.float64), np.array([[0.0, costs[0]], [costs[1], 0.0]])
    rows = np.sum(confusion, axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.sum(confusion * each, axis=(-2, -1)) / rows
    squares = np.sum(confusion * (each - mean[..., None, None]) ** 2, axis=(-2, -1))
    return intervals.mean(np.stack((rows, mean, squares), axis=-1), level)


def macro(values: Floats) -> Floats:
    """Mean over the classes (..., K) of those that have a value; NaN if none has.

    >>> macro(np.array([0.5, np.nan, 1.0]))
    array(0.75)
    """
    known = ~np.isnan(values)
    return _over(np.sum(values, axis=-1, where=known), np.count_nonzero(known, axis=-1))


def weighted(values: Floats, support: Counts) -> Floats:
    """Mean over the classes (..., K) that have a value, weighted by ``support`` (..., K), their true rows.

    >>> weighted(np.array([0.5, np.nan, 1.0]), np.array([30, 5, 10]))
    array(0.625)
    """
    known = ~np.isnan(values)
    sums = np.sum(np.where(known, values, 0.0) * support, axis=-1)
    return _over(sums, np.sum(support, axis=-1, where=known))


def micro(
    confusion: Counts, classes: Counts | None = None, beta: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F of all rows of some classes together, (...) each [0 to 1].

    ``classes`` are their numbers; with all of them (the default) each of the three is the accuracy. Leave out a
    class that stands for "nothing" and they differ. Equals scikit-learn's ``average="micro"`` with ``labels``.

    >>> [float(value.round(3)) for value in micro(np.array([[50, 10], [5, 35]]), np.array([1]))]
    [0.778, 0.875, 0.824]
    """
    chosen = slice(None) if classes is None else classes
    counts, square = one_versus_rest(confusion), beta * beta
    hits, extra, missed = (
        np.sum(part[..., chosen], axis=-1)
        for part in (counts.true_positives, counts.false_positives, counts.false_negatives)
    )
    whole = (1 + square) * hits + square * missed + extra
    return _over(hits, hits + extra), _over(hits, hits + missed), _over((1 + square) * hits, whole)


def macro_f1_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """Mean F1 over the classes with an interval by the delta method, (...) [0 to 1].

    Source: Takahashi et al. (2022), Appl. Intell. 52, for the variance.
    """
    scores = f_beta(confusion)
    whole = np.asarray(true_counts(confusion) + predicted_counts(confusion), np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope, step = scores / whole, 2 / whole
    slope, step = np.where(np.isnan(scores), 0.0, slope), np.where(np.isnan(scores), 0.0, step)
    gradient = _diagonal(step) - slope[..., :, None] - slope[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = gradient / np.count_nonzero(~np.isnan(scores), axis=-1)[..., None, None]
    return intervals.share(
        macro(scores), _delta(confusion, gradient), np.sum(confusion, axis=(-2, -1)), level
    )


def macro_precision_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """Mean precision over the classes that are predicted, with an interval: the precisions are independent shares.

    >>> [round(float(x), 3) for x in macro_precision_interval(np.array([[50, 10], [5, 35]]))]
    [0.843, 0.759, 0.902]
    """
    return balanced_accuracy_interval(np.swapaxes(confusion, -1, -2), level)


def macro_false_negative_rate_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """Mean false negative rate over the classes that occur, with an interval: 1 less the balanced accuracy."""
    found = balanced_accuracy_interval(confusion, level)
    return intervals.Interval(1 - found.value, 1 - found.upper, 1 - found.lower)


def macro_false_positive_rate_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """Mean false positive rate over the classes with an interval by the delta method, (...) [0 to 1]."""
    rates = false_positive_rate(confusion)
    counts = one_versus_rest(confusion)
    negatives = np.asarray(counts.false_positives + counts.true_negatives, np.float64)
    known = ~np.isnan(rates)
    step = np.where(known, 1 / np.where(known, negatives, 1.0), 0.0)
    slope = np.where(known, rates, 0.0) * step
    beside = 1 - np.eye(rates.shape[-1])
    gradient = beside * step[..., None, :] - np.sum(slope, axis=-1)[..., None, None] + slope[..., :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = gradient / np.count_nonzero(known, axis=-1)[..., None, None]
    return intervals.share(macro(rates), _delta(confusion, gradient), np.sum(confusion, axis=(-2, -1)), level)


def balanced_accuracy(confusion: Counts) -> Floats:
    """Mean recall of the classes that occur [0 to 1]. Equals ``sklearn.metrics.balanced_accuracy_score``.

    >>> balanced_accuracy(np.array([[50, 10], [5, 35]]))
    array(0.85416667)
    """
    return macro(recall(confusion))


def balanced_accuracy_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``balanced_accuracy`` with an interval: the recalls are independent shares.

    Where every recall is 0 or 1 the rows are those of the rarest class times the classes.
    """
    recalls, rows = recall(confusion), np.asarray(true_counts(confusion), np.float64)
    known = rows > 0
    classes = np.count_nonzero(known, axis=-1)
    parts = np.where(known, np.where(known, recalls * (1 - recalls), 0.0) / np.where(known, rows, 1.0), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.sum(parts, axis=-1) / classes**2
    rarest = np.min(rows, axis=-1, where=known, initial=np.inf)
    size = np.where(classes > 0, rarest, 0.0) * classes
    return intervals.share(macro(recalls), variance, size, level)


def matthews_correlation(confusion: Counts) -> Floats:
    """Matthews correlation coefficient, for any number of classes (R_K) [−1 to 1].

    (n·Σ c_kk − Σ t_k p_k) / √((n² − Σ p_k²)(n² − Σ t_k²)). NaN where all rows are of one class or all are predicted
    to be (scikit-learn's ``matthews_corrcoef``: 0). Source: Gorodkin (2004), Comput. Biol. Chem. 28.

    >>> matthews_correlation(np.array([[50, 10], [5, 35]]))
    array(0.69751845)
    """
    return _matthews(confusion)[0]


def matthews_correlation_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``matthews_correlation`` with an interval by the delta method, of no width at ±1."""
    value, agreement_slope, scale = _matthews(confusion)
    total = np.asarray(np.sum(confusion, axis=(-2, -1), dtype=np.float64))[..., None, None]
    true, predicted = (
        np.asarray(part, np.float64) for part in (true_counts(confusion), predicted_counts(confusion))
    )
    true_part, predicted_part = (
        2
        * (total[..., 0] - part)
        / (total[..., 0] ** 2 - np.sum(part**2, axis=-1, keepdims=True) + _nothing(part))
        for part in (true, predicted)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = agreement_slope / scale[..., None, None] - value[..., None, None] / 2 * (
            true_part[..., :, None] + predicted_part[..., None, :]
        )
    return intervals.normal(value, _delta(confusion, gradient), level, -1.0, 1.0)


def cohens_kappa(confusion: Counts) -> Floats:
    """Cohen's kappa: agreement beyond that of chance, (observed − expected) / (1 − expected) [−1 to 1].

    NaN where chance agrees always (one class everywhere). Equals ``sklearn.metrics.cohen_kappa_score``.

    >>> cohens_kappa(np.array([[50, 10], [5, 35]]))
    array(0.69387755)
    """
    agreement, _, chance, total = _agreement(confusion)
    return _over(agreement, total**2 - chance)


def cohens_kappa_interval(confusion: Counts, level: float = 0.95) -> Interval:
    """``cohens_kappa`` with an interval by the delta method.

    Its variance equals ``statsmodels.stats.inter_rater.cohens_kappa(...).var_kappa``. Source: Fleiss, Cohen &
    Everitt (1969), Psychol. Bull. 72.
    """
    agreement, slope, chance, total = _agreement(confusion)
    value = _over(agreement, total**2 - chance)
    true, predicted = true_counts(confusion), predicted_counts(confusion)
    # the denominator's gradient: 2·total − (p_i + t_j)
    falling = 2 * total[..., None, None] - predicted[..., :, None] - true[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = (slope - value[..., None, None] * falling) / (total**2 - chance)[..., None, None]
    return intervals.normal(value, _delta(confusion, gradient), level, -1.0, 1.0)


def class_shares(counts: Counts, level: float = 0.95) -> Interval:
    """Share of each class (..., K) with Goodman's simultaneous intervals, from counts (..., K) [0 to 1]."""
    return intervals.multinomial(counts, level)


def imbalance_ratio(counts: Counts) -> Floats:
    """Rows of the largest class over those of the smallest, from counts (..., K) [1 or more]; infinite if one is empty.

    >>> imbalance_ratio(np.array([[90, 10], [5, 0]]))
    array([ 9., inf])
    """
    largest, smallest = np.max(counts, axis=-1), np.min(counts, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(largest, smallest))


def entropy(counts: Counts) -> Floats:
    """Shannon's entropy −Σ p·log2 p of the classes, from counts (..., K) [bits, 0 to log2 K].

    Equals ``scipy.stats.entropy(counts, base=2)``.

    >>> entropy(np.array([50, 50]))
    array(1.)
    """
    shares = _over(counts, np.sum(counts, axis=-1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(shares > 0, shares * np.log2(shares), shares * 0.0)
    return np.asarray(-np.sum(parts, axis=-1) + 0.0)


def evenness(counts: Counts) -> Floats:
    """``entropy`` over the largest possible, log2 K [0 to 1]: 1 where all K classes are as frequent; NaN for K < 2."""
    classes = counts.shape[-1]
    return entropy(counts) / (np.log2(classes) if classes > 1 else np.nan)


def prior_gap(confusion: Counts) -> Floats:
    """Share predicted less share true of each class, (..., K) [−1 to 1]: > 0 where a class is predicted too often.

    >>> prior_gap(np.array([[50, 10], [5, 35]]))
    array([-0.05, 0.05])
    """
    rows = np.sum(confusion, axis=(-2, -1))[..., None]
    return _over(predicted_counts(confusion) - true_counts(confusion), rows)


def _over(numerator: Counts, denominator: Counts) -> Floats:
    """The ratio as float64; NaN, and not infinite, where the denominator is 0."""
    denominator = np.asarray(denominator, np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(numerator / np.where(denominator == 0, np.nan, denominator))


def _delta(confusion: Counts, gradient: Floats) -> Floats:
    """Σ counts·gradient²: the sampling variance of a measure that scaling all counts does not change."""
    return np.asarray(np.sum(confusion * gradient * gradient, axis=(-2, -1)))


def _diagonal(values: Floats) -> Floats:
    """Matrices (..., K, K) with ``values`` (..., K) on the diagonal."""
    return np.asarray(values[..., :, None] * np.eye(values.shape[-1]))


def _nothing(part: Floats) -> Floats:
    """NaN where all rows are of one class, so that no division by 0 follows; 0 elsewhere."""
    only = np.sum(part, axis=-1, keepdims=True) ** 2 == np.sum(part**2, axis=-1, keepdims=True)
    return np.where(only, np.nan, 0.0)


def _agreement(confusion: Counts) -> tuple[Floats, Floats, Floats, Floats]:
    """n·Σ c_kk − Σ t_k p_k, its gradient (..., K, K), Σ t_k p_k, and n."""
    total = np.asarray(np.sum(confusion, axis=(-2, -1), dtype=np.float64))
    true, predicted = (
        np.asarray(part, np.float64) for part in (true_counts(confusion), predicted_counts(confusion))
    )
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    chance = np.sum(true * predicted, axis=-1)
    gradient = (
        np.asarray(hits, np.float64)[..., None, None]
        + total[..., None, None] * np.eye(confusion.shape[-1])
        - predicted[..., :, None]
        - true[..., None, :]
    )
    return np.asarray(total * hits - chance), gradient, np.asarray(chance), np.asarray(total)


def _matthews(confusion: Counts) -> tuple[Floats, Floats, Floats]:
    """The coefficient, the gradient of its numerator, and its denominator (NaN where 0)."""
    agreement, gradient, _, total = _agreement(confusion)
    true, predicted = (
        total**2 - np.sum(np.square(part, dtype=np.float64), axis=-1)
        for part in (true_counts(confusion), predicted_counts(confusion))
    )
    scale = np.sqrt(true) * np.sqrt(predicted)
    scale = np.where(scale > 0, scale, np.nan)
    return np.asarray(np.clip(agreement / scale, -1.0, 1.0)), gradient, scale
