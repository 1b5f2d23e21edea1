"""Confidence is counted slice by slice as the formulas say of rows, and alike by both backends of the host."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gpumon.kernels import ConfidenceCounts, cpu, plain
from gpumon.kernels.logarithm import natural_log
from gpumon.kernels.lookup import cells_of, guide
from gpumon.profiles.confidence import confidence_edges

EDGES = confidence_edges()
TABLE = guide(EDGES)
ODD = st.sampled_from([np.nan, np.inf, -np.inf, -0.5, 1.5, 0.0, -0.0, 1.0, 5e-324, 1e-300, 0.25])


def counted(backend, scores, weights, offsets, places, actual=None, predicted=None):
    cells = (2, 3, EDGES.size + 5)
    unknown = np.full(scores.shape[1], len(scores) + 1, np.int32)
    actual, predicted = (unknown if codes is None else codes for codes in (actual, predicted))
    into = ConfidenceCounts(
        np.zeros(cells, np.int64),
        np.zeros((2, 0, 0) if weights is None else cells),
        np.zeros((2, 8)),
        np.zeros((2, 2), np.int64),
        np.zeros((2, 1), np.int64),
        np.zeros((2, 2, EDGES.size + 5), np.int64),
        np.zeros((2, 3, EDGES.size + 5)),
        np.zeros((2, 6)),
    )
    sliced = weights, np.array(offsets), np.array(places), TABLE, into
    backend.confidences(np.ascontiguousarray(scores), actual, predicted, *sliced)
    return into


def probabilities(seed, classes, rows):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(classes, 10.0 ** rng.uniform(-2, 1)), rows).T


@st.composite
def batches(draw):
    classes, rows = draw(st.integers(2, 12)), draw(st.integers(0, 60))
    scores = probabilities(draw(st.integers(0, 10**6)), classes, rows)
    for _ in range(draw(st.integers(0, 6)) if rows else 0):
        scores[draw(st.integers(0, classes - 1)), draw(st.integers(0, rows - 1))] = draw(ODD)
    weights = draw(st.none() | arrays(np.float64, rows, elements=st.floats(0, 4)))
    codes = arrays(np.int32, rows, elements=st.integers(0, classes + 1))
    return scores, weights, draw(st.integers(0, rows)), draw(codes), draw(codes)


@given(batches())
def test_both_backends_count_what_scipy_and_numpy_find(batch):
    scores, weights, cut, actual, predicted = batch
    rows = scores.shape[1]
    found = [
        counted(backend, scores, weights, [0, cut, rows], [1, 0], actual, predicted)
        for backend in (plain, cpu)
    ]
    for name in ("counts", "outside", "missing", "outcomes"):
        assert (getattr(found[0], name) == getattr(found[1], name)).all()
    for name in ("sums", "mass", "weighed", "losses"):
        np.testing.assert_allclose(getattr(found[0], name), getattr(found[1], name), rtol=1e-12, atol=1e-300)
    for place, mine in ((1, slice(None, cut)), (0, slice(cut, None))):
        part, y, guess = scores[:, mine], actual[mine], predicted[mine]
        w = (np.ones(rows) if weights is None else weights)[mine]
        missing = ~np.isfinite(part).all(axis=0)
        outside = ~missing & ((part < 0) | (part > 1)).any(axis=0)
        with np.errstate(invalid="ignore"):
            off = ~missing & ~outside & (np.abs(part.sum(axis=0) - 1) > 0.1)
        there = ~(missing | outside | off)
        p = part[:, there]
        ordered = np.sort(p, axis=0)
        raw = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=0) / np.log(len(p))
        exact = (ordered[-1], ordered[-1] - ordered[-2], np.clip(raw, 0, 1))
        whole = np.abs(p.sum(axis=0) - 1) < 1e-9
        np.testing.assert_allclose(exact[2][whole], stats.entropy(p[:, whole], base=len(p)), atol=1e-9)
        assert found[0].outside[place].tolist() == [outside.sum(), off.sum()]
        assert found[0].missing[place, 0] == missing.sum()
        for i, values in enumerate(exact):
            near = np.abs(values[:, None] - EDGES).min(axis=1, initial=1.0) < 1e-13
            if i < 2 or not near.any():
                cells = np.bincount(cells_of(values + 0.0, EDGES), minlength=EDGES.size + 5)
                assert found[0].counts[place, i].tolist() == cells.tolist()
            sums = [np.sum(w[there] * values), np.sum(w[there] * values**2)]
            np.testing.assert_allclose(
                found[0].sums[place, 2 + 2 * i : 4 + 2 * i], sums, rtol=1e-9, atol=1e-12
            )
        np.testing.assert_allclose(
            found[0].sums[place, :2], [w[there].sum(), np.sum(w[there] ** 2)], rtol=1e-12, atol=1e-300
        )
        k = len(scores)
        labelled = there & (y <= k)
        judged = labelled & (guess <= k)
        happened = np.eye(k + 1)[y[labelled]].T  # the last is a class of which the model knows nothing
        given = np.concatenate((part[:, labelled], np.zeros((1, labelled.sum()))))
        loss = -np.log(np.maximum((given * happened).sum(axis=0), 1e-15))
        brier = ((given - happened) ** 2).sum(axis=0)
        v = w[labelled]
        np.testing.assert_allclose(
            found[0].losses[place],
            [v.sum(), (v * v).sum(), *((v * x**power).sum() for x in (loss, brier) for power in (1, 2))],
            rtol=1e-9,
            atol=1e-12,
        )
        right = judged & (y == guess) & (y < k)
        assert found[0].outcomes[place].sum(axis=-1).tolist() == [judged.sum() - right.sum(), right.sum()]
        assert (found[0].outcomes[place].sum(axis=0) <= found[0].counts[place, 0]).all()
        sure = part[:, judged].max(axis=0, initial=0)
        total = [w[judged & ~right].sum(), w[right].sum(), (w[judged] * sure).sum()]
        np.testing.assert_allclose(found[0].weighed[place].sum(axis=-1), total, rtol=1e-9, atol=1e-12)


@given(st.floats(2.3e-308, 1e308))
def test_the_logarithm_is_that_of_the_mathematics_library(x):
    assert float(natural_log(x)) == pytest.approx(math.log(x), rel=4e-16, abs=1e-17)


def test_blocks_do_not_show():
    scores = probabilities(1, 5, 10_000)
    whole = counted(cpu, scores, None, [0, 10_000], [0])
    parts = counted(cpu, scores[:, :3_333], None, [0, 3_333], [0])
    for start, stop in ((3_333, 3_334), (3_334, 10_000)):
        more = counted(cpu, scores[:, start:stop], None, [0, stop - start], [0])
        parts = ConfidenceCounts(*(a + b for a, b in zip(parts, more, strict=True)))
    assert (whole.counts == parts.counts).all()
    np.testing.assert_allclose(whole.sums, parts.sums, rtol=1e-12)


def test_sure_and_clueless():
    scores = np.array([[1.0, 0.25, 0.0], [0.0, 0.25, 0.0], [0.0, 0.25, 1.0], [0.0, 0.25, 0.0]])
    for backend in (plain, cpu):
        found = counted(backend, scores, None, [0, 3], [0])
        assert found.sums[0].tolist() == [3, 3, 2.25, 2.0625, 2.0, 2.0, 1.0, 1.0]
        assert found.counts[0, :, EDGES.size + 1].tolist() == [2, 2, 1]  # exactly 1
