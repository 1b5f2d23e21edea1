"""Ranking measures against scikit-learn and a DeLong by brute force; bounds contain the exact value, always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from gpumon.statistics import ranking

examples = settings(max_examples=120, deadline=None)

SCORES = [
    st.integers(0, 3).map(lambda x: x / 4),
    st.floats(0, 1),
    st.sampled_from([0.0, 1.0, 0.5, 5e-324, np.nextafter(1, 0)]),
]


@st.composite
def samples(draw):
    kind = draw(st.sampled_from(SCORES))
    scores = [np.sort(draw(st.lists(kind, min_size=1, max_size=40))) for _ in range(2)]
    edges = np.unique(draw(st.lists(kind, max_size=8)))
    return *scores, edges


def counted(negatives, positives, edges):
    """Counts of both in the cells between ``edges``."""
    return [
        np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1)
        for scores in (negatives, positives)
    ]


def labelled(negatives, positives):
    return np.repeat([0, 1], [len(negatives), len(positives)]), np.concatenate([negatives, positives])


def assert_within(exact, bounds):
    assert bounds.lower - 1e-12 <= exact <= bounds.upper + 1e-12
    assert bounds.lower <= bounds.value <= bounds.upper


def ks_of(negatives, positives):
    with np.errstate(all="ignore"):
        return stats.ks_2samp(negatives, positives, method="asymp").statistic


EXACT = {
    ranking.auc: lambda n, p: metrics.roc_auc_score(*labelled(n, p)),
    ranking.gini: lambda n, p: 2 * metrics.roc_auc_score(*labelled(n, p)) - 1,
    ranking.average_precision: lambda n, p: metrics.average_precision_score(*labelled(n, p)),
    ranking.kolmogorov_smirnov: ks_of,
}


@pytest.mark.parametrize("measure", EXACT)
@examples
@given(data=samples())
def test_the_exact_value_lies_within_its_bounds(measure, data):
    negatives, positives, _edges = data
    exact = EXACT[measure](negatives, positives)
    assert_within(exact, measure(*counted(*data)))
    weights = [counts * 0.5 for counts in counted(*data)]
    assert_within(exact, measure(*weights))


@pytest.mark.parametrize("measure", EXACT)
@examples
@given(data=samples())
def test_it_is_exact_where_every_cell_holds_one_value(measure, data):
    negatives, positives, _ = data
    for bound in measure(*ranking.cells_of_sorted(negatives, positives), single=True):
        assert bound == pytest.approx(EXACT[measure](negatives, positives), abs=1e-12)


@pytest.mark.parametrize("measure", EXACT)
@examples
@given(data=samples())
def test_cells_that_are_known_to_be_single_narrow_the_bounds(measure, data):
    negatives, positives, edges = data
    edges = np.unique(np.concatenate([edges, np.nextafter(edges, 2)]))
    single = np.concatenate([[False], np.diff(edges) <= np.nextafter(edges[:-1], 2) - edges[:-1], [False]])
    single = single[: len(edges) + 1]
    counts = counted(negatives, positives, edges)
    narrow, wide = measure(*counts, single), measure(*counts)
    assert_within(EXACT[measure](negatives, positives), narrow)
    assert wide.lower - 1e-12 <= narrow.lower
    assert narrow.upper <= wide.upper + 1e-12


@pytest.mark.parametrize("measure", EXACT)
@examples
@given(data=samples(), keep=st.integers(0, 7))
def test_finer_cells_give_bounds_within_those_of_coarser_ones(measure, data, keep):
    negatives, positives, edges = data
    fine = measure(*counted(negatives, positives, edges))
    coarse = measure(*counted(negatives, positives, edges[:keep]))
    assert coarse.lower <= fine.lower + 1e-12
    assert fine.upper <= coarse.upper + 1e-12


@examples
@given(data=samples())
def test_exact_values_of_sorted_scores_equal_scikit_learn(data):
    negatives, positives, _ = data
    assert ranking.auc_sorted(negatives, positives) == pytest.approx(
        EXACT[ranking.auc](negatives, positives), abs=1e-12
    )
    assert ranking.average_precision_sorted(negatives, positives) == pytest.approx(
        EXACT[ranking.average_precision](negatives, positives), abs=1e-12
    )


def test_the_bounds_of_the_average_precision_are_attained():
    """Two cells; in the second, the positives tie above the negatives, or come one by one below them."""
    negatives, positives = np.array([4, 1]), np.array([3, 2])
    bounds = ranking.average_precision(negatives, positives)
    best = metrics.average_precision_score(*labelled([0.1, 0.11, 0.12, 0.13, 0.8], [0.2, 0.2, 0.2, 0.9, 0.9]))
    worst = metrics.average_precision_score(
        *labelled([0.2, 0.21, 0.22, 0.23, 0.9], [0.1, 0.11, 0.12, 0.8, 0.81])
    )
    assert (bounds.lower, bounds.upper) == pytest.approx((worst, best), abs=1e-12)


def by_brute_force(negatives, positives):
    """DeLong's variance from the matrix of all pairs."""
    above = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    return above.mean(axis=1).var(ddof=1) / len(positives) + above.mean(axis=0).var(ddof=1) / len(negatives)


@examples
@given(data=samples())
def test_delongs_variance_equals_that_of_all_pairs(data):
    negatives, positives, _ = data
    if min(len(negatives), len(positives)) < 2:
        return
    found = ranking.auc_variance(*ranking.cells_of_sorted(negatives, positives))
    assert found == pytest.approx(by_brute_force(negatives, positives), abs=1e-14)


@examples
@given(data=samples())
def test_the_gradient_of_the_average_precision_is_that_of_finite_differences(data):
    negatives, positives = (counts.astype(np.float64) for counts in counted(*data))
    step = 1e-6
    found = ranking.average_precision_gradient(negatives, positives)

    def value(n, p):
        return ranking.average_precision(n, p, single=True).value

    moves = step * np.eye(len(negatives))
    for gradient, up, down in (
        (found[0], value(negatives + moves, positives), value(negatives, positives)),
        (found[1], value(negatives, positives + moves), value(negatives, positives)),
    ):
        empty = negatives + positives == 0  # there a row makes a new threshold: a jump in no derivative
        np.testing.assert_allclose(((up - down) / step)[~empty], gradient[~empty], rtol=1e-3, atol=1e-3)


def test_the_variance_of_the_average_precision_is_that_of_a_bootstrap():
    rng = np.random.default_rng(0)
    negatives, positives = rng.normal(0, 1, 900), rng.normal(1, 1, 300)
    counts = counted(negatives, positives, np.linspace(-3, 4, 200))
    both = np.concatenate(counts)
    drawn = rng.multinomial(both.sum(), both / both.sum(), 4_000).reshape(-1, 2, len(counts[0]))
    values = ranking.average_precision(drawn[:, 0], drawn[:, 1], single=True).value
    assert ranking.average_precision_variance(*counts) == pytest.approx(values.var(), rel=0.08)


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(
    ("interval", "exact"),
    [(ranking.auc_interval, ranking.auc), (ranking.average_precision_interval, ranking.average_precision)],
)
def test_an_interval_holds_the_truth_as_often_as_it_says(shift, interval, exact):
    edges = np.linspace(-4, 7, 400)
    cells = [
        np.diff(stats.norm.cdf(np.concatenate([[-np.inf], edges, [np.inf]]) - centre))
        for centre in (0, shift)
    ]
    truth = exact(cells[0] * 0.7, cells[1] * 0.3, single=True).value
    drawn = np.random.default_rng(5).multinomial(500, np.concatenate([cells[0] * 0.7, cells[1] * 0.3]), 2_000)
    found = interval(drawn[:, :401], drawn[:, 401:])
    assert np.mean((found.lower <= truth) & (truth <= found.upper)) == pytest.approx(0.95, abs=0.025)


def test_curves_equal_scikit_learn():
    rng = np.random.default_rng(1)
    negatives, positives = np.sort(rng.normal(0, 1, 60).round(1)), np.sort(rng.normal(1, 1, 40).round(1))
    counts = ranking.cells_of_sorted(negatives, positives)
    roc = metrics.roc_curve(*labelled(negatives, positives), drop_intermediate=False)
    np.testing.assert_allclose(ranking.roc_curve(*counts), roc[:2])
    precision, recall, _ = metrics.precision_recall_curve(*labelled(negatives, positives))
    found = ranking.precision_recall_curve(*counts)
    np.testing.assert_allclose(found.x[::-1], recall)
    np.testing.assert_allclose(found.y[::-1], precision)


def by_class(scores, true, edges):
    """Counts (K, K, cells) of score column, true class and cell."""
    classes = scores.shape[1]
    cells = np.searchsorted(edges, scores, side="right")
    counts = np.zeros((classes, classes, len(edges) + 1), np.int64)
    for column in range(classes):
        np.add.at(counts[column], (true, cells[:, column]), 1)
    return counts


def test_many_classes_equal_scikit_learn():
    rng = np.random.default_rng(2)
    true = rng.integers(0, 4, 500)
    scores = rng.dirichlet(np.ones(4), 500) + np.eye(4)[true] * 0.3
    scores = (scores / scores.sum(axis=1, keepdims=True)).round(2)
    scores[:, 3] = 1 - scores[:, :3].sum(axis=1)
    edges = np.unique(scores)
    counts = by_class(scores, true, edges)
    found = ranking.one_versus_one(counts, single=True)
    assert found.value == pytest.approx(metrics.roc_auc_score(true, scores, multi_class="ovo"), abs=1e-12)
    over_rest = ranking.one_versus_rest(counts)
    assert ranking.auc(*over_rest, single=True).value.mean() == pytest.approx(
        metrics.roc_auc_score(true, scores, multi_class="ovr"), abs=1e-12
    )
    expected = metrics.average_precision_score(np.eye(4)[true], scores, average=None)
    np.testing.assert_allclose(ranking.average_precision(*over_rest, single=True).value, expected)
    coarse = ranking.one_versus_one(by_class(scores, true, edges[::5]))
    assert coarse.lower <= found.value <= coarse.upper


def ranked(true, scores):
    """Counts of all scores as they are, and the cells that hold one each."""
    return by_class(scores, true, np.unique(scores))


def test_classes_without_rows_are_left_out_of_the_pairs():
    rng = np.random.default_rng(3)
    true, scores = rng.integers(0, 3, 300), rng.random((300, 4)).round(2)
    three = ranking.one_versus_one(ranked(true, scores[:, :3]), single=True)
    four = ranking.one_versus_one(ranked(true, scores), single=True)
    assert four.value == pytest.approx(three.value, abs=1e-12)
    for counts in (ranked(true * 0, scores), np.zeros((4, 4, 9), np.int64)):
        assert np.isnan(ranking.one_versus_one(counts).value)
        assert np.isnan(ranking.one_versus_one_interval(counts)).all()


def test_the_variance_of_two_classes_whose_scores_add_up_to_one_is_delongs():
    rng = np.random.default_rng(4)
    true = rng.integers(0, 2, 200)
    p = np.clip(rng.normal(0.4 + 0.2 * true, 0.2), 0, 1)
    counts = ranked(true, np.stack([1 - p, p], axis=1))
    negatives, positives = counts[1]
    assert ranking.one_versus_one(counts).value == pytest.approx(ranking.auc(negatives, positives).value)
    found = ranking.one_versus_one_variance(counts)
    assert found == pytest.approx(float(ranking.auc_variance(negatives, positives)), rel=1e-9)


def test_the_interval_of_many_classes_covers_the_truth_at_least_as_often_as_it_says():
    """The truth is that of a million rows; the intervals are of 300."""
    rng = np.random.default_rng(5)

    def drawn(n):
        true = rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
        logits = rng.normal(size=(n, 4)) + 1.2 * np.eye(4)[true]
        scores = np.exp(logits)
        return true, (scores / scores.sum(axis=1, keepdims=True))

    edges = np.linspace(0, 1, 513)
    true, scores = drawn(1_000_000)
    truth = ranking.one_versus_one(by_class(scores, true, edges)).value
    samples = np.stack([by_class(scores, true, edges) for true, scores in (drawn(300) for _ in range(400))])
    found = ranking.one_versus_one_interval(samples)
    assert np.mean((found.lower <= truth) & (truth <= found.upper)) >= 0.94
    spread = np.std(found.value)
    wide = np.mean(found.upper - found.lower) / (2 * 1.96)
    assert spread * 0.95 < wide < 2 * spread  # safe, and of use


@pytest.mark.parametrize("measure", [*EXACT, ranking.auc_interval, ranking.average_precision_interval])
def test_one_class_only_gives_nan(measure):
    nothing, some = np.zeros((2, 3), np.int64), np.ones((2, 3), np.int64)
    assert np.isnan(np.stack(measure(nothing, some))).all()
    assert np.isnan(np.stack(measure(some, nothing))).all()


@pytest.mark.parametrize("measure", [*EXACT, ranking.auc_interval, ranking.average_precision_interval])
def test_a_score_that_parts_the_classes_and_one_that_is_constant(measure):
    parted = measure(np.array([5, 0]), np.array([0, 7]))
    assert parted.value == 1
    assert parted.upper == 1
    constant = measure(np.array([0, 6, 0]), np.array([0, 3, 0]))
    assert constant.lower <= constant.value <= constant.upper


def test_the_average_precision_keeps_its_digits_at_a_billion_rows():
    """The harmonic sums are differences of large numbers; compared with exact sums of fractions."""
    negatives, positives = np.array([10**9, 7, 10**6]), np.array([3, 5, 2])
    bounds = ranking.average_precision(negatives, positives)
    worst, above, wrong = 0.0, 0, 0
    for n, p in zip(negatives[::-1], positives[::-1], strict=True):
        wrong += n
        worst += sum((above + i) / (above + i + wrong) for i in range(1, p + 1))
        above += p
    assert bounds.lower == pytest.approx(worst / 10, rel=1e-7, abs=1e-16)


def test_the_prevalence():
    assert ranking.prevalence(np.array([1, 1]), np.array([1, 0])) == pytest.approx(1 / 3)
    assert np.isnan(ranking.prevalence(np.array([0]), np.array([0])))
