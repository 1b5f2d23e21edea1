"""Probabilities of K classes → how sure the model is of every row: for the backends that compile, of one file for Numba's cache.

``kernels.plain`` has the same in NumPy, operation by operation; the logarithm is ``kernels.logarithm``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from gpumon.kernels.logarithm import natural_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["measured"]

BLOCK = 1_024  # rows whose sums stay in the first-level cache while all classes pass


def measured(
    scores: NDArray[np.float64], actual: NDArray[np.int32], off: float
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """What is measured of every row of ``scores`` (classes, rows), (5, rows), and its kind.

    Measured are the largest probability, the margin, the entropy, Σ p², and the p of class ``actual``, 0 if it is none.
    Kinds: 0 counts, 1 lacks a probability, 2 has a value that is none, 3 has a total that is ``off`` from 1.
    """
    found, kind = np.empty((5, scores.shape[1])), np.empty(scores.shape[1], np.uint8)
    _measure(scores, scores.view(np.int64), actual, off, float(natural_log(len(scores))), found, kind)
    return found, kind


@njit(nogil=True, cache=True, error_model="numpy")
def _measure(scores, bits, actual, off, most, found, kind):
    held = np.empty(BLOCK, np.int64)
    mantissa = held.view(np.float64)
    exponent, total = np.empty(BLOCK), np.empty(BLOCK)
    classes, rows = scores.shape
    for start in range(0, rows, BLOCK):
        size = min(BLOCK, rows - start)
        first, second, entropy, square, truth = (
            found[0, start : start + size],
            found[1, start : start + size],
            found[2, start : start + size],
            found[3, start : start + size],
            found[4, start : start + size],
        )
        what = kind[start : start + size]
        first[:] = 0.0
        second[:] = 0.0
        entropy[:] = 0.0
        square[:] = 0.0
        total[:] = 0.0
        what[:] = 0
        for c in range(classes):
            block = scores[c, start : start + size]
            raw = bits[c, start : start + size]
            for i in range(size):
                p = block[i]
                less = p if p < first[i] else first[i]
                second[i] = less if less > second[i] else second[i]
                first[i] = p if p > first[i] else first[i]
                total[i] += p
                square[i] += p * p
                what[i] |= (0 if p - p == 0.0 else 1) | (0 if 0.0 <= p <= 1.0 else 2)
            for i in range(size):
                held[i] = (raw[i] & 0xFFFFFFFFFFFFF) | 0x3FE0000000000000
                exponent[i] = np.float64((raw[i] >> 52) - 1022)
            for i in range(size):
                p = block[i]
                low = mantissa[i] < 0.7071067811865476
                m = mantissa[i] * 2.0 if low else mantissa[i]
                e = exponent[i] - 1.0 if low else exponent[i]
                s = (m - 1.0) / (m + 1.0)
                z = s * s
                q = 1.0 / 21.0
                q = q * z + 1.0 / 19.0
                q = q * z + 1.0 / 17.0
                q = q * z + 1.0 / 15.0
                q = q * z + 1.0 / 13.0
                q = q * z + 1.0 / 11.0
                q = q * z + 1.0 / 9.0
                q = q * z + 1.0 / 7.0
                q = q * z + 1.0 / 5.0
                q = q * z + 1.0 / 3.0
                q = q * z + 1.0
                term = p * ((2.0 * s) * q + e * 0.6931471805599453)
                entropy[i] += term if p >= 2.2250738585072014e-308 else 0.0
        for i in range(size):
            value = -entropy[i] / most
            value = value if value > 0.0 else 0.0
            entropy[i] = value if value < 1.0 else 1.0
            second[i] = first[i] - second[i]
            at = actual[start + i]
            truth[i] = scores[at, start + i] if at < classes else 0.0
            away = abs(total[i] - 1.0) > off
            what[i] = 1 if what[i] & 1 else 2 if what[i] else 3 if away else 0
