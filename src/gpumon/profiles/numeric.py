"""Numeric columns: cells on fixed edges, moments, extremes, distinct values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.state import MAX, PLAN, SUM, State, rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REGISTERS", "Numeric", "Sorted", "around", "chan", "edges_of"]

MOST_EDGES = 1024
"""Edges of a column with many values; one with at most this many values gets a bin for each of them."""

LARGEST = np.finfo(np.float64).max

REGISTERS = 4096
"""HyperLogLog registers: a standard error of 1.04 / 64 = 1.6 %."""


def chan(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moments (..., 3) of two samples together: count, mean, sum of squared deviations from the mean.

    Source: Chan, Golub, LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances.

    >>> chan(np.array([2.0, 1.0, 2.0]), np.array([1.0, 4.0, 0.0]))
    array([3., 2., 8.])
    """
    n_left, n_right = left[..., 0], right[..., 0]
    n = n_left + n_right
    share = n_right / np.where(n > 0, n, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        delta = right[..., 1] - left[..., 1]
        merged = np.stack(
            (
                n,
                left[..., 1] + delta * share,
                left[..., 2] + right[..., 2] + delta * delta * (n_left * share),
            ),
            axis=-1,
        )
    merged = np.where((n_left == 0)[..., None], right, merged)
    return np.where((n_right == 0)[..., None], left, merged)


def _widen(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(
        (np.minimum(left[..., 0], right[..., 0]), np.maximum(left[..., 1], right[..., 1])), axis=-1
    )


CHAN = rule(chan, np.zeros_like)
EXTREMES = rule(_widen, lambda _: np.array([np.inf, -np.inf]))


@dataclass(frozen=True, eq=False)
class Numeric(State):
    """A numeric column (or the lengths of a text column).

    Cells, in the order of the values: −inf, finite values below the first edge, the bins [edgeᵢ, edgeᵢ₊₁), finite
    values from the last edge on, +inf; then NaN, then null.
    """

    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,), increasing
    counts: NDArray[np.int64] = field(metadata=SUM)  # (m + 5,)
    moments: NDArray[np.float64] = field(metadata=CHAN)  # (3,): finite values, mean, Σ (x − mean)²
    extremes: NDArray[np.float64] = field(metadata=EXTREMES)  # (2,): least, largest; +inf, −inf if none
    registers: NDArray[np.uint8] = field(metadata=MAX)  # (4096,), HyperLogLog

    def __post_init__(self) -> None:
        shapes = (self.counts.shape, self.moments.shape, self.extremes.shape, self.registers.shape)
        if shapes != ((self.edges.size + 5,), (3,), (2,), (REGISTERS,)) or self.edges.size < 2:
            raise ProfileError(f"a numeric state of shapes {shapes} on {self.edges.size} edges is damaged")

    @classmethod
    def on(cls, edges: NDArray[np.float64]) -> Numeric:
        """Nothing counted yet, on these edges."""
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all()):
            raise ProfileError("edges must be finite and increasing")
        return cls(
            edges,
            np.zeros(edges.size + 5, np.int64),
            np.zeros(3),
            np.array([np.inf, -np.inf]),
            np.zeros(REGISTERS, np.uint8),
        )

    @property
    def rows(self) -> int:
        """Rows counted, missing ones too."""
        return int(self.counts.sum())


def _merged(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sort(np.concatenate((left, right)), kind="stable")


@dataclass(frozen=True, eq=False)
class Sorted(State):
    """Every value that is not missing, sorted: what ``exact=True`` keeps, in memory as large as the column."""

    values: NDArray[np.float64] = field(metadata=rule(_merged, lambda values: values[:0]))  # (n,)

    @classmethod
    def on(cls) -> Sorted:
        """No values yet."""
        return cls(np.zeros(0))


def edges_of(values: NDArray[np.float64], most: int = MOST_EDGES) -> NDArray[np.float64]:
    """Edges for counting a column whose reference holds (a sample of) ``values``: (m,), 2 ≤ m ≤ 2 · ``most``.

    Up to ``most`` (1,024) distinct values: each has a bin [v, next float after v) of its own, so every metric is exact.
    Otherwise values that hold more than one part in ``most`` of the sample get such a bin, and the rest is cut into bins of
    about equal mass. NaN and infinite values are left out.
    """
    values = np.sort(values[np.isfinite(values)]) + 0.0
    if values.size == 0:
        return np.array([0.0, 1.0])
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    distinct, mass = values[starts], np.diff(np.concatenate((starts, [values.size])))
    if distinct.size <= most:
        return around(distinct)
    heavy = np.flatnonzero(mass * most > values.size)
    heavy = heavy[np.argsort(-mass[heavy], kind="stable")][: most // 4]
    rest = np.delete(distinct, heavy).repeat(np.delete(mass, heavy))
    levels = np.linspace(0, rest.size - 1, most - 2 * heavy.size).round().astype(np.int64)
    return np.unique(np.concatenate((around(np.sort(distinct[heavy])), rest[levels])))


def around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value and the float after it (for the largest float, the one before it)."""
    beside = np.nextafter(values, np.where(values < LARGEST, np.inf, -np.inf))
    return np.unique(np.concatenate((values, beside)))
