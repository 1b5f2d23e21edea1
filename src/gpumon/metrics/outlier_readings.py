"""What formulas of outliers among the errors of quantities read.

=====================  ===================================================================================
``usual_errors``       the *reference*'s limits of |e|, (slices, 3, 2): its 99.9 % quantile; see :mod:`gpumon.statistics.outliers`
``robust_limits``      the *reference*'s limits of e, (slices, 3, 2), by its median and median absolute deviation
``extreme_errors``     the *reference*'s share of rows beyond the first of these, its rows, and those of now (slices,);
                       ``outliers`` the same of the second
=====================  ===================================================================================

Rows count alike, whatever their weights.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.significance import Null
from gpumon.profiles.labels import ROBUST, USUAL
from gpumon.statistics import outliers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["EXTREME", "OUTLYING", "READINGS", "TOGETHER"]


def _cells(side: Any, of: str) -> tuple[Any, Any, Any]:
    cells, edges, extremes = (side[f"{of}_{name}"] for name in ("cells", "edges", "extremes"))
    return cells, edges, extremes


def _usual(before: Any, now: Any, place: NDArray[np.int64], of: str, limits: str) -> tuple[Any, Any, Any]:
    """The reference's share of rows beyond its limits, its rows, and those of now."""
    share = outliers.share_outside(*_cells(before, of), before[limits]).value
    rows = [side[f"{of}_cells"][..., :-2].sum(axis=-1) for side in (before, now)]
    return share[place], rows[0][place], rows[1]


def _null(reading: str) -> Null:
    """As many rows beyond, or more, by chance."""

    def p_value(change: Any, readings: Any) -> Any:
        share, n1, n2 = readings[reading]
        k2 = np.maximum((share + change) * n2, 0.0).round(6)
        return outliers.more_outliers_p(share * n1, n1, k2, n2)

    def critical(level: float, readings: Any) -> Any:
        share, n1, n2 = readings[reading]
        with np.errstate(divide="ignore", invalid="ignore"):
            return outliers.more_outliers_critical(level, share * n1, n1, n2) / n2 - share

    return Null(p_value, critical)


EXTREME, OUTLYING = _null("extreme_errors"), _null("outliers")

READINGS: dict[str, Callable[[Any], Any]] = {
    "usual_errors": lambda side: outliers.quantile_limits(*_cells(side, "absolute"), USUAL),
    "robust_limits": lambda side: outliers.robust_limits(*_cells(side, "residual"), ROBUST),
}

TOGETHER: dict[str, Callable[..., tuple[Any, ...]]] = {
    "extreme_errors": partial(_usual, of="absolute", limits="usual_errors"),
    "outliers": partial(_usual, of="residual", limits="robust_limits"),
}
