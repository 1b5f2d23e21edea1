from __future__ import annotations

import numpy as np
import pytest

LARGEST = np.finfo(np.float64).max


def count_cells(values, edges):
    """Counts on the fine cells of a numeric column, by the definition of the layout; NaN is the missing value."""
    present = values[~np.isnan(values)]
    boundaries = np.concatenate([[-LARGEST], edges, [np.inf]])
    counts = np.bincount(np.searchsorted(boundaries, present, side="right"), minlength=len(edges) + 5)
    counts[-2] = len(values) - len(present)
    return counts


def extremes_of(values):
    present = values[~np.isnan(values)]
    return np.array([np.min(present, initial=np.inf), np.max(present, initial=-np.inf)])


@pytest.fixture(scope="session")
def profiled():
    """values, edges → (counts, extremes)"""
    return lambda values, edges: (count_cells(values, edges), extremes_of(values))
