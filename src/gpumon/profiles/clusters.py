"""Rows by the nearest of some centres: where in the space of features and predictions they are, and how far out."""

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

__all__ = ["MOST_CLUSTERED", "REACH", "Clusters"]

MOST_CLUSTERED = 16
"""Columns that rows may be clustered by."""

REACH = 10.0
"""Values farther from a column's centre, in its scale, count as this far: no single column decides alone."""


@dataclass(frozen=True, eq=False)
class Clusters(Labelled):
    """Rows by nearest centre (the first of equals) and by the squared Euclidean distance to it, cells between ``edges``.

    ``columns`` are predictions or scores, then features; a value v counts as (v − centre) / scale, at most ``REACH`` from 0.
    Rows in which a value is not finite are ``missing``. Weights are left out.
    """

    centre: NDArray[np.float64] = field(metadata=PLAN)  # (d,)
    scale: NDArray[np.float64] = field(metadata=PLAN)  # (d,), above 0
    centroids: NDArray[np.float64] = field(metadata=PLAN)  # (C · d,), centre by centre, in units of the scale
    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,), of squared distances
    counts: NDArray[np.int64] = field(metadata=SUM)  # (C, m + 1)
    missing: NDArray[np.int64] = field(metadata=SUM)  # (1,)

    def __post_init__(self) -> None:
        d = len(self.columns)
        shapes = (self.centre.shape, self.scale.shape, self.missing.shape)
        cells = (self.centroids.size // d, self.edges.size + 1)
        if shapes != ((d,), (d,), (1,)) or self.centroids.size % d or self.counts.shape != cells:
            raise ProfileError("a state of clusters has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        centre: NDArray[np.float64],
        scale: NDArray[np.float64],
        centroids: NDArray[np.float64],
        edges: NDArray[np.float64],
    ) -> Clusters:
        """Nothing counted yet."""
        if not 1 <= len(columns) <= MOST_CLUSTERED or len(set(columns)) < len(columns) or weight:
            raise ProfileError(
                f"rows are clustered by 1 to {MOST_CLUSTERED} columns, each once, without weights"
            )
        if not centroids.size or centroids.size % len(columns):
            raise ProfileError("the centres of clusters have a number for each column")
        if (
            not all(np.isfinite(each).all() for each in (centre, scale, centroids, edges))
            or not (scale > 0).all()
        ):
            raise ProfileError("the centres and scales of clusters must be finite, and scales above 0")
        if not (edges[1:] > edges[:-1]).all() or not edges.size:
            raise ProfileError("edges must be finite and increasing")
        counts = np.zeros((centroids.size // len(columns), edges.size + 1), np.int64)
        return cls(tuple(columns), (), centre, scale, centroids, edges, counts, np.zeros(1, np.int64))

    @property
    def places(self) -> NDArray[np.float64]:
        """The centres side by side, (C, d)."""
        return self.centroids.reshape(-1, len(self.columns))

    @property
    def rows(self) -> int:
        """Rows counted, those that lack a value too."""
        return int(self.counts.sum() + self.missing[0])

    def standardised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Columns (d, rows) in units of their scale from their centre, within ``REACH``; NaN where they are not finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            found = (values - self.centre[:, None]) / self.scale[:, None]
            return np.where(np.isfinite(values), np.clip(found, -REACH, REACH), np.nan)
