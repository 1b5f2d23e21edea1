"""The decision threshold of a binary classifier: the one in force, rows close to it, and the one that it should be.

A row is predicted positive if its score is at or above the threshold τ. Counts by score are (..., cells) in the
order of the cells, cell i from ``edges[i]`` to ``edges[i + 1]``, (..., cells + 1); the last one closed. Cells and
edges of 0 to 1 for probabilities, any real ones for margins. What falls inside a cell is not known, so what is found
is certified by cells: a threshold is placed on an edge, where all is exact; the last
edge stands for a threshold above all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.statistics.ecdf import Bounds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "AtThreshold",
    "InForce",
    "at_threshold",
    "positive_rate",
    "precision_restoring",
    "rate_restoring",
    "share_near",
    "threshold_for_precision",
    "threshold_for_rate",
    "threshold_in_force",
]


class InForce(NamedTuple):
    """What predictions say of the threshold that made them; arrays without the axis of cells."""

    lower: Floats
    """τ lies above this (or on it) [unit of the score]; −inf where no row is predicted negative."""
    upper: Floats
    """τ lies below this (or on it) [unit of the score]; +inf where no row is predicted positive."""
    contradictions: NDArray[np.int64]
    """Rows that no single threshold explains, at the best one; 0 where predictions follow scores."""
    rows: NDArray[np.int64]
    """Rows of both predictions; 0 leaves lower −inf and upper +inf."""

    def holds(self, threshold: ArrayLike) -> NDArray[np.bool_]:
        """Whether ``threshold`` may be the one in force: it is within the bracket and nothing contradicts it."""
        tau = np.asarray(threshold, np.float64)
        inside = (self.lower <= tau) & (tau <= self.upper)
        return np.asarray(inside & (self.contradictions == 0))


def threshold_in_force(negative: Counts, positive: Counts, edges: Floats) -> InForce:
    """The bracket of the threshold that turned scores into predictions, from counts of ŷ = 0 and of ŷ = 1 by score.

    τ is above the scores with ŷ = 0 and not above those with ŷ = 1, so it lies between the lower edge of the
    highest cell with ŷ = 0 and the upper edge of the lowest cell with ŷ = 1. Where these cross (predictions are
    overruled, thresholds differ by segment, or τ was changed within the rows) the bracket is that of the cut with the
    fewest rows on its wrong side, and these are counted; equally good cuts widen the bracket. Rows in the
    cell that holds τ contradict nothing.

    >>> edges = np.linspace(0, 1, 11)
    >>> found = threshold_in_force(np.array([9, 5, 4, 1, 0, 0, 0, 0, 0, 0]), np.array([0, 0, 0, 2, 3, 3, 2, 1, 1, 1]), edges)
    >>> [float(end) for end in found[:2]], found.contradictions
    ([0.30000000000000004, 0.4], array(0))
    """
    negative, positive, edges = _like_cells(negative, positive, edges)
    zero = np.zeros((*negative.shape[:-1], 1), negative.dtype)
    below = np.concatenate([zero, np.cumsum(positive, axis=-1)], axis=-1)
    above = np.concatenate([np.flip(np.cumsum(np.flip(negative, axis=-1), axis=-1), axis=-1), zero], axis=-1)
    # a τ inside cell i: positive rows in lower cells and negative rows in higher ones are wrong
    wrong = below[..., :-1] + above[..., 1:]
    # a τ below all cells or above them all may be better still
    wrong = np.concatenate([above[..., :1], wrong, below[..., -1:]], axis=-1)
    fewest = np.min(wrong, axis=-1, keepdims=True)
    best = wrong == fewest
    ends = np.concatenate(
        [np.full_like(edges[..., :1], -np.inf), edges, np.full_like(edges[..., :1], np.inf)], axis=-1
    )
    first = np.argmax(best, axis=-1)
    last = best.shape[-1] - 1 - np.argmax(np.flip(best, axis=-1), axis=-1)
    lower = np.take_along_axis(ends, first[..., None], axis=-1)[..., 0]
    upper = np.take_along_axis(ends, last[..., None] + 1, axis=-1)[..., 0]
    rows = np.sum(negative + positive, axis=-1)
    return InForce(lower, upper, fewest[..., 0], rows)


class AtThreshold(NamedTuple):
    """A threshold on an edge of cells, and what it gives on these rows; NaN where no edge does."""

    threshold: Floats
    """[unit of the score]"""
    rate: Floats
    """Share of rows at or above the threshold [0 to 1]."""
    precision: Floats
    """Share of positives among these rows [0 to 1]; NaN if there are none, or without labels."""
    recall: Floats
    """Share of all positives that are among these rows [0 to 1]; NaN without positives or labels."""


def threshold_for_rate(counts: Counts, edges: Floats, rate: float | Floats) -> AtThreshold:
    """The edge at which the share of positive predictions is nearest to ``rate``; of two, the higher one.

    This τ* restores the positive rate (or, over the rows of a period, the volume of alerts) after scores have moved;
    no labels are needed. Within half the largest share of a cell of what was asked.

    >>> threshold_for_rate(np.array([50, 25, 15, 10]), np.linspace(0, 1, 5), 0.25).threshold
    array(0.5)
    """
    counts, edges = _like_edges(counts, edges)
    selected = _at_or_above(counts)
    with np.errstate(invalid="ignore"):
        distance = np.abs(selected / selected[..., :1] - np.asarray(rate, np.float64)[..., None])
    # the last of equals: reversed, argmin takes it first
    place = distance.shape[-1] - 1 - np.argmin(np.flip(distance, axis=-1), axis=-1)
    found = selected[..., 0] > 0
    unlabelled = np.full(selected.shape, np.nan)
    return _at(place, found, edges, selected, unlabelled)


def threshold_for_precision(
    negatives: Counts, positives: Counts, edges: Floats, precision: float | Floats
) -> AtThreshold:
    """The lowest edge from which precision reaches ``precision``, so of those that do the one of the highest recall.

    ``negatives`` and ``positives`` are rows by their *true* class. NaN where no edge reaches it. Equals the first
    threshold of ``sklearn.metrics.precision_recall_curve`` that does, if there is a cell for every score.

    >>> found = threshold_for_precision(np.array([40, 20, 5, 0]), np.array([2, 5, 15, 20]), np.linspace(0, 1, 5), 0.8)
    >>> found.threshold, found.precision, found.recall
    (array(0.5), array(0.875), array(0.83333333))
    """
    negatives, positives, edges = _like_cells(negatives, positives, edges)
    selected, hits = _at_or_above(negatives + positives), _at_or_above(positives)
    with np.errstate(invalid="ignore", divide="ignore"):
        enough = hits / selected >= np.asarray(precision, np.float64)[..., None]
    return _at(np.argmax(enough, axis=-1), np.any(enough, axis=-1), edges, selected, hits)


def rate_restoring(counts: Counts, edges: Floats, rate: float | Floats) -> Bounds:
    """The threshold that brings the share of positive predictions back to ``rate`` [unit of the score].

    ``rate`` is what the reference has at the threshold in force, so this keeps the volume of alerts; no labels are
    needed. ``value`` is ``threshold_for_rate``'s edge, and the threshold that a sort would give lies from ``lower``
    to ``upper``: the last edge with at least that share and the first with at most it. NaN where there are no rows.

    >>> [float(x) for x in rate_restoring(np.array([50, 25, 15, 10]), np.linspace(0, 1, 5), 0.2)]
    [0.5, 0.5, 0.75]
    """
    counts, edges = _like_edges(counts, edges)
    value = threshold_for_rate(counts, edges, rate).threshold
    selected = _at_or_above(counts)
    with np.errstate(invalid="ignore"):
        share, rate = selected / selected[..., :1], np.asarray(rate, np.float64)[..., None]
        enough, few = share >= rate, share <= rate
    last = edges.shape[-1] - 1 - np.argmax(np.flip(enough, axis=-1), axis=-1)
    ends = [
        np.take_along_axis(edges, at[..., None], axis=-1)[..., 0] for at in (last, np.argmax(few, axis=-1))
    ]
    # edges between empty cells give the same share, and all of them give it
    return Bounds(
        value,
        np.where(np.isnan(value), np.nan, np.minimum(value, np.minimum(*ends))),
        np.where(np.isnan(value), np.nan, np.maximum(value, np.maximum(*ends))),
    )


def precision_restoring(
    negatives: Counts, positives: Counts, edges: Floats, precision: float | Floats
) -> Bounds:
    """The lowest threshold with which precision is at least ``precision`` again [unit of the score].

    ``precision`` is what the reference has at the threshold in force. ``value`` and ``upper`` are
    ``threshold_for_precision``'s edge; ``lower`` is the lowest edge of a cell in which a threshold may do, were all its
    negatives below all its positives. The first such threshold of ``sklearn.metrics.precision_recall_curve`` lies
    between them. NaN where no edge reaches it.

    >>> cells = np.array([40, 20, 5, 0]), np.array([2, 5, 15, 20])
    >>> [float(x) for x in precision_restoring(*cells, np.linspace(0, 1, 5), 0.8)]
    [0.5, 0.25, 0.5]
    """
    negatives, positives, edges = _like_cells(negatives, positives, edges)
    value = threshold_for_precision(negatives, positives, edges, precision).threshold
    hits = _at_or_above(positives)[..., :-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        best = hits / (hits + _at_or_above(negatives)[..., 1:])
        able = best >= np.asarray(precision, np.float64)[..., None]
    lower = np.take_along_axis(edges, np.argmax(able, axis=-1)[..., None], axis=-1)[..., 0]
    return Bounds(value, np.where(np.isnan(value), np.nan, np.minimum(lower, value)), value)


def at_threshold(
    negatives: Counts, positives: Counts, edges: Floats, threshold: float | Floats
) -> AtThreshold:
    """Rate, precision and recall at the lowest edge at or above ``threshold``; exact if it is an edge itself.

    >>> at_threshold(np.array([40, 20, 5, 0]), np.array([2, 5, 15, 20]), np.linspace(0, 1, 5), 0.75).precision
    array(1.)
    """
    negatives, positives, edges = _like_cells(negatives, positives, edges)
    reached = edges >= np.asarray(threshold, np.float64)[..., None]
    selected, hits = _at_or_above(negatives + positives), _at_or_above(positives)
    return _at(np.argmax(reached, axis=-1), np.any(reached, axis=-1), edges, selected, hits)


def positive_rate(counts: Counts, edges: Floats, threshold: float | Floats) -> Bounds:
    """Share of rows with a score at or above ``threshold`` [0 to 1]; exact on an edge, NaN where there are no rows.

    ``value`` spreads the rows of the cell that holds the threshold evenly.

    >>> [float(x) for x in positive_rate(np.array([50, 25, 15, 10]), np.linspace(0, 1, 5), 0.625)]
    [0.175, 0.1, 0.25]
    """
    return _share_between(counts, edges, threshold, np.inf)


def share_near(counts: Counts, edges: Floats, threshold: float | Floats, delta: float) -> Bounds:
    """Share of rows with a score from ``threshold`` − ``delta`` to below ``threshold`` + ``delta`` [0 to 1].

    These are the rows whose prediction a small shift of scores turns over. NaN where there are no rows.

    >>> [float(x) for x in share_near(np.array([50, 25, 15, 10]), np.linspace(0, 1, 5), 0.5, 0.25)]
    [0.4, 0.4, 0.4]
    """
    threshold = np.asarray(threshold, np.float64)
    return _share_between(counts, edges, threshold - delta, threshold + delta)


def _share_between(counts: Counts, edges: Floats, low: float | Floats, high: float | Floats) -> Bounds:
    """Share of rows with ``low`` ≤ score < ``high``."""
    counts, edges = _like_edges(counts, edges)
    left, right = edges[..., :-1], edges[..., 1:]
    low, high = np.asarray(low, np.float64)[..., None], np.asarray(high, np.float64)[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        overlap = np.clip((np.minimum(right, high) - np.maximum(left, low)) / (right - left), 0.0, 1.0)
        rows = np.sum(counts, axis=-1)
        # the last cell is closed: a row on its upper end is not below a ``high`` that equals it
        closed = np.arange(counts.shape[-1]) == counts.shape[-1] - 1
        within = (left >= low) & np.where(closed, right < high, right <= high)
        touched = (left < high) & np.where(closed, right >= low, right > low)
        value, lower, upper = (np.sum(counts * part, axis=-1) / rows for part in (overlap, within, touched))
    return Bounds(np.clip(value, lower, upper), lower, upper)


def _at_or_above(counts: Counts) -> Counts:
    """Rows at or above every edge, (..., cells + 1); at the last edge 0."""
    above = np.flip(np.cumsum(np.flip(counts, axis=-1), axis=-1), axis=-1)
    return np.concatenate([above, np.zeros((*above.shape[:-1], 1), above.dtype)], axis=-1)


def _at(
    place: NDArray[np.int64], found: NDArray[np.bool_], edges: Floats, selected: Counts, hits: Counts
) -> AtThreshold:
    """What the edge at ``place`` gives."""
    place = place[..., None]
    at, n, k = (
        np.take_along_axis(np.broadcast_to(x, (*place.shape[:-1], x.shape[-1])), place, axis=-1)[..., 0]
        for x in (edges, selected, hits)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        measures = at, n / selected[..., 0], k / n, k / hits[..., 0]
    return AtThreshold(*(np.where(found, measure, np.nan) for measure in measures))


def _like_edges(counts: Counts, edges: Floats) -> tuple[Counts, Floats]:
    leading = np.broadcast_shapes(counts.shape[:-1], edges.shape[:-1])
    return (
        np.broadcast_to(counts, (*leading, counts.shape[-1])),
        np.broadcast_to(edges, (*leading, edges.shape[-1])),
    )


def _like_cells(first: Counts, second: Counts, edges: Floats) -> tuple[Counts, Counts, Floats]:
    first, second = np.broadcast_arrays(first, second)
    first, edges = _like_edges(first, edges)
    return first, np.broadcast_to(second, first.shape), edges
