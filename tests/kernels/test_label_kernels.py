"""Predictions and labels: Numba counts what NumPy counts, and both what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpumon.kernels import ConfusionCounts, ResidualCounts, ScoreCounts, select
from gpumon.kernels.lookup import guide
from gpumon.profiles.labels import ERRORS, RESIDUALS, score_edges

BACKENDS = ("cpu", "plain")
scores = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, -0.25, 1.5, np.nan, np.inf, -np.inf, 1e-16])
)
numbers = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, np.nan, np.inf, 1e300]))


@pytest.fixture(params=BACKENDS)
def kernels(request):
    return select(request.param)


def slices(rows: int, cut: int):
    """Two slices, the second of which goes to the first place."""
    return np.array([0, min(cut, rows), rows]), np.array([1, 0])


def scored(backend, p, valid, labels, w, offsets, places, edges):
    cells = (2, 3, edges.size + 5)
    into = ScoreCounts(
        np.zeros(cells, np.int64),
        np.zeros(cells if w is not None else (2, 0, 0)),
        np.zeros(cells),
        np.zeros((2, 3, len(ERRORS))),
        np.zeros((2, 3), np.int64),
    )
    select(backend).scored((p, valid), labels, w, offsets, places, guide(edges), into)
    return into


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 60), st.integers(0, 60), st.booleans(), st.booleans())
def test_scores_are_counted_alike(data, rows, cut, weighted, nulls):
    p = data.draw(arrays(np.float64, rows, elements=scores))
    labels = data.draw(arrays(np.int32, rows, elements=st.integers(0, 2)))
    w = data.draw(arrays(np.float64, rows, elements=st.floats(0, 9))) if weighted else None
    valid = data.draw(arrays(np.bool_, rows)) if nulls else None
    edges = score_edges(p[(p >= 0) & (p <= 1)], (0.3,), 64)
    one, two = (scored(b, p, valid, labels, w, *slices(rows, cut), edges) for b in BACKENDS)
    assert (one.counts == two.counts).all()
    assert (one.outside == two.outside).all()
    for left, right in ((one.mass, two.mass), (one.probability, two.probability), (one.errors, two.errors)):
        assert np.allclose(left, right, rtol=1e-12, atol=1e-12)
    assert one.counts.sum() == rows
    finite = np.isfinite(p) & (True if valid is None else valid)
    weights = np.ones(rows) if w is None else w
    e = np.where(labels == 1, 1 - p, p)[finite & (labels < 2)]
    assert one.errors[:, :2, 1].sum() == pytest.approx((weights[finite & (labels < 2)] * e**2).sum())


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_residuals_are_counted_alike(data, rows, cut, weighted):
    y, p = (data.draw(arrays(np.float64, rows, elements=numbers)) for _ in range(2))
    w = data.draw(arrays(np.float64, rows, elements=st.floats(0, 9))) if weighted else None
    edges = (np.array([-2.0, 0.0, 1.0]), np.array([0.0, 1.0]), np.array([-1.0, 5.0]))
    found = []
    for backend in BACKENDS:
        sizes = [each.size + 5 for each in edges]
        into = ResidualCounts(
            np.zeros((2, sizes[0]), np.int64),
            np.zeros((2, sizes[1]), np.int64),
            np.tile(np.array([np.inf, -np.inf]), (2, 2, 1)),
            np.zeros((2, len(RESIDUALS))),
            np.zeros((2, sizes[2]), np.int64),
            np.zeros((2, sizes[2], 4)),
            np.zeros((2, 3), np.int64),
        )
        offsets, places = slices(rows, cut)
        guides = tuple(guide(each) for each in edges)
        select(backend).residuals(y, p, w, 0.5, offsets, places, guides, into)
        found.append(into)
    one, two = found
    for name in ("counts", "absolute", "at_step", "missing"):
        assert (getattr(one, name) == getattr(two, name)).all()
    assert np.array_equal(one.extremes, two.extremes)
    for name in ("sums", "errors"):
        assert np.allclose(getattr(one, name), getattr(two, name), rtol=1e-11, atol=1e-9, equal_nan=True)
    assert one.counts.sum() + one.missing.sum() == rows


def test_pairs_of_classes_are_counted(kernels):
    actual, predicted = np.array([0, 1, 1, 3, 2], np.int32), np.array([0, 0, 1, 1, 3], np.int32)
    weights = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    into = ConfusionCounts(np.zeros((1, 4, 4), np.int64), np.zeros((1, 2, 4, 4)))
    kernels.confusion(actual, predicted, weights, np.array([0, 5]), np.array([0]), into)
    assert into.counts[0].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
    assert into.mass[0, 0, 1].tolist() == [2.0, 3.0, 0.0, 0.0]
    assert into.mass[0, 1, 1].tolist() == [4.0, 9.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float32, np.float64])
def test_numbers_become_classes(kernels, dtype):
    values = np.array([0, 5, 7, 5, 9], dtype)
    valid = np.array([True, True, True, False, True])
    assert kernels.classes(values, None, np.array([0.0, 5.0, 9.0])).tolist() == [0, 1, 3, 1, 2]
    assert kernels.classes(values, valid, np.array([0.0, 5.0, 9.0])).tolist() == [0, 1, 3, 4, 2]
    if np.dtype(dtype).kind == "f":
        assert kernels.classes(np.array([np.nan], dtype), None, np.array([0.0])).tolist() == [2]


def test_classes_that_are_no_numbers_fit_none(kernels):
    known = np.array([1.0, np.nan])
    assert kernels.classes(np.array([1.0, 2.0]), None, known).tolist() == [0, 2]
