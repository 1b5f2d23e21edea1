"""What formulas of performance read: predictions and labels, side by side in arrays.

=====================  ===================================================================================
of classes
``confusion``          rows by true and predicted class (slices, K, K), labelled and predicted ones only
``true_classes``       rows by true class (slices, K)
``predicted_classes``  rows by predicted class, labelled or not (slices, K)
``right_and_wrong``    the confusion of two classes (slices, 2, 2)
``costs``              of a false positive and of a false negative (2,), if the user gave them; shared
``ranked``             rows by column of scores, true class and cell (slices, K, K, m + 1), on cells that ``single`` tells of
of scores
``negatives``          rows by score cell (slices, m + 3); ``positives`` likewise
``scored``             all rows by score cell, labelled or not (slices, m + 3)
``width_rows``         labelled rows by 15 bins of equal width (slices, 15); ``width_positives`` the positive ones,
                       ``width_scores`` Σ score; ``mass_rows`` … likewise by 15 bins of about equal mass
``slope``              slope (slices,) of the logistic recalibration, and ``slope_variance``; ``intercept`` likewise
``single``             which cells hold one value only (m + 3,); shared by both sides
``loss``               moments (slices, 3) of −ln of the probability of what happened
``positive_loss``      the same of the rows of the score's own class; ``negative_loss`` of those of others
``brier``              moments (slices, 3) of (label − score)²
``brier_mean``         mean of (label − score)² (slices,); ``loss_mean`` of the loss; ``base_rate`` share of positives
``excess``             Σ (y − p)(1 − 2p) (slices,); ``promised`` its variance Σ (1 − 2p)²·p(1 − p) if p is calibrated
``gap``                moments of score − label (slices, 3)
``calibrated``         the isotonic calibration of the *reference*'s cells, for estimates without labels
``all_bins``           rows by bin between the edges (slices, m), labelled or not, on ``bin_edges`` (m + 1,)
``threshold``          from which score on a row is predicted positive; shared
``threshold_rows``     all rows by cell between ``threshold_edges`` (m + 2,), which reach to −∞ (slices, m + 1), weighted;
                       ``threshold_negatives`` and ``threshold_positives`` the labelled ones
``reference_rate``     the *reference*'s share of rows at or above the threshold; ``reference_precision`` likewise
``threshold_cell``     the first cell that is predicted positive; shared
``tables``             rows by stratum of the score (20 of about equal mass), side and label (slices, 20, 2, 2)
``both_bins``          of both sides: labelled rows, positives, Σ score by 15 bins of about equal mass (slices, 3, 15)
of classes
``known_confusion``    the *reference*'s confusion
of scores, and of quantities
``losses``             moments by cell of the score, or of the prediction (slices, cells, 3), of both sides: of the squared
                       error of scores, of |e|
of classes, and of quantities
``coverage``           labelled rows, all rows (slices, 2)
of quantities
``error``              moments of e = prediction − target; ``square`` of e²; ``absolute``, ``relative``, ``symmetric``: of |e|, |e / target|,
                       2·|e| / (|target| + |prediction|)
``targets``            moments of the target
``joint``              rows, Σ (t − t̄)(p − p̄), Σ (t − t̄)², Σ (p − p̄)² (slices, 4)
``residual_cells``     rows by residual on ``residual_edges``, with ``residual_extremes``; ``absolute_cells`` … of |e|
                       See also :mod:`gpumon.metrics.interval_readings`, :mod:`gpumon.metrics.expected_readings`,
                       :mod:`gpumon.metrics.confidence_readings`, :mod:`gpumon.metrics.cluster_readings` and
                       :mod:`gpumon.metrics.outlier_readings`.
=====================  ===================================================================================

Moments are a number of rows, a mean, and the sum of squared deviations from it. Where rows have weights, counts are
weights scaled so that their sum is the effective number of rows, (Σ w)² / Σ w² (Kish 1965, Survey Sampling).
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.metrics import (
    cluster_readings,
    confidence_readings,
    expected_readings,
    interval_readings,
    outlier_readings,
)
from gpumon.profiles.clusters import Clusters
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.profiles.intervals import Intervals
from gpumon.profiles.labels import RESIDUALS, Confusion, Labelled, Residuals, Scores, SortedScores
from gpumon.profiles.profile import Key
from gpumon.profiles.ranked_classes import RankedClasses
from gpumon.statistics import calibration, decision, estimation, ranking, regression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.profiles.profile import Profile, Slice

    Floats = NDArray[np.float64]

__all__ = ["LEVEL", "READINGS", "TOGETHER", "TWO_SIDED", "Side", "kish", "readable", "side_of"]

LEVEL = 0.95
TWO_SIDED = float(-special.ndtri((1 - LEVEL) / 2))
BLOCK_CELLS = 400_000
STRATA = 20
BINS = 15


def readable(profile: Profile) -> Iterator[tuple[str, Labelled]]:
    """The aspects of a profile that hold predictions and labels, with nothing counted."""
    for (subject, aspect), state in profile.plan.items():
        if subject == "" and isinstance(state, Labelled) and type(state) in READINGS:
            yield aspect, state


def side_of(
    profile: Profile, aspect: str, state: Labelled, at: Sequence[Slice], costs: Sequence[float] = ()
) -> tuple[Side, NDArray[np.int64]]:
    """The readings of the distinct slices of a side, and where each slice's stand among them."""
    distinct = list(dict.fromkeys(at))
    empty = state.empty()
    states = [profile.states.get(Key(*each, "", aspect), empty) for each in distinct]
    order = {each: i for i, each in enumerate(distinct)}
    kept = f"sorted {aspect}"
    values: list[Any] | None = None
    if ("", kept) in profile.plan:
        nothing = profile.plan["", kept]
        values = [profile.states.get(Key(*each, "", kept), nothing) for each in distinct]
    return Side(states, values, costs), np.array([order[each] for each in at], np.int64)


class Side:
    """Readings of some states of one aspect, made when they are asked for.

    ``costs`` are those of a false positive and a false negative, if they were given.
    """

    def __init__(
        self,
        states: Sequence[Any],
        values: Sequence[SortedScores] | None = None,
        costs: Sequence[float] = (),
    ) -> None:
        self.states = states
        self.values = values
        self.costs = costs
        self.kind = type(states[0])
        self.made: dict[Any, Any] = {}

    @cached_property
    def blocks(self) -> list[Side]:
        """Neighbouring slices, so many at a time that the arrays of a formula stay in a core's cache."""
        size = max(1, BLOCK_CELLS // self.states[0].counts.size)
        starts = range(0, len(self.states), size)
        if len(starts) == 1:
            return [self]
        return [
            Side(
                self.states[i : i + size],
                None if self.values is None else self.values[i : i + size],
                self.costs,
            )
            for i in starts
        ]

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = READINGS[self.kind][name](self)
        return self.made[name]

    def stack(self, name: str) -> Any:
        """A field of every state, (slices, …)."""
        if (name,) not in self.made:
            self.made[name,] = np.stack([getattr(state, name) for state in self.states])
        return self.made[name,]


def _of_classes(side: Side, name: str) -> Any:
    """A confusion without the missing; other classes stand last, if some side has any."""
    counts = side.stack("counts")
    if side.states[0].weight:
        mass = side.stack("mass")
        counts = (
            mass[:, 0] * kish(mass[:, 0].sum(axis=(-1, -2)), mass[:, 1].sum(axis=(-1, -2)))[:, None, None]
        )
    k = len(side.states[0].classes)
    if name == "predicted_classes":
        return counts[..., :k].sum(axis=-2)
    known = counts[:, : k + 1, : k + 1].copy()
    known[:, k, k] = 0  # of two other classes nobody knows whether they are the same
    if not known[:, k].any() and not known[..., k].any():
        known = known[:, :k, :k]
    return known.sum(axis=-1)[:, :k] if name == "true_classes" else known


def kish(weights: Any, squares: Any) -> Any:
    """What weights are to be multiplied with so that their sum is the effective number of rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, weights / squares, 0.0)


def _by_label(side: Side) -> Any:
    """Rows by label and score cell (slices, 3, m + 3)."""
    if not side.states[0].weight:
        return side.stack("counts")[..., :-2]
    mass = side.stack("mass")[..., :-2]
    squares = side.stack("errors")[..., -1]
    return mass * kish(mass[:, :2].sum(axis=(-1, -2)), squares[:, :2].sum(axis=-1))[:, None, None]


def _single(side: Side) -> NDArray[np.bool_]:
    edges = side.states[0].edges
    bins = edges[1:] == np.nextafter(edges[:-1], np.inf)
    return np.concatenate(([True, False], bins, [False, True]))


def _single_ranks(side: Side) -> NDArray[np.bool_]:
    return _single(side)[1:-1]  # no ±inf among them


def _probable(side: Side) -> Any:
    """NaN for slices with scores that are no probabilities, 0 for others."""
    return np.where(side.stack("outside")[:, :2].sum(axis=-1) > 0, np.nan, 0.0)


def _score_moments(side: Side, first: int, second: int, label: int | None = None) -> Any:
    """Moments of a quantity of labelled rows, or those of one label, whose sum and sum of squares are kept."""
    of = slice(2) if label is None else slice(label, label + 1)
    errors = side.stack("errors")[:, of].sum(axis=1)
    counts = side.stack("mass" if side.states[0].weight else "counts")[:, of, :-2]
    weight = counts.sum(axis=(-1, -2)) + _probable(side)
    return regression.weighted_moments(
        weight, errors[:, 6] if side.states[0].weight else weight, errors[:, first], errors[:, second]
    )


def _scaled(side: Side) -> tuple[Any, Any]:
    """Sums of errors of labelled rows (slices, 7), and the factor that makes weights effective rows."""
    errors = side.stack("errors")[:, :2].sum(axis=1)
    if not side.states[0].weight:
        return errors, 1.0 + _probable(side)
    mass = side.stack("mass")[:, :2, :-2].sum(axis=(-1, -2))
    return errors, kish(mass, errors[:, 6]) + _probable(side)


def _excess(side: Side) -> Any:
    """By e = |label − score| (y − p)(1 − 2p) is e(2e − 1), whatever the label."""
    errors, factor = _scaled(side)
    return factor * (2 * errors[:, 1] - errors[:, 0])


def _promised(side: Side) -> Any:
    """(1 − 2p)²·p(1 − p) is the same of e and of p."""
    errors, factor = _scaled(side)
    return factor * (errors[:, 0] - 5 * errors[:, 1] + 8 * errors[:, 2] - 4 * errors[:, 3])


def _gap(side: Side) -> Any:
    """Moments of score − label: e of the negatives, −e of the positives."""
    errors = side.stack("errors")
    counts = side.stack("mass" if side.states[0].weight else "counts")[:, :2, :-2]
    weight = counts.sum(axis=(-1, -2)) + _probable(side)
    both = errors[:, :2].sum(axis=1)
    squared_weight = both[:, 6] if side.states[0].weight else weight
    return regression.weighted_moments(weight, squared_weight, errors[:, 0, 0] - errors[:, 1, 0], both[:, 1])


def _fine(side: Side) -> tuple[Any, Any, Any]:
    """Labelled rows, positive (of several classes: right) rows, Σ score by cell; NaN where scores are no probabilities."""
    if side.kind is Confidence:
        return confidence_readings.labelled(side)
    counts, sums = _by_label(side), side.stack("probability")[:, :2, :-2].sum(axis=1)
    if side.states[0].weight:
        mass = side.stack("mass")[:, :2, :-2].sum(axis=(-1, -2))
        sums = sums * kish(mass, side.stack("errors")[:, :2, -1].sum(axis=-1))[:, None]
    return counts[:, :2].sum(axis=1), counts[:, 1], sums + _probable(side)[:, None]


def _recalibrated(side: Side) -> list[Any]:
    """Slope and intercept of the logistic recalibration on the score cells, each with its variance."""
    if "recalibrated" not in side.made:
        fit = calibration.recalibration(*_fine(side), LEVEL)
        found = []
        for each in (fit.slope, fit.intercept):
            found += [each.value, ((each.upper - each.lower) / (2 * TWO_SIDED)) ** 2]
        side.made["recalibrated"] = found
    held: list[Any] = side.made["recalibrated"]
    return held


def _binned(side: Side, which: str, part: int) -> Any:
    """One of the three by 15 bins, of equal width or of equal mass."""
    if which not in side.made:
        rows, positives, scores = _fine(side)
        if which == "width":
            inner = calibration.equal_width(side.states[0].edges, BINS)
            groups = np.concatenate(([0], inner, [BINS - 1]))  # ±inf, which have no rows here
        else:
            groups = calibration.equal_mass(np.nan_to_num(rows), BINS)
        side.made[which] = [calibration.merged(x, groups, BINS) for x in (rows, positives, scores)]
    return side.made[which][part]


def _residual_moments(side: Side, first: str, second: str, weight: str = "weight") -> Any:
    sums = side.stack("sums")
    total = sums[:, RESIDUALS.index(weight)]
    squared = sums[:, RESIDUALS.index("weight²")] if side.states[0].weight else total
    if weight != "weight" and side.states[0].weight:
        squared = squared * total / np.where(sums[:, 0] > 0, sums[:, 0], 1.0)
    return regression.weighted_moments(
        total, squared, *(sums[:, RESIDUALS.index(name)] for name in (first, second))
    )


def _target_moments(side: Side) -> Any:
    moments = _residual_moments(side, "target", "target²")
    moments[..., 1] += side.states[0].centre[0]
    return moments


def _joint(side: Side) -> Any:
    sums = dict(zip(RESIDUALS, side.stack("sums").T, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        n = sums["weight"]
        parts = (
            n,
            sums["target·prediction"] - sums["target"] * sums["prediction"] / n,
            sums["target²"] - sums["target"] ** 2 / n,
            sums["prediction²"] - sums["prediction"] ** 2 / n,
        )
    return np.stack(parts, axis=-1)


def _labelled_and_all(side: Side) -> Any:
    if side.kind is Scores:
        counts = side.stack("counts").sum(axis=-1)
        return np.stack((counts[:, :2].sum(axis=-1), counts.sum(axis=-1)), axis=-1)
    return np.array([(state.labelled, state.rows) for state in side.states], np.float64)


def _bin_edges(side: Side) -> Any:
    edges = side.states[0].edges
    return np.append(edges, np.nextafter(edges[-1], np.inf))


def _by_threshold(side: Side, first: int, last: int) -> Any:
    """Rows of some labels by cell between the edges that a threshold may stand on; ±inf go to the outermost cells."""
    rows = _by_label(side)[:, first:last].sum(axis=1)
    inner = rows[:, 1:-1].copy()
    inner[:, 0] += rows[:, 0]
    inner[:, -1] += rows[:, -1]
    return inner


def _in_force(side: Side, negatives: Any, positives: Any) -> decision.AtThreshold:
    return decision.at_threshold(negatives, positives, side["threshold_edges"], side["threshold"])


def _costs(side: Side) -> Floats:
    return np.array(side.costs, np.float64)


def _strata(before: Side, now: Side, place: NDArray[np.int64]) -> tuple[Any]:
    """Rows by stratum, side and label; the strata are of about equal mass in the reference."""
    groups = calibration.equal_mass(_by_label(before)[:, :2].sum(axis=1), STRATA)
    sides = []
    for side, at in ((before, groups), (now, groups[place])):
        merged = [calibration.merged(_by_label(side)[:, label], at, STRATA) for label in (0, 1)]
        sides.append(np.stack(merged, axis=-1))
    return (np.stack((sides[0][place], sides[1]), axis=-2),)


def _score_losses(before: Side, now: Side, place: NDArray[np.int64]) -> tuple[Any, Any]:
    """Moments of the squared error by stratum, every score taken for the mean of its fine cell."""
    groups = calibration.equal_mass(_by_label(before)[:, :2].sum(axis=1), STRATA)
    found = []
    for side, at in ((before, groups), (now, groups[place])):
        rows, positives, scores = _fine(side)
        p = scores / np.where(rows > 0, rows, 1.0)
        negatives = rows - positives
        n = calibration.merged(rows, at, STRATA)
        total = calibration.merged(negatives * p**2 + positives * (1 - p) ** 2, at, STRATA)
        squares = calibration.merged(negatives * p**4 + positives * (1 - p) ** 4, at, STRATA)
        found.append(np.nan_to_num(regression.moments(n, total, squares)))  # of cells without rows
    return found[0][place], found[1]


def _calibration_bins(before: Side, now: Side, place: NDArray[np.int64]) -> tuple[Any, Any]:
    """Labelled rows, positives, Σ score by 15 bins of about equal mass in the reference."""
    groups = calibration.equal_mass(np.nan_to_num(_fine(before)[0]), BINS)
    found = []
    for side, at in ((before, groups), (now, groups[place])):
        found.append(np.stack([calibration.merged(x, at, BINS) for x in _fine(side)], axis=-2))
    return found[0][place], found[1]


def _residual_losses(before: Side, now: Side, place: NDArray[np.int64]) -> tuple[Any, Any]:
    """Moments of |e| by cell of the prediction."""
    found = []
    for side in (before, now):
        sums = side.stack("errors")
        found.append(np.nan_to_num(regression.moments(sums[..., 0], sums[..., 3], sums[..., 2])))
    return found[0][place], found[1]


def _losses(before: Side, now: Side, place: NDArray[np.int64], of: str) -> tuple[Any, Any]:
    """Moments of the loss of the rows of one label, of both sides."""
    return before[of][place], now[of]


TOGETHER: dict[type, dict[str, Callable[..., tuple[Any, ...]]]] = {
    Confusion: {},
    Scores: {
        "tables": _strata,
        "losses": _score_losses,
        "both_bins": _calibration_bins,
        "positive_losses": partial(_losses, of="positive_loss"),
        "negative_losses": partial(_losses, of="negative_loss"),
        **confidence_readings.TOGETHER_OF_SCORES,
    },
    Confidence: {**confidence_readings.TOGETHER, "both_bins": _calibration_bins},
    RankedClasses: {},
    Clusters: cluster_readings.TOGETHER,
    Residuals: {"losses": _residual_losses, **outlier_readings.TOGETHER},
    Intervals: interval_readings.TOGETHER,
    ExpectedLosses: {},
}


CALIBRATION: dict[str, Callable[[Side], Any]] = {
    f"{which}_{name}": partial(_binned, which=which, part=part)
    for which in ("width", "mass")
    for part, name in enumerate(("rows", "positives", "scores"))
}


READINGS: dict[type, dict[str, Callable[[Side], Any]]] = {
    Confusion: {
        "confusion": lambda side: _of_classes(side, "confusion"),
        "known_confusion": lambda side: _of_classes(side, "confusion")[
            :, : len(side.states[0].classes), : len(side.states[0].classes)
        ],
        "true_classes": lambda side: _of_classes(side, "true_classes"),
        "predicted_classes": lambda side: _of_classes(side, "predicted_classes"),
        "coverage": _labelled_and_all,
        "right_and_wrong": lambda side: _of_classes(side, "confusion")[:, :2, :2],
        "costs": _costs,
    },
    Scores: {
        "costs": _costs,
        "negatives": lambda side: _by_label(side)[:, 0],
        "positives": lambda side: _by_label(side)[:, 1],
        "scored": lambda side: _by_label(side).sum(axis=1),
        "probabilities": lambda side: (
            side.stack("probability")[:, :2, :-2].sum(axis=1) + _probable(side)[:, None]
        ),
        "single": _single,
        "loss": lambda side: _score_moments(side, 4, 5),
        "positive_loss": lambda side: _score_moments(side, 4, 5, 1),
        "negative_loss": lambda side: _score_moments(side, 4, 5, 0),
        "brier": lambda side: _score_moments(side, 1, 3),
        "brier_mean": lambda side: _score_moments(side, 1, 3)[..., 1],
        "loss_mean": lambda side: _score_moments(side, 4, 5)[..., 1],
        "base_rate": lambda side: ranking.prevalence(side["negatives"], side["positives"]),
        "excess": _excess,
        "promised": _promised,
        "gap": _gap,
        **confidence_readings.OF_SCORES,
        "all_bins": lambda side: side.stack("counts").sum(axis=1)[:, 2:-3],
        "bin_edges": _bin_edges,
        "threshold": lambda side: float(side.states[0].threshold[0]),
        "threshold_edges": lambda side: np.concatenate(([-np.inf], _bin_edges(side))),
        "threshold_rows": lambda side: _by_threshold(side, 0, 3),
        "threshold_negatives": lambda side: _by_threshold(side, 0, 1),
        "threshold_positives": lambda side: _by_threshold(side, 1, 2),
        "reference_rate": lambda side: (
            _in_force(side, side["threshold_rows"], np.zeros_like(side["threshold_rows"])).rate
        ),
        "reference_precision": lambda side: (
            _in_force(side, side["threshold_negatives"], side["threshold_positives"]).precision
        ),
        "calibrated": lambda side: estimation.calibrate(_by_label(side)[:, 0], _by_label(side)[:, 1]),
        "threshold_cell": lambda side: int(
            np.searchsorted(side.states[0].edges, side.states[0].threshold[0]) + 2
        ),
        "slope": lambda side: _recalibrated(side)[0],
        "slope_variance": lambda side: _recalibrated(side)[1],
        "intercept": lambda side: _recalibrated(side)[2],
        "intercept_variance": lambda side: _recalibrated(side)[3],
        **CALIBRATION,
    },
    Residuals: {
        "error": lambda side: _residual_moments(side, "e", "e²"),
        "square": lambda side: _residual_moments(side, "e²", "e⁴"),
        "absolute": lambda side: _residual_moments(side, "|e|", "e²"),
        "relative": lambda side: _residual_moments(side, "|e/target|", "|e/target|²", "target not 0"),
        "symmetric": lambda side: _residual_moments(side, "symmetric", "symmetric²"),
        "targets": _target_moments,
        "joint": _joint,
        "coverage": _labelled_and_all,
        "residual_cells": lambda side: side.stack("counts"),
        "residual_edges": lambda side: side.states[0].edges,
        "residual_extremes": lambda side: side.stack("extremes")[:, 0],
        "absolute_cells": lambda side: side.stack("absolute"),
        "absolute_edges": lambda side: side.states[0].sizes,
        "absolute_extremes": lambda side: side.stack("extremes")[:, 1],
        **interval_readings.CONFORMAL,
        **outlier_readings.READINGS,
    },
    Confidence: {**confidence_readings.READINGS, **CALIBRATION},
    Clusters: cluster_readings.READINGS,
    RankedClasses: {"ranked": lambda side: side.stack("counts"), "single": _single_ranks},
    Intervals: {**interval_readings.READINGS, "coverage": _labelled_and_all},
    ExpectedLosses: expected_readings.READINGS,
}
