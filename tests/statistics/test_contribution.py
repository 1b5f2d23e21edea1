"""Contributions to a change: exact identities, statsmodels' errors, and causes that were planted in random tables."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.stats.weightstats import CompareMeans

from gpumon.statistics.contribution import Contributions, Losses, contributions, excess_losses, ranking


def losses_of(cell, loss, cells):
    return Losses(*(np.bincount(cell, weight, cells) for weight in (None, loss, loss**2)))


@st.composite
def sides(draw):
    cells = draw(st.integers(1, 6))
    found = []
    for _ in range(2):
        cell = draw(hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, cells - 1)))
        loss = draw(hnp.arrays(np.float64, len(cell), elements=st.floats(-100, 100)))
        found.append((losses_of(cell, loss, cells), loss))
    return found


@given(sides())
def test_contributions_add_up_to_the_change(two):
    (reference, before), (current, now) = two
    found = contributions(reference, current)
    assert np.sum(found.total) == pytest.approx(now.mean() - before.mean(), abs=1e-9)
    assert np.all(np.isfinite(found.z))
    back = contributions(current, reference)
    for there, here in zip((found.mix, found.loss, found.z), (back.mix, back.loss, back.z), strict=True):
        np.testing.assert_allclose(there, -here, atol=1e-9)


@given(sides())
def test_where_shares_stay_all_is_loss_and_where_losses_stay_all_is_mix(two):
    (side, loss), (other, _) = two
    worse = Losses(side.rows, side.total + 2 * side.rows, side.squares + 4 * side.total + 4 * side.rows)
    found = contributions(side, worse)
    np.testing.assert_allclose(found.mix, 0, atol=1e-9)
    np.testing.assert_allclose(found.loss, 2 * side.rows / len(loss), atol=1e-9)
    mean = side.total / np.maximum(side.rows, 1)
    moved = Losses(other.rows, other.rows * mean, other.rows * mean**2)
    both = (side.rows > 0) & (other.rows > 0)
    np.testing.assert_allclose(contributions(side, moved).loss[both], 0, atol=1e-9)


def test_a_cell_that_is_new_is_mix_alone():
    reference = Losses(np.array([100, 0]), np.array([100.0, 0]), np.array([150.0, 0]))
    current = Losses(np.array([50, 50]), np.array([50.0, 150]), np.array([75.0, 500]))
    found = contributions(reference, current)
    np.testing.assert_allclose(found.loss, 0)
    assert np.sum(found.mix) == pytest.approx(1)
    assert found.z[1] > 5


def test_z_of_one_cell_is_that_of_the_difference_of_means():
    rng = np.random.default_rng(0)
    before, now = rng.gamma(2, size=5_000), rng.gamma(2.1, size=4_000)
    found = contributions(*(losses_of(np.zeros(len(x), int), x, 1) for x in (before, now)))
    assert found.mix == 0
    expected = CompareMeans.from_data(now, before).ztest_ind(usevar="unequal")[0]
    assert found.z[0] == pytest.approx(expected, rel=1e-3)


def test_z_is_a_standard_normal_where_nothing_has_changed():
    rng = np.random.default_rng(1)
    mean = np.array([1.0, 2.0, 4.0, 1.5])

    def drawn():
        cell = rng.choice(4, 800, p=[0.4, 0.3, 0.2, 0.1])
        return losses_of(cell, rng.gamma(mean[cell]), 4)

    z = np.array([contributions(drawn(), drawn()).z for _ in range(1_500)])
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.12)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.1)
    assert np.mean(np.abs(z) > 2.576) < 0.02


def test_small_noisy_cells_do_not_lead():
    rng = np.random.default_rng(2)
    cell = np.concatenate([np.arange(1, 41).repeat(2), np.zeros(4_000, int)])
    before, now = rng.gamma(1, size=len(cell)) * 5, rng.gamma(1, size=len(cell)) * 5
    now[cell == 0] += 1
    found = contributions(losses_of(cell, before, 41), losses_of(cell, now, 41))
    assert ranking(found)[0] == 0
    lift = np.bincount(cell, now - before) / np.bincount(cell)
    assert np.argmax(lift) != 0, "by mean alone a cell of two rows would lead"


def test_the_ranking_follows_the_direction_of_the_change():
    found = Contributions(np.zeros(3), np.array([0.1, -0.5, 0.2]), np.array([3.0, -9.0, 4.0]))
    assert ranking(found).tolist() == [1, 0, 2]
    stacked = Contributions(*(np.stack([x, -x]) for x in found))
    assert ranking(stacked).tolist() == [[1, 0, 2], [1, 0, 2]]


def test_no_rows_are_unknown():
    some, none = Losses(*np.ones((3, 2))), Losses(*np.zeros((3, 2)))
    assert np.all(np.isnan(contributions(none, some).total))
    assert np.all(np.isnan(contributions(some, none).z))


def planted(seed):
    """Cells by partition of two random tables, their losses, and the (columns, bins) in which losses have grown."""
    rng = np.random.default_rng(seed)
    columns, rows = 6, 20_000
    sizes = rng.integers(3, 9, columns)
    effects = [rng.normal(0, 0.3, size) for size in sizes]
    shares = [rng.dirichlet(np.full(size, 5.0)) for size in sizes]
    conditions = 1 + seed % 2
    cause = np.sort(rng.choice(columns, conditions, replace=False))

    def table():
        x = np.stack([rng.choice(size, rows, p=share) for size, share in zip(sizes, shares, strict=True)])
        # columns are not independent: the second repeats the first in a third of the rows
        same = rng.random(rows) < 1 / 3
        x[1, same] = x[0, same] % sizes[1]
        loss = np.exp(sum(effect[bins] for effect, bins in zip(effects, x, strict=True)) * 0.5)
        return x, loss * rng.gamma(2.0, 0.5, rows)

    (before, loss_before), (now, loss_now) = table(), table()
    bins = [int(rng.integers(sizes[column])) for column in cause]
    hit = np.all([now[column] == b for column, b in zip(cause, bins, strict=True)], axis=0)
    loss_now = loss_now + hit * rng.uniform(0.5, 1.5)
    return before, loss_before, now, loss_now, sizes, (tuple(cause.tolist()), tuple(bins))


def leading(before, loss_before, now, loss_now, sizes):
    """The (columns, bins) that lead among all cells of one column and of two."""
    best, name = -np.inf, None
    for depth in (1, 2):
        for chosen in combinations(range(len(sizes)), depth):
            shape = tuple(sizes[list(chosen)])
            cells = [np.ravel_multi_index(tuple(x[list(chosen)]), shape) for x in (before, now)]
            found = contributions(
                losses_of(cells[0], loss_before, np.prod(shape)),
                losses_of(cells[1], loss_now, np.prod(shape)),
            )
            first = ranking(found)[0]
            if found.z[first] > best:
                best = found.z[first]
                name = chosen, tuple(int(i) for i in np.unravel_index(first, shape))
    return name


def test_planted_causes_lead_the_ranking():
    recalled = [leading(*table) == cause for *table, cause in map(planted, range(50))]
    assert np.mean(recalled) >= 0.96, f"top-1 recall is {np.mean(recalled)}"


def test_excess_losses_are_welchs_of_a_cell_against_the_rest():
    rng = np.random.default_rng(4)
    cell = rng.choice(3, 9_000, p=[0.5, 0.3, 0.2])
    loss = rng.gamma(np.array([1.0, 1.1, 1.6])[cell])
    found = excess_losses(losses_of(cell, loss, 3))
    assert np.sum(found.value) == pytest.approx(0, abs=1e-12)
    for i in range(3):
        inside, outside = loss[cell == i], loss[cell != i]
        share = np.mean(cell == i)
        assert found.value[i] == pytest.approx(share * (inside.mean() - loss.mean()))
        expected = CompareMeans.from_data(inside, outside).ztest_ind(usevar="unequal")[0]
        assert found.z[i] == pytest.approx(expected, rel=5e-3)


def test_excess_losses_of_cells_without_rows_are_none_and_of_no_rows_unknown():
    found = excess_losses(losses_of(np.zeros(50, int), np.arange(50.0), 2))
    assert found.value.tolist() == [0, 0]
    assert found.z.tolist() == [0, 0]
    assert np.isnan(excess_losses(Losses(*np.zeros((3, 2)))).z).all()


def test_excess_losses_are_a_standard_normal_where_cells_are_alike():
    rng = np.random.default_rng(5)
    z = np.array(
        [excess_losses(losses_of(rng.choice(3, 600), rng.gamma(2, size=600), 3)).z for _ in range(1_500)]
    )
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=0.12)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.1)
