"""Summaries against NumPy and pandas, and the distinct count against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gpumon.statistics import summaries

examples = settings(max_examples=60, deadline=None)
values = arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6))


def moments(x):
    return np.array([len(x), np.mean(x), np.sum((x - np.mean(x)) ** 2)])


@pytest.mark.parametrize(
    ("formula", "oracle"),
    [
        (summaries.mean, np.mean),
        (summaries.variance, lambda x: np.var(x, ddof=1)),
        (summaries.std, lambda x: np.std(x, ddof=1)),
    ],
    ids=["mean", "variance", "std"],
)
@examples
@given(x=values)
def test_a_moment_equals_numpy(formula, oracle, x):
    assert formula(moments(x)) == pytest.approx(oracle(x), rel=1e-9, abs=1e-12)


@examples
@given(x=values)
def test_extremes_equal_numpy(x):
    extremes = np.array([x.min(), x.max()])
    assert summaries.minimum(extremes) == x.min()
    assert summaries.maximum(extremes) == x.max()
    assert summaries.value_range(extremes) == np.ptp(x)


@examples
@given(x=values, y=values)
def test_shifts_equal_their_definitions(x, y):
    r, c = moments(x), moments(y)
    if np.std(x) < 1e-6 or np.std(y) < 1e-6:
        return
    shift = (np.mean(y) - np.mean(x)) / np.std(x, ddof=1)
    assert summaries.mean_shift(r, c) == pytest.approx(shift, rel=1e-9)
    ratio = np.log(np.var(y, ddof=1) / np.var(x, ddof=1))
    assert summaries.variance_ratio(r, c) == pytest.approx(ratio, rel=1e-9, abs=1e-9)


def test_no_rows_give_nan():
    none, some = np.array([0.0, 0.0, 0.0]), np.array([3.0, 1.0, 2.0])
    nothing = np.array([np.inf, -np.inf])
    for formula in (summaries.mean, summaries.variance, summaries.std):
        assert np.isnan(formula(none))
    for formula in (summaries.minimum, summaries.maximum, summaries.value_range):
        assert np.isnan(formula(nothing))
    for formula in (summaries.mean_shift, summaries.variance_ratio):
        assert np.isnan(formula(none, some))
        assert np.isnan(formula(some, none))


def test_one_row_has_a_mean_and_no_variance():
    one = np.array([1.0, 7.0, 0.0])
    assert summaries.mean(one) == 7
    assert np.isnan(summaries.variance(one))


def test_a_constant_reference_gives_zero_or_a_signed_infinity():
    reference = np.array([5.0, 1.0, 0.0])
    current = np.array([[5.0, 1.0, 0.0], [5.0, 2.0, 0.0], [5.0, 0.0, 3.0]])
    assert summaries.mean_shift(reference, current).tolist() == [0, np.inf, -np.inf]
    assert summaries.variance_ratio(reference, current).tolist() == [0, 0, np.inf]
    assert summaries.variance_ratio(current[2], reference) == -np.inf


def test_an_infinite_extreme_gives_an_infinite_range():
    extremes = np.array([[-np.inf, 3.0], [-np.inf, np.inf], [-np.inf, -np.inf]])
    assert summaries.value_range(extremes).tolist() == [np.inf, np.inf, 0]


def registers_of(hashes):
    """HyperLogLog by its definition: index from the top 12 bits, rank of the first set bit in the other 52."""
    index = (hashes >> np.uint64(52)).astype(np.int64)
    rest = hashes & np.uint64((1 << 52) - 1)
    length = np.frexp(rest.astype(np.float64))[1]  # bits of rest: exact below 2^53
    registers = np.zeros(4096, np.uint8)
    np.maximum.at(registers, index, (53 - length).astype(np.uint8))
    return registers


@pytest.mark.parametrize("size", [0, 1, 2, 5, 10, 100, 1_000, 10_000, 100_000, 1_000_000])
def test_the_distinct_count_is_within_its_range(size):
    hashes = np.random.default_rng(size).integers(0, 2**64, size, np.uint64)
    count = summaries.distinct_count(registers_of(hashes))
    assert count.lower <= size <= count.upper
    assert count.value == pytest.approx(size, rel=0.03, abs=0.001)


@pytest.mark.parametrize("size", range(1, 30))
def test_a_small_distinct_count_is_right_to_the_integer(size):
    hashes = np.random.default_rng(size).integers(0, 2**64, size, np.uint64)
    assert round(float(summaries.distinct_count(registers_of(hashes)).value)) == size


def test_the_distinct_count_has_the_error_it_states():
    rng = np.random.default_rng(0)
    registers = np.array([registers_of(rng.integers(0, 2**64, 20_000, np.uint64)) for _ in range(200)])
    error = summaries.distinct_count(registers).value / 20_000 - 1
    assert abs(error.mean()) < 0.004
    assert error.std() == pytest.approx(1.04 / 64, rel=0.2)


def test_full_registers_estimate_the_largest_count():
    assert summaries.distinct_count(np.full(4096, 53, np.uint8)).value == np.inf
    assert summaries.distinct_count(np.full(4096, 52, np.uint8)).value > 1e18


@examples
@given(
    history=arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 10**9)), count=st.integers(0, 10**9)
)
def test_robust_volume_equals_scipy(history, count):
    median, deviation = summaries.robust_volume(np.array(count), history)
    assert median == np.median(history)
    spread = stats.median_abs_deviation(history, scale="normal")
    if spread > 0:
        assert deviation == pytest.approx((count - median) / spread, rel=1e-9)
    else:
        assert deviation == (0 if count == median else np.copysign(np.inf, count - median))


def test_leading_axes_broadcast():
    rng = np.random.default_rng(0)
    r, c = (np.abs(rng.normal(size=(2, *shape, 3))) + 2 for shape in ((1,), (4,)))
    for formula in (summaries.mean_shift, summaries.variance_ratio):
        batch = formula(r, c)
        assert batch.shape == (2, 4)
        assert batch[1, 2] == formula(r[1, 0], c[1, 2])


def test_kurtosis_is_that_of_scipy_where_cells_are_atoms(profiled):
    rng = np.random.default_rng(0)
    values = rng.poisson(2, 500).astype(float)
    atoms = np.unique(values)
    edges = np.unique([atoms, np.nextafter(atoms, np.inf)])
    counts, extremes = profiled(values, edges)
    exact = stats.kurtosis(values, fisher=False)
    assert summaries.kurtosis(counts, edges, extremes) == pytest.approx(exact, rel=1e-9)
    fine = rng.normal(size=20_000)
    edges = np.unique(np.quantile(fine, np.linspace(0, 1, 1024)))
    counts, extremes = profiled(fine, edges)
    exact = stats.kurtosis(fine, fisher=False)
    assert exact <= summaries.kurtosis(counts, edges, extremes) <= 1.05 * exact
    atom = np.array([0.0, np.nextafter(0.0, 1.0)])
    assert np.isnan(summaries.kurtosis(*profiled(np.zeros(5), atom)[:1], atom, np.zeros(2)))


@pytest.mark.parametrize("draw", ["poisson", "normal", "gamma"])
@pytest.mark.parametrize("windows", [8, 20, 60])
def test_the_next_volume_is_outside_of_its_limits_as_seldom_as_stated(draw, windows):
    rng = np.random.default_rng(3)
    size = 20_000, windows + 1
    drawn = {"poisson": rng.poisson(200, size), "normal": rng.normal(1_000, 100, size), "gamma": rng.gamma(4, 250, size)}[draw]  # fmt: skip
    history, following = drawn[:, :-1], drawn[:, -1]
    lower, upper = summaries.volume_limits(history, 0.01)
    outside = np.count_nonzero((following < lower) | (following > upper))
    assert outside <= stats.binom.ppf(0.999, len(drawn), 0.01)
    robust = 3 * stats.median_abs_deviation(history, axis=-1, scale="normal")
    conventional = np.abs(following - np.median(history, axis=-1)) > robust
    assert windows > 20 or np.count_nonzero(conventional) > 2 * outside


def test_the_limits_of_a_volume_are_students_prediction_limits():
    history = np.random.default_rng(0).normal(1_000, 30, 40)
    (lower,), (upper,) = summaries.volume_limits(history[None], 0.001)
    t = stats.t.ppf(1 - 0.001 / 4, 39) * np.sqrt(1 + 1 / 40)
    assert lower == pytest.approx(history.mean() - t * history.std(ddof=1))
    roots = np.cbrt(history)
    assert upper == pytest.approx((roots.mean() + t * roots.std(ddof=1)) ** 3)


def test_one_strange_window_does_not_widen_the_limits_of_a_volume_and_weekends_do():
    rng = np.random.default_rng(1)
    usual = rng.poisson(1_000, 28)
    strange = usual.copy()
    strange[5] = 20
    weekends = np.where(np.arange(28) % 7 < 5, usual, rng.poisson(300, 28))
    lowest = {name: float(summaries.volume_limits(each, 1e-4)[0]) for name, each in
              (("usual", usual), ("strange", strange), ("weekends", weekends))}  # fmt: skip
    assert lowest["usual"] > lowest["strange"] > 600
    assert lowest["weekends"] < 200
    assert [float(end) for end in summaries.volume_limits(np.full(9, 50), 0.01)] == [50, 50]


@examples
@given(
    history=arrays(np.int64, st.integers(2, 40), elements=st.integers(0, 10**6)), level=st.floats(1e-7, 0.1)
)
def test_the_limits_of_a_volume_are_in_order_and_do_not_depend_on_that_of_the_windows(history, level):
    lower, upper = summaries.volume_limits(history, level)
    assert 0 <= lower <= upper
    again = summaries.volume_limits(history[::-1], level)
    assert [float(x) for x in again] == pytest.approx([float(lower), float(upper)], rel=1e-9, abs=1e-9)
