"""Correlation of many columns at once, from sums that add over partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpumon.statistics import Counts, Floats

__all__ = ["correlation", "frobenius"]

RESOLUTION = 1e-13
"""A variance below this part of the mean square is rounding, not variance: the column is constant."""


def correlation(N: Counts, S: Floats, Q: Floats, G: Floats) -> Floats:
    """Pearson correlation of every pair of columns over the rows where both are valid, (..., k, k) [−1 to 1].

    With V the 0/1 matrix of valid cells and X the values less a fixed centre per column (0 where not valid), the
    sums are N = V'V, S = X'V, Q = (X²)'V and G = X'X, each (..., k, k): S[i, j] and Q[i, j] are the sums of x_i and
    x_i² over the rows where i and j are both valid. NaN for fewer than three such rows or a column that is constant
    on them. Equals ``numpy.corrcoef`` (without nulls) and ``pandas.DataFrame.corr(min_periods=3)``.

    >>> x = np.array([[-1.0, -1.0], [0.0, 1.0], [1.0, 0.0]])
    >>> v = np.ones_like(x)
    >>> correlation(v.T @ v, x.T @ v, (x * x).T @ v, x.T @ x)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    n = np.maximum(N, 1)
    transposed = np.swapaxes(S, -1, -2)
    variance = Q - S * S / n
    defined = (variance > RESOLUTION * Q) & (np.asarray(N) >= 3)
    scale = np.sqrt(np.where(defined, variance, np.nan))
    r = (G - S * transposed / n) / scale / np.swapaxes(scale, -1, -2)
    return np.asarray(np.clip(r, -1.0, 1.0))


def frobenius(delta: Floats) -> Floats:
    """Frobenius norm √Σ delta² over the last two axes [0 or more]; NaN counts as 0.

    Of the difference of two correlation matrices: how much the whole pattern moved; every pair counts twice, as in
    the full matrix.

    >>> frobenius(np.array([[0.0, 0.3], [0.3, np.nan]]))
    array(0.42426407)
    """
    squares = np.square(delta)
    return np.asarray(np.sqrt(np.nansum(squares, axis=(-2, -1))))


def correlation_shift(reference: Floats, current: Floats) -> Floats:
    """Change of every correlation, current less reference, (..., k, k) [−2 to 2]; NaN where either is undefined.

    >>> correlation_shift(np.array([[1.0, 0.2], [0.2, 1.0]]), np.array([[1.0, 0.5], [0.5, 1.0]]))
    array([[0. , 0.3],
           [0.3, 0. ]])
    """
    return np.asarray(current - reference)
