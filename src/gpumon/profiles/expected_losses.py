"""Errors that are expected of rows without labels, by a model of the error that was learnt from the labelled reference."""

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

__all__ = ["CODES", "LOSSES", "SUMMED", "UNSUPPORTED", "ExpectedLosses"]

CODES = 256
"""Codes of a feature: its cells are brought together to so many at most, of about equal mass."""

UNSUPPORTED = CODES
"""Added to the code of a cell in which the reference has no rows."""

LOSSES = ("|e|", "e²")
"""What is expected: e = prediction − target."""

SUMMED = (
    "expected",
    "expected²",
    "labelled loss",
    "labelled expected",
    "loss²",
    "loss·expected",
    "expected² there",
)
"""The sums of ``ExpectedLosses.sums``, weights times the value: of all rows the loss that is expected and its square; of
the rows with a label the loss, what was expected of them, and their products."""


@dataclass(frozen=True, eq=False)
class ExpectedLosses(Labelled):
    """Sums of the losses that boosted trees expect of every row with a prediction.

    ``columns`` are the target, the prediction, and the features. The trees look at codes of the prediction and the
    features: code = ``groups[cell]``, the cells being those of the column's ``Numeric`` state, or the place in its
    vocabulary, then any other value, then missing. A tree of depth d has 2^d − 1 splits, breadth first, and 2^d leaves:
    a row whose code is above the split's goes to the second child, and a row's loss is the base and one leaf of each tree.
    All losses are whole multiples of a power of two, so that their sums do not depend on the order.
    """

    cells: NDArray[np.int64] = field(metadata=PLAN)  # (k,): how many of ``groups`` each feature has
    groups: NDArray[np.int64] = field(metadata=PLAN)  # (Σ cells,): codes, + UNSUPPORTED
    trees: NDArray[np.int64] = field(metadata=PLAN)  # (2,): trees for each loss
    base: NDArray[np.float64] = field(metadata=PLAN)  # (2,)
    residual_variance: NDArray[np.float64] = field(
        metadata=PLAN
    )  # (2,): of loss less expected, held-out rows
    split_features: NDArray[np.int64] = field(metadata=PLAN)  # (trees · (2^d − 1),): 0 is the prediction
    split_codes: NDArray[np.int64] = field(metadata=PLAN)  # the same
    leaves: NDArray[np.float64] = field(metadata=PLAN)  # (trees · 2^d,)
    counts: NDArray[np.int64] = field(metadata=SUM)  # (3,): rows; of these unsupported; with a label
    mass: NDArray[np.float64] = field(metadata=SUM)  # (2, 2): Σ w, Σ w² of all rows; of those with a label
    sums: NDArray[np.float64] = field(metadata=SUM)  # (2, 7): by loss, see SUMMED

    def __post_init__(self) -> None:
        wanted = ((len(self.columns) - 1,), (2,), (2,), (2,), (3,), (2, 2), (len(LOSSES), len(SUMMED)))
        found = (self.cells, self.trees, self.base, self.residual_variance, self.counts, self.mass, self.sums)
        if tuple(array.shape for array in found) != wanted or self.cells.sum() != self.groups.size:
            raise ProfileError("a state of expected losses has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        cells: NDArray[np.int64],
        groups: NDArray[np.int64],
        trees: NDArray[np.int64],
        base: NDArray[np.float64],
        residual_variance: NDArray[np.float64],
        split_features: NDArray[np.int64],
        split_codes: NDArray[np.int64],
        leaves: NDArray[np.float64],
    ) -> ExpectedLosses:
        """Nothing counted yet."""
        total = int(trees.sum())
        fits = (
            (trees >= 0).all()
            and (cells >= 2).all()
            and split_features.size == split_codes.size == leaves.size - total
            and (total == 0 or leaves.size in {total << depth for depth in range(1, 17)})
            and ((groups >= 0) & (groups < 2 * CODES)).all()
            and ((split_features >= 0) & (split_features < cells.size)).all()
            and ((split_codes >= 0) & (split_codes < CODES)).all()
            and np.isfinite(base).all()
            and np.isfinite(leaves).all()
        )
        if not fits:
            raise ProfileError("the trees of expected losses do not fit each other: they are damaged")
        return cls(
            tuple(columns),
            tuple(weight),
            cells,
            groups,
            trees,
            base,
            residual_variance,
            split_features,
            split_codes,
            leaves,
            np.zeros(3, np.int64),
            np.zeros((2, 2)),
            np.zeros((len(LOSSES), len(SUMMED))),
        )

    @property
    def rows(self) -> int:
        """Rows with a prediction."""
        return int(self.counts[0])

    @property
    def labelled(self) -> int:
        """Rows with a prediction and a label."""
        return int(self.counts[2])
