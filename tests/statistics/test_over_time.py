"""Courses of a measure: the spread between windows, trends and charts against statsmodels, scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats
from statsmodels.stats.meta_analysis import combine_effects

from gpumon.statistics import control_charts, over_time
from gpumon.statistics.significance import jensen_shannon_chance

examples = settings(max_examples=60, deadline=None)
VALUES = st.floats(-100, 100)


@examples
@given(st.data(), st.integers(2, 30))
def test_the_spread_between_windows_is_that_of_statsmodels(data, windows):
    values = data.draw(arrays(np.float64, windows, elements=VALUES))
    variances = data.draw(arrays(np.float64, windows, elements=st.floats(0.01, 10)))
    with np.errstate(all="ignore"):  # its own further sums, where the estimate is below 0
        expected = combine_effects(values, variances, method_re="chi2").tau2
    assert over_time.between_variance(values, variances) == pytest.approx(
        max(expected, 0), rel=1e-6, abs=1e-9
    )


def test_windows_that_are_not_known_add_no_spread():
    values, variances = np.array([0.1, np.nan, 0.3, 0.2]), np.full(4, 0.001)
    assert over_time.between_variance(values, variances) == pytest.approx(
        over_time.between_variance(values[[0, 2, 3]], variances[:3])
    )
    assert over_time.between_variance(np.array([np.nan, 0.3]), np.full(2, 0.1)) == 0


@examples
@given(st.data(), st.integers(1, 40))
def test_what_is_allowed_is_no_deviation_and_no_chart_is_quicker_for_it(data, windows):
    change = data.draw(arrays(np.float64, windows, elements=VALUES))
    allowed = data.draw(st.floats(0, 50))
    found = over_time.beyond(change, 2.0, allowed)
    assert (np.abs(found) <= np.abs(change) / 2.0).all()
    assert (found[np.abs(change) <= allowed] == 0).all()
    assert (over_time.cusum_up(found) <= over_time.cusum_up(change / 2.0) + 1e-9).all() or (change < 0).any()


def test_the_limits_are_those_that_simulated_charts_cross_once_in_so_many_windows():
    z = np.random.default_rng(0).normal(size=(4_000, 1_200))
    for chart, limit, early in (
        (over_time.cusum_up, over_time.one_sided_cusum_limit, 0),
        (
            over_time.ewma_up,
            over_time.one_sided_ewma_limit,
            0.06,
        ),  # its exact variance at the start sounds sooner
    ):
        crossed = chart(z) > limit(300.0)
        first = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 1_200)
        # of a run length that is about geometric, cut off at 1,200 windows
        expected = 300 * (1 - np.exp(-1_200 / 300))
        assert first.mean() == pytest.approx(expected, rel=0.05 + early)


def test_a_rise_begins_after_the_last_window_without_one():
    chart = over_time.cusum_up(np.array([2.0, -3.0, 0.1, 3.0, 3.0, 3.0, -1.0]))
    assert over_time.rise(chart) == (5, 3)
    assert over_time.rise(np.array([5.0])) == (0, 0)


@examples
@given(arrays(np.float64, st.integers(1, 40), elements=VALUES), st.floats(0.05, 0.95))
def test_with_one_deviation_the_mean_of_excesses_is_the_ewma(values, weight):
    mean, error = over_time.excess_ewma(values, np.zeros(values.size), np.full(values.size, 2.0), weight)
    assert mean / error == pytest.approx(control_charts.ewma(values / 2.0, weight), rel=1e-9, abs=1e-9)


def test_the_mean_of_excesses_has_the_deviation_that_it_states():
    rng = np.random.default_rng(1)
    deviation = rng.uniform(0.5, 3, 25)
    mean, error = over_time.excess_ewma(rng.normal(5.0, deviation, (20_000, 25)), np.full(25, 5.0), deviation)
    assert mean.std(axis=0) == pytest.approx(error[0], rel=0.03)
    gap = over_time.excess_ewma(np.array([1.0, np.nan, 1.0]), np.zeros(3), np.ones(3), 0.5)[0]
    assert gap.tolist() == [0.5, 0.5, 0.75]


@examples
@given(arrays(np.float64, st.integers(5, 30), elements=VALUES))
def test_the_trend_is_that_of_scipy(values):
    found = over_time.trend(values)
    slope, _, lower, upper = stats.theilslopes(values)
    assert [found.value, found.lower, found.upper] == pytest.approx([slope, lower, upper])
    if len(set(values.tolist())) > 1:
        assert found.p == pytest.approx(stats.kendalltau(np.arange(values.size), values).pvalue)


def test_few_windows_give_no_interval_that_is_very_sure():
    values = np.arange(9.0)
    assert over_time.trend(values).lower == 1
    assert np.isnan(over_time.trend(values, 1 - 1e-5).lower)
    assert over_time.trend(np.arange(20.0), 1 - 1e-5).lower == 1


def test_a_trend_of_many_windows_is_that_of_averaged_neighbours():
    rng = np.random.default_rng(2)
    values = 0.01 * np.arange(3_500) + rng.normal(size=3_500)
    values[rng.random(3_500) < 0.1] = np.nan
    found = over_time.trend(values)
    assert found.lower < 0.01 < found.upper
    assert found.upper - found.lower < 2e-4


def distances_of_unchanged(rng, streams, windows, shares, rows, reference_rows):
    """Jensen-Shannon distances of windows (streams, windows) to one reference each, by scipy's definition."""
    before = rng.multinomial(reference_rows, shares, streams)[:, None] / reference_rows
    now = rng.multinomial(rows, shares, (streams, windows)) / rows
    middle = (before + now) / 2
    parts = special.rel_entr(before, middle) + special.rel_entr(now, middle)
    return np.sqrt(parts.sum(axis=-1) / 2 / np.log(2))


@pytest.mark.parametrize(
    ("rows", "reference_rows", "bins"),
    [(200, 1_000, 10), (200, 200, 10), (2_000, 40_000, 10), (200, 1_000, 2)],
)
@pytest.mark.parametrize("level", [0.01, 0.002])
def test_a_mean_of_distances_to_one_reference_is_above_its_limit_as_seldom_as_stated(
    rows, reference_rows, bins, level
):
    rng = np.random.default_rng(9)
    shares, windows, streams = np.full(bins, 1 / bins), 30, 8_000
    found = distances_of_unchanged(rng, streams, windows, shares, rows, reference_rows)
    usual, deviation = jensen_shannon_chance(bins - 1, reference_rows, rows, float(bins**2))
    mean, error = over_time.excess_ewma(found, np.full(windows, usual), np.full(windows, deviation))
    reach = over_time.one_sided_ewma_limit(windows / level)
    of = (np.full(windows, x) for x in (bins - 1.0, float(rows), float(reference_rows), usual, deviation))
    limit = over_time.excess_limit(reach, *of)
    false = np.count_nonzero((mean > limit).any(axis=-1))
    assert false <= stats.binom.ppf(0.999, streams, 2 * level)
    if reference_rows < 10 * rows:  # what would be if the reference had no chance of its own
        assert np.count_nonzero((mean > reach * error).any(axis=-1)) > 2 * streams * level


@examples
@given(
    st.lists(st.integers(20, 3_000), min_size=1, max_size=12),
    st.integers(1, 40),
    st.floats(3, 6),
    st.integers(50, 100_000),
)
def test_a_larger_reference_narrows_the_limit_to_that_of_the_windows_own_chance(rows, dof, reach, n):
    m, k = np.array(rows, np.float64), np.full(len(rows), float(dof))

    def limit(reference_rows, reach=reach):
        usual, deviation = jensen_shannon_chance(k, reference_rows, m)
        return over_time.excess_limit(reach, k, m, reference_rows, usual, deviation), deviation

    narrow, deviation = limit(1e12)
    # of one degree of freedom the two approximations are up to 1 % apart
    assert (limit(n)[0] >= narrow * (1 - 0.02)).all()
    assert (limit(n, reach + 0.5)[0] > limit(n)[0]).all()
    _, error = over_time.excess_ewma(np.zeros(m.size), np.zeros(m.size), deviation)
    skewness = stats.chi(dof).stats("s")
    first = error[0] * (reach + (reach**2 - 1) / 6 * skewness)
    assert narrow[0] == pytest.approx(first, rel=1e-3)
    gap = np.append(m, np.nan)
    usual, deviation = jensen_shannon_chance(dof, n, gap)
    told = over_time.excess_limit(reach, np.append(k, dof), gap, n, usual, deviation)
    assert told == pytest.approx([*limit(n)[0], limit(n)[0][-1]])
