"""Predictions at equal values of a feature: counts beside pandas, the test beside statsmodels, what is suspected and what not."""

from __future__ import annotations

import distributed
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from statsmodels.stats.contingency_tables import StratifiedTable

import gpumon
from gpumon.profiles.groups import SlicePredictions

ASPECT = "sliced predictions"
FEATURES = ["x", "z", "town"]


def rows(n, seed, shift=0.0, move=0.0):
    """A score of ``x`` and ``z``: ``shift`` is another model's, ``move`` moves ``x``."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(move, 1, n), rng.normal(0, 1, n)
    p = 1 / (1 + np.exp(-(x + 0.5 * z + shift + rng.normal(0, 0.3, n))))
    label = rng.random(n) < p
    return {
        "x": x,
        "z": z,
        "town": rng.choice(["a", "b", "c"], n),
        "p": p,
        "c": p > 0.5,
        "three": np.select([p > 0.7, p > 0.4], ["u", "v"], "w"),
        "amount": x + 0.5 * z + shift,
        "y": label,
        "kind": np.where(label, rng.choice(["u", "v"], n), "w"),
        "size": x + rng.normal(size=n),
        "t": np.datetime64("2025-01-01") + rng.integers(0, 2, n),
    }


KINDS = {
    "score": {"target": "y", "score": "p"},
    "class": {"target": "y", "prediction": "c"},
    "classes": {"target": "kind", "prediction": "three"},
    "quantity": {"target": "size", "prediction": "amount"},
}
GIVEN = KINDS["score"] | {"slices": FEATURES}


def coded(binning, values):
    if binning.numeric:
        return np.where(pd.isna(values), binning.size - 1, np.digitize(values, binning.limits))
    codes = pd.Series(values).map({value: i for i, value in enumerate(binning.values)})
    return np.where(pd.isna(values), binning.size - 1, codes.fillna(binning.size - 2)).astype(int)


def predicted(state, table):
    """The part that every row's prediction is of, by NumPy."""
    values = table[state.columns[1]]
    if not state.classes:
        return np.where(np.isnan(values), state.predicted, np.digitize(values, state.cuts))
    texts = [str(x).lower() if isinstance(x, np.bool_) else str(x) for x in values]
    return np.array([state.classes.index(each) for each in texts])


@pytest.mark.parametrize("kind", KINDS)
def test_cells_are_those_of_a_cross_table(kind):
    table = rows(4000, 0)
    table["x"][:300] = np.nan
    if kind == "score":
        table["p"][200:500] = np.nan
    state = gpumon.profile(table, roles=KINDS[kind], slices=FEATURES).state("", ASPECT)
    assert isinstance(state, SlicePredictions)
    assert state.features == tuple(FEATURES)
    part = predicted(state, table)
    for binning, start in zip(state.binnings, state.starts, strict=False):
        expected = np.zeros((binning.size, state.predicted + 1), int)
        np.add.at(expected, (coded(binning, table[binning.column]), part), 1)
        assert state.counts[start : start + binning.size].tolist() == expected.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_shift_is_the_largest_that_statsmodels_finds(kind):
    now, before = rows(3000, 1, shift=0.3), rows(5000, 2)
    report = gpumon.evaluate(now, before, **KINDS[kind], slices=FEATURES)
    state = report.reference.state("", ASPECT)
    for binning in state.binnings:
        tables = np.zeros((binning.size - 1, 2, state.predicted), int)
        for side, table in enumerate((before, now)):
            codes = coded(binning, table[binning.column])
            np.add.at(tables[:, side], (codes, predicted(state, table)), 1)
        tables = tables[tables.sum(axis=(1, 2)) > 0]
        parts = range(1, state.predicted) if kind in {"score", "quantity"} else range(len(state.classes))
        parts = [1] if kind == "class" else parts
        found = []
        for i in parts:
            inside = tables[..., i:].sum(axis=-1) if kind in {"score", "quantity"} else tables[..., i]
            halves = np.stack((tables.sum(axis=-1) - inside, inside), axis=-1)
            one = StratifiedTable(list(halves))
            statistic = one.test_null_odds().statistic  # its p-value is 0 where it is small
            found.append((statistic, np.log(one.oddsratio_pooled), one.logodds_pooled_se))
        (row,) = (row for name, row in shifts(report).items() if name == binning.column)
        statistic, shift, error = max(found)
        assert row.value == pytest.approx(shift)
        assert row.p_value == pytest.approx(min(1, chi2.sf(statistic, 1) * len(found)), rel=1e-6)
        assert row.ci_upper - row.value == pytest.approx(1.959964 * error, rel=1e-5)
        assert row.n == len(now["x"])
        assert row.id == "PD-05"


def shifts(report, metric="prediction_odds_shift", **where):
    """The rows by feature."""
    rows = report.results.where(metric=metric, **where)
    return {row.column.partition(" | ")[2]: row for row in rows}


def test_another_model_is_suspected_at_every_feature_and_never_more_than_suspected():
    for kind, of in KINDS.items():
        found = shifts(gpumon.evaluate(rows(6000, 3, shift=0.6), rows(9000, 4), **of, slices=FEATURES))
        assert {row.status for row in found.values()} == {"warn"}, kind
        for row in found.values():
            assert row.reason.startswith("suspected: at equal ")
            assert "none of 2 other features moved; the model" in row.reason


def test_a_feature_that_counts_the_other_way_is_suspected_though_it_cancels():
    now, before = rows(6000, 3), rows(9000, 4)
    now["p"] = 1 / (1 + np.exp(now["x"] - 0.5 * now["z"]))
    before["p"] = 1 / (1 + np.exp(-before["x"] - 0.5 * before["z"]))
    report = gpumon.evaluate(now, before, **GIVEN)
    found = shifts(report, "prediction_cramers_v")
    assert {name: row.status for name, row in found.items()} == {
        "x": "warn",
        "z": "no_data",
        "town": "no_data",
    }
    assert found["x"].reason.startswith(
        "suspected: at equal x, what is predicted differs by Cramér's V of 0."
    )
    assert abs(shifts(report)["x"].value) < 0.2


def test_an_input_that_moved_explains_the_rest_and_is_named():
    found = shifts(gpumon.evaluate(rows(6000, 5, move=0.5), rows(9000, 6), **GIVEN))
    assert found["x"].status == "no_data"
    assert "cannot be seen without labels" in found["x"].reason
    for name in ("z", "town"):
        assert found[name].status == "warn"
        assert "x moved, which a model that is the same may follow" in found[name].reason


def test_nothing_is_suspected_of_windows_that_are_alike_and_nothing_is_ok():
    for seed in range(6):
        now, before = rows(6000, 2 * seed), rows(9000, 2 * seed + 1)
        now["t"] = np.datetime64("2025-02-01") + np.arange(6000) % 20
        report = gpumon.evaluate(now, before, timestamp="t", every="1d", **GIVEN)
        for metric in ("prediction_odds_shift", "prediction_cramers_v"):
            found = report.results.where(metric=metric)
            assert len(found) == 3 * 21
            assert set(found["status"]) == {"no_data"}
            assert set(found["reason"]) == {
                "cannot be seen without labels: predictions have not moved at equal values, which says nothing of what is true"
            }


def test_windows_and_segments_have_their_own():
    now = rows(8000, 7)
    later = (now["t"] == np.datetime64("2025-01-02")) & (now["town"] == "b")
    now["p"] = np.where(later, np.sqrt(now["p"]), now["p"])
    report = gpumon.evaluate(
        now, rows(9000, 8), timestamp="t", every="1d", by="town", **GIVEN | {"slices": ["x"]}
    )
    found = {
        (row.window, row.segment)
        for row in report.results.where(metric="prediction_odds_shift")
        if row.status == "warn" and row.window and row.segment
    }
    assert found == {("2025-01-02", "town=b")}


def test_labels_are_not_needed_and_few_rows_tell_nothing():
    now = rows(2000, 9, shift=0.6)
    now["y"] = np.full(2000, None, object)
    assert shifts(gpumon.evaluate(now, rows(5000, 10), **GIVEN))["town"].status == "warn"
    few = shifts(gpumon.evaluate(rows(9, 9), rows(5000, 10), **GIVEN))["town"]
    assert few.status == "no_data"
    assert few.reason == "fewer than 10 rows of either side are predicted either way"


def test_without_a_reference_there_is_nothing_to_compare():
    assert not shifts(gpumon.evaluate(rows(500, 0), **GIVEN))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 1999))
def test_profiles_add_in_any_cut_on_any_backend_and_are_saved(tmp_path_factory, cut):
    table = rows(2000, 11)
    whole = gpumon.profile(table, roles={"target": "y", "score": "p"}, slices=True)
    parts = [{name: x[part] for name, x in table.items()} for part in (slice(cut), slice(cut, None))]
    first, second = (gpumon.profile(part, like=whole, backend="plain") for part in parts)
    assert ((second + first).state("", ASPECT).counts == whole.state("", ASPECT).counts).all()
    path = tmp_path_factory.mktemp("profiles") / "rows.gpumon"
    whole.save(path)
    assert gpumon.Profile.load(path) == whole
    assert set(shifts(gpumon.evaluate(str(path), whole, slices=True)))


def test_a_cluster_counts_the_same():
    table = pa.table(rows(4000, 12, shift=0.3))
    reference = rows(4000, 13)
    here = gpumon.evaluate(table, reference, engine="local", timestamp="t", every="1d", **GIVEN)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        there = gpumon.evaluate(table, reference, engine=client, timestamp="t", every="1d", **GIVEN)
    assert (here.current.state("", ASPECT).counts == there.current.state("", ASPECT).counts).all()
    for name in ("value", "status", "reason"):
        one, two = (
            report.results.where(metric="prediction_odds_shift")[name].tolist() for report in (here, there)
        )
        assert one == two


def test_what_is_suspected_is_told_among_the_slices_of_the_page():
    from gpumon.reports import breakdowns

    report = gpumon.evaluate(rows(6000, 3, shift=0.6), rows(9000, 4), **GIVEN)
    (part,) = breakdowns.parts(report)
    told = [row.column for row in part.rows if row.metric == "prediction_odds_shift"]
    assert told == ["p | x", "p | z", "p | town"]
    assert next(row.column for row in part.rows if row.metric == "prediction_cramers_v") == "p | x"
    assert report.columns["x"] == "ok"  # it has not moved itself
