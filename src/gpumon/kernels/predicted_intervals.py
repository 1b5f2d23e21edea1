"""Prediction intervals → their counts, for every backend: a few passes of NumPy over three columns, on the host."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.kernels.lookup import cells_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IntervalCounts", "intervals"]


class IntervalCounts(NamedTuple):
    """What prediction intervals leave behind, a place for every slice; see ``profiles.intervals.Intervals``."""

    counts: NDArray[np.int64]  # (places, m + 5)
    extremes: NDArray[np.float64]  # (places, 2)
    tallies: NDArray[np.int64]  # (places, 6)
    sums: NDArray[np.float64]  # (places, 4)
    missing: NDArray[np.int64]  # (places, 1)


def intervals(
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    target: NDArray[np.float64],
    nominal: float,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    edges: NDArray[np.float64],
    into: IntervalCounts,
) -> None:
    """Add intervals (rows,) to ``into``; NaN where missing. The rows of slice s are added at ``places[s]``."""
    with np.errstate(invalid="ignore", over="ignore"):
        width = upper - lower + 0.0
        there = ~np.isnan(width)
        crossed, labelled = there & (lower > upper), there & np.isfinite(target)
        usable, scored = there & ~crossed, labelled & ~crossed
        y = np.where(labelled, target, 0.0)
        under, over = np.maximum(lower - y, 0.0), np.maximum(y - upper, 0.0)
        score = np.where(scored, width + 2.0 / (1.0 - nominal) * (under + over), 0.0)
        width = np.where(usable, width, 0.0)
        sums = np.stack((width, width * width, score, score * score))
        outside = (scored & (under > 0), scored & (over > 0))
        tallies = np.stack((there, crossed, labelled, scored & ~outside[0] & ~outside[1], *outside))
        cell = cells_of(width, edges)
        for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
            rows = slice(start, stop)
            of = usable[rows]
            into.counts[place] += np.bincount(cell[rows][of], minlength=edges.size + 5)
            least, largest = into.extremes[place]
            widths = width[rows][of]
            into.extremes[place] = widths.min(initial=least), widths.max(initial=largest)
            into.tallies[place] += np.count_nonzero(tallies[:, rows], axis=-1)
            into.sums[place] += sums[:, rows].sum(axis=-1)
            into.missing[place] += stop - start - np.count_nonzero(there[rows])
