"""What formulas of a classifier's confidence read: of a binary score, and of the probabilities of several classes.

========================  ================================================================================
``confidence``            moments (slices, 3) of the largest probability of a row; ``margin`` of that less the second
                          largest; ``entropy`` of −Σ p ln p over ln K, whose mean lies between ``entropy_ends``
``confidence_rows``       rows by cell of the confidence (slices, cells), weighted; ``entropy_rows`` likewise
``confidence_spans``      least and largest confidence of a row of each cell (2, cells), and its entropy of many classes;
                          shared
``confidence_cells``      rows by cell of both sides, and the spans; ``margin_cells``, ``entropy_cells`` likewise
``confidence_deciles``    rows of both sides in ten bins of the confidence, of about equal mass in the reference
``least_usual``           the confidence that one row of the *reference* in a hundred is below; ``most_usual`` above;
                          ``most_entropy`` the entropy that one in a hundred is above
========================  ================================================================================

All are of rows with and without labels, and NaN where scores are no probabilities. A binary score's are read off the
cells of the score, whose rows are on one side of ½; margins and entropies then say no more than the confidence.

Of several classes, labelled rows also have ``loss`` and ``brier``, moments of −ln p of the true class and of Σ (p − y)²
over the classes, and stand by 15 bins of the confidence as those of a score do in ``width_rows`` and its kin, positive
where the prediction is right. ``right_calibrated`` is P(right | confidence) of the *reference*, for estimates;
``sure_enough`` the part of each cell's rows (slices, cells) that average thresholded confidence takes for right, by the labels of
the *reference*, and ``right_share`` its share of right predictions and the labelled rows that it is of (slices, 2); of a binary
score that a threshold makes predictions of, ``threshold_sure_enough`` and ``threshold_right_share``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.profiles.confidence import LOSSES, QUANTITIES
from gpumon.statistics import calibration, confidence, estimation, regression

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "OF_SCORES",
    "OF_SEVERAL",
    "READINGS",
    "SHARED",
    "TOGETHER",
    "TOGETHER_OF_SCORES",
    "WITHOUT_LABELS",
    "labelled",
    "rows",
    "why",
]

RARE = 0.01
BINS = 10

WITHOUT_LABELS = frozenset(
    {
        "confidence", "margin", "entropy", "entropy_ends", "confidence_rows", "entropy_rows", "confidence_spans",
        "confidence_cells", "margin_cells", "entropy_cells", "confidence_deciles", "least_usual", "most_usual", "most_entropy",
    }
)  # fmt: skip
SHARED = frozenset({"confidence_spans"})
OF_SEVERAL = {
    "brier": "sum over the classes [0 to 2]",
    "width_rows": "of the likeliest class",
    "mass_rows": "of the likeliest class",
    "both_bins": "of the likeliest class",
}
"""What the method of a metric that reads one of these says besides, where there are several classes."""


def _effective(weights: Any, squares: Any) -> Any:
    """What weights are multiplied with so that they add up to the effective number of rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, weights / squares, 0.0)


def _edges(side: Any) -> Any:
    edges = side.states[0].edges
    return np.append(edges, np.nextafter(edges[-1], np.inf))


def _outside(side: Any) -> Any:
    """NaN for slices with scores that are no probabilities, 0 for others."""
    return np.where(side.stack("outside").sum(axis=-1) > 0, np.nan, 0.0)[:, None]


# of many classes


def _moments(side: Any, quantity: str) -> Any:
    at = 2 + 2 * QUANTITIES.index(quantity)
    sums = side.stack("sums") + _outside(side)
    return regression.weighted_moments(sums[:, 0], sums[:, 1], sums[:, at], sums[:, at + 1])


def _cells(side: Any, quantity: str) -> Any:
    weighted = bool(side.states[0].weight)
    counts = side.stack("mass" if weighted else "counts")[:, QUANTITIES.index(quantity), 2:-3]
    if weighted:
        counts = counts * _effective(side.stack("sums")[:, 0], side.stack("sums")[:, 1])[:, None]
    return counts + _outside(side)


def _ends(side: Any) -> Any:
    mean = side["entropy"][:, 1]
    return np.stack((mean, mean), axis=-1)


def labelled(side: Any) -> tuple[Any, Any, Any]:
    """Labelled rows, those whose prediction is right, Σ confidence by its cell (slices, m + 3), weighted."""
    wrong, right, total = np.moveaxis(side.stack("weighed")[..., :-2], 1, 0) + _outside(side)
    if side.states[0].weight:
        factor = _effective(side.stack("losses")[:, 0], side.stack("losses")[:, 1])[:, None]
        wrong, right, total = wrong * factor, right * factor, total * factor
    return wrong + right, right, total


def _lost(side: Any, quantity: str) -> Any:
    at = LOSSES.index(quantity)
    losses = side.stack("losses") + _outside(side)
    return regression.weighted_moments(losses[:, 0], losses[:, 1], losses[:, at], losses[:, at + 1])


def _right(side: Any) -> estimation.Calibration:
    every, right = (x[:, 2:-1] for x in labelled(side)[:2])
    return estimation.calibrate(np.nan_to_num(every - right), np.nan_to_num(right))


def _outcomes(side: Any) -> tuple[Any, Any]:
    """Labelled rows whose prediction is wrong, and right, by cell of the confidence."""
    every, right = (np.nan_to_num(x[:, 2:-1]) for x in labelled(side)[:2])
    return every - right, right


def _sure_enough(side: Any, outcomes: Callable[[Any], tuple[Any, Any]]) -> Any:
    return estimation.sure_enough(*outcomes(side), side["confidence_spans"].mean(axis=0))


def _right_share(side: Any, outcomes: Callable[[Any], tuple[Any, Any]]) -> Any:
    wrong, right = (x.sum(axis=-1) for x in outcomes(side))
    with np.errstate(invalid="ignore"):
        return np.stack((right / (wrong + right), wrong + right), axis=-1)


# of a binary score


def _outcomes_of_scores(side: Any) -> tuple[Any, Any]:
    """Labelled rows that the threshold predicts wrongly, and rightly, by cell of the score."""
    negatives, positives = side["negatives"][:, 2:-1], side["positives"][:, 2:-1]
    above = np.arange(negatives.shape[-1]) >= side["threshold_cell"] - 2
    return np.where(above, negatives, positives), np.where(above, positives, negatives)


def _of_scores(side: Any) -> tuple[Any, Any]:
    """Rows of all labels by cell of the score, and Σ score there."""
    if "all rows" not in side.made:
        weighted = bool(side.states[0].weight)
        counts = side.stack("mass" if weighted else "counts")[..., 2:-3].sum(axis=1)
        sums = side.stack("probability")[..., 2:-3].sum(axis=1)
        if weighted:
            factor = _effective(counts.sum(axis=-1), side.stack("errors")[..., -1].sum(axis=-1))[:, None]
            counts, sums = counts * factor, sums * factor
        side.made["all rows"] = counts + _outside(side), sums
    found: tuple[Any, Any] = side.made["all rows"]
    return found


def _sure(side: Any) -> Any:
    """Moments of max(p, 1 − p): sums are exact, as no cell reaches over ½; squares suppose a cell's mean."""
    counts, sums = _of_scores(side)
    middle = sums / np.where(counts > 0, counts, 1.0)
    total = np.where(middle < 0.5, counts - sums, sums).sum(axis=-1)
    squares = (counts * np.maximum(middle, 1 - middle) ** 2).sum(axis=-1)
    return regression.moments(counts.sum(axis=-1), total, squares)


def _margin(side: Any) -> Any:
    n, mean, squares = np.moveaxis(side["confidence"], -1, 0)
    return np.stack((n, 2 * mean - 1, 4 * squares), axis=-1)


def _entropy(side: Any, part: int) -> Any:
    if "entropy of scores" not in side.made:
        side.made["entropy of scores"] = confidence.binary_entropy(*_of_scores(side), _edges(side))
    return side.made["entropy of scores"][part]


# of both


def _quantile(side: Any, counts: str, level: float) -> Any:
    """A certified end of the quantile, beyond which no more than a hundredth of the rows are."""
    found = confidence.confidence_quantile(side[counts], side["confidence_spans"], level)
    return found.lower if level < 0.5 else found.upper


def _both(before: Any, now: Any, place: NDArray[np.int64], reading: str) -> tuple[Any, ...]:
    return before[reading][place], now[reading], now["confidence_spans"]


def _moments_of_both(before: Any, now: Any, place: NDArray[np.int64]) -> tuple[Any, ...]:
    return before["confidence"][place], now["confidence"]


def _deciles(before: Any, now: Any, place: NDArray[np.int64]) -> tuple[Any, Any]:
    order = np.argsort(now["confidence_spans"].mean(axis=0), kind="stable")
    was, rows = (side["confidence_rows"][:, order] for side in (before, now))
    groups = calibration.equal_mass(np.nan_to_num(was), BINS)
    return (
        calibration.merged(was, groups, BINS)[place],
        calibration.merged(rows, groups[place], BINS),
    )


def _present(before: Any, now: Any, place: NDArray[np.int64]) -> tuple[Any, ...]:
    return before["confidence"][place, 0], now["confidence"][:, 0]


def rows(side: Any, *, labelled: bool) -> Any:
    """The rows whose confidence is known, or those of them that have a label."""
    return side.stack("outcomes").sum(axis=(-1, -2)) if labelled else side.stack("counts")[:, 0].sum(axis=-1)


def why(side: Any, rows: Any, *, labelled: bool) -> NDArray[Any]:
    """Why a value is missing, in words."""
    besides = " and a label" if labelled else ""
    words = np.where(rows == 0, f"no row has a probability for every class{besides}", "").astype(object)
    outside, off = np.moveaxis(side.stack("outside"), -1, 0)
    words[off > 0] = "the scores of the classes do not add up to 1, so they are no probabilities"
    words[outside > 0] = "scores are not between 0 and 1, so they are no probabilities"
    return words


OF_BOTH: dict[str, Callable[[Any], Any]] = {
    "least_usual": partial(_quantile, counts="confidence_rows", level=RARE),
    "most_usual": partial(_quantile, counts="confidence_rows", level=1 - RARE),
}
READINGS: dict[str, Callable[[Any], Any]] = OF_BOTH | {
    **{name: partial(_moments, quantity=name) for name in QUANTITIES},
    **{f"{name}_rows": partial(_cells, quantity=name) for name in QUANTITIES},
    "entropy_ends": _ends,
    "confidence_spans": lambda side: confidence.spans(_edges(side)),
    "most_entropy": partial(_quantile, counts="entropy_rows", level=1 - RARE),
    "loss": partial(_lost, quantity="loss"),
    "brier": partial(_lost, quantity="brier"),
    "right_calibrated": _right,
    "sure_enough": partial(_sure_enough, outcomes=_outcomes),
    "right_share": partial(_right_share, outcomes=_outcomes),
}
OF_SCORES: dict[str, Callable[[Any], Any]] = OF_BOTH | {
    "confidence": _sure,
    "margin": _margin,
    "entropy": partial(_entropy, part=0),
    "entropy_ends": partial(_entropy, part=1),
    "confidence_rows": lambda side: _of_scores(side)[0],
    "confidence_spans": lambda side: confidence.binary_spans(_edges(side)),
    "threshold_sure_enough": partial(_sure_enough, outcomes=_outcomes_of_scores),
    "threshold_right_share": partial(_right_share, outcomes=_outcomes_of_scores),
}
TOGETHER_OF_SCORES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "confidence_cells": partial(_both, reading="confidence_rows"),
    "confidence_deciles": _deciles,
    "present": _present,
    "moments": _moments_of_both,
}
TOGETHER: dict[str, Callable[..., tuple[Any, ...]]] = {
    "present": _present,
    "moments": _moments_of_both,
    "confidence_deciles": _deciles,
    **{f"{name}_cells": partial(_both, reading=f"{name}_rows") for name in QUANTITIES},
}
