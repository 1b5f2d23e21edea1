"""Scores of several classes, each by the true class of its rows: what ranks every class against every other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.labels import Labelled
from gpumon.profiles.state import PLAN, SUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MOST_RANKED", "RankedClasses", "cells_of_ranks"]

MOST_RANKED = 20
"""Classes that are ranked pair by pair; of more, the counts of a slice would take megabytes."""

COUNTERS = 2**16
LEAST_CELLS, MOST_CELLS = 128, 1_024


def cells_of_ranks(classes: int) -> int:
    """How many cells the scores of so many classes have, so that a slice takes about half a megabyte at most.

    >>> cells_of_ranks(3), cells_of_ranks(20)
    (1024, 163)
    """
    return min(max(COUNTERS // classes**2, LEAST_CELLS), MOST_CELLS)


@dataclass(frozen=True, eq=False)
class RankedClasses(Labelled):
    """Rows by column of scores, true class, and cell of the score between the edges (first and last: beyond them).

    ``columns`` are the target and a column of scores for each class. A row counts in a column where its score is finite
    and its class one of these. Weights are left out.
    """

    classes: tuple[str, ...] = field(metadata=PLAN)  # (K,)
    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,): those of all columns
    counts: NDArray[np.int64] = field(metadata=SUM)  # (K, K, m + 1)

    def __post_init__(self) -> None:
        k = len(self.classes)
        if self.counts.shape != (k, k, self.edges.size + 1) or len(self.columns) != k + 1:
            raise ProfileError("a state of ranked classes has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        classes: Sequence[str],
        edges: NDArray[np.float64],
    ) -> RankedClasses:
        """Nothing counted yet."""
        k = len(classes)
        if not 2 <= k <= MOST_RANKED or len(set(classes)) < k or weight:
            raise ProfileError(f"2 to {MOST_RANKED} classes are ranked, each once, without weights")
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all() and edges.size >= 2):
            raise ProfileError("edges must be finite and increasing")
        return cls(tuple(columns), (), tuple(classes), edges, np.zeros((k, k, edges.size + 1), np.int64))
