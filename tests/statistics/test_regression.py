"""Errors of a regression against scikit-learn, and how often their intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics

from gpumon.statistics import intervals, regression

examples = settings(max_examples=100, deadline=None)

numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
pairs = st.integers(2, 40).flatmap(lambda n: arrays(np.float64, (2, n), elements=numbers))


def moments_of(x):
    return np.array([len(x), np.mean(x), np.sum((x - np.mean(x)) ** 2)])


@examples
@given(data=pairs)
def test_measures_equal_scikit_learn(data):
    y, predicted = data
    e = predicted - y
    error = regression.moments(len(e), e.sum(), (e * e).sum())
    assert regression.mean_squared_error(error) == pytest.approx(
        metrics.mean_squared_error(y, predicted), abs=1e-9
    )
    assert regression.root_mean_squared_error(error) == pytest.approx(
        metrics.root_mean_squared_error(y, predicted), abs=1e-9
    )
    absolute = regression.moments(len(e), np.abs(e).sum(), (e * e).sum())
    assert regression.mean_absolute_error(absolute).value == pytest.approx(
        metrics.mean_absolute_error(y, predicted), abs=1e-9
    )
    if np.ptp(y) > 1e-3:
        assert regression.r_squared(error, moments_of(y)) == pytest.approx(
            metrics.r2_score(y, predicted), rel=1e-9, abs=1e-9
        )
    bias = regression.bias_interval(error).value
    assert regression.mean_squared_error(error) == pytest.approx(
        bias**2 + regression.error_variance(error), rel=1e-12
    )


@examples
@given(data=pairs, centre=numbers)
def test_moments_do_not_depend_on_the_centre(data, centre):
    x = data[0]
    found = regression.moments(len(x), np.sum(x - centre), np.sum((x - centre) ** 2), centre)
    np.testing.assert_allclose(found, moments_of(x), rtol=1e-9, atol=1e-5)


@examples
@given(data=pairs, quantile=st.floats(0.01, 0.99))
def test_losses_of_rows_equal_scikit_learn(data, quantile):
    y, predicted = data
    assert regression.pinball(y, predicted, quantile).mean() == pytest.approx(
        metrics.mean_pinball_loss(y, predicted, alpha=quantile), abs=1e-9
    )
    found = regression.absolute_percentage_error(y, predicted)
    assert np.isnan(found).sum() == np.sum(y == 0)
    if (y != 0).any():
        expected = metrics.mean_absolute_percentage_error(y[y != 0], predicted[y != 0])
        assert np.nanmean(found) == pytest.approx(expected, rel=1e-9)
    symmetric = regression.symmetric_percentage_error(y, predicted)
    assert ((symmetric >= 0) & (symmetric <= 2)).all()
    np.testing.assert_allclose(symmetric, regression.symmetric_percentage_error(predicted, y))


@examples
@given(data=pairs, nominal=st.floats(0.05, 0.95))
def test_the_interval_score_is_that_of_two_quantiles(data, nominal):
    """Winkler's score is 2 / (1 − nominal) times the pinball losses of both ends together (Gneiting & Raftery)."""
    lower, upper = np.sort(data, axis=0)
    y = data.mean(axis=0)[::-1]
    tail = (1 - nominal) / 2
    both = regression.pinball(y, lower, tail) + regression.pinball(y, upper, 1 - tail)
    np.testing.assert_allclose(
        regression.interval_score(y, lower, upper, nominal), both / tail, rtol=1e-9, atol=1e-9
    )


def test_a_guard_leaves_small_targets_out():
    found = regression.absolute_percentage_error([0.5, -2.0], [1.0, -1.0], guard=1.0)
    assert found.tolist() == pytest.approx([np.nan, 0.5], nan_ok=True)


errors = st.lists(numbers, min_size=1, max_size=40).map(np.array)


@examples
@given(values=errors, edges=st.lists(numbers, min_size=2, max_size=9, unique=True))
def test_the_exact_median_lies_within_its_bounds(values, edges, profiled):
    edges = np.sort(np.array(edges)) + 0.0
    found = regression.median_absolute_error(*profile_of(profiled, values, edges))
    exact = metrics.median_absolute_error(values, np.zeros_like(values))
    assert found.lower - 1e-9 <= exact <= found.upper + 1e-9
    assert found.lower <= found.value <= found.upper


def profile_of(profiled, values, edges):
    counts, extremes = profiled(values, edges)
    return counts, edges, extremes


@examples
@given(values=errors)
def test_the_median_is_exact_where_every_error_is_an_atom(values, profiled):
    distinct = np.unique(values) + 0.0
    edges = np.unique([distinct, np.nextafter(distinct, np.inf)])
    exact = metrics.median_absolute_error(values, np.zeros_like(values))
    for bound in regression.median_absolute_error(*profile_of(profiled, values, edges)):
        assert bound == pytest.approx(exact, rel=1e-12)


def test_an_infinite_error_beyond_the_median_does_not_matter(profiled):
    values = np.array([1.0, -2.0, 3.0, np.inf, -np.inf])
    edges = np.array([-4.0, -2.5, 0.0, 2.0, 4.0])
    found = regression.median_absolute_error(*profile_of(profiled, values, edges))
    assert found.lower <= 3 <= found.upper
    most = regression.median_absolute_error(*profile_of(profiled, np.array([1.0, np.inf, np.inf]), edges))
    assert most.value == most.lower == most.upper == np.inf
    none = regression.median_absolute_error(*profile_of(profiled, np.array([np.nan]), edges))
    assert np.isnan(np.stack(none)).all()


@pytest.mark.parametrize("rows", [60, 501])
def test_intervals_hold_the_truth_as_often_as_they_say(rows, profiled):
    rng = np.random.default_rng(rows)
    times = 1_500
    y = rng.normal(5, 3, (times, rows))
    e = rng.normal(0.5, 1.0, (times, rows)) * (1 + 0.1 * np.abs(y - 5))
    reference = np.random.default_rng(0)
    many = reference.normal(5, 3, 2_000_000)
    errors_ = reference.normal(0.5, 1.0, many.size) * (1 + 0.1 * np.abs(many - 5))
    d = y - y.mean(axis=-1, keepdims=True)
    edges = np.linspace(-8, 8, 4_001)
    counts = np.stack([profiled(row, edges)[0] for row in e])
    found = {
        "mse": regression.mean_squared_error_interval(
            regression.moments(rows, (e**2).sum(-1), (e**4).sum(-1))
        ),
        "rmse": regression.root_mean_squared_error_interval(
            regression.moments(rows, (e**2).sum(-1), (e**4).sum(-1))
        ),
        "mae": regression.mean_absolute_error(regression.moments(rows, np.abs(e).sum(-1), (e**2).sum(-1))),
        "bias": regression.bias_interval(regression.moments(rows, e.sum(-1), (e**2).sum(-1))),
        "r2": regression.r_squared_interval(
            rows, (e**2).sum(-1), (d**2).sum(-1), (e**4).sum(-1), (d**4).sum(-1), (e**2 * d**2).sum(-1)
        ),
        "median": regression.median_absolute_error_interval(counts, edges, np.array([-20.0, 20.0])),
    }
    truth = {
        "mse": np.mean(errors_**2),
        "rmse": np.sqrt(np.mean(errors_**2)),
        "mae": np.mean(np.abs(errors_)),
        "bias": np.mean(errors_),
        "r2": 1 - np.mean(errors_**2) / np.var(many),
        "median": np.median(np.abs(errors_)),
    }
    for name, interval in found.items():
        held = np.mean((interval.lower <= truth[name]) & (truth[name] <= interval.upper))
        assert held == pytest.approx(0.95, abs=0.05 if rows < 100 else 0.025), name
    sample = regression.r_squared(
        regression.moments(rows, e.sum(-1), (e**2).sum(-1)), np.stack([moments_of(row) for row in y])
    )
    np.testing.assert_allclose(found["r2"].value, sample)


def test_coverage_against_the_nominal_share():
    found = regression.coverage([900, 850, 0], [1_000, 1_000, 0], 0.9)
    np.testing.assert_allclose(found.share, intervals.wilson([900, 850, 0], [1_000, 1_000, 0]))
    z = (0.85 - 0.9) / np.sqrt(0.9 * 0.1 / 1_000)
    assert found.p.tolist() == pytest.approx([1.0, 2 * stats.norm.sf(abs(z)), np.nan], nan_ok=True)


def test_no_rows_give_nan():
    nothing = np.zeros((2, 3))
    for measure in (
        regression.mean_squared_error,
        regression.root_mean_squared_error,
        regression.mean_absolute_error,
        regression.bias_interval,
        regression.error_variance,
    ):
        assert np.isnan(np.stack(measure(nothing))).all()
    assert np.isnan(regression.r_squared(nothing, nothing)).all()
