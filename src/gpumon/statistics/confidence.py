"""How sure a binary classifier is, from counts by score: entropy, quantiles of max(p, 1 − p), the share that is unsure.

Counts (..., cells) in the order of the cells of p, cell i from ``edges[i]`` to ``edges[i + 1]``, ``edges``
(cells + 1,) from 0 to 1 with ½ among them, so no cell reaches over it. No labels are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpumon.statistics.ecdf import Bounds

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats

__all__ = ["confidence_quantile", "low_confidence_share", "mean_entropy"]


def mean_entropy(counts: Counts, sums: Floats, edges: Floats) -> Bounds:
    """Mean of the entropy of p and 1 − p over ln 2 [0 to 1]: 0 where the model is sure, 1 where it tosses a coin.

    ``sums`` (..., cells) are Σ p of the rows of each cell. ``value`` and ``upper`` take each row for its cell's mean,
    ``lower`` for the ends of the cell in the parts that give this mean: the entropy is concave. NaN where there are no
    rows. Equals the mean of ``scipy.stats.entropy(..., base=2)`` within these.

    >>> edges = np.array([0.0, 0.5, 1.0])
    >>> [round(float(x), 3) for x in mean_entropy(np.array([1, 1]), np.array([0.25, 0.75]), edges)]
    [0.811, 0.5, 0.811]
    """
    low, high = np.clip(edges[:-1], 0.0, 1.0), np.clip(edges[1:], 0.0, 1.0)
    middle = np.clip(sums / np.where(counts > 0, counts, 1), low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(high > low, (middle - low) / (high - low), 0.0)
        chord = (1 - part) * _entropy(low) + part * _entropy(high)
        rows = np.sum(counts, axis=-1)
        upper, lower = (np.vecdot(counts, each) / rows for each in (_entropy(middle), chord))
    return Bounds(upper, np.minimum(lower, upper), upper)


def confidence_quantile(counts: Counts, edges: Floats, level: float) -> Bounds:
    """Quantile of max(p, 1 − p) [½ to 1]: the smallest that at least ``level`` of the rows do not exceed.

    ``lower`` and ``upper`` suppose all rows at the ends of their cells, ``value`` in their middles. NaN where there
    are no rows. Equals ``np.quantile(..., method="inverted_cdf")`` within these.

    >>> edges = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    >>> [float(x) for x in confidence_quantile(np.array([5, 1, 1, 3]), edges, 0.5)]
    [0.875, 0.75, 1.0]
    """
    edges = np.clip(edges, 0.0, 1.0)
    sides = edges[:-1], edges[1:]
    least, most = (
        pick(np.maximum(sides[0], 1 - sides[0]), np.maximum(sides[1], 1 - sides[1]))
        for pick in (np.minimum, np.maximum)
    )
    found = []
    at, previous = np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows = np.sum(counts, axis=-1)
    for place in ((least + most) / 2, least, most):
        order = np.argsort(place, kind="stable")
        if not np.array_equal(order, previous):  # cells that mirror each other have one order for all three
            below = np.cumsum(np.take(counts, order, axis=-1), axis=-1)
            # a little less, so that a level that is met exactly is met after rounding
            at = np.argmax(below >= (level * rows * (1 - 1e-12))[..., None], axis=-1)
            previous = order
        found.append(np.where(rows > 0, place[order][at], np.nan))
    value, lower, upper = found
    return Bounds(np.clip(value, lower, upper), lower, upper)


def low_confidence_share(counts: Counts, edges: Floats, below: float) -> Bounds:
    """Share of the rows whose max(p, 1 − p) is less than ``below`` [0 to 1]; ``value`` spreads rows evenly over cells.

    NaN where there are no rows.

    >>> edges = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    >>> [round(float(x), 3) for x in low_confidence_share(np.array([5, 1, 1, 3]), edges, 0.6)]
    [0.08, 0.0, 0.2]
    """
    low, high = np.clip(edges[:-1], 0.0, 1.0), np.clip(edges[1:], 0.0, 1.0)
    first, last = 1 - below, below
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(high > low, (np.minimum(high, last) - np.maximum(low, first)) / (high - low), 0.0)
        part = np.where(high > low, np.clip(part, 0.0, 1.0), (low > first) & (low < last))
        rows = np.sum(counts, axis=-1)
        within, touched = (low > first) & (high <= last), (high > first) & (low < last)
        value, lower, upper = (np.vecdot(counts, 1.0 * each) / rows for each in (part, within, touched))
    return Bounds(np.clip(value, lower, upper), lower, upper)


def _entropy(p: Floats) -> Floats:
    parts = [q * np.log2(np.where(q > 0, q, 1.0)) for q in (p, 1 - p)]
    return np.asarray(-(parts[0] + parts[1]))
