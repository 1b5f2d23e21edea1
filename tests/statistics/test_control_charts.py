"""Control charts of shares against statsmodels, a calculation in a loop, and simulated windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportions_ztest

from gpumon.statistics.control_charts import laney_spread, p_chart, p_chart_critical, p_chart_p

examples = settings(max_examples=100, deadline=None)


@examples
@given(n=st.integers(1, 10**6), part=st.floats(0, 1), centre=st.floats(0.01, 0.99))
def test_the_deviation_is_that_of_a_z_test(n, part, centre):
    k = round(part * n)
    chart = p_chart(k, n, centre)
    z, p = proportions_ztest(k, n, value=centre, prop_var=centre)
    assert float(chart.z) == pytest.approx(z, abs=1e-9)
    assert float(p_chart_p(chart.z, n)) == pytest.approx(p, abs=1e-12)
    assert (abs(z) > 3) == bool(not chart.lower <= k / n <= chart.upper) or abs(abs(z) - 3) < 1e-9


@examples
@given(st.lists(st.one_of(st.none(), st.floats(-50, 50)), max_size=30))
def test_the_spread_is_that_of_a_loop_over_the_windows_that_are_known(values):
    known = [x for x in values if x is not None]
    z = np.array([np.nan if x is None else x for x in values], np.float64)
    found = float(laney_spread(z))
    if len(known) < 2:
        assert np.isnan(found)
        return
    moved = [abs(b - a) for a, b in pairwise(known)]
    assert found == pytest.approx(sum(moved) / len(moved) / 1.1283791671, rel=1e-8)


def test_windows_that_differ_by_their_rows_alone_have_a_spread_of_one_and_others_more():
    rng = np.random.default_rng(0)
    n = rng.integers(500, 4000, (200, 60))
    chart = p_chart(rng.binomial(n, 0.2), n, 0.2)
    assert laney_spread(chart.z).mean() == pytest.approx(1, abs=0.02)
    daily = rng.beta(0.2 * 300, 0.8 * 300, n.shape)  # a variance of c (1 - c) / 301 between days
    chart = p_chart(rng.binomial(n, daily), n, 0.2)
    expected = np.mean(np.sqrt(1 + (n - 1) / 301))
    assert laney_spread(chart.z).mean() == pytest.approx(expected, rel=0.03)


def test_the_limits_of_a_spread_are_wider_in_proportion():
    plain, wide = p_chart(30, 100, 0.4), p_chart(30, 100, 0.4, spread=2.0)
    assert 0.4 - wide.lower == pytest.approx(2 * (0.4 - plain.lower))
    assert wide.upper - 0.4 == pytest.approx(2 * (plain.upper - 0.4))
    assert wide.z == pytest.approx(plain.z / 2)


@pytest.mark.parametrize("level", [0.01, 0.001])
@pytest.mark.parametrize(("n", "centre"), [(40, 0.05), (200, 0.01), (1000, 0.3)])
@pytest.mark.parametrize("total", [500, 20_000])
def test_an_unchanged_window_exceeds_the_critical_value_about_as_often_as_said(level, n, centre, total):
    rng = np.random.default_rng(1)
    draws = 300_000
    reference = rng.binomial(total, centre, draws) / total
    reference = np.clip(reference, 1 / total, 1 - 1 / total)
    z = p_chart(rng.binomial(n, centre, draws), n, reference).z
    beyond = np.mean(np.abs(z) > p_chart_critical(level, n, reference, total))
    assert beyond < (4 if centre * total < 10 else 2.5) * level


@pytest.mark.parametrize("windows", [8, 30])
@pytest.mark.parametrize("share", [0.2, 0.01])
def test_a_spread_that_was_estimated_from_few_windows_is_allowed_for(windows, share):
    rng = np.random.default_rng(2)
    level, n = 0.001, 2000
    daily = rng.beta(share * 300, (1 - share) * 300, (100_000, windows + 1))
    k = rng.binomial(n, daily)
    centre = k[:, :-1].sum(axis=1) / (n * windows)
    spread = laney_spread(p_chart(k[:, :-1], n, centre[:, None]).z)
    z = p_chart(k[:, -1], n, centre, np.maximum(spread, 1)).z
    critical = p_chart_critical(level, n, centre, n * windows, spread, windows)
    beyond = np.abs(z) > critical
    assert 0.05 * level < beyond.mean() < 2.5 * level
    p = p_chart_p(z, n, n * windows, spread, windows)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)


def test_a_window_without_rows_is_not_known_and_a_constant_class_is_in_control():
    assert np.isnan(p_chart(0, 0, 0.2).z)
    assert np.isnan(p_chart_p(np.nan, 0))
    assert p_chart(10, 10, 1.0).z == 0
