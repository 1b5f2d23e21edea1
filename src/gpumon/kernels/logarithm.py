"""A logarithm that rounds alike on every machine, for values that are counted in cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["natural_log"]

ROOT_OF_HALF = 0.7071067811865476
LOG_2 = 0.6931471805599453


def natural_log(x: ArrayLike) -> NDArray[np.float64]:
    """Ln x of positive normal numbers, within a few units of the last digit: by sums, products and one division.

    x = m · 2ᵉ with m from √½ to √2, and ln m = 2 artanh s with s = (m − 1) / (m + 1), by its series up to s²¹ / 21.
    Mathematics libraries may differ in the last digit between two processors, and then a row would stand in one cell
    here and in the next one there.

    >>> natural_log([1.0, 2.0, 10.0]).round(6)
    array([0.      , 0.693147, 2.302585])
    """
    m, e = np.frexp(np.asarray(x, np.float64))
    low = m < ROOT_OF_HALF
    m, e = np.where(low, m * 2.0, m), e - low
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    q = np.full(z.shape, 1.0 / 21.0)
    for k in range(9, -1, -1):
        q = q * z + 1.0 / (2 * k + 1)
    return np.asarray((2.0 * s) * q + e * LOG_2)
