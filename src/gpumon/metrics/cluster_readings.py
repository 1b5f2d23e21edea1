"""What formulas of clusters read: rows by nearest centre, and by their distance to it; no labels are needed.

======================  ==================================================================================
``clusters``            rows by nearest centre of both sides (slices, C)
``distance_rows``       rows by cell of the squared distance to the nearest centre (slices, m + 1)
``distance_spans``      least and largest squared distance of a row of each cell (2, m + 1); shared
``furthest_usual``      the squared distance that one row of the *reference* in a hundred is above
======================  ==================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.profiles.clusters import REACH
from gpumon.statistics import confidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["READINGS", "SHARED", "TOGETHER", "WITHOUT_LABELS"]

RARE = 0.01
WITHOUT_LABELS = frozenset({"clusters", "distance_rows", "distance_spans", "furthest_usual"})
SHARED = frozenset({"distance_spans"})


def _spans(side: Any) -> Any:
    edges, columns = side.states[0].edges, len(side.states[0].columns)
    farthest = np.maximum(columns * (2 * REACH) ** 2, edges[-1])
    return np.stack((np.append(0.0, edges), np.append(np.nextafter(edges, -np.inf), farthest)))


def _furthest(side: Any) -> Any:
    """A certified end of the quantile: no more than a hundredth of the reference's rows are beyond it."""
    return confidence.confidence_quantile(side["distance_rows"], side["distance_spans"], 1 - RARE).upper


def _clusters(before: Any, now: Any, place: NDArray[np.int64]) -> tuple[Any, Any]:
    was, rows = (side.stack("counts").sum(axis=-1) for side in (before, now))
    return was[place], rows


READINGS: dict[str, Callable[[Any], Any]] = {
    "distance_rows": lambda side: side.stack("counts").sum(axis=1),
    "distance_spans": _spans,
    "furthest_usual": _furthest,
}
TOGETHER: dict[str, Callable[..., tuple[Any, ...]]] = {"clusters": _clusters, "bins": _clusters}
