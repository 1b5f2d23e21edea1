"""How important features are, and how that has changed: of one model from its training to now, or of two models.

Importances are (..., features), 0 or more, of one method on both sides (mean absolute attribution, gain, loss by
permutation); features are in the same order on both sides. A signed importance counts by its size. NaN where a side
has a NaN or no importance above 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.statistics import intervals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.intervals import Interval

    Places = NDArray[np.int64]

__all__ = [
    "attribution_mismatch_share",
    "explanation_coverage",
    "importance_ndcg",
    "importance_rank_correlation",
    "importance_share_distance",
    "mean_sizes",
    "permutation_importance",
    "resampled_importances",
    "shares",
    "top_features_overlap",
    "weighted_drift",
]


def importance_ndcg(reference: Floats, current: Floats) -> Floats:
    """Normalised discounted cumulative gain of the current order of features [0 to 1]; 1 if no order has changed.

    The importance in the reference is the relevance of a feature, the current importance puts it at its place, and a
    place i = 1, 2, ... is worth 1 / log2(i + 1). Features of equal current importance share the worth of
    their places evenly. Amazon SageMaker Clarify alerts below 0.9. It weighs the top: of ten features of which one
    carries all, only the place of that one counts. Equals ``sklearn.metrics.ndcg_score(reference, current)``. Source:
    Järvelin & Kekäläinen (2002), ACM Trans. Inf. Syst. 20; ties by McSherry & Najork (2008), ECIR.

    >>> importance_ndcg(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]))
    array(0.80995312)
    """
    reference, current = _sizes(reference, current)
    worth = 1 / np.log2(np.arange(2, reference.shape[-1] + 2))
    places = np.flip(np.sort(reference, axis=-1), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.vecdot(reference, _worth_of_place(current, worth)) / np.vecdot(places, worth))


def importance_rank_correlation(reference: Floats, current: Floats) -> Floats:
    """Spearman's correlation of the importances [−1 to 1]; equal importances share their mean rank.

    NaN where all features of a side are equally important. Equals ``scipy.stats.spearmanr``.

    >>> importance_rank_correlation(np.array([0.5, 0.3, 0.2]), np.array([0.5, 0.1, 0.4]))
    array(0.5)
    """
    x, y = (_mean_rank(side) for side in _sizes(reference, current))
    x, y = (side - np.mean(side, axis=-1, keepdims=True) for side in (x, y))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.vecdot(x, y) / np.sqrt(np.vecdot(x, x) * np.vecdot(y, y))
    return np.asarray(np.clip(correlation, -1, 1))


def top_features_overlap(reference: Floats, current: Floats, k: int = 10) -> Floats:
    """Jaccard overlap of the k most important features of both sides [0 to 1]: shared over in either.

    With fewer features than k all are compared. Features of importance 0 are in no top, and one that ties with
    the k-th is in with it, so the overlap does not depend on the order of the features.

    >>> top_features_overlap(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]), k=2)
    array(0.33333333)
    """
    reference, current = _sizes(reference, current)
    k = min(k, reference.shape[-1])
    first, second = (
        (side > 0) & (side >= np.sort(side, axis=-1)[..., -k, None]) for side in (reference, current)
    )
    unknown = np.isnan(reference).any(axis=-1) | np.isnan(current).any(axis=-1)
    either = np.sum(first | second, axis=-1)
    return np.where(unknown, np.nan, np.sum(first & second, axis=-1) / np.maximum(either, 1))


def importance_share_distance(reference: Floats, current: Floats) -> Floats:
    """Σ |share in reference − share in current| of the features' shares of all importance [0 to 2].

    Half of it is the importance that has moved from some features to others.

    >>> importance_share_distance(np.array([5.0, 3.0, 2.0]), np.array([2.0, 3.0, 5.0]))
    array(0.6)
    """
    first, second = (side / np.sum(side, axis=-1, keepdims=True) for side in _sizes(reference, current))
    return np.asarray(np.sum(np.abs(first - second), axis=-1))


def shares(importance: Floats) -> Floats:
    """Each feature's share of all importance, (..., features) [0 to 1].

    >>> shares(np.array([3.0, -1.0]))
    array([0.75, 0.25])
    """
    sizes = np.abs(importance)
    total = np.sum(sizes, axis=-1, keepdims=True)
    return np.asarray(sizes / np.where(total > 0, total, np.nan))


def explanation_coverage(rows: Counts) -> Interval:
    """Share of the rows that have all attributions, from (..., 2): such rows, all rows [0 to 1]; with Wilson's interval.

    >>> float(explanation_coverage(np.array([30, 40])).value)
    0.75
    """
    return intervals.wilson(rows[..., 0], rows[..., 1])


def attribution_mismatch_share(checks: Counts) -> Interval:
    """Share of the explained rows whose attributions and base value do not add up to the output [0 to 1].

    ``checks`` (..., 3): rows with attributions, base and output; those with |Σ φ + base − output| > 0.001; those with
    |1 / (1 + exp(−Σ φ − base)) − output| > 0.001, for attributions of log-odds. The lesser of both counts, with Wilson's
    interval. Local accuracy: Lundberg & Lee (2017), NeurIPS 30.

    >>> float(attribution_mismatch_share(np.array([50, 50, 2])).value)
    0.04
    """
    return intervals.wilson(np.minimum(checks[..., 1], checks[..., 2]), checks[..., 0])


def resampled_importances(
    sizes: Floats, deviations: Floats, rows: Counts, draws: int, seed: int = 0
) -> Floats:
    """Mean |attribution| of each feature on ``rows`` rows drawn anew, (..., draws, features), for noise of what compares them.

    ``sizes`` (..., features) are the mean |φ| of all rows and ``deviations`` their standard deviation; a mean of n rows
    varies as a normal with deviation / √n, and is never below 0.

    >>> resampled_importances(np.array([2.0, 1.0]), np.array([0.0, 0.0]), np.array([9, 9]), 1)
    array([[2., 1.]])
    """
    rng = np.random.default_rng(seed)
    error = deviations / np.sqrt(np.maximum(rows, 1))
    noise = rng.standard_normal((*np.shape(sizes)[:-1], draws, np.shape(sizes)[-1]))
    return np.asarray(np.maximum(sizes[..., None, :] + noise * error[..., None, :], 0.0))


def mean_sizes(attributions: Floats) -> Floats:
    """Mean |attribution| of each feature, (features,) from (rows, features): how much it moves predictions [their unit].

    NaN where there are no rows. Source: Lundberg & Lee (2017), NeurIPS 30.

    >>> mean_sizes(np.array([[1.0, -2.0], [-3.0, 0.0]]))
    array([2., 1.])
    """
    rows = attributions.shape[-2]
    return np.asarray(np.sum(np.abs(attributions), axis=-2) / (rows or np.nan))


def weighted_drift(drift: Floats, importance: Floats) -> Floats:
    """Mean drift of the features, each weighed by its share of the importance [unit of the drift]; one number for a model.

    Drift of features that the model does not use counts nothing. Features whose drift is NaN are left out; NaN where all
    that are left have no importance.

    >>> weighted_drift(np.array([0.5, 0.0, np.nan]), np.array([1.0, 3.0, 9.0]))
    array(0.125)
    """
    known = ~np.isnan(drift)
    weights = np.where(known, np.abs(importance), 0.0)
    total = np.sum(weights, axis=-1)
    return np.asarray(
        np.sum(weights * np.where(known, drift, 0.0), axis=-1) / np.where(total > 0, total, np.nan)
    )


def permutation_importance(
    predict: Callable[[dict[str, NDArray[Any]]], ArrayLike],
    columns: Mapping[str, NDArray[Any]],
    repeats: int = 3,
    seed: int = 0,
) -> Floats:
    """Mean |change of the prediction| when the values of one feature are shuffled, (features,) [unit of the prediction].

    ``predict`` takes columns (rows,) by name and gives numbers (rows,) or (rows, classes), over which the changes add up.
    It is called 1 + ``repeats`` · features times; the same ``seed`` gives the same shuffles. No labels are needed: it is the
    loss by permutation where the model's own predictions are taken for the truth, as
    ``sklearn.inspection.permutation_importance(model, X, model.predict(X), scoring="neg_mean_absolute_error")`` has it. Source:
    Fisher, Rudin & Dominici (2019), J. Mach. Learn. Res. 20.

    >>> x = {"used": np.arange(1000.0), "unused": np.arange(1000.0)}
    >>> found = permutation_importance(lambda columns: 2 * columns["used"], x)
    >>> bool(600 < found[0] < 720), float(found[1])
    (True, 0.0)
    """
    before = np.asarray(predict(dict(columns)), np.float64)
    rows = len(before)
    found = np.zeros(len(columns))
    for place, (name, values) in enumerate(columns.items()):
        rng = np.random.default_rng((seed, place))
        for _ in range(repeats):
            after = np.asarray(predict({**columns, name: values[rng.permutation(rows)]}), np.float64)
            found[place] += np.sum(np.abs(after - before)) / (repeats * max(rows, 1))
    return found


def _sizes(reference: Floats, current: Floats) -> list[Floats]:
    """Both sides as sizes of one shape, all NaN where one has a NaN or nothing above 0."""
    sides = [np.abs(side) for side in np.broadcast_arrays(reference, current)]
    known = np.logical_and(*(np.sum(side, axis=-1, keepdims=True) > 0 for side in sides))
    return [np.where(known, side, np.nan) for side in sides]


def _tied(values: Floats) -> tuple[Places, Places, Places]:
    """The order of the values, ascending, and for each place the first and the last of its run of equal values."""
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    places = np.broadcast_to(np.arange(values.shape[-1]), values.shape)
    change = ordered[..., 1:] != ordered[..., :-1]
    end = np.ones((*values.shape[:-1], 1), np.bool_)
    begins, ends = np.concatenate([end, change], axis=-1), np.concatenate([change, end], axis=-1)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=-1)
    backwards = np.flip(np.where(ends, places, values.shape[-1]), axis=-1)
    return order, first, np.flip(np.minimum.accumulate(backwards, axis=-1), axis=-1)


def _mean_rank(values: Floats) -> Floats:
    """Ranks from 0, equal values sharing their mean; NaN stays NaN."""
    order, first, last = _tied(values)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2, axis=-1)
    return np.where(np.isnan(values), np.nan, ranks)


def _worth_of_place(values: Floats, worth: Floats) -> Floats:
    """What the place of each value is worth, the largest value first; equal values share."""
    order, first, last = _tied(-values)
    total = np.concatenate([[0.0], np.cumsum(worth)])
    result = np.empty(values.shape)
    np.put_along_axis(result, order, (total[last + 1] - total[first]) / (last + 1 - first), axis=-1)
    return result
