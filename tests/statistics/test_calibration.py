"""Calibration against scikit-learn and statsmodels, and the identities it is built on."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics
from sklearn.calibration import calibration_curve

from gpumon.statistics import calibration

examples = settings(max_examples=100, deadline=None)


def simulated(rows, slope=1.0, intercept=0.0, seed=0):
    rng = np.random.default_rng(seed)
    p = special.expit(rng.normal(-0.5, 1.5, rows))
    y = rng.random(rows) < special.expit(intercept + slope * special.logit(p))
    return p, y.astype(np.int64)


def by_cell(p, y, edges):
    """n, Σy, Σp, Σp², Σpy in the cells between inner ``edges``."""
    cells = np.searchsorted(edges, p, side="right")
    return [
        np.bincount(cells, weights=w, minlength=len(edges) + 1) for w in (np.ones_like(p), y, p, p * p, p * y)
    ]


@st.composite
def scored(draw):
    kind = draw(st.sampled_from([st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0])]))
    p = np.array(draw(st.lists(kind, min_size=1, max_size=60)))
    return p, np.array(draw(st.lists(st.integers(0, 1), min_size=len(p), max_size=len(p))))


FINE = np.arange(1, 120) / 120  # a multiple of the 15 and of the 10 bins


@pytest.mark.parametrize("bins", [10, 15])
def test_the_reliability_curve_of_equal_width_equals_scikit_learn(bins):
    p, y = simulated(5_000, slope=0.6)
    groups = calibration.equal_width(FINE, bins)
    sums = [calibration.merged(values, groups, bins) for values in by_cell(p, y, FINE)]
    found = calibration.reliability(*sums[:3])
    rate, score = calibration_curve(y, p, n_bins=bins)
    filled = found.rows > 0
    np.testing.assert_allclose(found.rate[filled], rate)
    np.testing.assert_allclose(found.score[filled], score)
    assert ((found.lower <= found.rate) & (found.rate <= found.upper))[filled].all()


def test_the_reliability_curve_of_equal_mass_equals_scikit_learn():
    """Every score a cell of its own, 3,000 rows in 10 bins: both put 300 in each."""
    p, y = simulated(3_000)
    p = np.unique(p)
    y = y[: len(p)]
    edges = p[1:]
    rows, positives, scores, *_ = by_cell(p, y, edges)
    groups = calibration.equal_mass(rows, 10)
    sums = [calibration.merged(values, groups, 10) for values in (rows, positives, scores)]
    assert sums[0].tolist() == [300.0] * 10
    rate, score = calibration_curve(y, p, n_bins=10, strategy="quantile")
    found = calibration.reliability(*sums)
    np.testing.assert_allclose(found.score, score, atol=0.002)
    np.testing.assert_allclose(found.rate, rate, atol=0.01)


@examples
@given(rows=st.lists(st.integers(0, 50), min_size=1, max_size=60), bins=st.integers(1, 15))
def test_bins_of_equal_mass_are_in_order_and_hold_at_most_a_share_and_a_cell(rows, bins):
    rows = np.array(rows)
    groups = calibration.equal_mass(rows, bins)
    assert (np.diff(groups) >= 0).all()
    assert groups.min() >= 0
    assert groups.max() < bins
    assert (calibration.merged(rows, groups, bins) <= rows.sum() / bins + rows.max()).all()


@examples
@given(data=scored(), bins=st.integers(1, 20))
def test_errors_of_calibration_are_those_of_the_rows(data, bins):
    p, y = data
    edges = np.arange(1, bins) / bins
    n, k, s, *_ = by_cell(p, y, edges)
    cells = np.searchsorted(edges, p, side="right")
    gaps = [abs(y[cells == b].mean() - p[cells == b].mean()) for b in np.unique(cells)]
    shares = [np.mean(cells == b) for b in np.unique(cells)]
    assert calibration.expected_calibration_error(n, k, s) == pytest.approx(np.dot(gaps, shares), abs=1e-12)
    assert calibration.maximum_calibration_error(n, k, s) == pytest.approx(max(gaps), abs=1e-12)


@examples
@given(data=scored(), bins=st.integers(2, 20), groups=st.integers(1, 20))
def test_merging_bins_never_raises_the_expected_error(data, bins, groups):
    p, y = data
    sums = by_cell(p, y, np.arange(1, bins) / bins)[:3]
    fewer = np.minimum(np.arange(bins) * groups // bins, groups - 1)
    coarse = [calibration.merged(values, fewer, groups) for values in sums]
    fine = calibration.expected_calibration_error(*sums)
    assert calibration.expected_calibration_error(*coarse) <= fine + 1e-12


def test_the_chance_level_of_the_expected_error_is_what_the_docstring_says():
    p, _ = simulated(4_000)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        y = (rng.random(4_000) < p).astype(int)
        n, k, s, *_ = by_cell(p, y, np.quantile(p, np.arange(1, 15) / 15))
        found.append(calibration.expected_calibration_error(n, k, s))
    expected = np.sqrt(2 * 15 * np.mean(p * (1 - p)) / (np.pi * 4_000))
    assert np.mean(found) == pytest.approx(expected, rel=0.1)


@examples
@given(data=scored(), bins=st.integers(1, 20))
def test_murphys_parts_add_up_to_the_brier_score(data, bins):
    p, y = data
    sums = by_cell(p, y, np.arange(1, bins) / bins)
    parts = calibration.murphy(*sums)
    brier = metrics.brier_score_loss(y, p, pos_label=1) if len(set(y)) > 1 else np.mean((p - y) ** 2)
    assert (
        parts.reliability - parts.resolution + parts.uncertainty + parts.within - 2 * parts.covariance
    ) == pytest.approx(brier, abs=1e-12)
    n, k, _, ss, sy = (np.sum(values) for values in sums)
    assert calibration.brier_score(n, k, ss, sy) == pytest.approx(brier, abs=1e-12)
    gap = calibration.mean_gap(*(np.sum(values) for values in sums))
    np.testing.assert_allclose(gap, intervals_moments(p - y), atol=1e-9)


def intervals_moments(x):
    return [len(x), x.mean(), np.sum((x - x.mean()) ** 2)]


def test_skill_is_zero_for_the_base_rate_and_one_for_the_truth():
    assert calibration.brier_skill([0.16, 0.0], 0.2).tolist() == pytest.approx([0, 1])
    entropy = stats.entropy([0.2, 0.8])
    assert calibration.log_loss_skill([entropy, 0.0], 0.2).tolist() == pytest.approx([0, 1])
    assert np.isnan(calibration.brier_skill(0.1, 1.0))
    assert np.isnan(calibration.log_loss_skill(0.1, 0.0))


def test_spiegelhalters_z_is_standard_normal_under_calibration_and_grows_without():
    p, _ = simulated(2_000)
    rng = np.random.default_rng(2)
    y = rng.random((3_000, 2_000)) < p
    s = [np.sum(p**power) for power in (1, 2, 3, 4)]
    excess = y.sum(axis=1) - s[0] + 2 * s[1] - 2 * (y @ p)
    found = calibration.spiegelhalter(excess, s[0] - 5 * s[1] + 8 * s[2] - 4 * s[3])
    by_row = np.sum((y[0] - p) * (1 - 2 * p)) / np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
    assert found.z[0] == pytest.approx(by_row)
    assert stats.kstest(found.z, "norm").pvalue > 0.01
    np.testing.assert_allclose(found.p, 2 * stats.norm.sf(np.abs(found.z)))
    over_p, over_y = simulated(20_000, slope=0.7)
    assert calibration.spiegelhalter_from_cells(*by_cell(over_p, over_y, FINE)[:3]).z > 5


def test_spiegelhalters_z_from_cells_is_as_close_as_it_says():
    for seed in range(5):
        p, y = simulated(100_000, seed=seed)
        exact = np.sum((y - p) * (1 - 2 * p)) / np.sqrt(np.sum((1 - 2 * p) ** 2 * p * (1 - p)))
        cells = by_cell(p, y, np.arange(1, 1_024) / 1_024)[:3]
        assert calibration.spiegelhalter_from_cells(*cells).z == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.6, 0.5), (2.0, -1.0)])
def test_the_recalibration_equals_statsmodels(slope, intercept):
    p, y = simulated(500, slope, intercept, seed=4)
    p = np.unique(p)
    y = y[: len(p)]
    found = calibration.recalibration(np.ones_like(p), y, p)
    expected = sm.Logit(y, sm.add_constant(special.logit(p))).fit(disp=False)
    assert found.intercept.value == pytest.approx(expected.params[0], abs=1e-8)
    assert found.slope.value == pytest.approx(expected.params[1], abs=1e-8)
    ends = expected.conf_int(0.05)
    assert (found.intercept.lower, found.intercept.upper) == pytest.approx(tuple(ends[0]), abs=1e-6)
    assert (found.slope.lower, found.slope.upper) == pytest.approx(tuple(ends[1]), abs=1e-6)
    assert found.covariance == pytest.approx(expected.cov_params()[0, 1], abs=1e-8)
    wald = expected.wald_test((np.eye(2), [0.0, 1.0]), use_f=False, scalar=True)
    assert found.p == pytest.approx(wald.pvalue, rel=1e-6, abs=1e-300)


def test_the_recalibration_of_many_windows_is_that_of_each():
    sums = np.stack([np.stack(by_cell(*simulated(400, 0.5 + i / 5, seed=i), FINE)[:3]) for i in range(6)])
    together = calibration.recalibration(*np.moveaxis(sums, 1, 0))
    for i, window in enumerate(sums):
        alone = calibration.recalibration(*window)
        np.testing.assert_allclose(together.slope.value[i], alone.slope.value, rtol=1e-9)
        np.testing.assert_allclose(together.intercept.upper[i], alone.intercept.upper, rtol=1e-7)


def test_the_slope_holds_the_truth_as_often_as_it_says_and_its_test_is_level():
    sums = np.stack([np.stack(by_cell(*simulated(600, 0.8, 0.2, seed=i), FINE)[:3]) for i in range(800)])
    found = calibration.recalibration(*np.moveaxis(sums, 1, 0))
    for fit, truth in ((found.slope, 0.8), (found.intercept, 0.2)):
        assert np.mean((fit.lower <= truth) & (truth <= fit.upper)) == pytest.approx(0.95, abs=0.025)
    halves = [calibration.recalibration(*np.moveaxis(half, 1, 0)) for half in (sums[:400], sums[400:])]
    assert np.mean(calibration.slope_change_p(*halves).p < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(
    ("rows", "positives", "scores"),
    [
        ([0, 0, 0], [0, 0, 0], [0, 0, 0]),
        ([5, 5, 5], [0, 0, 0], [1, 2, 3]),  # one label
        ([5, 0, 0], [3, 0, 0], [1, 0, 0]),  # one score
        ([5, 0, 5], [0, 0, 5], [1, 0, 4]),  # parted
    ],
)
def test_what_cannot_be_recalibrated_is_nan(rows, positives, scores):
    found = calibration.recalibration(np.array(rows), np.array(positives), np.array(scores, np.float64))
    assert np.isnan(np.stack([*found.slope, *found.intercept, found.covariance, found.p])).all()


def test_sure_scores_have_no_infinite_logit():
    found = calibration.recalibration(
        np.array([50, 50, 50]), np.array([2, 25, 47]), np.array([0.0, 25.0, 50.0])
    )
    assert 0 < found.slope.value < 1


def test_no_rows_give_nan():
    nothing = np.zeros((2, 4))
    for measure in (calibration.expected_calibration_error, calibration.maximum_calibration_error):
        assert np.isnan(measure(nothing, nothing, nothing)).all()
    assert np.isnan(np.stack(calibration.murphy(*[nothing] * 5))).all()
    assert np.isnan(np.stack(calibration.reliability(*[nothing] * 3)[1:])).all()
    assert np.isnan(np.stack(calibration.spiegelhalter_from_cells(*[nothing] * 3))).all()


def test_the_interval_of_a_calibration_error_holds_though_chance_only_adds():
    rng = np.random.default_rng(5)
    for n, shift in ((60, 0.0), (60, 0.1), (600, 0.0), (600, 0.05)):
        held = above = 0
        for _ in range(300):
            p = rng.random(n)
            part = np.minimum((p * 15).astype(int), 14)
            true = np.clip(p - shift, 0, 1)
            e = p - (rng.random(n) < true)
            rows = np.bincount(part, minlength=15)
            mean = np.bincount(part, e, 15) / np.maximum(rows, 1)
            squares = np.bincount(part, e**2, 15) - rows * mean**2
            found = calibration.calibration_error_of_gaps(np.stack((rows, mean, squares), axis=-1))
            truth = np.abs(np.bincount(part, p - true, 15)).sum() / n
            held += found.lower <= truth <= found.upper
            above += found.value > truth
        assert held >= 0.94 * 300
        assert above > 0.6 * 300 or shift


def test_a_calibration_error_of_gaps_is_that_of_the_same_bins():
    rng = np.random.default_rng(6)
    rows = rng.integers(0, 50, (4, 15))
    positives, scores = rng.binomial(rows, 0.4), rows * rng.random((4, 15))
    mean = (scores - positives) / np.maximum(rows, 1)
    moments = np.stack((rows, mean, rows * 0.1), axis=-1)
    assert np.allclose(
        calibration.calibration_error_of_gaps(moments).value,
        calibration.expected_calibration_error(rows, positives, scores),
    )
    assert np.isnan(calibration.calibration_error_of_gaps(np.zeros((3, 3))).value)
