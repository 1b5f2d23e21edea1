"""Prediction intervals that a model gives beside (or in the place of) its predictions: widths, coverage, score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.labels import Labelled
from gpumon.profiles.numeric import EXTREMES
from gpumon.profiles.state import PLAN, SUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["INTERVALS", "TALLIES", "Intervals"]

TALLIES = ("rows", "crossings", "labelled", "covered", "below", "above")
"""The counts of ``Intervals.tallies``: rows with both ends; of these, the lower end above the upper one, with a target,
the target inside, below, above; below and above of intervals that do not cross."""

INTERVALS = ("width", "width²", "score", "score²")
"""The sums of ``Intervals.sums``, of intervals that do not cross: upper − lower; of those with a target the interval
score, width + 2 / (1 − nominal) · the distance by which the target lies outside."""


@dataclass(frozen=True, eq=False)
class Intervals(Labelled):
    """Intervals [lower, upper] by their width, on the cells of ``Numeric`` states, and beside the target.

    ``columns`` are the target, the lower and the upper ends; or, if ``nominal`` says how many, the target, the prediction
    and the standard deviation of which that many reach from the prediction to each end. A row counts if both ends are
    there; a target that is not finite is no label. Weights are left out.
    """

    nominal: NDArray[np.float64] = field(metadata=PLAN)  # (1,): the promised coverage; or (2,): and the reach
    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,), of widths
    counts: NDArray[np.int64] = field(metadata=SUM)  # (m + 5,): widths of intervals that do not cross
    extremes: NDArray[np.float64] = field(metadata=EXTREMES)  # (2,): of these widths
    tallies: NDArray[np.int64] = field(metadata=SUM)  # (6,): see TALLIES
    sums: NDArray[np.float64] = field(metadata=SUM)  # (4,): see INTERVALS
    missing: NDArray[np.int64] = field(metadata=SUM)  # (1,): rows without an end

    def __post_init__(self) -> None:
        wanted = (self.nominal.shape, (self.edges.size + 5,), (2,), (len(TALLIES),), (len(INTERVALS),), (1,))
        found = (self.nominal, self.counts, self.extremes, self.tallies, self.sums, self.missing)
        if tuple(array.shape for array in found) != wanted or len(self.columns) != 3:
            raise ProfileError("a state of prediction intervals has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        nominal: NDArray[np.float64],
        edges: NDArray[np.float64],
    ) -> Intervals:
        """Nothing counted yet."""
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all() and edges.size >= 2):
            raise ProfileError("edges must be finite and increasing")
        if nominal.shape not in {(1,), (2,)} or not 0 < nominal[0] < 1 or not 0 < nominal[-1] < np.inf:
            raise ProfileError(
                "the nominal coverage of prediction intervals is a share between 0 and 1, and their reach is above 0"
            )
        return cls(
            tuple(columns),
            tuple(weight),
            nominal,
            edges,
            np.zeros(edges.size + 5, np.int64),
            np.array([np.inf, -np.inf]),
            np.zeros(len(TALLIES), np.int64),
            np.zeros(len(INTERVALS)),
            np.zeros(1, np.int64),
        )

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.tallies[0] + self.missing[0])

    @property
    def labelled(self) -> int:
        """Rows that have an interval and a label."""
        return int(self.tallies[2])
