"""Detectors against river, charts against published run lengths, trends against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift
from scipy import stats

from gpumon.errors import OptionError
from gpumon.statistics import changepoints, control_charts, detectors

examples = settings(max_examples=60, deadline=None)


def alarms(detector, stream):
    found = []
    for position, value in enumerate(stream):
        detector.update(value)
        if detector.drift_detected:
            found.append(position)
    return found


def streams():
    rng = np.random.default_rng(0)
    for seed in range(6):
        rates = rng.uniform(0.05, 0.7, 4)
        yield (rng.random(4_000) < np.repeat(rates, 1_000)).astype(float)
        yield rng.normal(np.repeat(rates * 5, 1_000), 1.0)
        yield rng.binomial(50, np.repeat(rates, 200)) / 50
        yield rng.normal(np.linspace(0, seed, 3_000), 1.0)


@pytest.mark.parametrize(
    "options",
    [{}, {"delta": 0.1}, {"clock": 1}, {"clock": 7, "buckets": 3}, {"shortest": 20, "grace": 100}],
)
def test_adwin_alarms_where_rivers_does(options):
    names = {"buckets": "max_buckets", "shortest": "min_window_length", "grace": "grace_period"}
    found = 0
    for stream in streams():
        expected = alarms(drift.ADWIN(**{names.get(k, k): v for k, v in options.items()}), stream)
        assert detectors.adwin(stream, **options).at.tolist() == expected
        found += len(expected)
    assert found > 20


@pytest.mark.parametrize(
    "options",
    [{}, {"threshold": 10.0}, {"delta": 0.05, "threshold": 5.0, "direction": "up"}, {"direction": "down"}],
)
def test_page_hinkley_alarms_where_rivers_does(options):
    theirs = {("mode" if k == "direction" else k): v for k, v in options.items()}
    found = 0
    for stream in streams():
        expected = alarms(drift.PageHinkley(**theirs), stream)
        assert detectors.page_hinkley(stream, **options).at.tolist() == expected
        found += len(expected)
    assert found > 5


@pytest.mark.parametrize("options", [{}, {"least": 100, "alarm": 2.5}])
def test_ddm_alarms_where_rivers_does(options):
    theirs = {{"least": "warm_start", "alarm": "drift_threshold"}[k]: v for k, v in options.items()}
    found = 0
    for stream in streams():
        if not np.isin(stream, [0, 1]).all():
            continue
        expected = alarms(drift.binary.DDM(**theirs), stream)
        assert detectors.ddm(stream, **options).at.tolist() == expected
        found += len(expected)
    assert found > 3


@pytest.mark.parametrize(
    ("detector", "closeness"),
    [(detectors.adwin, 64), (detectors.page_hinkley, 10), (detectors.ddm, 20)],
)
def test_since_is_near_the_planted_change(detector, closeness):
    rng = np.random.default_rng(1)
    off = []
    for _ in range(20):
        stream = (rng.random(4_000) < np.repeat([0.1, 0.5], 2_000)).astype(float)
        found = detector(stream)
        first = found.at >= 2_000
        assert first.any()
        off.append(abs(found.since[first][0] - 2_000))
        assert (found.since <= found.at).all()
    assert np.median(off) <= closeness


@pytest.mark.parametrize("detector", [detectors.adwin, detectors.page_hinkley, detectors.ddm])
def test_short_and_constant_streams_give_no_alarm(detector):
    for stream in ([], [0.5], np.zeros(500)):
        assert len(detector(stream).at) == 0


@pytest.mark.parametrize("detector", [detectors.adwin, detectors.page_hinkley, detectors.ddm])
def test_micro_batches_of_one_row_are_single_values_and_larger_ones_alarm_soon_after_them(detector):
    apart = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        errors = (rng.random(6_000) < np.repeat([0.1, 0.4], 3_000)).astype(float)
        single = detector(errors)
        ones = detector(errors, rows=np.ones(6_000, int))
        assert (ones.at.tolist(), ones.since.tolist()) == (single.at.tolist(), single.since.tolist())
        batched = detector(errors.reshape(300, 20).mean(axis=1), rows=np.full(300, 20))
        apart.append(abs(20 * batched.at[batched.at >= 150][0] - single.at[single.at >= 3_000][0]))
        assert (batched.since <= batched.at).all()
    assert np.median(apart) <= 40


def test_adwin_of_batches_takes_the_squares_within():
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 40, 200)
    parts = np.split(
        rng.normal(np.repeat([5.0, 7.0], [sizes[:100].sum(), sizes[100:].sum()]), 2.0), np.cumsum(sizes)[:-1]
    )
    mean = np.array([part.mean() for part in parts])
    within = np.array([np.sum((part - part.mean()) ** 2) for part in parts])
    found = detectors.adwin(mean, rows=sizes, within=within)
    assert 100 < found.at[0] < 112
    assert abs(found.since[0] - 100) <= 4
    wide = detectors.adwin(mean, rows=sizes, within=400 * within)  # so noisy that the change is none
    assert len(wide.at) == 0
    with pytest.raises(OptionError, match="need within="):
        detectors.adwin(mean, rows=sizes)
    with pytest.raises(OptionError, match="leave out the empty"):
        detectors.ddm([0.1, 0.2], rows=[5, 0])


def test_cusum_equals_its_recursion():
    z = np.random.default_rng(2).normal(0.3, 1, (3, 200))
    found = control_charts.cusum(z, 0.4)
    for row in range(3):
        up = down = 0.0
        for window, value in enumerate(z[row]):
            up, down = max(0.0, up + value - 0.4), max(0.0, down - value - 0.4)
            assert found.upper[row, window] == pytest.approx(up, abs=1e-9)
            assert found.lower[row, window] == pytest.approx(down, abs=1e-9)


def test_ewma_has_the_standard_deviation_it_is_divided_by():
    z = np.random.default_rng(3).normal(size=(20_000, 12))
    np.testing.assert_allclose(control_charts.ewma(z, 0.2).std(axis=0), 1.0, atol=0.03)


@pytest.mark.parametrize(
    ("limit", "slack", "shift", "arl"),
    [  # Hawkins & Olwell (1998), Montgomery (2009) table 9.3: two-sided
        (4.0, 0.5, 0.0, 168),
        (5.0, 0.5, 0.0, 465),
        (4.0, 0.5, 1.0, 8.38),
        (5.0, 0.5, 1.0, 10.4),
        (4.0, 0.5, 0.5, 26.6),
        (5.0, 0.5, 2.0, 4.01),
    ],
)
def test_run_lengths_of_cusum_are_those_published(limit, slack, shift, arl):
    assert control_charts.cusum_arl(limit, slack, shift) == pytest.approx(arl, rel=5e-3)


@pytest.mark.parametrize(
    ("limit", "weight", "shift", "arl"),
    [  # Lucas & Saccucci (1990), table 3
        (3.054, 0.4, 0.0, 500),
        (2.998, 0.25, 0.0, 500),
        (2.962, 0.2, 0.0, 500),
        (2.814, 0.1, 0.0, 500),
        (2.615, 0.05, 0.0, 500),
        (2.814, 0.1, 1.0, 10.3),
        (2.962, 0.2, 1.0, 10.5),
        (2.814, 0.1, 0.5, 31.3),
    ],
)
def test_run_lengths_of_ewma_are_those_published(limit, weight, shift, arl):
    assert control_charts.ewma_arl(limit, weight, shift) == pytest.approx(arl, rel=1e-2)


@pytest.mark.parametrize("arl", [50.0, 370.0, 5_000.0])
def test_limits_invert_run_lengths(arl):
    assert control_charts.cusum_arl(control_charts.cusum_limit(arl)) == pytest.approx(arl, rel=1e-6)
    assert control_charts.ewma_arl(control_charts.ewma_limit(arl)) == pytest.approx(arl, rel=1e-6)


def test_the_run_length_is_that_of_simulated_charts():
    z = np.random.default_rng(4).normal(size=(4_000, 600))
    found = control_charts.cusum(z)
    over = np.maximum(found.upper, found.lower) > 3.0
    first = np.where(over.any(axis=-1), over.argmax(axis=-1) + 1, 600)
    assert first.mean() == pytest.approx(control_charts.cusum_arl(3.0), rel=0.05)


def test_the_change_point_is_within_its_interval_as_often_as_it_says():
    rng = np.random.default_rng(5)
    n = np.full((300, 30), 40)
    k = rng.binomial(n, np.where(np.arange(30) < 12, 0.3, 0.5))
    found = changepoints.binomial_change_point(k, n, draws=99)
    held = np.mean((found.lower <= 12) & (found.upper >= 12))
    assert held >= 0.93
    assert np.mean(np.abs(found.at - 12) <= 3) > 0.9
    assert (found.lower <= found.at).all()
    assert (found.at <= found.upper).all()


def test_the_p_value_of_a_change_point_is_level():
    rng = np.random.default_rng(6)
    n = rng.integers(5, 80, (400, 15))
    found = changepoints.binomial_change_point(rng.binomial(n, 0.2), n, draws=99)
    assert np.mean(found.p <= 0.05) == pytest.approx(0.05, abs=0.03)


@examples
@given(k=st.lists(st.integers(0, 20), min_size=2, max_size=12), seed=st.integers(0, 5))
def test_the_change_point_has_the_largest_chi_square_of_likelihoods(k, seed):
    k = np.array(k)
    n = k + np.random.default_rng(seed).integers(1, 20, len(k))
    found = changepoints.binomial_change_point(k, n, draws=9)
    g = [
        stats.chi2_contingency(
            [[a, b] for a, b in ((k[:i].sum(), (n - k)[:i].sum()), (k[i:].sum(), (n - k)[i:].sum()))],
            correction=False,
            lambda_="log-likelihood",
        ).statistic
        if k.any()
        else 0.0
        for i in range(1, len(k))
    ]
    assert g[int(found.at) - 1] == pytest.approx(max(g), abs=1e-6)
    assert found.before == pytest.approx(k[: found.at].sum() / n[: found.at].sum())


def test_windows_without_rows_tell_nothing():
    k, n = np.array([1, 0, 2, 0, 30, 33]), np.array([40, 0, 40, 0, 40, 40])
    found = changepoints.binomial_change_point(k, n)
    assert found.at == 4
    none = changepoints.binomial_change_point(np.zeros(3, int), np.array([0, 5, 0]))
    assert none.at == -1
    assert np.isnan(none.p)


series = st.lists(st.integers(-5, 5) | st.floats(-9, 9), min_size=2, max_size=60).map(
    lambda values: np.array(values, np.float64)
)


@examples
@given(values=series)
def test_the_trend_test_equals_scipy(values):
    found = changepoints.mann_kendall(values)
    if len(np.unique(values)) == 1:
        assert np.isnan(np.stack(found)).all()
        return
    expected = stats.kendalltau(np.arange(len(values)), values)
    assert found.tau == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@examples
@given(values=series, level=st.floats(0.5, 0.99))
def test_the_slope_equals_scipy(values, level):
    found = changepoints.theil_sen(values, level=level)
    expected = stats.theilslopes(values, alpha=level)
    assert found.value == pytest.approx(expected.slope, abs=1e-12)
    assert (found.lower, found.upper) == pytest.approx((expected.low_slope, expected.high_slope), abs=1e-12)


def test_missing_windows_are_left_out_of_trends():
    values = np.array([[1.0, np.nan, 2.0, 4.0, 3.0], [np.nan] * 5])
    times = np.arange(5.0)
    found = changepoints.theil_sen(values)
    expected = stats.theilslopes(values[0, [0, 2, 3, 4]], times[[0, 2, 3, 4]])
    assert found.value[0] == pytest.approx(expected.slope)
    assert np.isnan(found.value[1])
    trend = changepoints.mann_kendall(values)
    assert trend.tau[0] == pytest.approx(stats.kendalltau(range(4), [1, 2, 4, 3]).statistic)
    assert np.isnan(trend.p[1])


def test_the_normal_change_point_is_found_and_covered():
    rng = np.random.default_rng(21)
    variance = rng.uniform(0.5, 2.0, (1_000, 40))
    level = np.where(np.arange(40) < 13, 5.0, 6.5)
    found = changepoints.normal_change_point(rng.normal(level, np.sqrt(variance)), variance)
    assert 0.94 < np.mean((found.lower <= 13) & (found.upper >= 13)) < 1
    assert np.mean(np.abs(found.at - 13) <= 2) > 0.75
    assert np.median(found.before) == pytest.approx(5, abs=0.1)
    assert np.median(found.after) == pytest.approx(6.5, abs=0.1)
    assert np.mean(found.p < 0.01) > 0.7


def test_the_normal_change_point_has_the_largest_likelihood():
    rng = np.random.default_rng(22)
    mean, error = rng.normal(np.repeat([0.0, 1.0], [7, 11]), 0.5), rng.uniform(0.3, 0.6, 18)

    def likelihood(cut):
        halves = (slice(None, cut), slice(cut, None))
        levels = [np.average(mean[half], weights=error[half] ** -2) for half in halves]
        return sum(
            stats.norm.logpdf(mean[half], level, error[half]).sum()
            for half, level in zip(halves, levels, strict=True)
        )

    found = changepoints.normal_change_point(mean, error**2)
    assert found.at == 1 + np.argmax([likelihood(cut) for cut in range(1, 18)])
    gaps = changepoints.normal_change_point(np.insert(mean, 3, np.nan), np.insert(error, 3, 1.0) ** 2)
    assert gaps.at == found.at + 1
    assert gaps.p == pytest.approx(float(found.p))


@pytest.mark.parametrize("windows", [4, 30, 300])
def test_the_p_value_of_a_normal_change_point_errs_upwards(windows):
    rng = np.random.default_rng(23)
    found = changepoints.normal_change_point(rng.normal(size=(4_000, windows)), np.ones(windows))
    for level in (0.05, 0.01):
        assert np.mean(found.p < level) <= 1.3 * level
    assert np.mean(found.p < 0.05) > 0.005


def test_a_normal_change_point_needs_two_windows():
    mean = np.array([[np.nan, np.nan, np.nan], [1.0, np.nan, np.nan], [1.0, np.nan, 9.0]])
    found = changepoints.normal_change_point(mean, np.ones(3))
    assert found.at.tolist() == [-1, -1, 2]
    assert found.lower.tolist() == [-1, -1, 2]
    assert np.isnan(found.p).tolist() == [True, True, False]
    assert np.isnan(found.before).tolist() == [True, True, False]


def test_no_windows_at_all_have_no_change():
    found = changepoints.binomial_change_point(np.zeros((2, 0)), np.zeros((2, 0)))
    assert found.at.tolist() == [-1, -1]
    assert np.isnan(found.p).all()


def test_means_whose_weights_floats_cannot_tell_apart_have_no_change_of_probability_nan():
    with np.errstate(all="raise", under="ignore"):
        found = changepoints.normal_change_point(np.array([1.0, 2.0, 3.0]), np.array([1e-300, 1e300, 1e300]))
    assert not np.isnan(found.p) or found.at == -1


def test_a_stream_beyond_the_squares_of_floats_has_no_alarm_and_no_error():
    values = np.array([1e200, -1e200, 1e250, 1.0] * 30)
    assert detectors.adwin(values).at.size >= 0
