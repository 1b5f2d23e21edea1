"""What a model's performance should be where labels are not there yet, from its scores and what the reference taught.

**None of this can see concept drift.** Every estimate supposes that a score still means what it meant in the
reference, P(y | score) unchanged (for ``label_shift``: P(score | y) unchanged). If that breaks, the estimate is wrong
and nothing here notices; compare it with the realised measure as soon as labels land, and never let it replace one.
What can be noticed is scores that the reference did not have: ``unsupported_share`` and ``effective_rows``.

Confidence-based estimation (CBPE): ``calibrate`` learns P(positive | score cell) from the labelled reference; the
unlabelled counts (..., cells) of the current rows times that probability are the expected positives and negatives of
every cell, and any measure is taken of these (the expectation of a ratio is so replaced by the ratio of expectations,
an error of the order 1/rows). Cells are in ascending order of the score; rows without a score are no cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.statistics import classification, intervals, ranking
from gpumon.statistics.calibration import merged
from gpumon.statistics.ecdf import Certified

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

__all__ = [
    "Calibration",
    "Estimate",
    "accuracy",
    "average_precision",
    "brier",
    "calibrate",
    "confusion",
    "cost",
    "effective_rows",
    "expected_loss",
    "expected_root_loss",
    "f1",
    "label_shift",
    "log_loss",
    "mean_loss",
    "precision",
    "realised_over_expected",
    "recall",
    "roc_auc",
    "root_mean_loss",
    "root_realised_over_expected",
    "specificity",
    "sure_enough",
    "thresholded_confidence",
    "unsupported_share",
]

SMALLEST = 2.0**-52
"""Scores are kept this far from 0 and 1 in the log loss, as scikit-learn does for float64."""


class Calibration(NamedTuple):
    """What the reference says about every score cell; three arrays (..., cells)."""

    probability: Floats
    """P(positive | cell), rising with the score."""
    block: NDArray[np.int64]
    """Which cells were pooled: equal numbers share one probability and its error."""
    rows: Floats
    """Reference rows of the cell's block."""


class Estimate(NamedTuple):
    """An estimated measure; float64 arrays of the same shape.

    ``error`` is the standard error against the measure of the population that the rows are drawn from: of the
    labels given the cells (Bernoulli), of the cells (multinomial; both together are the sampling of the rows) and of
    the calibration (the reference is finite). ``lower`` and ``upper`` are its interval. ``realised_error`` leaves the
    cells out: it is for the back-test, the difference to the measure of these very rows when their labels land.
    """

    value: Floats
    lower: Floats
    upper: Floats
    error: Floats
    realised_error: Floats


def calibrate(negatives: Counts, positives: Counts) -> Calibration:
    """Isotonic regression of the label on the score: P(positive | cell), never falling with the score [0 to 1].

    ``negatives`` and ``positives`` are labelled counts (..., cells). Neighbouring cells that contradict the order are
    pooled (pool adjacent violators), which is the likeliest rising curve. Cells without rows lie on the straight line
    (by the cell's number) between their neighbours with rows, beyond the ends on the level of the last; they belong
    to the block nearest below, or the first. NaN where there are no rows at all. Equals
    ``sklearn.isotonic.IsotonicRegression`` on the cells' numbers. Source: Ayer et al. (1955), Ann. Math. Stat. 26.

    >>> calibrate(np.array([9, 6, 0, 7, 1]), np.array([1, 4, 0, 3, 9])).probability
    array([0.1 , 0.35, 0.35, 0.35, 0.9 ])
    """
    negatives, positives = np.broadcast_arrays(np.asarray(negatives), np.asarray(positives))
    probability = np.full(positives.shape, np.nan)
    block = np.zeros(positives.shape, np.int64)
    rows = np.zeros(positives.shape)
    for index in np.ndindex(positives.shape[:-1]):
        probability[index], block[index], rows[index] = _isotonic(negatives[index], positives[index])
    return Calibration(probability, block, rows)


def confusion(counts: Counts, calibration: Calibration, threshold: int) -> Floats:
    """Expected confusion matrix (..., 2, 2) of unlabelled counts (..., cells): true in rows, predicted in columns [rows].

    Cells from number ``threshold`` on are predicted positive.

    >>> confusion(np.array([10, 20]), calibrate(np.array([9, 2]), np.array([1, 8])), 1)
    array([[ 9.,  4.],
           [ 1., 16.]])
    """
    classes = np.stack(_expected(counts, calibration), axis=-2)
    return np.stack([np.sum(classes[..., :threshold], -1), np.sum(classes[..., threshold:], -1)], axis=-1)


def accuracy(counts: Counts, calibration: Calibration, threshold: int, level: float = 0.95) -> Estimate:
    """Estimated share of right predictions [0 to 1]; see ``confusion`` for the arguments."""
    table = confusion(counts, calibration, threshold)
    value = classification.accuracy(table)[..., None, None]
    return _of_confusion(counts, calibration, threshold, value, np.eye(2) - value, np.ones((2, 2)), level)


def precision(counts: Counts, calibration: Calibration, threshold: int, level: float = 0.95) -> Estimate:
    """Estimated share of true positives among the predicted positives [0 to 1]; NaN if none is predicted."""
    value = classification.precision(confusion(counts, calibration, threshold))[..., 1, None, None]
    among = np.array([[0.0, 1.0], [0.0, 1.0]])
    right = np.array([[0.0, 0.0], [0.0, 1.0]])
    return _of_confusion(counts, calibration, threshold, value, right - value * among, among, level)


def recall(counts: Counts, calibration: Calibration, threshold: int, level: float = 0.95) -> Estimate:
    """Estimated share of the positives that are predicted so [0 to 1]."""
    value = classification.recall(confusion(counts, calibration, threshold))[..., 1, None, None]
    among = np.array([[0.0, 0.0], [1.0, 1.0]])
    right = np.array([[0.0, 0.0], [0.0, 1.0]])
    return _of_confusion(counts, calibration, threshold, value, right - value * among, among, level)


def specificity(counts: Counts, calibration: Calibration, threshold: int, level: float = 0.95) -> Estimate:
    """Estimated share of the negatives that are predicted so [0 to 1]."""
    value = classification.specificity(confusion(counts, calibration, threshold))[..., 1, None, None]
    among = np.array([[1.0, 1.0], [0.0, 0.0]])
    right = np.array([[1.0, 0.0], [0.0, 0.0]])
    return _of_confusion(counts, calibration, threshold, value, right - value * among, among, level)


def f1(counts: Counts, calibration: Calibration, threshold: int, level: float = 0.95) -> Estimate:
    """Estimated F1 of the positive class, 2·TP / (2·TP + FP + FN) [0 to 1]."""
    value = classification.f_beta(confusion(counts, calibration, threshold))[..., 1, None, None]
    among = np.array([[0.0, 1.0], [1.0, 2.0]])
    right = np.array([[0.0, 0.0], [0.0, 2.0]])
    return _of_confusion(counts, calibration, threshold, value, right - value * among, among, level)


def cost(
    counts: Counts, calibration: Calibration, threshold: int, costs: Floats, level: float = 0.95
) -> Estimate:
    """Estimated mean cost of a row [unit of the costs], ``costs`` (2,) being those of a false positive and a false negative.

    See ``confusion`` for the other arguments.

    >>> reference = calibrate(np.array([9, 2]), np.array([1, 8]))
    >>> round(float(cost(np.array([10, 20]), reference, 1, np.array([1.0, 5.0])).value), 4)
    0.3
    """
    positive = np.arange(np.shape(counts)[-1]) >= threshold
    of_negative, of_positive = np.where(positive, costs[0], 0.0), np.where(positive, 0.0, costs[1])
    return _of_losses(counts, calibration, of_negative, of_positive, np.inf, level)


def roc_auc(counts: Counts, calibration: Calibration, level: float = 0.95) -> Estimate:
    """Estimated area under the ROC curve, pairs within a cell counted ½ [0 to 1]; NaN if a class is not expected.

    The curve cannot be better than the calibration is sharp: what the score knows within a block is lost.
    """
    negatives, positives = _expected(counts, calibration)
    value = ranking.auc(negatives, positives).value
    n, p = np.sum(negatives, axis=-1, keepdims=True), np.sum(positives, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (np.cumsum(negatives, axis=-1) - negatives / 2) / n
        above = 1 - (np.cumsum(positives, axis=-1) - positives / 2) / p
        by_negative, by_positive = (above - value[..., None]) / n, (below - value[..., None]) / p
    return _estimate(counts, calibration, value, by_negative, by_positive, level)


def average_precision(counts: Counts, calibration: Calibration, level: float = 0.95) -> Estimate:
    """Estimated average precision, as ``ranking.average_precision`` of the expected counts [0 to 1]."""
    negatives, positives = _expected(counts, calibration)
    value = ranking.average_precision(negatives, positives).value
    by_negative, by_positive = ranking.average_precision_gradient(negatives, positives)
    return _estimate(counts, calibration, value, by_negative, by_positive, level)


def brier(counts: Counts, calibration: Calibration, scores: ArrayLike, level: float = 0.95) -> Estimate:
    """Estimated Brier score, the mean of (label − score)² [0 to 1].

    ``scores`` (..., cells) is the mean score of every cell; the variance of scores within cells, at most a quarter of
    the squared width, is left out.
    """
    scores = np.asarray(scores, np.float64)
    return _of_losses(counts, calibration, scores**2, (1 - scores) ** 2, 1.0, level)


def log_loss(counts: Counts, calibration: Calibration, scores: ArrayLike, level: float = 0.95) -> Estimate:
    """Estimated log loss, the mean of −ln(score of the true class) [nats, 0 or more]; ``scores`` as for ``brier``."""
    scores = np.clip(np.asarray(scores, np.float64), SMALLEST, 1 - SMALLEST)
    return _of_losses(counts, calibration, -np.log1p(-scores), -np.log(scores), np.inf, level)


def label_shift(confusion: Counts, predicted: Counts, level: float = 0.95) -> Interval:
    """Shares (..., K) of the classes in unlabelled rows, by black-box shift estimation (BBSE) [0 to 1].

    ``confusion`` (..., K, K) is of the labelled reference, true classes in rows; ``predicted`` (..., K) counts the
    predicted classes of the current rows. If P(predicted | true) is as in the reference, the shares π solve
    predicted share = Σ_true π · P(predicted | true). Right under label shift, wrong under covariate or concept shift. The
    interval is by the delta method, from the multinomial variance of both tables; value and ends are cut off at 0
    and 1. NaN where the matrix has no inverse (a class that is absent, or predicted without regard to the truth).
    Source: Lipton, Wang & Smola (2018), ICML 35.

    >>> label_shift(np.array([[80, 20], [10, 90]]), np.array([450, 550])).value
    array([0.5, 0.5])
    """
    counts, predicted = np.asarray(confusion, np.float64), np.asarray(predicted, np.float64)
    support, rows = np.sum(counts, axis=-1, keepdims=True), np.sum(predicted, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        given = np.swapaxes(counts / support, -1, -2)  # (predicted, true): each column sums to 1
        seen = predicted / rows
    regular = np.all(np.isfinite(given), axis=(-2, -1))
    given = np.where(regular[..., None, None], given, np.eye(given.shape[-1]))
    regular &= np.linalg.matrix_rank(given, tol=1e-9) == given.shape[-1]
    given = np.where(regular[..., None, None], given, np.eye(given.shape[-1]))
    inverse = np.linalg.inv(given)
    value = np.where(regular[..., None], (inverse @ seen[..., None])[..., 0], np.nan)
    # Σ over the draws: of the current's predictions, and of the predictions within each true class of the reference
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = _multinomial_covariance(seen) / rows[..., None]
        within = (
            _multinomial_covariance(np.swapaxes(given, -1, -2))
            * (value**2 / support[..., 0])[..., None, None]
        )
    spread = spread + np.sum(within, axis=-3)
    variance = np.diagonal(inverse @ spread @ np.swapaxes(inverse, -1, -2), axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        found = intervals.normal(value, np.maximum(variance, 0.0), level, 0.0, 1.0)
    return found._replace(value=np.clip(value, 0.0, 1.0))


def unsupported_share(reference: Counts, current: Counts, fewest: int = 1) -> Floats:
    """Share of the current rows in cells where the reference has fewer than ``fewest`` rows [0 to 1].

    Counts (..., cells) of scores, or of a feature: about such rows the reference says nothing, so an estimate is
    worth the less the higher this is. NaN without current rows.

    >>> unsupported_share(np.array([90, 10, 0]), np.array([50, 25, 25]))
    array(0.25)
    """
    current = np.asarray(current, np.float64)
    total = np.sum(current, axis=-1)
    outside = np.sum(np.where(np.asarray(reference) < fewest, current, 0.0), axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(outside / np.where(total > 0, total, np.nan))


def effective_rows(reference: Counts, current: Counts) -> Floats:
    """How many reference rows speak for the current ones, n / Σ q²/r over the cells that both have [rows].

    r and q are the shares of the cells in both; equal distributions give all n reference rows, a current whose rows
    lie where the reference is thin gives few. Cells without reference rows are for ``unsupported_share``. 0 where
    no cell is shared, NaN where a side has no rows. Source: Kish (1965), Survey Sampling.

    >>> effective_rows(np.array([90, 10]), np.array([10, 90])).round(1).item()
    12.3
    """
    reference, current = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    both = np.where(reference > 0, current, 0.0)
    n = np.sum(reference, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sum(both, axis=-1) ** 2 / np.sum(np.where(both > 0, both**2 / reference, 0.0), axis=-1)
    known = (n > 0) & (np.sum(current, axis=-1) > 0)
    return np.where(known, np.where(np.sum(both, axis=-1) > 0, found, 0.0), np.nan)


def mean_loss(predicted: Floats, residual_variance: ArrayLike, level: float = 0.95) -> Estimate:
    """Direct loss estimation (DLE): the mean loss of unlabelled rows, from the losses predicted for them [its unit].

    ``predicted`` (..., rows) is what a model of the loss (``loss_model``), trained on the labelled reference, expects of
    every row: absolute errors for the MAE, squared ones for the MSE. ``residual_variance`` is the mean square of loss
    less prediction on held-out reference rows. ``realised_error`` is √(residual_variance / rows); ``error`` adds the
    variance of the predictions; the error of the model itself is in neither. Blind to concept drift like all here.
    Source: the idea of NannyML's DLE.
    """
    predicted = np.asarray(predicted, np.float64)
    rows = predicted.shape[-1]
    if rows == 0:
        return expected_loss(np.full((*predicted.shape[:-1], 3), np.nan), residual_variance, level)
    value = np.asarray(np.mean(predicted, axis=-1))
    spread = np.var(predicted, axis=-1) * rows
    return expected_loss(
        np.stack((np.full(value.shape, rows), value, spread), axis=-1), residual_variance, level
    )


def sure_enough(wrong: Counts, right: Counts, confidence: Floats) -> Floats:
    """Of every cell of the confidence, the part of its rows that average thresholded confidence takes for right [0 to 1].

    ``wrong`` and ``right`` are labelled reference rows (..., cells), ``confidence`` (cells,) what the cells stand for; cells of
    equal confidence are taken together. From the surest cell down as many rows are taken for right as the reference had
    right: 1 above the threshold, 0 below, and in the cell that it is in the part that makes up the number. NaN where
    there are no rows. Source: Garg et al. (2022), ICLR, whose threshold is the confidence that the reference's error rate is below.

    >>> sure_enough(np.array([30, 10, 0]), np.array([20, 20, 20]), np.array([0.5, 0.75, 1.0])).round(2)
    array([0.2, 1. , 1. ])
    """
    places, groups = np.unique(np.round(confidence, 12), return_inverse=True)
    rows = merged(np.asarray(wrong, np.float64) + right, groups, places.size)
    total, hits = np.sum(rows, axis=-1, keepdims=True), np.sum(right, axis=-1, keepdims=True)
    above = np.cumsum(rows[..., ::-1], axis=-1)[..., ::-1] - rows
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.clip((hits - above) / rows, 0.0, 1.0)
    part = np.where(rows > 0, part, np.where(above < hits, 1.0, 0.0))
    return np.where(total > 0, part, np.nan)[..., groups]


def thresholded_confidence(
    counts: Counts, taken: Floats, reference: Floats, level: float = 0.95
) -> Certified:
    """Share of right predictions by average thresholded confidence (ATC) [0 to 1], of rows without labels.

    ``counts`` (..., cells) are rows by cell of the confidence, ``taken`` the parts of each that ``sure_enough`` takes for right,
    ``reference`` (..., 2) the share of right predictions there and the labelled rows that it is of. ``lower`` and ``upper`` hold
    whatever part of the threshold's own cell is above it. The interval is of both samplings. The threshold rests
    on no theory: where a score is calibrated, ``accuracy`` is nearer to the truth. NaN where there are no rows.

    >>> taken, known = np.array([0.2, 1.0, 1.0]), np.array([0.6, 100.0])
    >>> [round(float(x), 3) for x in thresholded_confidence(np.array([70, 20, 10]), taken, known)]
    [0.44, 0.3, 1.0, 0.312, 0.576]
    """
    rows = np.sum(counts, axis=-1)
    share, of = np.moveaxis(np.asarray(reference, np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, lower, upper = (
            np.vecdot(np.asarray(counts, np.float64), part) / rows
            for part in (taken, np.floor(taken), np.ceil(taken))
        )
        variance = value * (1 - value) / rows + share * (1 - share) / of
    value, lower, upper = (np.where(rows > 0, np.clip(x, 0.0, 1.0), np.nan) for x in (value, lower, upper))
    found = intervals.share(value, variance, np.minimum(rows, of), level)
    return Certified(value, lower, upper, found.lower, found.upper)


def expected_loss(moments: Floats, residual_variance: ArrayLike, level: float = 0.95) -> Estimate:
    """``mean_loss`` from the moments (..., 3) of the losses predicted for the rows: n, mean, Σ (x − mean)² [its unit].

    >>> [round(float(x), 3) for x in expected_loss(np.array([100.0, 2.0, 50.0]), 0.5)]
    [2.0, 1.804, 2.196, 0.1, 0.071]
    """
    n, value, spread = np.moveaxis(np.asarray(moments, np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        realised = np.asarray(residual_variance, np.float64) / np.where(n > 0, n, np.nan)
        variance = realised + spread / n / n
    found = intervals.normal(value, variance, level, 0.0)
    return Estimate(value, found.lower, found.upper, np.sqrt(variance), np.sqrt(realised))


def root_mean_loss(predicted: Floats, residual_variance: ArrayLike, level: float = 0.95) -> Estimate:
    """The root of ``mean_loss``, with errors by the delta method: RMSE from predicted squared errors."""
    return _root(mean_loss(predicted, residual_variance, level))


def expected_root_loss(moments: Floats, residual_variance: ArrayLike, level: float = 0.95) -> Estimate:
    """The root of ``expected_loss``, with errors by the delta method: RMSE from moments of expected squared errors."""
    return _root(expected_loss(moments, residual_variance, level))


def realised_over_expected(sums: Floats, level: float = 0.95) -> Interval:
    """Realised loss over the loss that was expected of the same rows [0 or more]: 1 where the estimate was right.

    ``sums`` (..., 6): rows n, Σ loss, Σ expected, Σ loss², Σ loss·expected, Σ expected². What raises this above 1 is no
    change of the features, which the estimate knows, but of what the target is given them. The interval is by
    the delta method (``intervals.ratio_of_means``). NaN without labelled rows.

    >>> loss, expected = np.array([1.0, 3.0, 2.0]), np.array([1.0, 2.0, 2.0])
    >>> sums = [3, loss.sum(), expected.sum(), loss @ loss, loss @ expected, expected @ expected]
    >>> float(realised_over_expected(np.array(sums)).value)
    1.2
    """
    n, loss, expected, losses, products, expectations = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = loss / n, expected / n
        return intervals.ratio_of_means(
            n,
            a,
            b,
            np.maximum(losses - n * a * a, 0.0),
            np.maximum(expectations - n * b * b, 0.0),
            products - n * a * b,
            level,
        )


def root_realised_over_expected(sums: Floats, level: float = 0.95) -> Interval:
    """The root of ``realised_over_expected``: realised RMSE over the expected one, from sums of squared errors."""
    with np.errstate(invalid="ignore"):
        ends = (np.sqrt(np.maximum(end, 0.0)) for end in realised_over_expected(sums, level))
        return intervals.Interval(*ends)


def _root(squared: Estimate) -> Estimate:
    """An estimate of a mean square as that of its root."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value, lower, upper = (np.sqrt(np.maximum(part, 0.0)) for part in squared[:3])
        return Estimate(
            value, lower, upper, squared.error / (2 * value), squared.realised_error / (2 * value)
        )


def _isotonic(negatives: Counts, positives: Counts) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Probability, number of the block and its rows, for the cells of one score."""
    total = np.asarray(negatives, np.float64) + np.asarray(positives, np.float64)
    filled = np.flatnonzero(total > 0)
    if len(filled) == 0:
        return np.full(total.shape, np.nan), np.zeros(total.shape, np.int64), np.zeros(total.shape)
    sums: list[float] = []  # positives, rows and cells of the blocks so far
    weights: list[float] = []
    lengths: list[int] = []
    for positive, rows in zip(positives[filled].tolist(), total[filled].tolist(), strict=True):
        length = 1
        # compared as products: equal shares of integers are then one block, without rounding
        while sums and sums[-1] * rows >= positive * weights[-1]:
            positive, rows, length = positive + sums.pop(), rows + weights.pop(), length + lengths.pop()  # noqa: PLW2901
        sums.append(positive)
        weights.append(rows)
        lengths.append(length)
    shares = np.repeat(np.array(sums) / np.array(weights), lengths)
    cells = np.arange(len(total))
    nearest = np.maximum(np.searchsorted(filled, cells, side="right") - 1, 0)
    block = np.repeat(np.arange(len(sums)), lengths)[nearest]
    return np.interp(cells, filled, shares), block, np.array(weights)[block]


def _expected(counts: Counts, calibration: Calibration) -> tuple[Floats, Floats]:
    """Expected negatives and positives of every cell; a cell without current rows has none, calibrated or not."""
    counts = np.asarray(counts, np.float64)
    positives = counts * calibration.probability
    return counts - positives, positives


def _multinomial_covariance(shares: Floats) -> Floats:
    """Covariance (..., K, K) of the shares (..., K) of one draw."""
    return np.asarray(shares[..., :, None] * (np.eye(shares.shape[-1]) - shares[..., None, :]))


def _of_confusion(
    counts: Counts,
    calibration: Calibration,
    threshold: int,
    value: Floats,
    gradient: Floats,
    among: Floats,
    level: float,
) -> Estimate:
    """A ratio whose denominator is Σ among · confusion and whose gradient is ``gradient`` over it; both (..., 2, 2)."""
    table = confusion(counts, calibration, threshold)
    whole = np.sum(among * table, axis=(-2, -1))[..., None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = gradient / np.where(whole > 0, whole, np.nan)
    column = (np.arange(np.shape(counts)[-1]) >= threshold).astype(np.intp)
    by_class = gradient[..., column]
    return _estimate(counts, calibration, value[..., 0, 0], by_class[..., 0, :], by_class[..., 1, :], level)


def _of_losses(
    counts: Counts,
    calibration: Calibration,
    of_negative: Floats,
    of_positive: Floats,
    largest: float,
    level: float,
) -> Estimate:
    """The mean of a loss that depends on the cell and the label."""
    negatives, positives = _expected(counts, calibration)
    rows = np.sum(np.asarray(counts, np.float64), axis=-1)
    rows = np.where(rows > 0, rows, np.nan)
    # a cell of the current without rows may have no mean score
    there = np.asarray(counts) > 0
    of_negative, of_positive = np.where(there, of_negative, 0.0), np.where(there, of_positive, 0.0)
    value = np.sum(negatives * of_negative + positives * of_positive, axis=-1) / rows
    by_negative, by_positive = (
        (loss - value[..., None]) / rows[..., None] for loss in (of_negative, of_positive)
    )
    return _estimate(
        counts,
        calibration,
        value,
        by_negative,
        by_positive,
        level,
        lambda v, s: intervals.normal(v, s, level, 0, largest),
    )


def _estimate(
    counts: Counts,
    calibration: Calibration,
    value: Floats,
    by_negative: Floats,
    by_positive: Floats,
    level: float,
    interval: Callable[[Floats, Floats], Interval] | None = None,
) -> Estimate:
    """The estimate from the derivatives (..., cells) of a measure by the counts of both classes.

    The measure keeps its value when every count is doubled, so multinomial rows give the variance Σ counts·gradient²,
    which parts into that of the labels, Σ n·p(1 − p)·(g⁺ − g⁻)², and that of the cells, Σ n·(p·g⁺ + (1 − p)·g⁻)².
    """
    counts = np.asarray(counts, np.float64)
    p = calibration.probability
    with np.errstate(invalid="ignore", divide="ignore"):
        label = counts * (by_positive - by_negative)
        of_labels = np.sum(label * (by_positive - by_negative) * p * (1 - p), axis=-1)
        of_cells = np.sum(counts * (p * by_positive + (1 - p) * by_negative) ** 2, axis=-1)
        realised = of_labels + _of_calibration(label, calibration)
        variance = realised + of_cells
        rows = np.sum(counts, axis=-1)
        found = (interval or (lambda v, s: intervals.share(v, s, rows, level)))(value, variance)
    return Estimate(np.asarray(value), found.lower, found.upper, np.sqrt(variance), np.sqrt(realised))


def _of_calibration(label: Floats, calibration: Calibration) -> Floats:
    """Variance from the finite reference: the probability of a block is a share among its rows."""
    label, p, block, rows = np.broadcast_arrays(label, *calibration)
    cells = label.shape[-1]
    if label.size == 0:
        return np.zeros(label.shape[:-1])
    row = np.arange(label.size // cells).repeat(cells) * cells + block.reshape(-1)
    size = label.size
    moved = np.bincount(row, label.reshape(-1), minlength=size)
    cells_of = np.bincount(row, minlength=size)
    # interpolated cells have other probabilities than their block: its mean variance is taken
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.bincount(row, (p * (1 - p) / rows).reshape(-1), minlength=size) / np.maximum(cells_of, 1)
    return np.asarray(np.sum((moved**2 * each).reshape(label.shape), axis=-1))
