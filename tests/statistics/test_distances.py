"""Distances between binned distributions against scipy, NumPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial import distance

from gpumon.statistics import distances

SHARE_DISTANCES = [
    distances.psi,
    distances.jensen_shannon,
    distances.hellinger,
    distances.total_variation,
    distances.infinity_norm,
]
ALL = [*SHARE_DISTANCES, distances.chi_square, distances.chi_square_dof, distances.cramers_v]
examples = settings(max_examples=60, deadline=None)


def psi_by_entropy(reference, current):
    a, b = (np.maximum(counts / counts.sum(), 1e-4) for counts in (reference, current))
    return np.sum((b - a) * np.log(b / a))


def hellinger_by_definition(reference, current):
    return np.sqrt(max(0.0, 1 - np.sum(np.sqrt(reference / reference.sum() * (current / current.sum())))))


ORACLES = [
    (distances.psi, psi_by_entropy),
    (distances.jensen_shannon, lambda r, c: distance.jensenshannon(r, c, base=2)),
    (distances.hellinger, hellinger_by_definition),
    (distances.total_variation, lambda r, c: 0.5 * distance.cityblock(r / r.sum(), c / c.sum())),
    (distances.infinity_norm, lambda r, c: distance.chebyshev(r / r.sum(), c / c.sum())),
]

sizes = st.one_of(st.integers(0, 3), st.integers(0, 1_000), st.integers(0, 10**12))


@st.composite
def pairs(draw, elements=sizes, shape=(), empty_sides=False):
    bins = draw(st.integers(1, 12))
    pair = draw(arrays(np.int64, (2, *shape, bins), elements=elements))
    if not empty_sides:
        pair[..., draw(st.integers(0, bins - 1))] += 1
    return pair


@pytest.mark.parametrize(("formula", "oracle"), ORACLES, ids=lambda f: f.__name__)
@examples
@given(pair=pairs())
def test_a_distance_equals_its_oracle(formula, oracle, pair):
    # near 0 both sides lose half their digits to the square root
    assert formula(*pair) == pytest.approx(oracle(*pair), rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("formula", SHARE_DISTANCES)
@examples
@given(
    pair=pairs(elements=st.integers(0, 10**6)), factors=st.tuples(st.integers(1, 999), st.integers(1, 999))
)
def test_equal_shares_are_at_distance_zero_whatever_the_sizes(formula, pair, factors):
    assert formula(pair[0] * factors[0], pair[0] * factors[1]) <= 1e-12


@pytest.mark.parametrize("formula", ALL)
@examples
@given(pair=pairs())
def test_a_distance_is_symmetric(formula, pair):
    assert formula(*pair) == pytest.approx(formula(*pair[::-1]), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("formula", ALL)
@examples
@given(pair=pairs(shape=(2, 3), empty_sides=True))
def test_a_batch_equals_a_loop(formula, pair):
    batch = formula(pair[0][:, None], pair[1][:, :, None])
    assert batch.shape == (2, 3, 3)
    for column, i, j in np.ndindex(batch.shape):
        alone = formula(pair[0][column, j], pair[1][column, i])
        np.testing.assert_allclose(batch[column, i, j], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", ALL)
def test_a_side_without_rows_gives_nan(formula):
    some, none = np.array([3, 4]), np.array([0, 0])
    assert np.isnan(formula(some, none))
    assert np.isnan(formula(none, some))
    assert np.isnan(formula(none, none))


@pytest.mark.parametrize("formula", [*SHARE_DISTANCES[1:], distances.cramers_v])
@examples
@given(pair=pairs())
def test_a_bounded_distance_stays_within_0_and_1(formula, pair):
    assert 0 <= formula(*pair) <= 1


@pytest.mark.parametrize("formula", [*SHARE_DISTANCES[1:], distances.cramers_v])
def test_distributions_without_a_common_bin_are_at_distance_one(formula):
    assert formula(np.array([900, 0]), np.array([0, 500])) == pytest.approx(1)


def test_psi_equals_both_entropies_where_no_bin_is_empty():
    r, c = np.array([100, 250, 650]), np.array([300, 300, 400])
    assert distances.psi(r, c) == pytest.approx(stats.entropy(c, r) + stats.entropy(r, c), rel=1e-14)


def test_psi_floors_an_empty_bin_and_does_not_normalise_again():
    expected = (0.5 - 1e-4) * np.log(0.5 / 1e-4) + (0.5 - 1) * np.log(0.5)
    assert distances.psi(np.array([10, 0]), np.array([5, 5])) == pytest.approx(expected, rel=1e-14)


def test_hellinger_meets_the_closed_form_of_two_gaussians():
    edges = np.linspace(-12, 14, 20_001)
    masses = [np.diff(stats.norm.cdf(edges, mean, scale)) for mean, scale in ((0, 1), (1.5, 2))]
    overlap = np.sqrt(2 * 1 * 2 / (1 + 4)) * np.exp(-0.25 * 1.5**2 / (1 + 4))
    assert distances.hellinger(*masses) == pytest.approx(np.sqrt(1 - overlap), rel=1e-6)


@examples
@given(pair=pairs(elements=st.integers(20, 10**6)))
def test_chi_square_equals_scipy_where_nothing_is_pooled(pair):
    expected = stats.chi2_contingency(pair, correction=False)
    if np.min(expected.expected_freq) < 5:
        return
    assert distances.chi_square(*pair) == pytest.approx(expected.statistic, rel=1e-10, abs=1e-10)
    assert distances.chi_square_dof(*pair) == expected.dof
    if pair.shape[-1] > 1:
        v = stats.contingency.association(pair, method="cramer")
        assert distances.cramers_v(*pair) == pytest.approx(v, rel=1e-9, abs=1e-9)


@examples
@given(pair=pairs(elements=st.integers(0, 30)))
def test_chi_square_equals_scipy_on_the_table_pooled_by_hand(pair):
    total = pair.sum(axis=0)
    small = total * min(pair.sum(axis=1)) / pair.sum() < 5
    table = np.column_stack([pair[:, ~small], pair[:, small].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    expected = stats.chi2_contingency(table, correction=False)
    assert distances.chi_square(*pair) == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert distances.chi_square_dof(*pair) == expected.dof


def test_a_single_bin_has_no_chi_square():
    one = np.array([80])
    assert (
        distances.chi_square(one, one)
        == distances.chi_square_dof(one, one)
        == distances.cramers_v(one, one)
        == 0
    )
