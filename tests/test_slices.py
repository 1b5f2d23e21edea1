"""Where a model is worst, from a table to the report: beside pandas, with planted causes, in every cut, on both engines."""

from __future__ import annotations

from itertools import combinations, pairwise

import distributed
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

import gpumon
from gpumon.errors import GpumonError
from gpumon.kernels import LossCounts, select
from gpumon.profiles.groups import SliceLosses, conditions


def flights(n, seed, worse=None):
    """Predictions whose labels are drawn at random where ``worse`` says so."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    rows = {
        "p": p,
        "carrier": rng.choice(["AA", "UA", "B6", "DL"], n, p=[0.4, 0.3, 0.2, 0.1]),
        "hour": rng.integers(0, 24, n),
        "distance": rng.gamma(2, 300, n),
        "night": rng.random(n) < 0.2,
        "t": np.datetime64("2024-05-01") + rng.integers(0, 2, n),
    }
    y = rng.random(n) < p
    if worse is not None:
        y = np.where(worse(rows), rng.random(n) < 0.5, y)
    return rows | {"y": y}


GIVEN = {"target": "y", "score": "p", "slices": ["carrier", "hour", "distance", "night"]}


def coded(binning, values):
    """The bin of every value, by pandas."""
    if binning.numeric:
        codes = np.digitize(values, binning.limits)
        return np.where(pd.isna(values), binning.size - 1, codes)
    texts = pd.Series(values).map(lambda x: str(x).lower() if isinstance(x, bool | np.bool_) else x)
    codes = texts.map({value: i for i, value in enumerate(binning.values)})
    return np.where(pd.isna(values), binning.size - 1, codes.fillna(binning.size - 2)).astype(int)


def test_cells_are_those_of_a_group_by():
    rows = flights(5_000, 0)
    rows["distance"][:200] = np.nan
    carrier = rows["carrier"].astype(object)
    carrier[300:400] = None
    rows = rows | {"carrier": carrier}
    table = pa.table({name: pa.array(x, from_pandas=True) for name, x in rows.items()})
    roles = {"target": "y", "score": "p"}
    counted = gpumon.profile(table, roles=roles, slices=["carrier", "hour", "distance", "night"])
    state = counted.state("", "slices")
    assert isinstance(state, SliceLosses)
    assert state.loss == ("log loss",)
    loss = -np.log(np.where(rows["y"], rows["p"], 1 - rows["p"]))
    codes = [coded(each, rows[each.column]) for each in state.binnings]
    partitions = [(i,) for i in range(4)] + list(combinations(range(4), 2))
    for places, (start, stop) in zip(partitions, pairwise(state.starts.tolist()), strict=True):
        shape = tuple(state.sizes[i] for i in places)
        cell = np.ravel_multi_index([codes[i] for i in places], shape)
        size = stop - start
        assert state.n[start:stop].tolist() == np.bincount(cell, minlength=size).tolist()
        assert np.allclose(state.sums[start:stop, 0], np.bincount(cell, loss, size), rtol=1e-12)
        assert np.allclose(state.sums[start:stop, 1], np.bincount(cell, loss**2, size), rtol=1e-12)
    assert state.sums[: state.sizes[0], 0].sum() == pytest.approx(5_000 * log_loss(rows["y"], rows["p"]))


@pytest.mark.parametrize(
    ("worse", "name"),
    [
        (lambda rows: rows["carrier"] == "B6", "carrier=B6"),
        (lambda rows: rows["night"] & (rows["carrier"] == "AA"), "carrier=AA & night=true"),
    ],
)
def test_the_planted_slice_leads_and_is_an_alert(worse, name):
    report = gpumon.evaluate(flights(30_000, 1, worse), flights(30_000, 2), **GIVEN)
    rows = list(report.results.where(metric="loss_contribution"))
    first = rows[0]
    assert set(first.column.split(" & ")) == set(name.split(" & "))
    assert first.status == "alert"
    assert first.p_value < 1e-6
    assert first.ci_lower > 0
    known = flights(30_000, 1, worse)
    hit = worse(known)
    assert first.n == hit.sum()
    loss = -np.log(np.where(known["y"], known["p"], 1 - known["p"]))
    told = f"mean log loss {log_loss(flights(30_000, 2)['y'][hit_of(worse, 2)], flights(30_000, 2)['p'][hit_of(worse, 2)]):.4g} → {loss[hit].mean():.4g}"
    assert first.reason.startswith(told)
    conditions_named = [each for row in rows for each in row.column.split(" & ")]
    assert len(conditions_named) == len(set(conditions_named))
    excess = next(iter(report.results.where(metric="excess_loss")))
    assert excess.value == pytest.approx(hit.mean() * (loss[hit].mean() - loss.mean()))


def hit_of(worse, seed):
    return worse(flights(30_000, seed))


def test_without_a_reference_the_worst_slices_are_told():
    report = gpumon.evaluate(flights(20_000, 1, lambda rows: rows["carrier"] == "UA"), **GIVEN)
    first = next(iter(report.results.where(metric="excess_loss")))
    assert first.column == "carrier=UA"
    assert first.status == "ok"
    assert first.p_value < 1e-6
    assert not report.results.where(metric="loss_contribution").arrays["value"].size


def test_scores_that_are_certain_are_judged_by_their_errors():
    sure = flights(5_000, 3)
    sure["p"] = np.where(sure["p"] > 0.9, 1.0, sure["p"])
    for rows, loss in ((flights(5_000, 3), "log loss"), (sure, "error")):
        state = gpumon.profile(rows, roles={"target": "y", "score": "p"}, slices=["carrier"]).plan[
            "", "slices"
        ]
        assert state.loss == (loss,)


def test_no_change_names_no_slice_for_sure():
    sure = 0
    for seed in range(30):
        report = gpumon.evaluate(flights(2_000, seed), flights(4_000, 100 + seed), **GIVEN)
        rows = list(report.results.where(metric="loss_contribution"))
        assert {row.status for row in rows} == {"ok"}
        sure += any(row.p_value < 0.05 for row in rows)
    assert sure <= 4


def test_a_window_has_its_own_worst_slices():
    def worse(rows):
        return (rows["t"] == np.datetime64("2024-05-02")) & (rows["carrier"] == "UA")

    report = gpumon.evaluate(
        flights(30_000, 1, worse), flights(30_000, 2), timestamp="t", every="1d", **GIVEN
    )
    first = {
        window: next(iter(report.results.where(metric="loss_contribution", window=window)))
        for window in ("2024-05-01", "2024-05-02")
    }
    assert first["2024-05-02"].column == "carrier=UA"
    assert first["2024-05-02"].status == "alert"
    assert first["2024-05-01"].p_value > 0.05


@pytest.mark.parametrize(("column", "loss"), [("q", "error"), ("amount", "absolute error")])
def test_classes_and_quantities_have_losses_of_their_own(column, loss):
    rng = np.random.default_rng(0)

    def rows(n, seed, bad):
        own = flights(n, seed)
        hit = (own["carrier"] == "DL") & bad
        label = rng.choice(["x", "y", "z"], n)
        wrong = rng.random(n) < np.where(hit, 0.5, 0.1)
        y = rng.normal(size=n)
        return own | {
            "label": label,
            "q": np.where(wrong, "x", label),
            "value": y,
            "amount": y + rng.normal(0, np.where(hit, 2, 1), n),
        }

    target = "label" if column == "q" else "value"
    report = gpumon.evaluate(
        rows(20_000, 1, bad=True), rows(20_000, 2, bad=False), target=target, prediction=column,
        slices=["carrier", "night", "hour"],
    )  # fmt: skip
    assert report.reference.state("", "slices").loss == (loss,)
    first = next(iter(report.results.where(metric="loss_contribution")))
    assert first.column == "carrier=DL"
    assert first.status == "alert"
    assert first.method.startswith(f"{loss}, ")


def test_weights_stand_for_rows():
    rows = flights(3_000, 0)
    rows["w"] = np.random.default_rng(0).integers(1, 4, 3_000).astype(float)
    report = gpumon.evaluate(rows, weight="w", **GIVEN)
    state = report.current.state("", "slices")
    loss = -np.log(np.where(rows["y"], rows["p"], 1 - rows["p"]))
    night = state.starts[3]
    assert state.sums[night : night + 2, 0] == pytest.approx(
        np.bincount(rows["night"], rows["w"] * loss), rel=1e-12
    )
    assert state.mass[night : night + 2, 1] == pytest.approx(np.bincount(rows["night"], rows["w"] ** 2))
    for row in report.results.where(metric="excess_loss"):
        if row.column == "night=true":
            share = np.average(rows["night"], weights=rows["w"])
            mean = np.average(loss, weights=rows["w"] * rows["night"])
            assert row.value == pytest.approx(share * (mean - np.average(loss, weights=rows["w"])))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 2_999))
def test_profiles_add_in_any_cut_on_any_backend_and_are_saved(tmp_path_factory, cut):
    rows = flights(3_000, 7)
    whole = gpumon.profile(rows, roles={"target": "y", "score": "p"}, slices=True)
    parts = [{name: x[part] for name, x in rows.items()} for part in (slice(cut), slice(cut, None))]
    first, second = (gpumon.profile(part, like=whole, backend="plain") for part in parts)
    state, expected = (second + first).state("", "slices"), whole.state("", "slices")
    assert (state.n == expected.n).all()
    assert np.allclose(state.sums, expected.sums, rtol=1e-12)
    path = tmp_path_factory.mktemp("profiles") / "flights.gpumon"
    whole.save(path)
    assert gpumon.Profile.load(path) == whole
    assert gpumon.evaluate(str(path), whole, slices=True).status == "ok"


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(0, 80), st.integers(0, 80), st.booleans(), st.integers(1, 4))
def test_kernels_count_alike(data, rows, cut, weighted, columns):
    rng = np.random.default_rng(data.draw(st.integers(0, 9_999)))
    sizes = rng.integers(2, 6, columns)
    codes = np.stack([rng.integers(0, size, rows).astype(np.uint8) for size in sizes])
    pairs = [sizes[i] * sizes[j] for i, j in combinations(range(columns), 2)]
    starts = np.cumsum([0, *sizes, *pairs])
    loss, w = rng.gamma(1, size=rows), rng.random(rows) if weighted else None
    offsets, places = np.array([0, min(cut, rows), rows]), np.array([1, 0])
    counted = []
    for backend in ("cpu", "plain"):
        mass = np.zeros((2, starts[-1], 2) if weighted else (2, 0, 0))
        into = LossCounts(np.zeros((2, starts[-1]), np.int64), np.zeros((2, starts[-1], 2)), mass)
        select(backend).losses(codes, starts, loss, w, offsets, places, into)
        counted.append(into)
    assert (counted[0].n == counted[1].n).all()
    assert np.allclose(counted[0].sums, counted[1].sums, rtol=1e-12, atol=1e-12)
    assert np.allclose(counted[0].mass, counted[1].mass, rtol=1e-12, atol=1e-12)
    assert counted[0].n.sum() == rows * (columns + len(pairs))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64, np.uint16])
def test_numbers_fall_into_bins_alike(dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(-5 if np.dtype(dtype).kind != "u" else 0, 9, 5_000).astype(dtype)
    limits = np.array([-2.0, 0.5, 3.0, 7.0])
    valid = rng.random(5_000) < 0.9
    if np.dtype(dtype).kind == "f":
        values[:3] = np.nan, np.inf, -np.inf
    for mask in (None, valid):
        one, two = (select(backend).binned(values, mask, limits) for backend in ("cpu", "plain"))
        assert one.dtype == np.uint8
        assert (one == two).all()
        known = ~np.isnan(values.astype(float)) & (True if mask is None else mask)
        assert (one[known] == np.digitize(values[known], limits)).all()
        assert (one[~known] == 5).all()


def test_a_cluster_counts_the_same():
    rows = pa.table(flights(6_000, 3))
    here = gpumon.evaluate(rows, rows, engine="local", timestamp="t", every="1d", **GIVEN)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        there = gpumon.evaluate(rows, rows, engine=client, timestamp="t", every="1d", **GIVEN)
    assert (here.current.state("", "slices").n == there.current.state("", "slices").n).all()
    assert here.results["column"].tolist() == there.results["column"].tolist()
    assert np.allclose(here.results["value"], there.results["value"], rtol=1e-9, atol=1e-12, equal_nan=True)


def test_of_too_many_columns_the_first_make_slices_and_the_note_names_the_others():
    rng = np.random.default_rng(0)
    rows = flights(500, 0) | {f"x{i:02}": rng.normal(size=500) for i in range(30)}
    report = gpumon.evaluate(rows, target="y", score="p", slices=True)
    state = report.current.state("", "slices")
    assert len(state.features) == 24
    assert "p" not in state.features
    assert any("slices are made of 24 columns and not of 'x20'" in note for note in report.notes)


def test_bins_are_of_about_equal_mass_and_of_frequent_values():
    rng = np.random.default_rng(0)
    n = 8_000
    rows = flights(n, 0) | {
        "zeros": np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(size=n)),
        "town": np.char.add("town ", rng.geometric(0.2, n).astype(str)),
        "few": rng.integers(0, 3, n),
        "same": np.ones(n),
    }
    counted = gpumon.profile(rows, roles={"target": "y", "score": "p"}, slices=True)
    state = counted.state("", "slices")
    named = {each.column: conditions(each) for each in state.binnings}
    assert "same" not in named
    assert "t" not in named
    assert named["few"] == ["few=0", "few=1", "few=2", "few=…", "few=∅"]
    assert named["town"][:2] == ["town=town 1", "town=town 2"]
    assert len(named["town"]) == 15 + 2
    place = state.features.index("distance")
    shares = state.n[state.starts[place] : state.starts[place + 1] - 1] / n
    assert np.allclose(shares, 1 / 8, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"slices": ["nowhere"]}, "no column 'nowhere'"),
        ({"slices": ["t"]}, "column 't' makes no slices"),
        ({"slices": [f"x{i}" for i in range(25)]}, "at most 24 columns, and 25 are named"),
        ({"slices": 5}, "slices must be the name of a column or a list"),
        ({"metrics": ["loss_contribution"], "slices": False}, "loss_contribution needs"),
    ],
)
def test_what_makes_no_slices_is_refused_in_one_line(arguments, words):
    rows = flights(300, 0) | {f"x{i}": np.arange(300) for i in range(25)}
    with pytest.raises(GpumonError, match=words) as caught:
        gpumon.evaluate(rows, rows, **{**GIVEN, **arguments})
    assert "\n" not in str(caught.value)


def test_profiles_without_slices_say_so():
    rows = flights(300, 0)
    plan = gpumon.profile(rows, roles={"target": "y", "score": "p"})
    with pytest.raises(GpumonError, match="holds no slices: profile its table again with slices"):
        gpumon.evaluate(rows, plan, slices=True)
    with pytest.raises(GpumonError, match="slices are of losses: give roles"):
        gpumon.profile({"x": [1.0, 2.0]}, slices=True)


def test_slices_of_very_many_windows_are_refused(monkeypatch):
    monkeypatch.setattr("gpumon.engines.groups.MOST_HELD", 10_000)
    rows = flights(300, 0)
    with pytest.raises(GpumonError, match="name fewer columns with slices, or choose wider windows"):
        gpumon.evaluate(rows, timestamp="t", every="1d", **GIVEN)
