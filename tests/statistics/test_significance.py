"""P-values against scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from gpumon.statistics import significance

examples = settings(max_examples=100, deadline=None)


@pytest.mark.parametrize(("size", "closeness"), [(50, 3e-4), (100, 2e-4), (500, 4e-5), (5_000, 5e-6)])
def test_the_kolmogorov_p_value_is_as_close_as_it_says(size, closeness):
    d = np.linspace(0.2, 5, 100) / np.sqrt(size)
    np.testing.assert_allclose(
        significance.kolmogorov_p(d, 2 * size, 2 * size), stats.kstwo.sf(d, size), rtol=0, atol=closeness
    )


@pytest.mark.parametrize(("n", "m"), [(101, 150), (3_000, 77), (20_000, 30_000)])
def test_the_kolmogorov_p_value_equals_that_of_ks_2samp(n, m):
    rng = np.random.default_rng(n)
    for shift in (0, 0.05, 0.2):
        test = stats.ks_2samp(rng.normal(size=n), rng.normal(shift, size=m), method="asymp")
        assert significance.kolmogorov_p(test.statistic, n, m) == pytest.approx(test.pvalue, abs=3e-4)


@pytest.mark.parametrize("level", [0.5, 0.05, 0.01, 1e-4, 1e-9])
def test_the_critical_kolmogorov_distance_inverts_the_p_value(level):
    n, m = np.array([60, 1_000, 10**7]), np.array([300, 1_000, 10**6])
    d = significance.kolmogorov_critical(level, n, m)
    np.testing.assert_allclose(significance.kolmogorov_p(d, n, m), level, rtol=1e-9)


def test_the_ends_of_the_kolmogorov_p_value():
    assert significance.kolmogorov_p(0.0, 10, 10) == 1
    assert significance.kolmogorov_p(1.0, 10**6, 10**6) == 0
    assert np.isnan(significance.kolmogorov_p(np.nan, 10, 10))
    assert np.isnan(significance.kolmogorov_p(0.1, 0, 10))
    assert significance.kolmogorov_critical(1e-9, 3, 3) == 1


@examples
@given(x=st.floats(0, 500), dof=st.integers(1, 200))
def test_the_chi_square_p_value_equals_scipy(x, dof):
    assert significance.chi_square_p(x, dof) == pytest.approx(stats.chi2.sf(x, dof), rel=1e-9)


@examples
@given(level=st.floats(1e-12, 1), dof=st.integers(1, 200))
def test_the_critical_chi_square_equals_scipy(level, dof):
    assert significance.chi_square_critical(level, dof) == pytest.approx(
        stats.chi2.isf(level, dof), rel=1e-9, abs=1e-9
    )


def test_no_degrees_of_freedom_are_no_evidence():
    assert significance.chi_square_p([0.0, np.nan], 0).tolist() == pytest.approx([1, np.nan], nan_ok=True)
    assert significance.chi_square_critical(0.05, 0) == 0
    assert np.isnan(significance.chi_square_p(1.0, np.nan))


def moments(x):
    return np.array([len(x), np.mean(x), np.sum((x - np.mean(x)) ** 2)])


@examples
@given(
    x=arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e3, 1e3)),
    y=arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e3, 1e3)),
)
def test_welch_equals_scipy(x, y):
    if min(np.ptp(x), np.ptp(y)) < 1e-3:
        return
    expected = stats.ttest_ind(x, y, equal_var=False).pvalue
    assert significance.welch_p(moments(x), moments(y)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_welch_of_constant_columns():
    one, same, other = np.array([5.0, 1.0, 0.0]), np.array([9.0, 1.0, 0.0]), np.array([9.0, 2.0, 0.0])
    assert significance.welch_p(one, same) == 1
    assert significance.welch_p(one, other) == 0
    assert significance.welch_p(one, np.array([9.0, 2.0, 8.0])) == pytest.approx(0.0171, abs=1e-4)
    assert np.isnan(significance.welch_p(one, np.array([1.0, 2.0, 0.0])))
    assert np.isnan(significance.welch_p(one, np.zeros(3)))


@examples
@given(n1=st.integers(2, 1000), n2=st.integers(2, 1000), data=st.data())
def test_the_test_of_two_proportions_equals_statsmodels(n1, n2, data):
    k1, k2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
    if k1 + k2 in (0, n1 + n2):
        assert significance.two_proportion_p(k1, n1, k2, n2) == 1
        return
    expected = proportions_ztest([k1, k2], [n1, n2])[1]
    assert significance.two_proportion_p(k1, n1, k2, n2) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_proportion_of_no_rows_is_nan():
    assert np.isnan(significance.two_proportion_p(0, 0, 3, 10))


@examples
@given(
    r=st.tuples(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99)),
    n=st.tuples(st.integers(4, 999), st.integers(4, 999)),
)
def test_fisher_z_equals_its_closed_form(r, n):
    z = (np.arctanh(r[0]) - np.arctanh(r[1])) / np.sqrt(1 / (n[0] - 3) + 1 / (n[1] - 3))
    expected = 2 * stats.norm.sf(abs(z))
    assert significance.fisher_z_p(r[0], n[0], r[1], n[1]) == pytest.approx(expected, rel=1e-9)


def test_fisher_z_at_the_ends():
    p = significance.fisher_z_p([1.0, 1.0, 0.5, np.nan], 100, [1.0, 0.9, 0.5, 0.1], [50, 50, 3, 50])
    assert p.tolist() == pytest.approx([1, 0, np.nan, np.nan], nan_ok=True)


@examples
@given(
    p=arrays(
        np.float64, st.integers(1, 30), elements=st.one_of(st.floats(0, 1), st.just(np.nan), st.just(0.01))
    )
)
def test_benjamini_hochberg_equals_scipy_on_what_is_not_nan(p):
    q = significance.benjamini_hochberg(p)
    known = ~np.isnan(p)
    assert np.array_equal(np.isnan(q), ~known)
    if known.any():
        np.testing.assert_allclose(q[known], stats.false_discovery_control(p[known]), rtol=1e-12)


def test_benjamini_hochberg_takes_rows_one_by_one():
    p = np.random.default_rng(0).random((2, 3, 7))
    p[1, 2, 3:] = np.nan
    q = significance.benjamini_hochberg(p)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(q[index], significance.benjamini_hochberg(p[index]))
    assert significance.benjamini_hochberg([]).shape == (0,)


def exponential(n, seed):
    return np.random.default_rng(seed).exponential(2.0, n)


def moments_of(x):
    return np.array([x.size, x.mean(), np.sum((x - x.mean()) ** 2)])


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_a_greater_mean_of_few_rows_is_tested_as_a_gamma_variable(rows):
    reference = np.array([1e12, 2.0, 4e12])  # exponential of mean 2
    for factor in (0.5, 1.0, 1.7, 4.0):
        current = np.array([rows, 2.0 * factor, 0.0])
        expected = stats.gamma(rows, scale=2.0 / rows).sf(2.0 * factor)
        assert significance.greater_mean_p(reference, current) == pytest.approx(expected, rel=1e-6)
        critical = significance.greater_mean_critical(1e-5, reference, current)
        assert 2.0 + critical == pytest.approx(stats.gamma(rows, scale=2.0 / rows).isf(1e-5), rel=1e-6)


def test_a_greater_mean_of_many_rows_is_welchs_of_one_side():
    one, two = exponential(40_000, 0), exponential(30_000, 1) + 0.03
    expected = stats.ttest_ind(two, one, equal_var=False, alternative="greater").pvalue
    assert significance.greater_mean_p(moments_of(one), moments_of(two)) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("n", "m"), [(300, 4), (60, 30), (2000, 1)])
def test_equal_means_are_rarely_called_greater(n, m):
    p = np.array(
        [
            significance.greater_mean_p(
                moments_of(exponential(n, seed)), moments_of(exponential(m, 10**6 + seed))
            )
            for seed in range(3000)
        ]
    )
    assert 0.4 < p.mean() < 0.6
    for level in (0.1, 0.01):
        assert np.mean(p < level) < 1.5 * level


def test_a_greater_mean_of_nothing_is_nothing():
    nothing, some, right = np.array([[0.0, 0.0, 0.0], [5.0, 1.0, 2.0], [5.0, 0.0, 0.0]])
    with np.errstate(invalid="ignore"):
        for pair in ((nothing, some), (some, nothing), (right, right)):
            assert np.isnan(significance.greater_mean_p(*pair))
            assert np.isnan(significance.greater_mean_critical(0.01, *pair))
    constant = np.array([5.0, 1.0, 0.0])
    assert significance.greater_mean_p(constant, constant) == 1.0
    assert significance.greater_mean_critical(0.01, constant, constant) == 0.0


@given(st.floats(0.5, 0.99), st.floats(1e-3, 0.05), st.floats(0, 100), st.floats(0.01, 0.999))
def test_a_fallen_share_is_scipys_gamma_and_its_limit_inverts_it(before, error, ratio, now):
    lacking = max(1 - before, error)
    shape = lacking**2 / (error**2 * (1 + ratio))
    expected = stats.gamma.sf(1 - now, shape, scale=lacking / shape)
    assert significance.fallen_share_p(before, error, ratio, now) == pytest.approx(
        expected, rel=1e-6, abs=1e-300
    )
    limit = significance.fallen_share_critical(0.01, before, error, ratio)
    at = significance.fallen_share_p(before, error, ratio, 1 - lacking - limit)
    assert at == pytest.approx(0.01, rel=1e-3)


def test_a_fallen_share_of_many_rows_is_normal_and_of_a_perfect_reference_is_known():
    p = significance.fallen_share_p(0.9, 1e-4, 0.0, 0.9 - 3e-4)
    assert p == pytest.approx(stats.norm.sf(3), rel=0.02)
    assert 0 < significance.fallen_share_p(1.0, 0.01, 1.0, 0.9) < 0.01
    assert np.isnan(significance.fallen_share_p(np.nan, 0.01, 1.0, 0.9))
