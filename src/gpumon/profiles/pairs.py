"""Pairs of numeric columns: the sums from which correlations are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.state import PLAN, SUM, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Pairs"]


@dataclass(frozen=True, eq=False)
class Pairs(State):
    """Sums over the rows in which both columns of a pair are there.

    x is the value less ``centre`` over ``scale`` (Pearson), or the mid-rank, in (−1/2, 1/2), of its cell in the
    reference (Spearman; ``tables`` holds the mid-ranks by cell, one column after the other). The centre makes the
    sums well-conditioned; it does not change the correlation.
    """

    columns: tuple[str, ...] = field(metadata=PLAN)  # (k,)
    centre: NDArray[np.float64] = field(metadata=PLAN)  # (k,)
    scale: NDArray[np.float64] = field(metadata=PLAN)  # (k,)
    tables: NDArray[np.float64] = field(metadata=PLAN)  # () or (Σ cells,)
    n: NDArray[np.int64] = field(metadata=SUM)  # (k, k)
    sums: NDArray[np.float64] = field(metadata=SUM)  # (k, k): Σ xᵢ
    squares: NDArray[np.float64] = field(metadata=SUM)  # (k, k): Σ xᵢ²
    products: NDArray[np.float64] = field(metadata=SUM)  # (k, k): Σ xᵢ xⱼ

    def __post_init__(self) -> None:
        k = len(self.columns)
        square = {self.n.shape, self.sums.shape, self.squares.shape, self.products.shape}
        if square != {(k, k)} or not self.centre.shape == self.scale.shape == (k,):
            raise ProfileError("a state of pairs has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        centre: NDArray[np.float64],
        scale: NDArray[np.float64],
        tables: NDArray[np.float64],
    ) -> Pairs:
        """Nothing counted yet."""
        k = len(columns)
        zeros = np.zeros((k, k))
        return cls(tuple(columns), centre, scale, tables, np.zeros((k, k), np.int64), zeros, zeros, zeros)
