"""Boosted trees on coded columns → a value for every row: for the backends that compile, of one file for Numba's cache.

``kernels.plain`` has the same in NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.kernels.expected_losses import Forest

__all__ = ["walked"]

BLOCK = 256  # rows whose codes stay in the first-level cache while all trees pass


def walked(codes: NDArray[np.uint8], forest: Forest) -> NDArray[np.float64]:
    """The value of every row of ``codes`` (rows, columns): the base, and a leaf of every tree."""
    found = np.full(len(codes), forest.base)
    _walk(codes, forest.features, forest.codes, forest.leaves, found)
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _walk(codes, features, splits, leaves, found):
    trees, nodes = features.shape
    for start in range(0, codes.shape[0], BLOCK):
        for tree in range(trees):
            for row in range(start, min(start + BLOCK, codes.shape[0])):
                node = 0
                while node < nodes:
                    node = 2 * node + 1 + (codes[row, features[tree, node]] > splits[tree, node])
                found[row] += leaves[tree, node - nodes]
