"""Attributions: the sums from which the importance of features is read, where a log says what each added to a prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.state import PLAN, SUM, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Attributions"]


@dataclass(frozen=True, eq=False)
class Attributions(State):
    """Σ |φ| of the finite attributions φ (Shapley values, say) of every feature."""

    features: tuple[str, ...] = field(metadata=PLAN)  # (k,)
    columns: tuple[str, ...] = field(metadata=PLAN)  # (k,): the column that holds the attributions of each
    n: NDArray[np.int64] = field(metadata=SUM)  # (k,)
    sums: NDArray[np.float64] = field(metadata=SUM)  # (k,): Σ |φ|

    def __post_init__(self) -> None:
        k = len(self.features)
        if (
            not len(self.columns) == self.n.size == self.sums.size == k
            or self.n.ndim != 1
            or self.sums.ndim != 1
        ):
            raise ProfileError("a state of attributions has the wrong shape: it is damaged")

    @classmethod
    def on(cls, features: Sequence[str], columns: Sequence[str]) -> Attributions:
        """Nothing counted yet."""
        k = len(features)
        return cls(tuple(features), tuple(columns), np.zeros(k, np.int64), np.zeros(k))

    @property
    def importance(self) -> NDArray[np.float64]:
        """Mean |φ| of every feature (k,); NaN where there are no rows."""
        return np.asarray(self.sums / np.where(self.n > 0, self.n, np.nan))
