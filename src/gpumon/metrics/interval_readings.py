"""What formulas of prediction intervals read.

=====================  ===================================================================================
of logged intervals
``intervals``          ``IntervalSums`` of the slices, for what needs labels; ``interval_widths`` the same for what needs
                       none
``nominal``            the coverage that is promised (also of quantities); shared
``width_cells``        rows by width of both sides, and their edges
of quantities
``half_width``         the *reference's* conformal half-width (slices,): its certified upper end, which covers enough
=====================  ===================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.statistics.prediction_intervals import IntervalSums, conformal_half_width

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["CONFORMAL", "READINGS", "TOGETHER", "WITHOUT_LABELS", "rows"]


def _sums(side: Any) -> IntervalSums:
    tallies, sums = side.stack("tallies"), side.stack("sums")
    count, crossings, labelled, covered, below, above = np.moveaxis(tallies, -1, 0)
    width, width_squares, score, score_squares = np.moveaxis(sums, -1, 0)
    return IntervalSums(
        count,
        crossings,
        width,
        width_squares,
        labelled,
        covered,
        below,
        above,
        score,
        score_squares,
    )


def _nominal(side: Any) -> float:
    return float(side.states[0].nominal[0])


def _half_width(side: Any) -> Any:
    cells, edges, extremes = (side[f"absolute_{name}"] for name in ("cells", "edges", "extremes"))
    return conformal_half_width(cells, edges, extremes, _nominal(side)).upper


def _width_cells(before: Any, now: Any, place: NDArray[np.int64]) -> tuple[Any, ...]:
    return before.stack("counts")[place], now.stack("counts"), now.states[0].edges


def _present(before: Any, now: Any, place: NDArray[np.int64]) -> tuple[Any, ...]:
    return tuple(cells[..., :-2].sum(axis=-1) for cells in _width_cells(before, now, place)[:2])


def rows(side: Any, *, labelled: bool) -> NDArray[np.int64]:
    """The rows that have an interval, or those that have a label beside it."""
    return np.asarray(side.stack("tallies")[:, 2 if labelled else 0])


WITHOUT_LABELS = frozenset({"interval_widths", "width_cells"})

TOGETHER: dict[str, Callable[..., tuple[Any, ...]]] = {"width_cells": _width_cells, "present": _present}

READINGS: dict[str, Callable[[Any], Any]] = {
    "intervals": _sums,
    "interval_widths": _sums,
    "nominal": _nominal,
}

CONFORMAL: dict[str, Callable[[Any], Any]] = {"half_width": _half_width, "nominal": _nominal}
