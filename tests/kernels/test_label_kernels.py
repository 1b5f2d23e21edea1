"""Predictions and labels: every backend counts what NumPy counts, and all what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpumon.kernels import (
    SIMULATED,
    Bitmask,
    ConfusionCounts,
    ResidualCounts,
    ScoreCounts,
    cuda_status,
    select,
)
from gpumon.kernels.lookup import guide
from gpumon.profiles.labels import ERRORS, RESIDUALS, score_edges

BACKENDS = ("cpu", *(["cuda"] if cuda_status()[0] else []))  # each next to plain
EXAMPLES = 6 if SIMULATED else 60  # a simulated thread is a thread of Python
scores = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, -0.25, 1.5, np.nan, np.inf, -np.inf, 1e-16])
)
numbers = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, np.nan, np.inf, 1e300]))


@pytest.fixture(params=(*BACKENDS, "plain"))
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


def residuals(backend, y, p, w, offsets, places, edges):
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
    guides = tuple(guide(each) for each in edges)
    select(backend).residuals(y, p, w, 0.5, offsets, places, guides, into)
    return into


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), st.integers(0, 60), st.integers(0, 60), st.booleans(), st.booleans())
def test_scores_are_counted_alike(backend, data, rows, cut, weighted, nulls):
    p = data.draw(arrays(np.float64, rows, elements=scores))
    labels = data.draw(arrays(np.int32, rows, elements=st.integers(0, 2)))
    w = data.draw(arrays(np.float64, rows, elements=st.floats(0, 9))) if weighted else None
    valid = data.draw(arrays(np.bool_, rows)) if nulls else None
    edges = score_edges(p[(p >= 0) & (p <= 1)], (0.3,), 64)
    one, two = (scored(b, p, valid, labels, w, *slices(rows, cut), edges) for b in (backend, "plain"))
    assert (one.counts == two.counts).all()
    assert (one.outside == two.outside).all()
    for left, right in ((one.mass, two.mass), (one.probability, two.probability), (one.errors, two.errors)):
        assert np.allclose(left, right, rtol=1e-12, atol=1e-12)
    assert one.counts.sum() == rows
    finite = np.isfinite(p) & (True if valid is None else valid)
    weights = np.ones(rows) if w is None else w
    e = np.where(labels == 1, 1 - p, p)[finite & (labels < 2)]
    assert one.errors[:, :2, 1].sum() == pytest.approx((weights[finite & (labels < 2)] * e**2).sum())


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_residuals_are_counted_alike(backend, data, rows, cut, weighted):
    y, p = (data.draw(arrays(np.float64, rows, elements=numbers)) for _ in range(2))
    w = data.draw(arrays(np.float64, rows, elements=st.floats(0, 9))) if weighted else None
    edges = (np.array([-2.0, 0.0, 1.0]), np.array([0.0, 1.0]), np.array([-1.0, 5.0]))
    one, two = (residuals(b, y, p, w, *slices(rows, cut), edges) for b in (backend, "plain"))
    for name in ("counts", "absolute", "at_step", "missing"):
        assert (getattr(one, name) == getattr(two, name)).all()
    assert np.array_equal(one.extremes, two.extremes)
    with np.errstate(over="ignore"):
        n, e, y2, p2 = two.sums[:, 0], two.sums[:, 5], two.sums[:, 7], two.sums[:, 9]
        reach = np.array(two.sums)  # what the terms of a sum with signs come to without them, at most
        signed = (e, np.sqrt(n) * np.sqrt(y2), np.sqrt(n) * np.sqrt(p2), np.sqrt(y2) * np.sqrt(p2))
        reach[:, [2, 6, 8, 10]] = np.stack(signed, axis=1)
        near(one.sums, two.sums, reach)
        near(one.errors, two.errors, two.errors[..., [0, 3, 2, 3]])
    assert one.counts.sum() + one.missing.sum() == rows


def near(a, b, reach):
    """Equal within rounding: sums of the same terms in another order differ by as much as the terms are large."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        assert (same | (np.abs(a - b) <= 1e-9 + 1e-11 * np.abs(reach))).all()


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


def same(one, two):
    """Whole numbers and extremes are equal, sums within 1e-12 of the largest of their kind."""
    for name, left, right in zip(one._fields, one, two, strict=True):
        if left.dtype.kind == "i" or name == "extremes":
            assert np.array_equal(left, right), name
        else:
            assert np.allclose(left, right, rtol=1e-12, atol=1e-12 * np.abs(right).max(initial=0)), name


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_many_rows_are_counted_alike(backend, weighted):
    """Several chunks of a slice and of a cell, a slice without rows, and one that begins in the middle of a mask's byte."""
    rng = np.random.default_rng(7)
    n = 901 if SIMULATED else 400_001
    offsets, places = np.array([0, 3, 3, n // 2 + 1, n]), np.array([2, 0, 3, 1])
    w = rng.gamma(2.0, size=n) if weighted else None
    y = (rng.random(n) < 0.3).astype(np.int32) + (rng.random(n) < 0.1).astype(np.int32)
    heavy = rng.random(n) < 0.6
    for dtype in (np.float32, np.float64):
        p = np.where(heavy, 0.25, rng.random(n)).astype(dtype)
        p[::97], p[5::101], p[7::103] = np.nan, 1.5, -np.inf
        valid = rng.random(n) < 0.9
        found = []
        for name in (backend, "plain"):
            cells = (4, 3, 12)
            into = ScoreCounts(
                np.zeros(cells, np.int64), np.zeros(cells if weighted else (4, 0, 0)), np.zeros(cells),
                np.zeros((4, 3, len(ERRORS))), np.zeros((4, 3), np.int64),
            )  # fmt: skip
            edges = guide(np.array([0.0, 0.1, 0.25, np.nextafter(0.25, 1), 0.5, 0.9, 1.0]))
            for _ in range(2):  # what is there is added to
                select(name).scored((p, valid), y, w, offsets, places, edges, into)
            found.append(into)
        same(*found)
        assert found[0].counts.sum() == 2 * n
        assert found[0].outside.sum() > 0
    target, prediction = rng.normal(size=n), np.where(heavy, 1.0, rng.normal(size=n))
    target[::53], prediction[::59], target[3::61] = np.nan, np.inf, 0.0
    edges = np.linspace(-1, 1, 9), np.linspace(0, 1, 5), np.array([0.0, 1.0])
    found = []
    for name in (backend, "plain"):
        into = ResidualCounts(
            np.zeros((4, 14), np.int64), np.zeros((4, 10), np.int64),
            np.tile(np.array([np.inf, -np.inf]), (4, 2, 1)), np.zeros((4, len(RESIDUALS))),
            np.zeros((4, 7), np.int64), np.zeros((4, 7, 4)), np.zeros((4, 3), np.int64),
        )  # fmt: skip
        guides = tuple(guide(each) for each in edges)
        select(name).residuals(target, prediction, w, 0.5, offsets, places, guides, into)
        found.append(into)
    same(*found)
    assert (found[0].missing.sum(axis=0) > 0).all()
    found = []
    for name in (backend, "plain"):
        pairs = ConfusionCounts(
            np.zeros((4, 4, 4), np.int64), np.zeros((4, 2, 4, 4) if weighted else (4, 0, 0, 0))
        )
        select(name).confusion(y, (y + heavy).astype(np.int32), w, offsets, places, pairs)
        found.append(pairs)
    same(*found)
    assert found[0].counts.sum() == n


@pytest.mark.skipif("cuda" not in BACKENDS, reason="needs a device or the simulator: make cuda")
def test_masks_of_bits_are_read_where_they_are():
    rng = np.random.default_rng(8)
    valid, y = rng.random(60) < 0.5, rng.integers(0, 3, 60).astype(np.int32)
    bits = np.packbits(np.concatenate((np.ones(3, np.bool_), valid)), bitorder="little")
    p, edges = rng.random(60), np.array([0.0, 0.5, 1.0])
    offsets, places = slices(60, 23)
    there = scored("cuda", p, Bitmask(bits, 3), y, None, offsets, places, edges)
    same(there, scored("plain", p, valid, y, None, offsets, places, edges))
    known = np.array([0.0, 1.0, 2.0])
    found = select("cuda").classes(y, Bitmask(bits, 3), known)
    assert np.array_equal(found, np.where(valid, y, 4))
