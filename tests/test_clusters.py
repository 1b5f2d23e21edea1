"""Rows by nearest centre: counted as scikit-learn assigns them, alike in any cut, and what planted changes come to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.metrics import pairwise_distances_argmin_min, roc_auc_score

import gpumon
from gpumon.errors import ProfileError
from gpumon.kernels import ClusterCounts, cpu, plain
from gpumon.profiles.clusters import REACH, Clusters

ODD = st.sampled_from([np.nan, 0.0, -0.0, 1.0, REACH, -REACH])


@given(st.data(), st.integers(0, 60), st.integers(1, 4), st.integers(1, 5))
def test_both_backends_count_the_same_rows(data, rows, columns, centres):
    values = data.draw(arrays(np.float64, (columns, rows), elements=ODD | st.floats(-REACH, REACH)))
    centroids = data.draw(arrays(np.float64, (centres, columns), elements=st.floats(-3, 3)))
    edges = np.array([0.0, 5e-324, 0.5, 2.0, 30.0])
    cut = data.draw(st.integers(0, rows))
    found = []
    for backend in (cpu, plain):
        into = ClusterCounts(np.zeros((2, centres, edges.size + 1), np.int64), np.zeros((2, 1), np.int64))
        backend.clustered(values, centroids, edges, np.array([0, cut, rows]), np.array([1, 0]), into)
        found.append(into)
    for one, other in zip(*found, strict=True):
        assert (one == other).all()
    into = found[0]
    assert into.missing[1, 0] == np.isnan(values[:, :cut]).any(axis=0).sum()
    assert into.counts.sum() + into.missing.sum() == rows


def mixture(seed, rows, shares=(0.5, 0.3, 0.2), places=((0, 0), (6, 0), (0, 6))):
    rng = np.random.default_rng(seed)
    blob = rng.choice(len(shares), rows, p=shares)
    x = np.array(places, float)[blob] + 0.5 * rng.normal(size=(rows, 2))
    p = 1 / (1 + np.exp(-(x[:, 0] - x[:, 1]) / 3))
    return {"a": x[:, 0] * 100 + 1e4, "b": x[:, 1], "p": p, "y": rng.random(rows) < p}, blob


def evaluated(now, before, **options):
    return gpumon.evaluate(now, before, target="y", score="p", clusters=["a", "b"], **options)


def one(report, name, **where):
    (row,) = report.results.where(metric=name, **where)
    return row


def test_rows_are_assigned_as_scikit_learn_assigns_them():
    before, _ = mixture(0, 4_000)
    now, _ = mixture(1, 3_000, (0.2, 0.2, 0.6))
    now["a"][::100] = np.nan
    report = evaluated(now, before)
    state = report.current.state("", "clusters")
    z = state.standardised(np.stack([now[name] for name in state.columns])).T
    known = np.isfinite(z).all(axis=1)
    at, distance = pairwise_distances_argmin_min(z[known], state.places)
    assert (np.bincount(at, minlength=len(state.places)) == state.counts.sum(axis=1)).all()
    cells = np.searchsorted(state.edges, distance**2)
    assert np.abs(np.bincount(cells, minlength=state.edges.size + 1) - state.counts.sum(axis=0)).sum() <= 4
    assert state.missing[0] == 30
    table = np.stack(
        [side.state("", "clusters").counts.sum(axis=1) for side in (report.reference, report.current)]
    )
    row = one(report, "cluster_shift")
    assert row.value == pytest.approx(jensenshannon(*table, base=2))
    assert row.p_value == pytest.approx(chi2_contingency(table, correction=False).pvalue, rel=1e-6)


def test_the_centres_are_as_good_as_those_of_scikit_learn():
    before, _ = mixture(2, 5_000)
    state = gpumon.profile(before, roles={"target": "y", "score": "p"}, clusters=["a", "b"]).state(
        "", "clusters"
    )
    z = state.standardised(np.stack([before[name] for name in state.columns])).T
    ours = np.sum(pairwise_distances_argmin_min(z, state.places)[1] ** 2)
    theirs = KMeans(len(state.places), n_init=10, random_state=0).fit(z).inertia_
    assert ours < 1.1 * theirs


def test_a_change_of_shares_is_found_and_named():
    before, _ = mixture(3, 8_000)
    now, _ = mixture(4, 8_000, (0.3, 0.3, 0.4))
    row = one(evaluated(now, before), "cluster_shift")
    expected = jensenshannon([0.5, 0.3, 0.2], [0.3, 0.3, 0.4], base=2)
    assert row.value == pytest.approx(expected, abs=0.02)  # centres within a blob tell nothing apart
    assert row.status == "alert"
    assert "of rows are near" in row.reason
    assert "b 6." in row.reason or "b 5." in row.reason


def test_what_only_goes_together_in_another_way_is_seen():
    rng = np.random.default_rng(5)

    def bound(sign, rows):
        x = rng.normal(size=rows)
        b = sign * x + 0.3 * rng.normal(size=rows)
        return {
            "a": x,
            "b": b,
            "p": np.full(rows, 0.5) + 0.001 * rng.random(rows),
            "y": rng.random(rows) < 0.5,
        }

    report = evaluated(bound(-1, 5_000), bound(1, 5_000))
    assert one(report, "cluster_shift").status == "alert"
    assert one(report, "unfamiliar_share").value > 0.3
    assert one(report, "unfamiliar_share").status == "alert"


def test_no_change_raises_no_alarm():
    before, _ = mixture(6, 10_000)
    for seed in range(40):
        now, _ = mixture(100 + seed, 1_000)
        report = evaluated(now, before)
        assert {one(report, name).status for name in ("cluster_shift", "unfamiliar_share")} == {"ok"}


def test_rows_of_a_class_that_the_reference_lacks_are_unfamiliar():
    x, y = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    columns = [f"x{i}" for i in range(x.shape[1])]

    def table(rows):
        p = rng.random(len(rows))
        return dict(zip(columns, x[rows].T, strict=True)) | {"p": p, "y": rng.random(len(rows)) < p}

    known = rng.permutation(np.flatnonzero(y != 2))
    before, same, other = known[:90], known[90:], np.flatnonzero(y == 2)
    plan = gpumon.profile(table(before), roles={"target": "y", "score": "p"}, clusters=columns)
    state = plan.state("", "clusters")
    distance = []
    for rows in (same, other):
        z = state.standardised(np.stack([table(rows)[name] for name in state.columns])).T
        distance.append(pairwise_distances_argmin_min(z, state.places)[1])
    labels = np.repeat([0, 1], [len(same), len(other)])
    assert roc_auc_score(labels, np.concatenate(distance)) > 0.9
    shares = [one(gpumon.evaluate(table(rows), plan), "unfamiliar_share").value for rows in (same, other)]
    assert shares[1] > shares[0] + 0.2


def test_any_cut_windows_and_files_give_the_same_counts(tmp_path):
    data, _ = mixture(7, 3_000)
    data |= {"t": np.datetime64("2026-01-01") + np.arange(3_000) % 4}
    data["b"][::13] = np.inf
    plan = gpumon.profile(data, roles={"target": "y", "score": "p"}, clusters=True)
    whole = plan.state("", "clusters")
    assert isinstance(whole, Clusters)
    assert whole.columns == ("p", "a", "b")
    assert whole.rows == 3_000
    parts = [
        gpumon.profile({name: x[i : i + 700] for name, x in data.items()}, like=plan)
        for i in range(0, 3_000, 700)
    ]
    summed = sum(parts[::-1], plan.empty()).state("", "clusters")
    daily = gpumon.profile(data, like=plan, timestamp="t", every="1d")
    rolled = daily.rollup().state("", "clusters")
    for other in (summed, rolled):
        assert (other.counts == whole.counts).all()
        assert (other.missing == whole.missing).all()
    daily.save(tmp_path / "daily.gpumon")
    assert gpumon.Profile.load(tmp_path / "daily.gpumon") == daily
    here = gpumon.evaluate(data, plan, clusters=True)
    there = gpumon.evaluate(data, plan, backend="plain")
    assert one(here, "cluster_shift").value == one(there, "cluster_shift").value == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_few_and_equal_rows_make_as_many_clusters_as_there_are(seed, rows):
    rng = np.random.default_rng(seed)
    data = {"a": rng.integers(0, 2, rows) * 1.0, "b": rng.choice([0.0, 1e300], rows)}
    data |= {"p": rng.choice([0.25, 0.5], rows), "y": np.arange(rows) % 2}
    state = gpumon.profile(data, roles={"target": "y", "score": "p"}, clusters=["a", "b"]).state(
        "", "clusters"
    )
    assert 1 <= len(state.places) <= 8
    assert state.counts.sum() == rows
    assert (state.counts.sum(axis=1) > 0).all()


def test_what_cannot_be_clustered_is_one_clear_line():
    data, _ = mixture(8, 300)
    data |= {"word": np.array(["x", "y", "z"] * 100), **{f"x{i}": data["a"] + i for i in range(17)}}
    for asked, words in (
        (["word"], "clusters are of columns of numbers, and 'word' holds string"),
        (
            True,
            "clusters are of 2 to 16 columns of numbers, features and predictions together, and these are 20",
        ),
        (["nope"], "has no column 'nope'"),
        (3, "clusters must be the name of a column or a list of names, not 3"),
    ):
        with pytest.raises(gpumon.GpumonError, match=words):
            gpumon.evaluate(data, target="y", score="p", clusters=asked)
    empty = data | {"a": np.full(300, np.nan)}
    with pytest.raises(gpumon.GpumonError, match="no two rows of its sample have a value in each"):
        evaluated(empty, empty)
    plan = gpumon.profile(data, roles={"target": "y", "score": "p"}, columns=["y", "p", "a", "b"])
    with pytest.raises(gpumon.OptionError, match="holds no clusters of 'a', 'b': profile its table again"):
        evaluated(data, plan)
    with pytest.raises(gpumon.GpumonError, match="needs some: give roles"):
        gpumon.profile(data, clusters=["a", "b"])
    report = evaluated(data | {"b": np.full(300, np.nan)}, data)
    row = one(report, "cluster_shift")
    assert (row.status, row.reason) == (
        "no_data",
        "no row has a value in each of the columns that are clustered",
    )


def test_a_damaged_state_is_refused():
    state = Clusters.on(("p", "a"), (), np.zeros(2), np.ones(2), np.eye(2).ravel(), np.array([1.0]))
    with pytest.raises(ProfileError, match="damaged"):
        Clusters(
            ("p",), (), state.centre, state.scale, state.centroids, state.edges, state.counts, state.missing
        )
    with pytest.raises(ProfileError, match="scales above 0"):
        Clusters.on(("p", "a"), (), np.zeros(2), np.zeros(2), np.eye(2).ravel(), np.array([1.0]))
    with pytest.raises(ProfileError, match="1 to 16 columns"):
        Clusters.on((), (), np.zeros(0), np.zeros(0), np.zeros(0), np.array([1.0]))
