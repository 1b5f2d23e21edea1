"""What formulas of expected losses read, of regressions whose errors a model has learnt.

=====================  ===================================================================================
``expected_absolute``  moments (slices, 3) of the |e| that is expected of every row, labelled or not
``expected_square``    the same of e²
``absolute_left``      variance of |e| less what was expected, on held-out rows of the reference; ``square_left`` of e²
``unsupported``        rows unlike those of the reference (slices,); ``predicted_rows`` all with a prediction
``absolute_backtest``  of rows with a label (slices, 6): n, Σ loss, Σ expected, Σ loss², Σ loss·expected, Σ expected²
``square_backtest``    the same of e²
=====================  ===================================================================================
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.statistics.regression import weighted_moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["READINGS", "WITHOUT_LABELS", "rows"]

WITHOUT_LABELS = frozenset({"expected_absolute", "expected_square", "unsupported"})

ABSOLUTE, SQUARE = 0, 1


def _expected(side: Any, loss: int) -> Any:
    mass, sums = side.stack("mass")[:, 0], side.stack("sums")[:, loss]
    return weighted_moments(mass[:, 0], mass[:, 1], sums[:, 0], sums[:, 1])


def _left(side: Any, loss: int) -> float:
    return float(side.states[0].residual_variance[loss])


def _backtest(side: Any, loss: int) -> Any:
    """Sums of weighted rows, scaled so that their number is the effective one."""
    mass, sums = side.stack("mass")[:, 1], side.stack("sums")[:, loss]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(mass[:, 1] > 0, mass[:, 0] / mass[:, 1], 0.0)
    parts = (mass[:, 0], *(sums[:, i] for i in (2, 3, 4, 5, 6)))
    return np.stack(parts, axis=-1) * scale[:, None]


def rows(side: Any, *, labelled: bool) -> NDArray[np.int64]:
    """The rows that have a prediction, or those that have a label beside it."""
    return np.asarray(side.stack("counts")[:, 2 if labelled else 0])


READINGS: dict[str, Callable[[Any], Any]] = {
    "expected_absolute": partial(_expected, loss=ABSOLUTE),
    "expected_square": partial(_expected, loss=SQUARE),
    "absolute_left": partial(_left, loss=ABSOLUTE),
    "square_left": partial(_left, loss=SQUARE),
    "unsupported": lambda side: side.stack("counts")[:, 1],
    "predicted_rows": lambda side: side.stack("counts")[:, 0],
    "absolute_backtest": partial(_backtest, loss=ABSOLUTE),
    "square_backtest": partial(_backtest, loss=SQUARE),
}
