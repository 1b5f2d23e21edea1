"""Attributions: what a log says that each feature added to a prediction, as sums from which its importance is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.state import PLAN, SUM, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CHECKS", "Attributions"]

CHECKS = ("rows", "explained", "checked", "differ", "differ from log-odds")
"""What ``Attributions.checks`` counts: rows; those with all attributions; of them those with a base value and an output;
of them those of which Σ φ + base is not the output within 0.001, and of which its logistic function is not."""


@dataclass(frozen=True, eq=False)
class Attributions(State):
    """Σ |φ| and Σ φ² of the finite attributions φ (Shapley values, say) of every feature, and whether they add up.

    With a base value, a number in ``base`` or a column ``base_column``, Σ φ + base ought to be the ``output``.
    """

    features: tuple[str, ...] = field(metadata=PLAN)  # (k,)
    columns: tuple[str, ...] = field(metadata=PLAN)  # (k,): the column that holds the attributions of each
    output: tuple[str, ...] = field(metadata=PLAN)  # (0,) or (1,): the column of what is explained
    base_column: tuple[str, ...] = field(metadata=PLAN)  # (0,) or (1,)
    base: NDArray[np.float64] = field(metadata=PLAN)  # (0,) or (1,)
    n: NDArray[np.int64] = field(metadata=SUM)  # (k,)
    sums: NDArray[np.float64] = field(metadata=SUM)  # (k,): Σ |φ|
    squares: NDArray[np.float64] = field(metadata=SUM)  # (k,): Σ φ²
    checks: NDArray[np.int64] = field(metadata=SUM)  # (5,): see CHECKS

    def __post_init__(self) -> None:
        k = len(self.features)
        if (
            len(self.columns) != k
            or {self.n.shape, self.sums.shape, self.squares.shape} != {(k,)}
            or self.checks.shape != (len(CHECKS),)
            or len(self.output) > 1
            or len(self.base_column) + self.base.size != len(self.output)
        ):
            raise ProfileError("a state of attributions has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        features: Sequence[str],
        columns: Sequence[str],
        output: Sequence[str] = (),
        base_column: Sequence[str] = (),
        base: NDArray[np.float64] | None = None,
    ) -> Attributions:
        """Nothing counted yet; ``output`` and one of ``base_column`` and ``base`` for attributions that are to add up."""
        k = len(features)
        plan = tuple(features), tuple(columns), tuple(output), tuple(base_column)
        number = np.zeros(0) if base is None else base
        return cls(
            *plan, number, np.zeros(k, np.int64), np.zeros(k), np.zeros(k), np.zeros(len(CHECKS), np.int64)
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """All columns that it is counted from."""
        return (*self.columns, *self.output, *self.base_column)

    @property
    def importance(self) -> NDArray[np.float64]:
        """Mean |φ| of every feature (k,); NaN where there are no rows."""
        return np.asarray(self.sums / np.where(self.n > 0, self.n, np.nan))
