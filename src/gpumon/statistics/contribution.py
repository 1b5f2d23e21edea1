"""Which rows made a mean loss change: the contribution of every cell of a partition of the rows.

A partition is one binned column, or two of them crossed with their cells in one axis. Every cell has a number of rows, a sum of
losses and a sum of their squares (``Losses``) in the reference and now; all of these add over parts of a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats

__all__ = ["Contributions", "Excess", "Losses", "contributions", "excess_losses", "ranking"]

PRIOR_ROWS = 5.0
"""Rows of the side's own variance within cells that every cell's variance is mixed with: two rows of equal loss are
no proof that a cell has no noise."""


class Losses(NamedTuple):
    """Sums of one side by cell; three arrays (..., cells)."""

    rows: Counts
    total: Floats
    """Σ loss"""
    squares: Floats
    """Σ loss²"""


class Contributions(NamedTuple):
    """What each cell adds to the change of the mean loss; arrays (..., cells) [unit of the loss]."""

    mix: Floats
    """By having another share of the rows: Δshare · (mean loss of the cell − mean loss of all)."""
    loss: Floats
    """By having another mean loss: share · Δmean."""
    z: Floats
    """``mix + loss`` in standard errors; 0 for a cell without rows."""

    @property
    def total(self) -> Floats:
        """``mix + loss``, which add up to the change over all cells."""
        return np.asarray(self.mix + self.loss)


def contributions(reference: Losses, current: Losses) -> Contributions:
    """The change of the mean loss from reference to current, divided among the cells, and each part into mix and loss.

    With shares w and mean losses m before (0) and now (1), and M the mean of both sides' mean losses, a cell adds
    (w1 − w0)·((m0 + m1)/2 − M) + (w0 + w1)/2·(m1 − m0). The first is its mix part: more rows in a cell that is worse
    than the whole make the whole worse. The sum over cells is exactly the change, as neither side is preferred and
    Σ (w1 − w0) = 0. A cell that has rows on one side only is a matter of mix alone. NaN where a side has no rows.
    Source: Kitagawa (1955), J. Am. Stat. Assoc. 50, for the division; the standard error is by the delta method,
    of binomial shares and of cell means.

    >>> before = Losses(np.array([50, 50]), np.array([50.0, 100]), np.array([60.0, 210]))
    >>> now = Losses(np.array([50, 50]), np.array([50.0, 150]), np.array([60.0, 460]))
    >>> found = contributions(before, now)
    >>> found.total, found.z.round(1)
    (array([0. , 0.5]), array([0. , 7.2]))
    """
    sides = [_described(side) for side in (reference, current)]
    (w0, m0, v0, all0), (w1, m1, v1, all1) = sides
    n0, n1 = reference.rows, current.rows
    m0, m1 = np.where(n0 > 0, m0, np.where(n1 > 0, m1, 0.0)), np.where(n1 > 0, m1, np.where(n0 > 0, m0, 0.0))
    distance = (m0 + m1) / 2 - (all0 + all1) / 2
    share = (w0 + w1) / 2
    both = (n0 > 0) & (n1 > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_mix = sum(w * (1 - w) / np.sum(n, axis=-1, keepdims=True) for w, n in ((w0, n0), (w1, n1)))
        of_loss = np.where(both, v0 / n0 + v1 / n1, 0.0)
        # a cell of one side: its whole mean is uncertain too
        of_mean = np.where(both, 0.0, np.maximum(v0, v1) / np.maximum(n0 + n1, 1))
        mix, loss = (w1 - w0) * distance, share * (m1 - m0)
        variance = distance**2 * of_mix + share**2 * of_loss + (w1 - w0) ** 2 * of_mean
        z = np.where(variance > 0, (mix + loss) / np.sqrt(variance), np.where(np.isnan(mix), np.nan, 0.0))
    return Contributions(mix, loss, z)


class Excess(NamedTuple):
    """What each cell adds to the mean loss by being worse than the whole; arrays (..., cells) [unit of the loss]."""

    value: Floats
    """Share of the rows · (mean loss of the cell − mean loss of all)."""
    z: Floats
    """``value`` in standard errors; 0 for a cell without rows, and for one that has all rows."""


def excess_losses(losses: Losses) -> Excess:
    """How much of the mean loss is due to each cell's being worse than the others; all of a partition add up to 0.

    z is that of Welch's test of the cell against all other rows (each variance mixed with some rows of the cells' common
    one). It needs no reference: it says where a model is worst, not what has changed. NaN where there are no rows.

    >>> found = excess_losses(Losses(np.array([80, 20]), np.array([80.0, 40]), np.array([160.0, 120])))
    >>> found.value, found.z.round(1)
    (array([-0.16,  0.16]), array([-2.9,  3. ]))
    """
    share, mean, variance, overall = _described(losses)
    n = losses.rows
    rows = np.sum(n, axis=-1, keepdims=True)
    rest = [np.sum(part, axis=-1, keepdims=True) - part for part in losses]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, mean, overall)
        value = share * (mean - overall)
        of_rest = np.maximum(rest[2] - rest[1] ** 2 / rest[0], 0.0) / np.maximum(rest[0] - 1, 1)
        error = share * (1 - share) * np.sqrt(variance / n + of_rest / rest[0])
        z = np.where((n > 0) & (n < rows) & (error > 0), value / error, 0.0)
    return Excess(value, np.where(rows > 0, z, np.nan))


def ranking(found: Contributions) -> NDArray[np.int64]:
    """The cells in the order in which they explain the change, (..., cells).

    By z in the direction of the change, so that neither a small cell with a large noise nor a large one that merely
    contains the cause leads: where a share w of the rows all got worse by δ, z grows with δ·√w and any
    cell that is wider or narrower has less. z of the cells of several partitions may be ranked together. Cells that
    worked against the change are last.

    >>> ranking(Contributions(np.zeros(3), np.array([0.1, 0.5, -0.2]), np.array([3.0, 9.0, -4.0])))
    array([1, 0, 2])
    """
    direction = np.where(np.sum(found.total, axis=-1, keepdims=True) < 0, -1.0, 1.0)
    return np.argsort(-direction * found.z, axis=-1, kind="stable")


def _described(side: Losses) -> tuple[Floats, Floats, Floats, Floats]:
    """Share, mean loss and variance of each cell, and the mean loss of all."""
    n = side.rows
    rows = np.sum(n, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = side.total / n
        within = np.where(n > 0, np.maximum(side.squares - side.total * mean, 0.0), 0.0)
        cells = np.sum(n > 0, axis=-1, keepdims=True)
        pooled = np.sum(within, axis=-1, keepdims=True) / np.maximum(rows - cells, 1)
        variance = (within + PRIOR_ROWS * pooled) / (np.maximum(n - 1, 0) + PRIOR_ROWS)
        return n / rows, mean, variance, np.sum(side.total, axis=-1, keepdims=True) / rows
