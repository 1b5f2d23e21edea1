"""Every backend expects of rows what the formula predicts from their codes, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from gpumon.kernels import cuda_status, select
from gpumon.kernels.expected_losses import ExpectedCounts, Forest, add, coded
from gpumon.statistics import loss_model

BACKENDS = ("cpu", "plain", *(["cuda"] if cuda_status()[0] else []))


def forest_of(model: loss_model.LossModel) -> Forest:
    return Forest(model.base, model.feature, model.threshold, model.value)


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (3_000, 4)).astype(np.uint8)
    loss = rng.exponential(1 + codes[:, 0] / 100 + (codes[:, 2] > 200))
    return [
        loss_model.rounded(loss_model.fit(codes, each, depth=4)) for each in (loss, loss**2, np.ones(3_000))
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_forests_give_what_the_formula_predicts(backend, models):
    rng = np.random.default_rng(1)
    sizes = (30, 300, 5, 256)
    cells = [
        rng.integers(0, size, 777).astype(kind)
        for size, kind in zip(sizes, ("u2", "u2", "i4", "i8"), strict=True)
    ]
    groups = [np.sort(rng.integers(0, 256, size)) for size in sizes]
    groups[1][7] += 256
    groups[2][0] += 256
    forests = [forest_of(model) for model in models]
    expected, unsupported = select(backend).expected(cells, groups, forests)
    codes = np.stack([group[cell] % 256 for cell, group in zip(cells, groups, strict=True)], axis=1)
    for found, model in zip(expected, models, strict=True):
        assert (found == loss_model.predict(model, codes.astype(np.uint8))).all()
    assert (unsupported == ((cells[1] == 7) | (cells[2] == 0))).all()
    nothing, _ = select(backend).expected([cell[:0] for cell in cells], groups, forests)
    assert nothing.shape == (3, 0)


def test_a_forest_without_trees_is_its_base(models):
    assert len(models[2].value) == 0
    codes, _ = coded([np.zeros(3, np.int64)], [np.zeros(1, np.int64)])
    assert loss_model.predict(models[2], codes).tolist() == [1.0] * 3


def test_sums_are_of_rows_with_a_prediction_and_of_those_with_a_label():
    into = ExpectedCounts(np.zeros((2, 3), np.int64), np.zeros((2, 2, 2)), np.zeros((2, 2, 7)))
    expected = np.array([[1.0, 2.0, 3.0, 9.0], [1.0, 4.0, 10.0, 90.0]])
    error, there = np.array([-2.0, np.nan, 3.0, 1.0]), np.array([True, True, True, False])
    unsupported, weights = np.array([False, True, False, True]), np.array([1.0, 2.0, 3.0, 4.0])
    add(expected, unsupported, error, there, weights, np.array([0, 2, 4]), np.array([1, 0]), into)
    assert into.counts.tolist() == [[1, 0, 1], [2, 1, 1]]
    assert into.mass[1].tolist() == [[3.0, 5.0], [1.0, 1.0]]
    assert into.sums[1, 0].tolist() == [1 + 4, 1 + 8, 2, 1, 4, 2, 1]
    assert into.sums[0, 1].tolist() == [30.0, 300.0, 27.0, 30.0, 243.0, 270.0, 300.0]
