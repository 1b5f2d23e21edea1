"""Losses that boosted trees expect of rows: what every backend shares, in NumPy and on the host."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ExpectedCounts", "Forest", "add", "coded"]

CODES = 256


class Forest(NamedTuple):
    """Complete trees of one depth, breadth first: a row's value is the base and one leaf of every tree."""

    base: float
    features: NDArray[np.int64]  # (trees, nodes): the column that a node looks at
    codes: NDArray[np.uint8]  # (trees, nodes): a code above goes to the second child
    leaves: NDArray[np.float64]  # (trees, nodes + 1)


class ExpectedCounts(NamedTuple):
    """What expected losses leave behind, a place for every slice; see ``profiles.expected_losses.ExpectedLosses``."""

    counts: NDArray[np.int64]  # (places, 3)
    mass: NDArray[np.float64]  # (places, 2, 2)
    sums: NDArray[np.float64]  # (places, 2, 7)


def coded(
    cells: Sequence[NDArray[np.integer]], groups: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Codes (rows, columns) of the cells of each column, and whether a row has a cell that counts as unsupported."""
    codes = np.empty((len(cells[0]), len(cells)), np.uint8)
    unsupported = np.zeros(len(codes), np.bool_)
    for column, (cell, group) in enumerate(zip(cells, groups, strict=True)):
        codes[:, column] = (group % CODES).astype(np.uint8)[cell]
        alone = group >= CODES
        if alone.any():
            unsupported |= alone[cell]
    return codes, unsupported


def add(
    expected: NDArray[np.float64],
    unsupported: NDArray[np.bool_],
    error: NDArray[np.float64],
    there: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
    offsets: NDArray[np.int64],
    places: NDArray[np.int64],
    into: ExpectedCounts,
) -> None:
    """Add losses (2, rows) that are expected of |e| and e² to ``into``.

    ``error`` is e, not finite where there is no label; rows that are not ``there`` have no prediction.
    """
    labelled = there & np.isfinite(error)
    e = np.where(labelled, error, 0.0)
    w = np.ones(e.size) if weights is None else weights
    every, known = np.where(there, w, 0.0), np.where(labelled, w, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        losses = np.stack((np.abs(e), e * e))
        terms = np.stack(
            (
                every * expected,
                every * expected**2,
                known * losses,
                known * expected,
                known * losses**2,
                known * losses * expected,
                known * expected**2,
            ),
            axis=1,
        )
        mass = np.stack((every, every**2, known, known**2)).reshape(2, 2, -1)
        for place, (start, stop) in zip(places.tolist(), pairwise(offsets.tolist()), strict=True):
            rows = slice(start, stop)
            flags = (there[rows], there[rows] & unsupported[rows], labelled[rows])
            into.counts[place] += [np.count_nonzero(flag) for flag in flags]
            into.mass[place] += mass[..., rows].sum(axis=-1)
            into.sums[place] += terms[..., rows].sum(axis=-1)
